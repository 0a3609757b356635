"""Ray's programs on this machine under supervision: they are started again when they die or are stuck."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.child_process import ends_with_its_input
from video_pipeline.engine.common.clock import SYSTEM_CLOCK, Clock
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.environment import LOG_BYTES, ray_environment
from video_pipeline.engine.fleet.offer import MachineOffer
from video_pipeline.engine.fleet.redis_check import parse_redis_url
from video_pipeline.engine.fleet.settings import FleetSettings, check_ray

logger = logging.getLogger(__name__)

BACKOFF_SECONDS: Final = (0.0, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS: Final = 60.0
"""After running this long, programs that end are started again at once."""

SILENT_SECONDS: Final = 60.0
"""The process that watches Ray's programs is killed if it says nothing for this long."""

START_SECONDS: Final = 180.0
END_SECONDS: Final = 10.0
CLOCK_WARNING_SECONDS: Final = 5.0
FAILED_STARTS: Final = 2
"""After so many failed starts in a row the server's list of machines counts as damaged and is begun anew."""

LOGS_BYTES: Final = 200_000_000
"""Most bytes of all of Ray's logs on a machine; beyond it the oldest are deleted."""

LOGS_SECONDS: Final = 60.0
READ_BYTES: Final = 1 << 16


class RayProcess:
    """Starts and restarts Ray's programs. Use it in one thread: they die with it.

    `command` runs `fleet.ray_node`, `environ` is the caller's environment for children, `on_start` and `on_end` get the
    id of its session, and `end_session` kills all that a session has.
    """

    def __init__(
        self,
        settings: FleetSettings,
        offer: MachineOffer,
        *,
        head: bool,
        command: Sequence[str],
        environ: Mapping[str, str],
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
        end_session: Callable[[int], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Start them; raise UnavailableError without Ray and ConfigError for settings that cannot work."""
        check_ray()
        self._settings, self._head, self._command, self._clock = settings, head, list(command), clock
        self._on_start, self._on_end, self._end_session = on_start, on_end, end_session
        redis = parse_redis_url(settings.redis_url) if settings.redis_url else None
        self._environ = ray_environment(settings, environ)
        if head:
            self._environ |= _store_variables(settings, redis_address=redis.address if redis else None)
        self._setup = {
            "head": head,
            "address": settings.address,
            "bind": settings.bind,
            "name": offer.name,
            "temp": str(settings.temp),
            "slots": offer.slots,
            "gpus": offer.gpus,
            "memory_bytes": offer.memory_bytes,
            "resources": offer.resources(),
            "labels": offer.labels(),
            "redis": asdict(redis) if redis else None,
        }
        self.node: str | None = None
        self.trouble: str | None = "Ray's programs are starting"
        self.idle = False
        self.restarts = 0
        self.clock_ahead: float | None = None
        self._drain: float | None = None
        self._was_ready = False
        self._failures = 0
        self._start_at = self._logs_at = 0.0
        self._log = settings.folder / "ray.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._spawn()

    @property
    def ready(self) -> bool:
        """Whether the machine is in the fleet."""
        return self.node is not None

    @property
    def pid(self) -> int | None:
        """The id of the process that watches them, None while it is not running."""
        return self._process.pid if self._process else None

    @property
    def descriptor(self) -> int | None:
        """The pipe that becomes readable when it says something; None while it is not running."""
        return self._process.stdout.fileno() if self._process and self._process.stdout else None

    def poll(self) -> None:
        """Read what it says, and restart it if it has died or is stuck.

        Raises ConfigError with its reason if it has never been ready and trying again does not help.
        """
        now = self._clock.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self.restarts += 1
                self._spawn()
            return
        self._read(self._process)
        if now >= self._logs_at:
            self._logs_at = now + LOGS_SECONDS
            prune_logs(self._settings.temp)
        status = self._process.poll()
        if status is None:
            silent = now - self._heard
            if silent > (SILENT_SECONDS if self.ready else START_SECONDS):
                logger.error("killing Ray's programs: they have been silent for %.0f s", silent)
                self._end_session(self._process.pid)
            return
        self._read(self._process)
        self._ended(self._process, status, now)

    def drain(self, seconds: float) -> None:
        """Take no more work; what runs gets `seconds`. `idle` says whether it has ended."""
        self._drain = seconds
        self._send(drain=seconds)

    def close(self) -> None:
        """Stop them, and all that they have started."""
        process = self._process
        if process is not None:
            ends_with_its_input(process, END_SECONDS)
            self._end_session(process.pid)
            process.wait()
            self._forget(process)
        shutil.rmtree(self._settings.temp, ignore_errors=True)

    def _spawn(self) -> None:
        make_temp(self._settings.temp)
        self._settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".old.log"))
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=descriptor,
                start_new_session=True,
                env=self._environ,
                bufsize=0,
            )
        finally:
            os.close(descriptor)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._process, self._buffer = process, b""
        self._error: str | None = None
        self._for_good = False
        self._heard = self._spawned = self._clock.monotonic()
        self._on_start(process.pid)
        self._send(setup=self._setup)

    def _ended(self, process: subprocess.Popen[bytes], status: int, now: float) -> None:
        """Take note of its end; raise ConfigError if it is for good, else plan the next start."""
        self._end_session(process.pid)
        was_ready = self.ready
        self._forget(process)
        reason = self._error or f"Ray's programs ended with status {status}; see {self._log}"
        if self._for_good and not self._was_ready:
            raise ConfigError(reason)
        if was_ready and now - self._spawned >= STEADY_SECONDS:
            self._failures = 0
        wait = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1
        if self._head and not was_ready and self._failures % FAILED_STARTS == 0:
            shutil.rmtree(self._settings.folder / "gcs", ignore_errors=True)
        self._start_at = now + wait
        if reason != self.trouble:
            logger.error("%s; trying again in %g s", reason, wait)
        self.trouble = reason

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        self._on_end(process.pid)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._process, self.node, self.idle = None, None, False

    def _send(self, **message: Any) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # `poll` finds out why
                os.write(self._process.stdin.fileno(), json.dumps(message).encode() + b"\n")

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with suppress(OSError):
            while data := os.read(process.stdout.fileno(), READ_BYTES):
                self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            with suppress(ValueError):
                self._take(json.loads(line))

    def _take(self, message: Mapping[str, Any]) -> None:
        self._heard = self._clock.monotonic()
        if "ready" in message:
            self.node, self.trouble, self._was_ready = str(message["ready"]["node"]), None, True
            if self._drain is not None:
                self._send(drain=self._drain)
        elif "trouble" in message:
            if message["trouble"] and message["trouble"] != self.trouble:
                logger.warning("%s", message["trouble"])
            elif self.trouble and not message["trouble"]:
                logger.info("Ray works again")
            self.trouble = message["trouble"]
        elif "idle" in message:
            self.idle = bool(message["idle"])
        elif "clock" in message:
            self.clock_ahead = float(message["clock"])
            if warning := clock_warning(self.clock_ahead):
                logger.warning("%s", warning)
        elif "error" in message:
            self._error, self._for_good = str(message["error"]), bool(message["for_good"])


def clock_warning(ahead: float) -> str | None:
    """Return a warning if a machine's clock is `ahead` seconds (negative: behind) too far from the server's."""
    if abs(ahead) <= CLOCK_WARNING_SECONDS:
        return None
    side = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {abs(ahead):.0f} s {side} the server's; set it by NTP"


def make_temp(folder: Path) -> None:
    """Make the empty folder of Ray's sockets and logs, closed to others; raise ConfigError if it is another user's."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigError(f"storage.temp_path: cannot make {folder}: {error.strerror}") from error
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o022:
        raise ConfigError(f"storage.temp_path: {folder} belongs to another user; delete it")


def prune_logs(temp: Path, *, most_bytes: int = LOGS_BYTES) -> int:
    """Delete the oldest of Ray's logs until the rest has at most `most_bytes`; return how many were deleted."""
    files: list[tuple[float, int, Path]] = []
    for path in temp.glob("session_*/logs/**/*"):
        with suppress(OSError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                files.append((found.st_mtime, found.st_size, path))
    total, deleted = sum(size for _, size, _ in files), 0
    for _, size, path in sorted(files):
        if total <= most_bytes:
            break
        with suppress(OSError):
            path.unlink()
            total, deleted = total - size, deleted + 1
    return deleted


def _store_variables(settings: FleetSettings, *, redis_address: str | None) -> dict[str, str]:
    """Return the variables that say where the server's Ray keeps what must outlive it."""
    name = _fleet_name(settings.folder)
    if redis_address is not None:
        return {"RAY_REDIS_ADDRESS": redis_address, "RAY_external_storage_namespace": name}
    # The format may differ between versions of Ray.
    place = settings.folder / "gcs" / version("ray")
    return {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(place)}


def _fleet_name(folder: Path) -> str:
    """Return the name under which this server keeps its data in Redis, made once."""
    path = folder / "name"
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"video-pipeline-{secrets.token_hex(6)}\n", encoding="ascii")
        return path.read_text(encoding="ascii").strip()
