"""Back up a node's state while it runs, and restore it.

A backup is a tar archive: `backup.json`, which names every other member with its size and SHA-256, the ledger, the files
of publications and notifications, the inline assets of unfinished jobs, the node's keys and the tokens of its accounts. Finished videos and
the cache are not in it.

The order makes it consistent. Inline assets are kept before and after the ledger is read, so that those of each job in
it are there. Notifications are read before it: what they lack of its events is read again after a restore, with the
same ids. Publications are read after the ledger: those of every job that it calls completed are then stored.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from video_pipeline.engine import __version__
from video_pipeline.engine.common.files import link_or_copy, sync_folder, whole_file
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.errors import InputError, PipelineError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.inputs.inbox import INBOX_REFERENCE
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.notify.outbox import OUTBOX_FILE
from video_pipeline.engine.publish.records import RECORDS_FILE, Publications
from video_pipeline.engine.publish.specs import publisher

logger = logging.getLogger(__name__)

FORMAT: Final = 1
INDEX: Final = "backup.json"
LEDGER: Final = "ledger.sqlite3"
INBOX: Final = "inbox"
SECRET_FOLDERS: Final = ("keys", "accounts")
SNAPSHOT_PREFIX: Final = ".backup-"
OLD_SECONDS: Final = 86_400.0
TRIES: Final = 5
READ_BYTES: Final = 1 << 20


class BackupError(PipelineError):
    """A backup cannot be made or restored."""


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    version: str
    made_at: float
    files: dict[str, _Member]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What a backup holds. `made_at` is in seconds since 1970; `jobs` and `publications` are counts by state.

    `unknown` is the number of publications that became unknown when it was restored.
    """

    path: Path
    made_at: float
    files: int
    size: int
    jobs: dict[str, int]
    publications: dict[str, int]
    unknown: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "path": str(self.path),
            "made_at": datetime.fromtimestamp(self.made_at, UTC).isoformat(),
            "files": self.files,
            "size": self.size,
            "jobs": self.jobs,
            "publications": self.publications,
            "unknown": self.unknown,
        }


def make_backup(config: Config, target: Path) -> BackupSummary:
    """Write a backup of a node's state, whether the node runs or not; `target` appears when it is whole.

    Raises BackupError, and ConfigError for a state folder without a ledger.
    """
    folders = Folders.of(config)
    if not folders.ledger.is_file():
        raise InputError(f"node.state_path: {folders.state} has no ledger; name the node's configuration")
    if target.is_dir():
        raise InputError(f"backup: {target} is a folder; name a file, or use --keep")
    for place in filter(None, (folders.state, config.node.keys_path)):
        if target.resolve().is_relative_to(place.resolve()):
            raise InputError(f"backup: {target} is in {place}, which it backs up; name a file elsewhere")
    try:
        _remove_old_snapshots(folders.state)
        with tempfile.TemporaryDirectory(prefix=SNAPSHOT_PREFIX, dir=folders.state) as name:
            snapshot = Path(name)
            _take_snapshot(folders, config, snapshot)
            summary = _summary_of(snapshot, target, time.time())
            with whole_file(target) as partial:
                os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                _write_archive(snapshot, partial)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise BackupError(f"backup: {target}: cannot be made: {error}") from error
    return summary


def _remove_old_snapshots(state: Path) -> None:
    """Delete what a backup that was killed left."""
    for path in state.glob(f"{SNAPSHOT_PREFIX}*"):
        if time.time() - path.stat().st_mtime > OLD_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _take_snapshot(folders: Folders, config: Config, snapshot: Path) -> None:
    outbox = folders.state / OUTBOX_FILE
    if outbox.is_file():
        _copy_database(outbox, snapshot / OUTBOX_FILE)
    for _ in range(TRIES):
        _keep_inbox(folders.inbox, snapshot / INBOX)
        _copy_database(folders.ledger, snapshot / LEDGER)
        _keep_inbox(folders.inbox, snapshot / INBOX)
        needed = _needed_assets(snapshot / LEDGER)
        if needed <= {path.name for path in (snapshot / INBOX).iterdir()}:
            break
    else:
        logger.warning("the inbox lacks files that unfinished jobs name; they will fail if they are rendered")
    for path in (snapshot / INBOX).iterdir():
        if path.name not in needed:
            path.unlink()
    records = folders.state / RECORDS_FILE
    if records.is_file():
        _copy_database(records, snapshot / RECORDS_FILE)
    for name in SECRET_FOLDERS:
        source = config.node.keys_path if name == "keys" and config.node.keys_path else folders.state / name
        if source.is_dir():
            _copy_secrets(source, snapshot / name)


def _copy_secrets(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))
    except shutil.Error as error:
        place, _, why = error.args[0][0]
        raise BackupError(f"backup: {place}: cannot be read: {why}") from error
    for path in target.rglob("*"):
        try:
            path.name.encode()
        except UnicodeEncodeError:
            raise BackupError(
                f"backup: {source}: has a name that is not UTF-8: {path.name!r}; rename it"
            ) from None


def _keep_inbox(inbox: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    if not inbox.is_dir():
        return
    for path in inbox.iterdir():
        if not path.name.startswith(".") and not (target / path.name).exists():
            with suppress(FileNotFoundError):  # its job ended just now
                link_or_copy(path, target / path.name)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment; writers go on meanwhile."""
    target.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=30)) as database,
        closing(sqlite3.connect(target)) as copy,
    ):
        database.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupError(f"backup: {source} is damaged: {found}")


def _needed_assets(ledger: Path) -> set[str]:
    with Ledger(ledger) as copy:
        texts = copy.jobs.payloads_containing("inbox:")
        return {name for text in texts for name in INBOX_REFERENCE.findall(text)}


def _write_archive(snapshot: Path, target: Path) -> None:
    names = sorted(path for path in snapshot.rglob("*") if path.is_file() and not _is_side_file(path))
    files = {
        path.relative_to(snapshot).as_posix(): _Member(size=path.stat().st_size, sha256=_sha256_of(path))
        for path in names
    }
    index = _Index(format=FORMAT, version=__version__, made_at=time.time(), files=files)
    text = index.model_dump_json(indent=1).encode()
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        head = tarfile.TarInfo(INDEX)
        head.size, head.mode, head.mtime = len(text), 0o600, int(index.made_at)
        archive.addfile(head, io.BytesIO(text))
        for path in names:
            member = tarfile.TarInfo(path.relative_to(snapshot).as_posix())
            member.size, member.mode, member.mtime = path.stat().st_size, 0o600, int(index.made_at)
            with path.open("rb") as file:
                archive.addfile(member, file)


def _is_side_file(path: Path) -> bool:
    """Return whether a file stands beside a database: its log, or the locks of its users."""
    return ".sqlite3-" in path.name


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _summary_of(state: Path, path: Path, made_at: float) -> BackupSummary:
    with Ledger(state / LEDGER) as ledger:
        jobs = {str(status): count for status, count in ledger.jobs.counts().items()}
    publications: dict[str, int] = {}
    if (state / RECORDS_FILE).is_file():
        records = Publications(state / RECORDS_FILE)
        publications = records.counts()
        records.close()
    files = [each for each in state.rglob("*") if each.is_file() and not _is_side_file(each)]
    return BackupSummary(
        path=path,
        made_at=made_at,
        files=len(files),
        size=sum(each.stat().st_size for each in files),
        jobs=jobs,
        publications=publications,
    )


def restore_backup(config: Config, source: Path) -> BackupSummary:
    """Make a node's state folder from a backup; the folder appears when it is whole, and must not hold anything before.

    A post that was due since may have been published after the backup was made: it becomes `unknown`, for a person to
    look. Raises InputError for an archive that is none or is damaged, BackupError if the disk fails.
    """
    folders = Folders.of(config)
    state = folders.state
    if state.exists() and (not state.is_dir() or any(state.iterdir())):
        raise InputError(
            f"node.state_path: {state} is not empty; move it away, or restore into another folder"
        )
    if source.is_dir():
        raise InputError(f"backup {source}: is a folder; name the file that `backup` wrote")
    if os.path.ismount(state):
        raise InputError(
            f"node.state_path: {state} is the place of a mounted disk, which the restored folder cannot replace; name a folder "
            "on that disk"
        )
    if config.node.keys_path is not None:
        there = config.node.keys_path.is_dir()
        logger.warning(
            "node.keys_path: %s %s; the backup's keys are in %s%s",
            config.node.keys_path,
            "exists and is left as it is" if there else "is not there",
            state / "keys",
            "" if there else ": move them before the node starts, or it makes new ones",
        )
    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{state.name}-restoring-", dir=state.parent) as name:
            partial = Path(name) / "state"
            partial.mkdir(mode=0o700)
            index = _extract(source, partial)
            unknown = _hold_what_may_be_published(partial / RECORDS_FILE)
            summary = _summary_of(partial, source, index.made_at)
            for path in (*partial.rglob("*"), partial):
                if path.is_dir():
                    sync_folder(path)
            partial.rename(state)
            sync_folder(state.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"restore: {state}: cannot be made: {error}") from error
    return replace(summary, unknown=unknown)


def _extract(source: Path, target: Path) -> _Index:
    """Write the members of an archive that its index names into a folder, durably, and return the index."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            members = iter(archive)
            index = _read_index(archive, next(members, None), source)
            found = {member.name for member in _extracted(archive, members, index, target, source)}
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and not isinstance(error, tarfile.TarError | EOFError):
            is_missing = isinstance(error, FileNotFoundError) and error.filename == str(source)
            if not is_missing and error.errno is not None:
                raise
            why = "there is no such file" if is_missing else str(error)
            raise InputError(f"backup {source}: {why}") from error
        raise InputError(f"backup {source}: is damaged or no backup: {error}") from error
    if missing := sorted(set(index.files) - found):
        raise InputError(f"backup {source}: is damaged: it lacks {missing[0]}")
    if LEDGER not in found:
        raise InputError(f"backup {source}: has no ledger")
    return index


def _read_index(archive: tarfile.TarFile, member: tarfile.TarInfo | None, source: Path) -> _Index:
    file = archive.extractfile(member) if member is not None and member.name == INDEX else None
    if file is None:
        raise InputError(f"backup {source}: is no backup of a node: its first member is not {INDEX}")
    try:
        told = json.loads(file.read(64 << 20))
        if isinstance(told, dict) and told.get("format") != FORMAT:
            raise InputError(
                f"backup {source}: format: got {told.get('format')!r}; this version reads {FORMAT}"
            )
        return _Index.model_validate(told)
    except (ValueError, ValidationError) as error:
        raise InputError(f"backup {source}: {INDEX} is damaged") from error


def _extracted(
    archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], index: _Index, target: Path, source: Path
) -> Iterator[tarfile.TarInfo]:
    for member in members:
        known = index.files.get(member.name)
        path = PurePosixPath(member.name)
        if known is None or not member.isreg() or path.is_absolute() or ".." in path.parts:
            raise InputError(f"backup {source}: has a member that it should not have: {member.name!r}")
        file = archive.extractfile(member)
        assert file is not None
        place = target / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            while part := file.read(READ_BYTES):
                digest.update(part)
                written.write(part)
            written.flush()
            os.fsync(written.fileno())
        if member.size != known.size or digest.hexdigest() != known.sha256:
            raise InputError(f"backup {source}: is damaged: {member.name} is not what {INDEX} says")
        yield member


def _hold_what_may_be_published(path: Path) -> int:
    if not path.is_file():
        return 0
    records = Publications(path)
    try:
        return records.doubt_due(but=[name for name in PUBLISHERS.names if publisher(name).finds_by_content])
    finally:
        records.close()
