"""A bucket as shared storage: Amazon's S3 or a store with its protocol, through obstore (extra `fleet`).

Keys come from the environment as for other AWS programs: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, or the role
of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.object_store import StoreError, checked_key, checked_prefix
from video_pipeline.engine.errors import UnavailableError

T = TypeVar("T")

LARGE_BYTES: Final = 64 << 20
"""A larger file is sent in parts, which cannot be refused if the key exists."""

REQUEST_SECONDS: Final = 60
RETRY_SECONDS: Final = 20
RETRIES: Final = 4
READ_BYTES: Final = 8 << 20
REFUSED: Final = "the store refuses this machine's keys (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or its role), or the access"
_QUERY = re.compile(r"\?[^\s\"']*")


class S3Store:
    """Objects below a prefix of a bucket. `endpoint` is the address of a store that is not Amazon's."""

    def __init__(self, bucket: str, prefix: str = "", *, endpoint: str | None = None) -> None:
        try:
            import obstore
            from obstore.store import S3Store as Bucket
        except ImportError as error:
            raise UnavailableError(f"fleet.store: s3:// needs {the_extra('fleet')}") from error
        self._obstore = obstore
        self._name = f"s3://{bucket}/{prefix}".rstrip("/")
        more: dict[str, Any] = {} if endpoint is None else {"endpoint": endpoint}
        try:
            self._bucket = Bucket(
                bucket,
                prefix=prefix or None,
                client_options={
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                    "connect_timeout": timedelta(seconds=5),
                    "allow_http": bool(endpoint and endpoint.startswith("http://")),
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
                **more,
            )
        except Exception as error:
            raise StoreError(f"fleet.store: {self._name}: {_told_by(error)}") from error

    @property
    def name(self) -> str:
        """The bucket and the prefix."""
        return self._name

    def get(self, key: str) -> bytes | None:
        """Return an object, None if there is none."""
        return self._if_there(key, lambda: bytes(self._bucket.get(key).bytes()))

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        """Return at most `length` bytes from `start` on, None if there is no such object."""
        size = self._if_there(key, lambda: int(self._bucket.head(key)["size"]))
        if size is None:
            return None
        length = min(length, size - start)
        if length <= 0:
            return b""
        return self._if_there(
            key, lambda: bytes(self._obstore.get_range(self._bucket, key, start=start, length=length))
        )

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store an object whole; return False if the key had one, which stays as it is."""
        checked_key(key)
        try:
            self._put(key, lambda: self._bucket.put(key, data, mode="create"))
        except FileExistsError:
            return False
        return True

    def put_file_if_absent(self, key: str, path: Path) -> bool:
        """Store a file whole; return False if the key had an object, which stays as it is.

        Of two that send a file of more than 64 MiB at once, the later one stays.
        """
        if path.stat().st_size <= LARGE_BYTES:
            return self.put_if_absent(key, path.read_bytes())
        if self._if_there(key, lambda: self._bucket.head(key)) is not None:
            return False
        self._put(key, lambda: self._bucket.put(key, path, chunk_size=READ_BYTES, max_concurrency=4))
        return True

    def fetch_file(self, key: str, path: Path) -> bool:
        """Write an object to a new file; return False, without a file, if there is none."""
        found = self._if_there(key, lambda: self._bucket.get(key))
        if found is None:
            return False
        try:
            with path.open("xb") as file:
                parts = iter(found.stream(min_chunk_size=READ_BYTES))
                while (part := self._told(key, lambda: next(parts, None))) is not None:
                    file.write(part)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return True

    def delete(self, key: str) -> None:
        """Delete an object if there is one."""
        self._if_there(key, lambda: self._bucket.delete(key))

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in any order."""
        folder, _, start = checked_prefix(prefix).rpartition("/")
        pages = iter(self._bucket.list(folder or None))
        while (page := self._told(prefix, lambda: next(pages, None))) is not None:
            for found in page:
                key = str(found["path"])
                if not start or key.startswith(prefix):
                    yield key

    def _put(self, key: str, call: Callable[[], object]) -> None:
        try:
            self._told(key, call)
        except FileNotFoundError as error:
            raise StoreError(f"fleet.store: {self._name}: there is no such bucket") from error

    def _if_there(self, key: str, call: Callable[[], T]) -> T | None:
        checked_key(key)
        try:
            return self._told(key, call)
        except FileNotFoundError:
            return None

    def _told(self, key: str, call: Callable[[], T]) -> T:
        """Return the answer of a call; FileNotFoundError, FileExistsError and StoreError are what it may raise."""
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            NotFoundError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        try:
            return call()
        except (FileNotFoundError, NotFoundError) as error:
            raise FileNotFoundError(key) from error
        except AlreadyExistsError as error:
            raise FileExistsError(key) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StoreError(f"fleet.store: {self._name}: {REFUSED}") from error
        except (BaseError, OSError) as error:
            raise StoreError(f"fleet.store: {self._name}: {_told_by(error)}") from error


def _told_by(error: BaseException) -> str:
    """Return the first line of an error without the query of an address, which may sign a request."""
    lines = str(error).strip().splitlines()
    return _QUERY.sub("?…", lines[0])[:300] if lines else type(error).__name__
