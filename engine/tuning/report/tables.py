"""The trials of a run as a table: for a terminal, as CSV, and for the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.tuning.records import Value
from video_pipeline.engine.tuning.report.words import settings_text, value_text
from video_pipeline.engine.tuning.summaries import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name in CSV, its title and explanation on the page, and how it reads a summary."""

    name: str
    title: str
    about: str
    read: Callable[[Summary], float | None]
    digits: int = 2
    short: bool = False
    """Whether a terminal has it too."""

    def text(self, summary: Summary) -> str:
        """Return the value of a trial with the column's digits, nothing if it was not measured."""
        value = self.read(summary)
        return "" if value is None else f"{value:.{self.digits}f}"


def _scaled(name: str, factor: float) -> Callable[[Summary], float | None]:
    def read(summary: Summary) -> float | None:
        value = getattr(summary, name)
        return None if value is None else factor * value

    return read


def _field(name: str) -> Callable[[Summary], float | None]:
    return _scaled(name, 1.0)


COLUMNS: Final = (
    Column(
        name="cpu_s_per_minute",
        title="CPU s/min",
        about="CPU seconds for a minute of video",
        read=_field("cpu_s_per_minute"),
        digits=1,
        short=True,
    ),
    Column(
        name="fps",
        title="frames/s",
        about="frames a second of one encode",
        read=_field("fps"),
        digits=1,
        short=True,
    ),
    Column(name="mbit_s", title="Mbit/s", about="bit rate over all clips", read=_field("mbit_s"), short=True),
    Column(name="vmaf", title="VMAF", about="mean VMAF of all frames", read=_field("vmaf"), short=True),
    Column(
        name="vmaf_p1",
        title="VMAF 1 %",
        about="mean of the clips' 1st percentiles of VMAF",
        read=_field("vmaf_p1"),
        short=True,
    ),
    Column(
        name="vmaf_harmonic",
        title="harmonic",
        about="harmonic mean of VMAF",
        read=_field("vmaf_harmonic"),
    ),
    Column(name="vmaf_phone", title="phone", about="VMAF for a phone's screen", read=_field("vmaf_phone")),
    Column(
        name="worst_vmaf",
        title="worst clip",
        about="VMAF of the clip with the lowest",
        read=_field("worst_vmaf"),
    ),
    Column(name="xpsnr_y", title="XPSNR", about="XPSNR of luma in dB", read=_field("xpsnr_y"), short=True),
    Column(name="ssim", title="SSIM", about="SSIM of all planes", read=_field("ssim"), digits=4),
    Column(name="psnr_y", title="PSNR", about="PSNR of luma in dB", read=_field("psnr_y")),
    Column(
        name="peak_mb",
        title="peak MB",
        about="largest resident memory in MB",
        read=_field("peak_mb"),
        digits=0,
    ),
    Column(
        name="spread_percent",
        title="spread %",
        about="(longest - shortest) / median of the CPU time of a clip's repeats, in percent",
        read=_scaled("spread", 100.0),
        digits=1,
    ),
)
"""The measured columns, in their order."""


def setting_keys(summaries: Sequence[Summary]) -> tuple[str, ...]:
    """Return the keys that any trial sets, in the order of their first use."""
    return tuple(dict.fromkeys(key for each in summaries for key in each.trial.settings))


def csv_text(summaries: Mapping[str, Sequence[Summary]], front: frozenset[int] = frozenset()) -> str:
    """Return the trials of each part as CSV: a column for each key of `video` and for each measured value.

    Values are written in full, not rounded; a key that a trial does not set is empty. `front` are the numbers of the
    trials of the Pareto front.
    """
    everything = [each for of_part in summaries.values() for each in of_part]
    keys = setting_keys(everything)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    header = ["trial", "part", "encoder", *keys, "clips", "repeats", *(column.name for column in COLUMNS)]
    writer.writerow([*header, "worst_clip", "front"])
    for each in everything:
        settings = [_cell(each.trial.settings, key) for key in keys]
        values = [column.read(each) for column in COLUMNS]
        writer.writerow(
            [
                each.trial.number,
                each.trial.part,
                each.trial.encoder,
                *settings,
                each.clips,
                each.repeats,
                *("" if value is None else repr(value) for value in values),
                each.worst_clip or "",
                int(each.trial.number in front),
            ]
        )
    return file.getvalue()


def _cell(settings: Mapping[str, Value], key: str) -> str:
    return value_text(settings[key]) if key in settings else ""


def text_table(summaries: Sequence[Summary], *, marks: Mapping[int, str] | None = None) -> str:
    """Return the trials as a table for a terminal; `marks` has a word for trials by number."""
    columns = [column for column in COLUMNS if column.short]
    header = ["trial", *(column.title for column in columns), "settings"]
    rows = [
        [
            str(each.trial.number),
            *(column.text(each) for column in columns),
            settings_text(each.trial.encoder, each.trial.settings)
            + (f"  <- {marks[each.trial.number]}" if marks and each.trial.number in marks else ""),
        ]
        for each in summaries
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header) - 1)]

    def line(cells: Sequence[str]) -> str:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths, strict=False))
        return "  ".join([*numbers, cells[-1]])

    return "\n".join(map(line, [header, *rows]))
