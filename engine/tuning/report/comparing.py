"""A comparison of two runs in words, as a table and as plain values."""

from __future__ import annotations

import dataclasses
from typing import Any

from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.tuning.compare import Change, Comparison
from video_pipeline.engine.tuning.report.words import range_text, settings_text, signed
from video_pipeline.engine.tuning.resampling import MEASURED_ONCE, Interval


def _slower(ratio: Interval) -> str:
    """Return a ratio of times as a change in percent with the bounds of its resamples."""

    def percent_more(value: float) -> str:
        return signed(100 * (value - 1), 1)

    return f"{percent_more(ratio.value)} %{range_text(ratio, percent_more)}"


def comparison_lines(found: Comparison) -> tuple[str, ...]:
    """Return what changed from the first run to the second as sentences."""
    lines = [
        f"{count_text(len(found.changes), 'trial')} with the same settings in runs {found.before.id} and "
        f"{found.after.id}, on {count_text(len(found.clips), 'clip')} with the same frames.",
        *(f"{name}: {before}; now {after}." for name, before, after in found.differences),
        *(f"Clip {clip} {reason}." for clip, reason in found.other_clips.items()),
    ]
    if any(found.unmatched):
        first, second = found.unmatched
        lines.append(
            f"{count_text(first, 'trial is', 'trials are')} only in the first run, {second} only in the second."
        )
    lines.append(f"CPU time, the median over settings: {_slower(found.overall)}.")
    if not found.same_machine:
        lines.append(
            "The machines differ, so only changes beside that common one say something of the settings."
        )
    real = [each for each in found.changes if each.real]
    unknown = sum(each.real is None for each in found.changes)
    for each in real:
        lines.append(
            f"{_changed_settings(each)}: CPU time {_slower(each.beyond)} beside the common change; by chance in "
            f"{_chance(each.chance)} of cases."
        )
    if unknown:
        lines.append(f"{count_text(unknown, 'trial')} of {len(found.changes)}: {MEASURED_ONCE}.")
    if not real and unknown < len(found.changes):
        lines.append("No setting's CPU time changed by more than noise beside the common change.")
    moved = [each for each in found.changes if each.output_changed]
    if moved:
        lines.append(f"The output of {count_text(len(moved), 'trial')} changed:")
        lines += [f"  {_changed_settings(each)}: {_output(each)}" for each in moved]
    else:
        lines.append("Every setting gives the same bytes and quality.")
    return tuple(lines)


def _changed_settings(change: Change) -> str:
    return settings_text(change.before.encoder, change.before.settings)


def _chance(chance: float | None) -> str:
    if chance is None:
        return "an unknown share"
    return "less than 0.1 %" if chance < 0.001 else f"{100 * chance:.1f} %"


def _output(change: Change) -> str:
    parts = [f"bytes {signed(100 * (change.bits - 1), 2)} %"]
    for words, value in (
        ("VMAF", change.vmaf),
        ("1st percentile", change.vmaf_p1),
        ("XPSNR", change.xpsnr_y),
    ):
        if value is not None:
            parts.append(f"{words} {signed(value)}")
    if change.worst_clip is not None and change.worst_clip[1] < 0:
        parts.append(f"most on {change.worst_clip[0]}, VMAF {signed(change.worst_clip[1])}")
    return ", ".join(parts)


def comparison_data(found: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values."""
    return {
        "before": found.before.id,
        "after": found.after.id,
        "part": found.part,
        "clips": list(found.clips),
        "other_clips": dict(found.other_clips),
        "same_machine": found.same_machine,
        "differences": [
            {"name": name, "before": before, "after": after} for name, before, after in found.differences
        ],
        "overall": dataclasses.asdict(found.overall),
        "unmatched": list(found.unmatched),
        "changes": [
            {
                "encoder": each.before.encoder,
                "settings": dict(each.before.settings),
                "trials": [each.before.number, each.after.number],
                "time": dataclasses.asdict(each.time),
                "beyond": dataclasses.asdict(each.beyond),
                "chance": each.chance,
                "real": each.real,
                "bits": each.bits,
                "vmaf": each.vmaf,
                "vmaf_p1": each.vmaf_p1,
                "xpsnr_y": each.xpsnr_y,
                "worst_clip": None
                if each.worst_clip is None
                else {"clip": each.worst_clip[0], "vmaf": each.worst_clip[1]},
            }
            for each in found.changes
        ],
        "text": list(comparison_lines(found)),
    }
