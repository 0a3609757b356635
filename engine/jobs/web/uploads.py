"""The bodies of submits: JSON, or multipart/form-data with the job as JSON and files beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from video_pipeline.engine.jobs.encoding import decode
from video_pipeline.engine.jobs.messages import BODY_MAX_BYTES
from video_pipeline.engine.jobs.web.exchange import Exchange
from video_pipeline.engine.jobs.web.replies import JSON_TYPE, HttpError
from video_pipeline.engine.jobs.web.shares import Shares

MULTIPART: Final = "multipart/form-data"
JOB_FIELD: Final = "job"
"""The field of a multipart body that is the job, as JSON; the other fields are files, in the order of inline:N."""
FIELD_HEAD_MAX_BYTES: Final = 4096
_PARAMETER: Final = re.compile(r';\s*([A-Za-z0-9_*-]+)\s*=\s*(?:"([^"\\]*)"|([^\s;"]+))')
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_NAME: Final = re.compile(rb'(?i)content-disposition\s*:\s*form-data\b[^\r\n]*?;\s*name="?([^"\r\n;]*)"?')


@dataclass(frozen=True, slots=True)
class Upload:
    """The body of a submit (JSON) and the files sent with it."""

    body: bytes
    parts: Sequence[memoryview] = ()


def content_type(headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the media type of a body in lower case, and its parameters."""
    value = headers.get("content-type", "")
    kind = value.partition(";")[0].strip().lower()
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(value)}
    return kind, parameters


async def read_all(exchange: Exchange, *, most: int, held: Shares, user: str) -> tuple[bytearray, int]:
    """Return the body of a request and how many bytes of `held` it takes, which the caller gives back.

    Raises HttpError (413) if it has more than `most` bytes.
    """
    too_large = HttpError(413, "TOO_LARGE", f"body: allowed: at most {most} bytes", field="body")
    length = exchange.head.headers.get("content-length")
    if length is not None and int(length) > most:
        raise too_large
    body, taken = bytearray(), 0
    try:
        async for part in exchange.body():
            if len(body) + len(part) > most:
                raise too_large
            held.take(user, len(part))
            taken += len(part)
            body += part
    except BaseException:
        held.give(user, taken)
        body.clear()  # the traceback would keep it for a while
        raise
    return body, taken


def read_upload(kind: str, parameters: Mapping[str, str], body: bytearray, *, max_parts: int) -> Upload:
    """Return what a submit's body holds. Raises HttpError (400, 413)."""
    if kind == JSON_TYPE:
        return Upload(bytes(body))
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise HttpError(
            400, "BAD_REQUEST", "Content-Type: multipart/form-data needs a boundary", field="Content-Type"
        )
    job: bytes | None = None
    parts: list[memoryview] = []
    for name, content in _form_fields(body, boundary.encode("ascii")):
        if name != JOB_FIELD.encode():
            parts.append(content)
            if len(parts) > max_parts:
                raise HttpError(413, "TOO_LARGE", f"body: allowed: at most {max_parts} files", field="body")
        elif job is not None:
            raise HttpError(400, "BAD_REQUEST", "job: is given twice", field="job")
        elif len(content) > BODY_MAX_BYTES:
            raise HttpError(413, "TOO_LARGE", f"job: allowed: at most {BODY_MAX_BYTES} bytes", field="job")
        else:
            job = bytes(content)
    if job is None:
        raise HttpError(
            400, "BAD_REQUEST", "job: is missing; it is the field with the job as JSON", field="job"
        )
    return Upload(job, parts)


def _form_fields(body: bytearray, boundary: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of each field of a multipart/form-data body (RFC 7578, framing of RFC 2046, 5.1)."""
    malformed = HttpError(
        400, "BAD_REQUEST", "body: is not multipart/form-data with this boundary", field="body"
    )
    view = memoryview(body)
    delimiter = b"\r\n--" + boundary
    if body.startswith(delimiter[2:]):
        at = len(delimiter) - 2
    else:
        at = body.find(delimiter) + len(delimiter)
        if at < len(delimiter):
            raise malformed
    while not body.startswith(b"--", at):
        start = body.find(b"\r\n", at)
        if start < 0 or bytes(view[at:start]).strip(b" \t"):
            raise malformed
        end = body.find(delimiter, start)
        if end < 0:
            raise malformed
        split = body.find(b"\r\n\r\n", start, min(end + 2, start + FIELD_HEAD_MAX_BYTES))
        name = _NAME.search(body, start, split) if split >= 0 else None
        if name is None:
            raise malformed
        yield name.group(1), view[split + 4 : max(split + 4, end)]
        at = end + len(delimiter)


def with_key(body: bytes, key: str) -> bytes:
    """Return a submit's body with the key of the header Idempotency-Key. Raises HttpError (400) if it has another."""
    if len(key) > 2 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    try:
        data: Any = decode(body, "json")
    except ValueError:
        return body  # the server says what is wrong with it
    if not isinstance(data, dict):
        return body
    if data.get("key") not in (None, key):
        raise HttpError(400, "BAD_REQUEST", "key: differs from the header Idempotency-Key", field="key")
    return json.dumps({**data, "key": key}).encode()
