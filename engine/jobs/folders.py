"""The folders of a node: state and output."""

from __future__ import annotations

import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError

STAGING = ".node-staging"
"""Name of the staging folder, inside the output folder so that publishing is a rename within one file system."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of a node (absolute paths). `state` holds ledger and logs, `output` the published videos."""

    state: Path
    output: Path

    @classmethod
    def of(cls, config: Config) -> Folders:
        """Return the folders of a configuration."""
        return cls(config.state_dir().resolve(), config.storage.output_path.resolve())

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.state / "ledger.sqlite3"

    @property
    def lock(self) -> Path:
        """The lock file of the running node."""
        return self.state / "node.lock"

    @property
    def machines(self) -> Path:
        """The file in which the node says how its machines are."""
        return self.state / "machines.json"

    @property
    def reserve(self) -> Path:
        """The file that holds disk space for the ledger."""
        return self.state / "reserve"

    @property
    def inbox(self) -> Path:
        """The folder of assets sent with requests."""
        return self.state / "inbox"

    @property
    def logs(self) -> Path:
        """The folder of logs, one per attempt and one per slot."""
        return self.state / "logs"

    @property
    def works(self) -> Path:
        """The temporary folders of attempts."""
        return self.state / "work"

    @property
    def stagings(self) -> Path:
        """The folders that attempts render into."""
        return self.output / STAGING

    @property
    def staged_attempts(self) -> Path:
        """The folder that names the attempts with files in a fleet's storage."""
        return self.state / "fleet" / "staged"

    def work(self, job_id: str, fence: int) -> Path:
        """Return the temporary folder of an attempt."""
        return self.works / attempt_name(job_id, fence)

    def staging(self, job_id: str, fence: int) -> Path:
        """Return the folder that an attempt renders into."""
        return self.stagings / attempt_name(job_id, fence)

    def log(self, job_id: str, fence: int) -> Path:
        """Return the log of an attempt."""
        return self.logs / f"{attempt_name(job_id, fence)}.log"

    def published(self, job_id: str) -> Path:
        """Return the folder of a job's finished video."""
        return self.output / job_id

    def make(self) -> None:
        """Create all folders; raise ConfigError naming the one that cannot be created."""
        for folder, key in (
            (self.state, "node.state_path"),
            (self.inbox, "node.state_path"),
            (self.logs, "node.state_path"),
            (self.works, "node.state_path"),
            (self.output, "storage.output_path"),
            (self.stagings, "storage.output_path"),
        ):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"{key}: cannot create {folder}: {error.strerror}; choose a writable folder"
                ) from error
        self._close_to_others()

    def _close_to_others(self) -> None:
        """Let no other user read stories, assets and logs; raise ConfigError if the state folder is another user's."""
        for path in (
            self.state,
            self.inbox,
            self.logs,
            self.works,
            self.lock,
            *self.state.glob("ledger.sqlite3*"),
        ):
            try:
                mode = stat.S_IMODE(path.stat().st_mode)
                if mode & 0o077:
                    path.chmod(mode & 0o700)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"node.state_path: others may read {path}, and its rights cannot be changed: {error.strerror}; "
                    "choose a folder of the node's own user"
                ) from error

    def remove_work(self, job_id: str, fence: int) -> None:
        """Delete the temporary folder of an attempt."""
        shutil.rmtree(self.work(job_id, fence), ignore_errors=True)

    def remove_staging(self, job_id: str, fence: int) -> None:
        """Delete the staging folder of an attempt that will not be published."""
        shutil.rmtree(self.staging(job_id, fence), ignore_errors=True)


def attempt_name(job_id: str, fence: int) -> str:
    """Return the name that an attempt's folders and log share."""
    return f"{job_id}.{fence}"


def parse_attempt_name(name: str) -> tuple[str, int] | None:
    """Return job id and fence of a name made by `attempt_name`, None for other names."""
    job_id, _, fence = name.partition(".")
    return (job_id, int(fence)) if fence.isdecimal() and job_id else None


def tail(path: Path, *, lines: int = 20, most_bytes: int = 8192) -> tuple[str, ...]:
    """Return the last lines of a log; none if there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    found = text.splitlines()
    return tuple(found[1:] if size > most_bytes else found)[-lines:]
