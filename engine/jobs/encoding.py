"""The bodies of messages as JSON or MessagePack, within limits."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from pydantic_core import from_json

from video_pipeline.engine.jobs.messages import BODY_MAX_BYTES, BODY_MAX_CONTAINERS, Encoding, Message


def encode(body: Message, encoding: Encoding) -> bytes:
    """Encode a body."""
    if encoding == "json":
        return body.model_dump_json().encode()
    import msgpack  # not needed for jobs inside this process

    packed: bytes = msgpack.packb(body.model_dump(mode="json"))
    return packed


_KEY_END = re.compile(rb'"[ \t\n\r]*:')


def decode(body: bytes, encoding: Encoding) -> Any:
    """Decode a body to plain data; raise ValueError if it is malformed or too large.

    Both encodings may contain only what JSON can; MessagePack's binary strings pass, and validation rejects them.
    """
    if len(body) > BODY_MAX_BYTES:
        raise ValueError(f"body: has {len(body)} bytes; allowed: at most {BODY_MAX_BYTES}")
    try:
        if encoding == "json":
            if len(body) > BODY_MAX_CONTAINERS and body.count(b"[") + body.count(b"{") > BODY_MAX_CONTAINERS:
                raise ValueError(_TOO_MANY)
            decoded = from_json(body, allow_inf_nan=False)
            # Each key ends like this, and little else does. If more keys were written than decoded, one may have been
            # given twice, which only the slow decoder detects. Few bodies need a search, which takes longer than a count.
            keys = _keys_in(decoded)
            if keys != body.count(b":") and keys != len(_KEY_END.findall(body)):
                json.loads(body, object_pairs_hook=_without_duplicates)
            return decoded
        return _unpack(body)
    except (ValueError, TypeError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"body: invalid {encoding}: {reason[:200]}") from error


def _keys_in(value: Any) -> int:
    """Return the number of keys of all objects in plain data."""
    count, left = 0, [value]
    while left:
        item = left.pop()
        if type(item) is dict:
            count += len(item)
            left += [inner for inner in item.values() if type(inner) is dict or type(inner) is list]
        elif type(item) is list:
            left += item
    return count


def _without_duplicates(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {str(twice)[:100]!r} is given twice in one object")
    return made


def _unpack(body: bytes) -> Any:
    import msgpack

    hooks: dict[str, Any] = {"object_pairs_hook": _without_duplicates}
    if len(body) > BODY_MAX_CONTAINERS:
        count = _Containers()
        hooks = {
            "object_pairs_hook": lambda pairs: count(_without_duplicates(pairs)),
            "list_hook": count,
            "max_array_len": BODY_MAX_CONTAINERS,
            "max_map_len": BODY_MAX_CONTAINERS,
        }
    try:
        return msgpack.unpackb(body, strict_map_key=True, ext_hook=_no_extension, **hooks)
    except ValueError as error:
        if "exceeds max_" in str(error):
            raise ValueError(_TOO_MANY) from error
        raise
    except msgpack.UnpackException as error:
        raise ValueError(str(error) or type(error).__name__) from error


_TOO_MANY = f"too many lists and objects; allowed: at most {BODY_MAX_CONTAINERS}"


class _Containers:
    """Counts the lists and objects of a body while it is decoded."""

    def __init__(self) -> None:
        self._left = BODY_MAX_CONTAINERS

    def __call__(self, made: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(_TOO_MANY)
        return made


def _no_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code}; allowed: what JSON can hold")
