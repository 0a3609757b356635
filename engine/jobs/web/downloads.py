"""Files of completed jobs over HTTP: whole or a range, with the SHA-256 of the manifest as ETag."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from video_pipeline.engine.jobs.messages import FileChunk, JobFile, JobFiles
from video_pipeline.engine.jobs.web.exchange import DisconnectedError, Exchange
from video_pipeline.engine.jobs.web.replies import Header, HttpError, HttpReply
from video_pipeline.engine.jobs.web.server_client import ServerClient, checked

PART_BYTES: Final = 512 * 1024
"""What is read of a file at once, and what a slow client holds in memory, twice."""

CONTENT_TYPES: Final[dict[str, str]] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "srt": "application/x-subrip",
    "vtt": "text/vtt; charset=utf-8",
    "ass": "text/x-ssa; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}
"""The media types of a job's files by the ends of their names; others are application/octet-stream."""
_RANGE: Final = re.compile(r"bytes=\s*(?:([0-9]{1,19})\s*-\s*([0-9]{0,19})|-\s*([0-9]{1,19}))\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` to before `stop`."""

    start: int
    stop: int


def byte_range(value: str, size: int) -> ByteRange | None:
    """Return the range that a header asks for, None if it is to be ignored (RFC 9110, 14.2). Raises HttpError (416)."""
    match = _RANGE.fullmatch(value)
    if match is None:
        return None  # another unit, several ranges, or malformed
    first, last, suffix = match.groups()
    if suffix is not None:
        start, stop = max(0, size - int(suffix)), size
    else:
        start = int(first)
        stop = min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise HttpError(
            416,
            "RANGE_NOT_SATISFIABLE",
            f"Range: the file has {size} bytes",
            field="Range",
            headers=(("Content-Range", f"bytes */{size}"),),
        )
    return ByteRange(start, stop)


def has_tag(value: str, tag: str, *, weak: bool = True) -> bool:
    """Return whether a list of ETags has one, by the weak comparison or the strong one."""
    tags = [each.strip() for each in value.split(",")]
    return tags == ["*"] or tag in tags or (weak and f"W/{tag}" in tags)


async def send_file(exchange: Exchange, client: ServerClient, user: str, listed: JobFiles, name: str) -> None:
    """Reply with a file of a job, or the range of it that is asked for. Raises HttpError before the reply begins."""
    file = next((each for each in listed.files if each.name == name), None)
    if file is None:
        names = ", ".join(each.name for each in listed.files)
        raise HttpError(
            404, "NOT_FOUND", f"name: is not a file of {listed.job_id}; allowed: {names}", field="name"
        )
    headers = exchange.head.headers
    tag = f'"{file.sha256}"'
    common = _file_headers(file, tag)
    # In this order, and If-Match by the strong comparison (RFC 9110, 13.1.1 and 13.2.2).
    if "if-match" in headers and not has_tag(headers["if-match"], tag, weak=False):
        raise HttpError(412, "CONFLICT", "If-Match: the file is another one", field="If-Match")
    if has_tag(headers.get("if-none-match", ""), tag):
        await exchange.reply(HttpReply(304, headers=common))
        return
    asked = headers.get("range") if headers.get("if-range", tag) == tag else None
    part = None if asked is None or exchange.head.method != "GET" else byte_range(asked, file.size)
    where = part or ByteRange(0, file.size)
    first = await _fetch_part(client, user, listed.job_id, file, where.start, where.stop)
    about = [*common, ("Content-Length", str(where.stop - where.start))]
    if part is not None:
        about.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{file.size}"))
    await exchange.start(206 if part else 200, about)
    if not exchange.is_head:
        await _send_parts(exchange, client, user, listed.job_id, file, where, first)
    await exchange.end()


async def _send_parts(
    exchange: Exchange,
    client: ServerClient,
    user: str,
    job_id: str,
    file: JobFile,
    where: ByteRange,
    data: Any,
) -> None:
    at = where.start
    while at < where.stop:
        await exchange.send(data)
        at += len(data)
        if at < where.stop:
            try:
                data = await _fetch_part(client, user, job_id, file, at, where.stop)
            except HttpError as error:
                raise DisconnectedError from error  # the reply has begun: a cut connection is all that can be told


async def _fetch_part(
    client: ServerClient, user: str, job_id: str, file: JobFile, start: int, stop: int
) -> Any:
    """Return the bytes of a file from `start` on, at most PART_BYTES and none beyond `stop`."""
    length = min(PART_BYTES, stop - start)
    if length == 0:
        return b""
    wanted = {"job_id": job_id, "name": file.name, "offset": start, "length": length}
    reply = await client.ask(user, "fetch", json.dumps(wanted).encode())
    chunk = FileChunk.model_validate_json(checked(reply).body)
    if chunk.file_size != file.size or not len(reply.data):
        raise HttpError(409, "CONFLICT", f"{job_id}: {file.name} was changed after the job")
    return reply.data


def _file_headers(file: JobFile, tag: str) -> tuple[Header, ...]:
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    return (
        ("Content-Type", CONTENT_TYPES.get(file.name.rpartition(".")[2].lower(), "application/octet-stream")),
        ("Content-Disposition", f"inline; filename*=UTF-8''{quote(file.name)}"),
        ("Content-Security-Policy", "sandbox; default-src 'none'"),
        ("Accept-Ranges", "bytes"),
        ("ETag", tag),
        ("Repr-Digest", f"sha-256=:{digest}:"),
        ("Cache-Control", "private, no-cache"),
    )
