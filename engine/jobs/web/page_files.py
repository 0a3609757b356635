"""The page: static files of this package, which hold nothing of a node and so need no token."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from video_pipeline.engine.jobs.web.downloads import has_tag
from video_pipeline.engine.jobs.web.exchange import Exchange
from video_pipeline.engine.jobs.web.replies import Header, HttpReply
from video_pipeline.engine.jobs.web.routes import not_allowed

FOLDER: Final = Path(__file__).with_name("page")
START: Final = "index.html"
PAGE: Final = "page"
"""The files are at /page/NAME, and the first also at /."""

KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final[tuple[Header, ...]] = (
    ("Content-Security-Policy", CONTENT_POLICY),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cache-Control", "no-cache"),
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page: its bytes, its media type and its ETag."""

    body: bytes
    kind: str
    tag: str


@cache
def _page_files() -> dict[str, PageFile]:
    found = {}
    for path in sorted(FOLDER.iterdir()):
        kind = KINDS.get(path.suffix[1:])
        if kind is not None:
            body = path.read_bytes()
            found[path.name] = PageFile(body, kind, f'"{hashlib.sha256(body).hexdigest()}"')
    return found


def page_file(parts: tuple[str, ...]) -> PageFile | None:
    """Return the file of the page that a path names, or None."""
    if parts == ("",):
        return _page_files()[START]
    return _page_files().get(parts[1]) if len(parts) == 2 and parts[0] == PAGE else None


async def send_page_file(exchange: Exchange, file: PageFile) -> None:
    """Reply with a file of the page. Raises HttpError (405)."""
    if exchange.head.method not in ("GET", "HEAD"):
        raise not_allowed(exchange.head.method, {"GET", "HEAD"})
    headers = (*HEADERS, ("ETag", file.tag))
    if has_tag(exchange.head.headers.get("if-none-match", ""), file.tag):
        await exchange.reply(HttpReply(304, headers=headers))
        return
    await exchange.reply(HttpReply(200, file.body, headers, kind=file.kind))
