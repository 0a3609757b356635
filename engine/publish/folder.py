"""Publish into a folder: a platform of one's own, such as a share that another program reads.

A post is a folder named by its title and the video's hash, which appears whole by one rename.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.files import lock_folder, sync_file, sync_folder, write_text
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.publish.base import (
    Handle,
    OnSent,
    Post,
    Published,
    PublisherRecord,
    Standing,
    account_of,
)

POST_FILE: Final = "post.json"
COPY_BYTES: Final = 1 << 20
HASH_CHARACTERS: Final = 16
NAME_CHARACTERS: Final = 80
NAME_BYTES: Final = 200
"""Leaves room for the hash and a leading dot: a file system takes names of 255 bytes."""


@dataclass(frozen=True, slots=True)
class FolderCalls:
    """Publishes into `folder`, which must exist: a share that is not mounted is an error, not a new folder."""

    folder: Path

    def plan(self, post: Post) -> list[str]:
        """Return the files that would be copied, and the rename."""
        handle = self._named(post)
        files = [post.video, *filter(None, (post.thumbnail, post.subtitles))]
        copies = [f"copy {file} to {self._hidden(handle) / file.name}" for file in files]
        return [
            *copies,
            f"write {self._hidden(handle) / POST_FILE}",
            f"rename {self._hidden(handle)} to {self._target(handle)}",
        ]

    def prepare(self, post: Post) -> Handle:
        """Choose the name of the post's folder."""
        with self._errors():
            if not self.folder.is_dir():
                raise ServiceError(f"folder: {self.folder} is not there", kind="busy")
        return self._named(post)

    @staticmethod
    def _named(post: Post) -> Handle:
        title = re.sub(r"[^\w-]+", "-", post.title).strip("-")[:NAME_CHARACTERS]
        title = title.encode()[:NAME_BYTES].decode(errors="ignore")
        return Handle(fields={"name": "-".join(filter(None, (title, post.sha256[:HASH_CHARACTERS])))})

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> None:
        """Copy the files under a hidden name, the video from where an interrupted copy stopped."""
        hidden = self._hidden(handle)
        with self._errors():
            hidden.mkdir(exist_ok=True)
            with self._alone(hidden):
                copy = hidden / post.video.name
                self._copy(post, copy, on_sent)
                for more in filter(None, (post.thumbnail, post.subtitles)):
                    shutil.copyfile(more, hidden / more.name)
                    sync_file(hidden / more.name)
                write_text(hidden / POST_FILE, post.shown())
                sync_folder(hidden)

    @contextlib.contextmanager
    def _alone(self, hidden: Path) -> Iterator[None]:
        """Hold a hidden folder for the block: two accounts may lead to one folder, and two nodes to one share."""
        try:
            lock = lock_folder(hidden)
        except BlockingIOError:
            raise ServiceError(f"folder: another process writes {hidden}", kind="busy") from None
        try:
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def _copy(self, post: Post, copy: Path, on_sent: OnSent) -> None:
        with post.video.open("rb") as source, copy.open("ab") as target:
            done = target.tell()
            if done > post.size:
                target.truncate(0)
                done = 0
            source.seek(done)
            while part := source.read(COPY_BYTES):
                target.write(part)
                done += len(part)
                on_sent(done, post.size)
            target.flush()
            os.fsync(target.fileno())
        if file_sha256(copy) != post.sha256:
            copy.unlink()
            raise ServiceError(
                f"folder: the copy of {post.video} is not the video that was to be published", kind="busy"
            )

    def commit(self, post: Post, handle: Handle) -> Published:
        """Give the folder its name."""
        target = self._target(handle)
        with self._errors():
            try:
                with self._alone(self._hidden(handle)):
                    self._hidden(handle).rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise ServiceError(f"folder: {target} exists and is another post", kind="rejected") from error
            sync_folder(self.folder)
        return self._published(target)

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Return whether the folder has its name."""
        target = self._target(handle)
        with self._errors():
            if not self.folder.is_dir():
                raise ServiceError(f"folder: {self.folder} is not there", kind="busy")
            if not (target / post.video.name).is_file():
                return "open"
            return self._published(target)

    @staticmethod
    def _published(target: Path) -> Published:
        files = {path.name: path.absolute().as_uri() for path in sorted(target.iterdir())}
        return Published(remote_id=target.name, url=target.absolute().as_uri(), files=files)

    def complete(self, post: Post, published: Published) -> None:
        """Do nothing: the folder appears with all its files."""

    def quota(self) -> None:
        """Return None: a folder takes what its disk has room for."""

    def _target(self, handle: Handle) -> Path:
        return self.folder / str(handle.fields["name"])

    def _hidden(self, handle: Handle) -> Path:
        return self.folder / f".{handle.fields['name']}"

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ServiceError(
                f"folder: {error.filename or self.folder}: {error.strerror}", kind="busy"
            ) from error


def _connect_folder(config: Config, account: str) -> FolderCalls:
    return FolderCalls(
        account_of(config.publishing.accounts.folder, account, platform="folder").path.expanduser()
    )


PUBLISHER: Final = PublisherRecord(name="folder", connect=_connect_folder, finds_by_content=True)
