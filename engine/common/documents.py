"""Read JSON and YAML files as plain data, and write data as JSON.

Files to read must be UTF-8, of bounded size, without duplicate keys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

DOCUMENT_MAX_BYTES = 16 * 1024 * 1024

_JSON_WORDS = {
    "Expecting property name enclosed in double quotes": 'a key in double quotes or a "}" is expected here',
    "Illegal trailing comma before end of object": "a comma before the end of an object is not allowed",
    "Illegal trailing comma before end of array": "a comma before the end of a list is not allowed",
    "Expecting value": "a value is expected here",
    "Expecting ',' delimiter": "a ',' or the end of the list or object is expected here",
    "Expecting ':' delimiter": "a ':' is expected here, after the key",
    "Extra data": "the file must end here; it has more",
    "Unterminated string starting at": "the quotes that begin here are not closed",
    "Invalid control character at": "a line break or control character in quotes; write \\n or \\u0000",
    "Invalid \\escape": "\\ before this letter is no escape; write two backslashes",
    "Invalid \\uXXXX escape": "four digits or letters from a to f must follow \\u",
}
"""What Python's parser of JSON reports, and the same in plain words."""


class DocumentError(ValueError):
    """A file that cannot be parsed; the message begins with its name."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise ValueError(f"the key {key!r} is given twice in one object")
        data[key] = value
    return data


def json_text(data: Any, *, indent: int | None = None) -> str:
    """Return plain data as JSON that UTF-8 can encode; non-ASCII letters are escaped only if a path is not UTF-8."""
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, indent=indent)
    return text


def read_document(path: Path, form: Literal["json", "yaml"]) -> Any:
    """Return a file's content as plain data; an empty YAML file is None.

    Raises DocumentError naming the file and, if known, the line.
    """
    return parse_document(document_text(path), form, name=str(path))


def document_text(path: Path) -> str:
    """Return a file's text; raise DocumentError if it cannot be read, is too large or not UTF-8."""
    try:
        with path.open("rb") as file:
            raw = file.read(DOCUMENT_MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise DocumentError(f"{str(path)!r}: cannot be read: {error}") from error
    return decode_document(raw, str(path))


def decode_document(raw: bytes, name: str) -> str:
    """Return the text of a document's bytes; raise DocumentError if there are too many or they are not UTF-8."""
    if len(raw) > DOCUMENT_MAX_BYTES:
        raise DocumentError(f"{name}: is too large; allowed: at most {DOCUMENT_MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{name}: not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8"
        ) from error


def parse_document(text: str, form: Literal["json", "yaml"], *, name: str) -> Any:
    """Return the plain data of a document; raise DocumentError that begins with its name."""
    try:
        if form == "json":
            return json.loads(text, object_pairs_hook=_no_duplicates)
        from video_pipeline.engine.common.strict_yaml import load_yaml

        return load_yaml(text)
    except RecursionError as error:
        raise DocumentError(f"{name}: nested too deeply") from error
    except json.JSONDecodeError as error:
        words = _JSON_WORDS.get(error.msg.removesuffix(": "), error.msg)
        place = f"line {error.lineno}, column {error.colno}"
        raise DocumentError(f"{name}: not JSON: {place}: {words}") from error
    except ValueError as error:
        raise DocumentError(f"{name}: not {form.upper()}: {error}") from error
