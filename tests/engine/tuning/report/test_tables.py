"""The trials as CSV that other programs read, and as a table for a terminal."""

from __future__ import annotations

import csv
import io

from tests.support.tuning_runs import GUIDE, make_run
from video_pipeline.engine.tuning.analysis import analyse
from video_pipeline.engine.tuning.report.tables import COLUMNS, csv_text, text_table

DATA = make_run([GUIDE, {"preset": "superfast", "crf": 20.5, "mbtree": True}])
SUMMARIES = {
    "training": analyse(DATA).summaries,
    "held_out": analyse(DATA, part="held_out").summaries,
}


def test_csv_has_a_row_for_each_trial_of_each_part_with_values_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(SUMMARIES, frozenset([1])))))
    assert [(row["trial"], row["part"]) for row in rows] == [
        ("0", "training"),
        ("1", "training"),
        ("2", "held_out"),
        ("3", "held_out"),
    ]
    summary = SUMMARIES["training"][1]
    assert float(rows[1]["vmaf"]) == summary.vmaf
    assert float(rows[1]["cpu_s_per_minute"]) == summary.cpu_s_per_minute
    assert rows[1]["mbtree"] == "true"
    assert rows[0]["mbtree"] == rows[0]["crf"] == ""
    assert [row["front"] for row in rows] == ["0", "1", "0", "0"]


def test_every_column_is_in_csv_once() -> None:
    (header,) = csv.reader([csv_text(SUMMARIES).splitlines()[0]])
    assert len(set(header)) == len(header)
    assert {column.name for column in COLUMNS} < set(header)


def test_a_terminal_has_aligned_numbers_and_marks() -> None:
    lines = text_table(SUMMARIES["training"], marks={0: "reference"}).splitlines()
    assert lines[0].split()[0] == "trial"
    assert lines[1].endswith("libx264 medium, bitrate 8000k  <- reference")
    assert lines[2].endswith("libx264 superfast, crf 20.5, mbtree true")
    assert lines[1].index("libx264") == lines[2].index("libx264") == lines[0].index("settings")
