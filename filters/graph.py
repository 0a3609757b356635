"""FFmpeg filter graphs, typed. The one place where filter strings and ffmpeg argument lists are made.

Built on ffmpeg-python, which escapes option values on both levels of the filter-graph syntax. Text that a
user wrote never becomes a value here: it travels in files (`textfile`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import ffmpeg

Value = str | int | float | Fraction | Path

PROTOCOLS = "file,pipe"
"""The only protocols that an input may use: a playlist posing as a picture opens nothing on the network."""


def _text(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


@dataclass(frozen=True, slots=True)
class Stream:
    """One video or audio stream inside a filter graph."""

    node: Any

    def filter(self, name: str, *positional: Value, **options: Value) -> Stream:
        """Append the filter `name`; options keep FFmpeg's own names (`from` and `in` end in an underscore)."""
        plain = {key.rstrip("_"): _text(value) for key, value in options.items()}
        return Stream(self.node.filter(name, *map(_text, positional), **plain))

    def split(self, count: int) -> tuple[Stream, ...]:
        """Return `count` copies of the stream (frames are shared, not copied)."""
        if count == 1:
            return (self,)
        parts = self.node.filter_multi_output("split", str(count))
        return tuple(Stream(parts[index]) for index in range(count))


def open_input(path: Path, *, demuxer: str, media: Literal["v", "a"] = "v", **options: Value) -> Stream:
    """Open a file with a pinned demuxer and the protocols that are allowed; options go before `-i`."""
    plain = {key: _text(value) for key, value in options.items()}
    node = ffmpeg.input(str(path), f=demuxer, protocol_whitelist=PROTOCOLS, **plain)
    return Stream(node.video if media == "v" else node.audio)


def generate(name: str, **options: Value) -> Stream:
    """Return a source that a filter makes (`color`, `anullsrc`)."""
    return Stream(ffmpeg.input(f"{name}={_join(options)}", f="lavfi").video)


def _join(options: dict[str, Value]) -> str:
    return ":".join(f"{key}={_text(value)}" for key, value in options.items())


def merge(name: str, streams: Sequence[Stream], **options: Value) -> Stream:
    """Apply a filter that takes several inputs (`xfade`, `overlay`, `concat`)."""
    plain = {key.rstrip("_"): _text(value) for key, value in options.items()}
    return Stream(ffmpeg.filter([stream.node for stream in streams], name, **plain))


def concat(streams: Sequence[Stream]) -> Stream:
    """Play video streams one after the other."""
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
    """Return the text of the filter graph behind `outputs`; empty where streams are passed as they are."""
    command = argv("ffmpeg", outputs, "-")
    if "-filter_complex" not in command:
        return ""
    return command[command.index("-filter_complex") + 1]
