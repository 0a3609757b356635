"""`video-pipeline pictures`: the names of motifs and styles, and a sheet of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.support.command import run
from video_pipeline.engine.assets.backgrounds import STYLES
from video_pipeline.engine.story.motifs import MOTIFS


def test_without_a_file_it_lists_every_motif_and_style() -> None:
    shown = run("pictures")
    assert shown.returncode == 0
    names = [line.split()[0] for line in shown.stdout.splitlines()]
    assert names == [*(motif.name for motif in MOTIFS), *(style.name for style in STYLES)]


def test_a_sheet_is_a_picture_and_another_format_is_an_error(tmp_path: Path) -> None:
    wrong = run("pictures", "-o", str(tmp_path / "sheet.gif"))
    assert wrong.returncode == 2
    assert "--output: got" in wrong.stderr
    assert "allowed: .jpg" in wrong.stderr
    missing = run("pictures", "-o", str(tmp_path / "none" / "sheet.jpg"))
    assert missing.returncode == 2
    assert "cannot be written" in missing.stderr


def test_the_sheet_is_written(tmp_path: Path) -> None:
    made = run("pictures", "-o", str(tmp_path / "sheet.jpg"), "--genre", "mystery")
    assert made.returncode == 0
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.width == 2640
