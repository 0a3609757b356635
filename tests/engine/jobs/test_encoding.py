"""Bodies that are malformed, too large, or have a key twice."""

from __future__ import annotations

import json

import pytest

from video_pipeline.engine.jobs.encoding import decode
from video_pipeline.engine.jobs.messages import BODY_MAX_BYTES, BODY_MAX_CONTAINERS, Encoding

MALFORMED: dict[str, tuple[Encoding, bytes]] = {
    "empty json": ("json", b""),
    "empty msgpack": ("msgpack", b""),
    "not utf-8": ("json", b'{"a":"\xff"}'),
    "half a surrogate pair": ("json", b'{"a":"\\ud800"}'),
    "nan": ("json", b'{"a":NaN}'),
    "infinity": ("json", b'{"a":-Infinity}'),
    "deep json": ("json", b"[" * 100_000 + b"]" * 100_000),
    "deep msgpack": ("msgpack", b"\x91" * 100_000 + b"\xc0"),
    "a long number": ("json", b"1" * 10_000),
    "json cut short": ("json", b'{"story":{"title":"T"'),
    "msgpack cut short": ("msgpack", b"\x81\xa5sto"),
    "two values": ("msgpack", b"\x01\x02"),
    "an extension": ("msgpack", b"\xd4\x05\x00"),
    "a key that is no text": ("msgpack", b"\x81\x01\x02"),
    "a list that says it is huge": ("msgpack", b"\xdd\xff\xff\xff\xff"),
    "a map that says it is huge": ("msgpack", b"\xdf\xff\xff\xff\xff"),
    "text that says it is huge": ("msgpack", b"\xdb\xff\xff\xff\xff"),
    "a bomb of lists, msgpack": ("msgpack", b"\xdd\x00\x03\x00\x00" + b"\x90" * 0x30000),
    "a bomb of maps, msgpack": ("msgpack", b"\xdd\x00\x03\x00\x00" + b"\x80" * 0x30000),
    "a bomb of lists, json": ("json", b"[" + b"[]," * BODY_MAX_CONTAINERS + b"0]"),
    "too large": ("json", b'"' + b"a" * BODY_MAX_BYTES + b'"'),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_one_error_and_nothing_else(name: str) -> None:
    encoding, body = MALFORMED[name]
    with pytest.raises(ValueError, match="body: ") as caught:
        decode(body, encoding)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "body",
    [
        '{"a" : 1, "a": 2}',
        '{"a"\n:1,"a":2}',
        '{"a": 1, "a": 2}',
        '{"a":{"b" : 1, "b" : 2}}',
        '[{"a":1,"\\u0061":2}]',
        '{"t":"\\"a\\":","t":1}',
    ],
)
def test_a_key_given_twice_is_refused_in_json(body: str) -> None:
    with pytest.raises(ValueError, match="is given twice in one object"):
        decode(body.encode(), "json")


@pytest.mark.parametrize("body", ['{"a":"\\"b\\":"}', '{"a" : {"a" : 1}}', '[{"a":1},{"a":2}]', "1"])
def test_a_body_that_only_looks_like_a_duplicate_key_is_read(body: str) -> None:
    assert decode(body.encode(), "json") == json.loads(body)


def test_a_key_given_twice_is_refused_in_msgpack() -> None:
    with pytest.raises(ValueError, match="the key 'a' is given twice in one object"):
        decode(b"\x81\xa1b\x82\xa1a\x01\xa1a\x02", "msgpack")
    assert decode(b"\x82\xa1b\x81\xa1a\x01\xa1a\x02", "msgpack") == {"b": {"a": 1}, "a": 2}
