"""Bodies of submits: fields of multipart/form-data, and the key of the header."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

from video_pipeline.engine.jobs.web.replies import HttpError
from video_pipeline.engine.jobs.web.uploads import content_type, read_upload, with_key


def sent(fields: dict[str, Any]) -> tuple[str, dict[str, str], bytearray]:
    """Return the body that httpx, another implementation, makes of fields."""
    request = httpx.Request("POST", "http://localhost", files=fields)
    return *content_type({"content-type": request.headers["content-type"]}), bytearray(request.read())


def test_fields_made_by_another_program_are_read_byte_by_byte() -> None:
    rng = random.Random(3)
    for count in range(5):
        files = [rng.randbytes(rng.choice((0, 1, 2, 1000))) + b"\r\n--" for _ in range(count)]
        fields = {"job": (None, b'{"a": 1}')} | {f"f{i}": (f"é{i}.png", data) for i, data in enumerate(files)}
        upload = read_upload(*sent(fields), max_parts=5)
        assert (upload.body, [bytes(part) for part in upload.parts]) == (b'{"a": 1}', files)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is not multipart"),
        (b"--x", "is not multipart"),
        (b"--x--", "job: is missing"),
        (b"--x\r\n", "is not multipart"),
        (b"--xyz\r\nContent-Disposition: form-data; name=job\r\n\r\n{}\r\n--xyz--", "is not multipart"),
        (b"--x\r\nContent-Disposition: form-data; name=job\r\n\r\n{}", "is not multipart"),
        (b"--x\r\nContent-Type: text/plain\r\n\r\n{}\r\n--x--", "is not multipart"),
        (b"--x\r\nContent-Disposition: form-data; name=other\r\n\r\n{}\r\n--x--", "job: is missing"),
        (b"--x\r\nA: " + b"a" * 9000 + b"\r\n\r\n{}\r\n--x--", "is not multipart"),
        (2 * b"--x\r\nContent-Disposition: form-data; name=job\r\n\r\n{}\r\n" + b"--x--", "is given twice"),
    ],
)  # fmt: skip
def test_a_malformed_body_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(HttpError, match=words) as refused:
        read_upload("multipart/form-data", {"boundary": "x"}, bytearray(body), max_parts=2)
    assert refused.value.status == 400


def test_more_files_than_the_node_takes_are_refused() -> None:
    fields = {"job": (None, b"{}")} | {f"f{i}": ("a", b"") for i in range(3)}
    with pytest.raises(HttpError) as refused:
        read_upload(*sent(fields), max_parts=2)
    assert refused.value.status == 413


def test_cut_and_changed_bodies_are_read_or_refused_and_nothing_else() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kind, parameters, whole = sent({"job": (None, b"{}"), "a": ("a", rng.randbytes(50)), "b": ("b", b"")})
    read = 0
    for _ in range(3000):
        body = bytearray(whole)
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(body))
            body[at : at + rng.randrange(3)] = rng.choice((b"", b"\r\n", b"--", b":", rng.randbytes(2)))
        try:
            read_upload(kind, parameters, body, max_parts=3)
            read += 1
        except HttpError:
            pass
    assert 0 < read < 3000


def test_a_key_of_the_header_joins_the_body() -> None:
    assert json.loads(with_key(b'{"story": {}}', '"a-1"')) == {"story": {}, "key": "a-1"}
    assert json.loads(with_key(b'{"key": null}', "a")) == {"key": "a"}
    assert json.loads(with_key(b'{"key": "a"}', "a")) == {"key": "a"}
    for kept in (b"{", b"[]", b'"a"', b'{"a": 1, "a": 2}'):
        assert with_key(kept, "a") == kept
    with pytest.raises(HttpError, match="differs"):
        with_key(b'{"key": "b"}', "a")
