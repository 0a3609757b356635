"""Fetch assets from untrusted http(s) URLs: public addresses only, with limits and checked content.

Connections are those of `engine/net/pinned.py`. Each redirect is checked like the first URL. Proxies and credentials of
the environment are not used.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, suffix_as
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import FetchError
from video_pipeline.engine.net.addresses import Url, check_url, is_public
from video_pipeline.engine.net.pinned import (
    NO_ANSWER_ERRORS,
    AddressRefusedError,
    Allow,
    PinnedRequests,
    Resolve,
    TooSlowError,
    resolve,
)
from video_pipeline.engine.story.asset_fields import AssetKind

REDIRECTS: Final = 5
REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
PASSING_STATUS: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which a retry may help."""

READ_BYTES: Final = 64 * 1024
IDLE_SECONDS: Final = 15.0


class Fetcher:
    """Fetches the assets of one attempt at a job. Thread-safe.

    `max_bytes` limits one asset, `max_total_bytes` all of them, `timeout` the seconds for one with its redirects,
    `idle` the seconds without a byte. `allow` returns whether an address may be used.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_total_bytes: int,
        timeout: float,
        idle: float = IDLE_SECONDS,
        allow: Allow = is_public,
        resolver: Resolve = resolve,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._idle = idle
        self._pinned = PinnedRequests(allow=allow, resolver=resolver, context=context, idle=idle)
        self._lock = threading.Lock()
        self._left = max_total_bytes

    @classmethod
    def of(cls, node: Node, *, allow: Allow = is_public) -> Fetcher:
        """Return a fetcher with a node's limits."""
        return cls(
            max_bytes=int(node.asset_max_mb * 1e6),
            max_total_bytes=int(node.assets_max_mb * 1e6),
            timeout=node.fetch_timeout,
            allow=allow,
        )

    def __call__(self, url: str, folder: Path, kind: AssetKind) -> Path:
        """Download a URL completely into a file in `folder` and return the file's path.

        The file's name is the URL's hash, its suffix follows from its content. Raises FetchError, whose `kind`
        says whether a retry may help, and OSError if the disk is full.
        """
        deadline = time.monotonic() + self._timeout
        current = url
        for _ in range(REDIRECTS + 1):
            parts = check_url(current)
            if url.lower().startswith("https:") and parts.scheme != "https":
                raise _refusal(url, f"redirects from https to {current[:200]!r}")
            with self._answer(parts, url, deadline) as answer:
                if answer.status not in REDIRECT_STATUS:
                    return self._body(answer, url, folder, kind)
                location = answer.headers.get("Location")
            if not location:
                raise FetchError(f"{url}: redirects without a Location", url=url, kind="unusable")
            current = urljoin(current, location.strip(" \t"))
        raise FetchError(f"{url}: redirects more than {REDIRECTS} times", url=url, kind="unusable")

    @contextmanager
    def _answer(self, parts: Url, url: str, deadline: float) -> Iterator[http.client.HTTPResponse]:
        """Request a URL and yield the response with its header read; errors inside become FetchError."""
        try:
            with self._pinned.answer(parts, "GET", headers=_HEADERS, deadline=deadline) as answer:
                yield answer
        except AddressRefusedError as error:
            raise _refusal(url, str(error)) from error
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message or error.reason
            raise FetchError(
                f"{url}: its certificate is not valid: {reason}", url=url, kind="unusable"
            ) from error
        except TooSlowError as error:
            limit = f"{self._timeout:g} s in all (node.fetch_timeout), {self._idle:g} s without a byte"
            raise FetchError(f"{url}: took too long; allowed: {limit}", url=url, kind="transient") from error
        except NO_ANSWER_ERRORS as error:
            why = str(error) or type(error).__name__
            raise FetchError(f"{url}: no valid response: {why}", url=url, kind="transient") from error

    def _body(self, answer: http.client.HTTPResponse, url: str, folder: Path, kind: AssetKind) -> Path:
        """Write a response's body to a file and return it; raise FetchError for an error status or wrong content."""
        if answer.status != 200:
            passing = answer.status >= 500 or answer.status in PASSING_STATUS
            what = f"{answer.status} {answer.reason[:80]}".strip()
            raise FetchError(f"{url}: {what}", url=url, kind="transient" if passing else "unusable")
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise FetchError(
                f"{url}: Content-Encoding {encoding[:40]!r}; allowed: identity", url=url, kind="unusable"
            )
        expected = answer.length  # None if the body is chunked or ends with the connection
        self._within(expected or 0, url)
        stem = hashlib.sha256(f"{kind} {url}".encode()).hexdigest()[:24]
        partial = folder / f".partial-{stem}"
        taken = 0
        try:
            with partial.open("wb") as file:
                head = b""
                # Read into a buffer: `read` would take a chunk of length -1 to mean everything up to the end.
                buffer = bytearray(READ_BYTES)
                while size := answer.readinto(buffer):
                    taken += size
                    self._take(size, taken, url)
                    if len(head) < HEAD_BYTES:
                        head += buffer[: min(size, HEAD_BYTES - len(head))]
                        if len(head) == HEAD_BYTES:
                            _suffix(head, url, kind)  # reject a wrong file early
                    file.write(memoryview(buffer)[:size])
            if expected is None and not taken:  # a truncated header looks the same
                raise http.client.IncompleteRead(b"")
            if expected is not None and taken != expected:
                raise http.client.IncompleteRead(b"", expected - taken)
            target = folder / f"{stem}{_suffix(head, url, kind)}"
            partial.replace(target)
            return target
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _within(self, size: int, url: str) -> None:
        if size > self._max_bytes:
            limit = f"at most {self._max_bytes / 1e6:g} MB (node.asset_max_mb)"
            raise FetchError(f"{url}: is larger than allowed; allowed: {limit}", url=url, kind="unusable")

    def _take(self, size: int, taken: int, url: str) -> None:
        """Count bytes towards the limits of one asset and of all assets."""
        self._within(taken, url)
        with self._lock:
            self._left -= size
            left = self._left
        if left < 0:
            raise FetchError(
                f"{url}: this job's URLs are together larger than node.assets_max_mb allows",
                url=url,
                kind="unusable",
            )


_HEADERS: Final = {
    "User-Agent": f"video-pipeline/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def _refusal(url: str, what: str) -> FetchError:
    return FetchError(f"{url}: {what}; allowed: addresses of the public internet", url=url, kind="refused")


def _suffix(head: bytes, url: str, kind: AssetKind) -> str:
    try:
        return suffix_as(kind, head)
    except ValueError as error:
        raise FetchError(f"{url}: {error}; allowed: {ALLOWED[kind]}", url=url, kind="unusable") from error
