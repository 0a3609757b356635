"""CURVE keys of a node and its clients, as files in the format of zmq.auth, and the check of client keys.

keys/node.key             the node's public key, which every client needs
keys/node.key_secret      the node's secret key, which must not leave the machine (mode 0600)
keys/clients/NAME.key     the public key of a client with access; NAME owns the jobs that it submits
keys/revoked/             the keys of revoked clients
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import zmq
import zmq.auth
from zmq.utils import z85

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, InputError
from video_pipeline.engine.jobs.messages import LOCAL_USER

CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NODE_CLIENT = "node/health"
"""The user name of the node when it pings its own server; no key file can have this name."""
WEB_CLIENT = "node/web"
"""The user name of the node's HTTP process at the server; it acts for the users of tokens (`acting`)."""
KEY_CHARACTERS = 40
_LINE = re.compile(r'^\s*(public-key|secret-key)\s*=\s*"([^"\n]*)"\s*$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Keys in Z85, 40 characters each; `secret` only if the secret key was read."""

    public: bytes
    secret: bytes | None = None


def keys_dir(config: Config) -> Path:
    """Return the folder of a node's keys."""
    return config.node.keys_path or config.state_dir() / "keys"


def read_key(path: Path, *, secret: bool = False) -> KeyPair:
    """Read and check the key of a file; with `secret` also that the pair matches and only the owner can read it.

    Raises ConfigError naming the file: ZeroMQ itself would only log the fault and refuse all clients.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"{path}: cannot read the key: {reason}") from error
    found = {kind: value.encode() for kind, value in _LINE.findall(text)}
    public = _checked(path, "public-key", found.get("public-key"))
    if not secret:
        return KeyPair(public)
    private = _checked(path, "secret-key", found.get("secret-key"))
    if zmq.curve_public(private) != public:
        raise ConfigError(f"{path}: its public-key and secret-key do not belong together")
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ConfigError(
            f"{path}: other users can read this secret key: got mode {stat.S_IMODE(mode):04o}; allowed: 0600"
        )
    return KeyPair(public, private)


def _checked(path: Path, kind: str, value: bytes | None) -> bytes:
    if value is None:
        raise ConfigError(f'{path}: has no {kind}; it needs a line {kind} = "…" as zmq.auth writes it')
    try:
        if (
            len(value) == KEY_CHARACTERS
            and len(z85.decode(value)) == 32
            and z85.encode(z85.decode(value)) == value
        ):
            return value
    except (ValueError, KeyError, OverflowError):
        pass
    raise ConfigError(
        f"{path}: {kind}: has {len(value)} characters; allowed: {KEY_CHARACTERS} characters of Z85"
    )


def check_name(name: str) -> str:
    """Return a client's name; raise InputError if it is not allowed."""
    if not CLIENT_NAME.fullmatch(name) or name in (LOCAL_USER, "node"):
        raise InputError(
            f"client name: got {show(name)}; allowed: 1 to 64 letters, digits, '.', '_' and '-', beginning "
            f"with a letter or a digit, and neither {LOCAL_USER!r} nor 'node'"
        )
    return name


def make_node_key(folder: Path) -> Path:
    """Make a node's key pair and return the file of the public key; raise InputError if it has one."""
    public = folder / "node.key"
    if public.exists() or (folder / "node.key_secret").exists():
        raise InputError(f"{public}: the node has a key already; replacing it would lock out every client")
    make_private_folder(folder)
    make_private_folder(folder / "clients")
    _write_pair(folder, folder, "node")
    return public


def make_client_key(folder: Path, name: str, *, into: Path | None = None) -> Path:
    """Make a client's key pair, grant it access, and return the file with its secret key.

    The file is written into `into` (default: `issued` in the folder); move it to the client's machine, with a copy
    of node.key. Raises InputError if the name is taken.
    """
    check_name(name)
    make_private_folder(folder)
    make_private_folder(folder / "clients")
    public = folder / "clients" / f"{name}.key"
    target = into or folder / "issued"
    if public.exists():
        raise InputError(f"{public}: a client with this name exists; revoke it first or choose another name")
    if (target / f"{name}.key_secret").exists():
        raise InputError(f"{target / name}.key_secret: exists already; move or delete it first")
    make_private_folder(target)
    return _write_pair(folder / "clients", target, name)


def revoke_client(folder: Path, name: str) -> Path:
    """Revoke a client's access; return the new place of its public key. Raises InputError if there is no such client."""
    check_name(name)
    public = folder / "clients" / f"{name}.key"
    if not public.exists():
        known = client_names(folder)
        raise InputError(
            f"client name: got {name!r}{closest(name, known)}, which is not a client of this node; "
            f"allowed: {', '.join(known) or 'none'}"
        )
    make_private_folder(folder / "revoked")
    kept = folder / "revoked" / f"{name}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.key"
    public.replace(kept)
    return kept


def client_names(folder: Path) -> list[str]:
    """Return the names of the clients with access."""
    return sorted(
        path.stem for path in (folder / "clients").glob("*.key") if CLIENT_NAME.fullmatch(path.stem)
    )


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _write_pair(public_folder: Path, secret_folder: Path, name: str) -> Path:
    public, secret = zmq.curve_keypair()
    head = "#   ZeroMQ CURVE {} of video-pipeline\n"
    lines = f'\nmetadata\n    name = "{name}"\ncurve\n    public-key = "{public.decode()}"\n'
    private = secret_folder / f"{name}.key_secret"
    write_private(private, head.format("**secret** key") + lines + f'    secret-key = "{secret.decode()}"\n')
    write_private(public_folder / f"{name}.key", head.format("public key") + lines)
    return private


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def folder_state(folder: Path) -> object:
    """Return what tells that a file of a folder was added, removed or changed; None if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, status.st_mtime_ns, status.st_size, status.st_ino)
                for entry in entries
                for status in [entry.stat()]
            )
    except OSError:
        return None


class AllowList:
    """The clients with access, read from the folder of their keys."""

    def __init__(self, folder: Path, *, always: Mapping[bytes, str] = MappingProxyType({})) -> None:
        """Read the keys below `folder`; `always` has further clients, by public key as text."""
        self._folder = folder / "clients"
        self._always = {z85.decode(key): name for key, name in always.items()}
        self._seen: object = None
        self._names: dict[bytes, str] = dict(self._always)
        self.faults: list[str] = []
        self.reload()

    @property
    def names(self) -> Mapping[bytes, str]:
        """Client names by public key (32 bytes)."""
        return self._names

    def reload(self) -> set[str]:
        """Read the folder again if it has changed; return the clients whose previous key is no longer valid."""
        seen = folder_state(self._folder)
        if seen == self._seen:
            return set()
        self._seen = seen
        before = self._names
        self._names, self.faults = dict(self._always), []
        for path in sorted(self._folder.glob("*.key")):
            try:
                if not CLIENT_NAME.fullmatch(path.stem) or path.stem == LOCAL_USER:
                    raise ConfigError(f"{path}: the file name is not a valid client name")
                key = z85.decode(read_key(path).public)
                if key in self._names:
                    raise ConfigError(f"{path}: has the same key as {self._names[key]}.key")
            except ConfigError as error:
                self.faults.append(f"{error}; this client has no access")
                continue
            self._names[key] = path.stem
        return {name for key, name in before.items() if self._names.get(key) != name}


class Authenticator:
    """Answers ZeroMQ's authentication requests (ZAP); the User-Id of a connection is the client's name.

    Create it before binding any socket: without it ZeroMQ accepts every client.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: AllowList) -> None:
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind("inproc://zeromq.zap.01")
        self._allowed = allowed
        self.refused = 0

    def answer(self) -> None:
        """Answer the pending authentication requests."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.socket.send_multipart(self._decide(frames))

    def _decide(self, frames: list[bytes]) -> list[bytes]:
        request_id = frames[1] if len(frames) > 1 else b""
        name = None
        if len(frames) == 7 and frames[0] == b"1.0" and frames[5] == b"CURVE":
            name = self._allowed.names.get(frames[6])
        if name is None:
            self.refused += 1
            return [b"1.0", request_id, b"400", b"unknown key", b"", b""]
        return [b"1.0", request_id, b"200", b"OK", name.encode(), b""]

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(0)
