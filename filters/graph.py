"""Typed FFmpeg filter graphs: the only module that makes filter strings and ffmpeg argument lists.

It is built on ffmpeg-python, with its own nodes because that library escapes some values wrongly and merges equal
inputs. Text that a user wrote is never a value here; it is passed in files (`textfile`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import ffmpeg
from ffmpeg.nodes import FilterNode, InputNode

Value = str | int | float | Fraction | Path

PROTOCOLS = "file,pipe"
"""The only protocols that an input may use, so that a playlist disguised as a picture opens no network connection."""

STANDARD_INPUT = Path("pipe:0")
"""Instead of a file: what the program's caller writes to it."""


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{Decimal(f'{value:.10g}'):f}"  # no exponent, because FFmpeg's time syntax has none
    return str(value)


_BLANK = " \t\r\n"
_IN_OPTION = "\\':=" + _BLANK
_IN_GRAPH = "\\'[],;" + _BLANK


def _escape(text: str, special: str) -> str:
    return "".join("\\" + letter if letter in special else letter for letter in text)


class _Filter(FilterNode):  # type: ignore[misc]
    """A filter whose values reach FFmpeg unchanged.

    ffmpeg-python escapes positional values twice, and does not escape spaces, which FFmpeg strips from the ends.
    """

    def _get_filter(self, outgoing_edges: list[Any]) -> str:
        options = [_escape(value, _IN_OPTION) for value in self.args]
        options += [f"{key}={_escape(self.kwargs[key], _IN_OPTION)}" for key in sorted(self.kwargs)]
        return _escape("=".join(part for part in (self.name, ":".join(options)) if part), _IN_GRAPH)


class _Input(InputNode):  # type: ignore[misc]
    """An input that equals no other: a file opened twice is two inputs, read independently."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, slots=True)
class Stream:
    """One video or audio stream inside a filter graph."""

    node: Any

    def filter(self, name: str, /, *positional: Value, **options: Value) -> Stream:
        """Append the filter `name`; options have FFmpeg's names (with an underscore after `from` and `in`)."""
        return merge(name, (self,), *positional, **options)

    def split(self, count: int) -> tuple[Stream, ...]:
        """Return `count` copies of the stream (frames are shared, not copied)."""
        if count == 1:
            return (self,)
        node = _Filter(self.node, "split", args=[str(count)])
        return tuple(Stream(node.stream(index)) for index in range(count))


def open_input(
    path: Path,
    *,
    demuxer: str,
    media: Literal["v", "a"] = "v",
    stream_index: int | None = None,
    **options: Value | None,
) -> Stream:
    """Open a file, or STANDARD_INPUT, with a fixed demuxer and only the protocols of PROTOCOLS.

    The stream is the first of kind `media`, or number `stream_index` of the file.
    Options are written before `-i`; a flag such as `noaccurate_seek` has the value None.
    """
    plain = {key: None if value is None else _text(value) for key, value in options.items()}
    # An absolute path, because `cache:x/1.png` would name a protocol.
    name = str(path) if path is STANDARD_INPUT else str(path.absolute())
    given = {"filename": name, "format": demuxer, "protocol_whitelist": PROTOCOLS, **plain}
    stream = _Input("input", kwargs=given).stream()
    if stream_index is not None:
        return Stream(stream[str(stream_index)])
    return Stream(stream.video if media == "v" else stream.audio)


def merge(name: str, streams: Sequence[Stream], /, *positional: Value, **options: Value) -> Stream:
    """Apply a filter that takes several inputs (`xfade`, `overlay`, `concat`)."""
    plain = {key.rstrip("_"): _text(value) for key, value in options.items()}
    nodes = [stream.node for stream in streams]
    node = _Filter(nodes, name, max_inputs=None, args=[*map(_text, positional)], kwargs=plain)
    return Stream(node.stream())


def concat(streams: Sequence[Stream]) -> Stream:
    """Join video streams one after the other."""
    if len(streams) == 1:
        return streams[0]
    return merge("concat", streams, n=len(streams), v=1, a=0)


def argv(
    program: str | Path,
    outputs: Sequence[Stream],
    target: str,
    *,
    global_options: Sequence[str] = (),
    **output_options: Value,
) -> list[str]:
    """Return the ffmpeg command line that writes `outputs` into one file or pipe (`target`)."""
    plain = {key: _text(value) for key, value in output_options.items()}
    node = ffmpeg.output(*(stream.node for stream in outputs), target, **plain)
    command: list[str] = node.compile(cmd=str(program))
    return [command[0], *global_options, *command[1:]]


def filter_complex(outputs: Sequence[Stream]) -> str:
    """Return the text of the filter graph of `outputs`, or "" if it has no filters."""
    command = argv("ffmpeg", outputs, "-")
    if "-filter_complex" not in command:
        return ""
    return command[command.index("-filter_complex") + 1]
