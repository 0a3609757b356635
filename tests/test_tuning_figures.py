"""The table of the profiles in docs/tuning.md has the figures of the recorded run."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = {
    "`draft`": ("superfast", 21, None),
    "`social`": ("superfast", 16, None),
    "`guide`": ("medium", None, "8000k"),
    "x264 veryfast, crf 21": ("veryfast", 21, None),
    "`archive`": ("medium", 14, None),
}
FIELDS = {"cpu_s_per_minute": 1, "mbit_s": 2, "vmaf": 1, "vmaf_p1": 1, "xpsnr_y": 1}


def test_the_table_of_profiles_has_the_figures_of_the_recorded_run() -> None:
    text = (ROOT / "docs/tuning.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| (`\w+`|x264 veryfast, crf 21) \| (\d[^\n]*) \|$", text, flags=re.M))
    recorded = json.loads((ROOT / "benchmarks/results/profiles.json").read_text(encoding="utf-8"))
    held_out = [each for each in recorded["report"]["summaries"] if each["part"] == "held_out"]
    for row, wanted in ROWS.items():
        (found,) = (
            each
            for each in held_out
            if tuple(each["settings"].get(key) for key in ("preset", "crf", "bitrate")) == wanted
        )
        figures = [f"{found[field]:.{digits}f}" for field, digits in FIELDS.items()]
        assert shown[row].split(" | ") == figures, row
