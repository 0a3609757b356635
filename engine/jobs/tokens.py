"""Tokens of HTTP clients: each belongs to a user, whose jobs are those of the CURVE key of the same name.

keys/tokens/ID.json    the user's name, the token's SHA-256 and when it was made (mode 0600)

A token has 256 random bits, so its plain SHA-256 can be stored: nobody can guess or invert it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.curve import (
    CLIENT_NAME,
    check_name,
    folder_state,
    make_private_folder,
    write_private,
)
from video_pipeline.engine.jobs.messages import LOCAL_USER

TOKEN_PREFIX: Final = "vpt_"
TOKEN_PATTERN: Final = re.compile(r"vpt_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_ID: Final = re.compile(r"[0-9a-f]{8}")


class StoredToken(BaseModel):
    """What the node keeps of a token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=f"^{CLIENT_NAME.pattern}$")]
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    made: str


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token when it is made; `text` is the secret, which is stored nowhere."""

    token_id: str
    name: str
    text: str
    path: Path

    def __repr__(self) -> str:
        return f"NewToken(token_id={self.token_id!r}, name={self.name!r})"


def token_sha256(text: str) -> str:
    """Return the digest under which a token is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_token(folder: Path, name: str) -> NewToken:
    """Make a token of a user in the folder of keys. Raises InputError if the name is not allowed."""
    check_name(name)
    tokens = folder / "tokens"
    make_private_folder(folder)
    make_private_folder(tokens)
    token_id = secrets.token_hex(4)
    text = f"{TOKEN_PREFIX}{token_id}_{secrets.token_urlsafe(32)}"
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    stored = StoredToken(name=name, sha256=token_sha256(text), made=made)
    path = tokens / f"{token_id}.json"
    write_private(path, stored.model_dump_json(indent=1) + "\n")
    return NewToken(token_id, name, text, path)


def stored_tokens(folder: Path) -> tuple[dict[str, StoredToken], list[str]]:
    """Return the tokens in the folder of keys by id, and what is wrong with files that are none."""
    found, faults = {}, []
    for path in sorted((folder / "tokens").glob("*.json")):
        try:
            if not _ID.fullmatch(path.stem):
                raise ValueError("the file name is not the id of a token")
            stored = StoredToken.model_validate_json(path.read_bytes())
            if stored.name in (LOCAL_USER, "node"):
                raise ValueError(f"name: got {stored.name!r}, which no client can have")
            found[path.stem] = stored
        except (OSError, ValueError) as error:
            why = "is not the file of a token" if isinstance(error, ValidationError) else str(error)
            faults.append(f"{path}: {why}; it gives no access")
    return found, faults


def remove_token(folder: Path, token_id: str) -> StoredToken:
    """Remove a token, which then gives no access; return what was kept. Raises InputError if there is none."""
    found, _ = stored_tokens(folder)
    if token_id not in found:
        # The argument may be the whole token: never repeat it.
        shown = show(token_id) if _ID.fullmatch(token_id) else f"{len(token_id)} characters"
        raise InputError(
            f"token id: got {shown}{closest(token_id[:8], list(found))}; "
            f"allowed: {', '.join(found) or 'none, there are no tokens'}"
        )
    (folder / "tokens" / f"{token_id}.json").unlink()
    return found[token_id]


def remove_tokens_of(folder: Path, name: str) -> list[str]:
    """Remove all tokens of a user; return their ids."""
    ids = [token_id for token_id, stored in stored_tokens(folder)[0].items() if stored.name == name]
    for token_id in ids:
        remove_token(folder, token_id)
    return ids


class TokenList:
    """The tokens that give access, read again when their folder changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: object = ()
        self._names: Mapping[str, str] = {}
        self.faults: list[str] = []
        self.reload()

    def __len__(self) -> int:
        return len(self._names)

    def reload(self) -> bool:
        """Read the folder again if it has changed; return whether it had."""
        seen = folder_state(self._folder / "tokens")
        if seen == self._seen:
            return False
        self._seen = seen
        found, self.faults = stored_tokens(self._folder)
        self._names = {stored.sha256: stored.name for stored in found.values()}
        return True

    def user_of(self, text: str) -> str | None:
        """Return the user of a token, None if it gives no access."""
        if not TOKEN_PATTERN.fullmatch(text):
            return None
        return self._names.get(token_sha256(text))


def user_names(folder: Path) -> list[str]:
    """Return the names of the users with tokens."""
    if not (folder / "tokens").exists():
        return []
    return sorted({stored.name for stored in stored_tokens(folder)[0].values()})
