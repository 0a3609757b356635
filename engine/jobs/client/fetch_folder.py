"""The folder into which a job's files are fetched: what is there of them already, and how they appear.

FOLDER/.fetch-JOB/STORY.mp4    while it is fetched; stays if the program is killed, and the next fetch goes on there
FOLDER/STORY.mp4               once all files are whole
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.files import lock_folder, sync_folder
from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.jobs.messages import JobFile

FETCH_PREFIX: Final = ".fetch-"
_BLOCK_BYTES: Final = 1 << 20
_LOCK_ATTEMPTS: Final = 100


class FetchFolder:
    """Files of one job that appear in `folder` together once all are whole. Not thread-safe; call `close` at the end.

    Methods raise RenderingError if the disk fails.
    """

    def __init__(self, folder: Path, job_id: str, files: Sequence[JobFile]) -> None:
        """Make the folder and lock it against other fetches of the job. Raises InputError and RenderingError."""
        self._folder, self._files = folder, files
        self._hidden = folder / f"{FETCH_PREFIX}{job_id}"
        self._kept: set[str] = set()
        self._file: FileIO | None = None
        self._hash = hashlib.sha256()
        self._lock: int | None = None
        with self._disk(folder.name):
            self._lock = self._open()
        try:
            for file in files:
                if (folder / file.name).is_dir():
                    raise InputError(f"folder: {folder / file.name} is a folder; choose another one")
        except BaseException:
            self.close()
            raise

    def _open(self) -> int | None:
        for _ in range(_LOCK_ATTEMPTS):
            try:
                self._hidden.mkdir(parents=True, exist_ok=True)
                lock = lock_folder(self._hidden)
            except FileNotFoundError:
                continue  # the fetch that had it has just ended
            except (FileExistsError, NotADirectoryError) as error:
                raise InputError(f"folder: {error.filename} is no folder; choose another one") from error
            except BlockingIOError as error:
                raise RenderingError(
                    f"{self._folder}: another program is fetching this job into it; wait for its end"
                ) from error
            with suppress(FileNotFoundError):
                if lock is None or os.path.samestat(os.fstat(lock), self._hidden.stat()):
                    return lock
            os.close(lock) if lock is not None else None
        raise RenderingError(f"{self._folder}: cannot be locked")

    def begin(self, file: JobFile) -> int:
        """Start a file and return how many of its bytes are there: all of them if it has been fetched before."""
        target = self._folder / file.name
        with self._disk(file.name):
            if target.is_file() and target.stat().st_size == file.size and file_sha256(target) == file.sha256:
                self._kept.add(file.name)
                return file.size
            self._file = (self._hidden / file.name).open("a+b", buffering=0)
            self._hash = hashlib.sha256()
            there = self._file.seek(0, os.SEEK_END)
            if there > file.size:
                self._file.truncate(0)
                there = 0
            self._file.seek(0)
            while block := self._file.read(_BLOCK_BYTES):
                self._hash.update(block)
            free = shutil.disk_usage(self._folder).free
            if free < file.size - there:
                raise RenderingError(
                    f"{self._folder}: has {free:,} bytes free, and {file.name} needs {file.size - there:,} more"
                )
        return there

    def append(self, data: bytes | memoryview) -> None:
        """Write the next bytes of the file that was started."""
        assert self._file is not None
        with self._disk(Path(self._file.name).name):
            left = memoryview(data)
            while left:  # without a buffer, a write may take less than all
                left = left[self._file.write(left) :]
        self._hash.update(data)

    def is_whole(self, file: JobFile) -> bool:
        """End a file and return whether it has the right checksum; one that has not is discarded."""
        if file.name in self._kept:
            return True
        assert self._file is not None
        with self._disk(file.name):
            right = self._hash.hexdigest() == file.sha256
            if right:
                os.fsync(self._file.fileno())
            else:
                self._file.truncate(0)
            self._file.close()
        return right

    def commit(self) -> dict[str, Path]:
        """Rename all files to their final names, the first one last, and return them by role."""
        for file in reversed(self._files):
            if file.name not in self._kept:
                with self._disk(file.name):
                    (self._hidden / file.name).replace(self._folder / file.name)
        sync_folder(self._folder)
        shutil.rmtree(self._hidden, ignore_errors=True)
        return {file.role: self._folder / file.name for file in self._files}

    def close(self) -> None:
        """Let others fetch into the folder; what is there stays for the next fetch."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        with suppress(OSError):
            self._hidden.rmdir()  # if it is empty
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def _disk(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RenderingError(
                f"{self._folder}: cannot write {name}: {error.strerror or error}; "
                "what was fetched is kept, and the same fetch goes on from there"
            ) from error
