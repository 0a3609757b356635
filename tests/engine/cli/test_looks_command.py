"""`video-pipeline looks`: the names of looks, a sheet of them, and a render in one."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.support.command import run
from video_pipeline.engine.config.look_keys import SHIPPED_LOOKS
from video_pipeline.engine.config.looks import load_look


def test_without_a_file_it_lists_every_look_and_those_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "looks"
    folder.mkdir()
    (folder / "house.yaml").write_text("description: ours\ninherits: noir\n")
    (tmp_path / "c.yml").write_text(f"video_pipeline: {{look: {{folder: {folder}}}}}")
    shown = run("looks", "--config", str(tmp_path / "c.yml"))
    assert shown.returncode == 0, shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()] == [*SHIPPED_LOOKS, "house"]


def test_another_format_and_a_missing_folder_are_errors(tmp_path: Path) -> None:
    for name, message in (("sheet.gif", "allowed: .jpg"), ("none/sheet.jpg", "cannot be written")):
        wrong = run("looks", "-o", str(tmp_path / name))
        assert wrong.returncode == 2
        assert message in wrong.stderr


def test_the_sheet_has_a_column_for_each_look(tmp_path: Path) -> None:
    made = run("looks", "-o", str(tmp_path / "sheet.png"))
    assert made.returncode == 0, made.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == len(SHIPPED_LOOKS) * 306
        noir = sheet.convert("RGB").crop((4 * 306 + 20, 20, 5 * 306 - 20, 200))
        assert all(max(pixel) - min(pixel) <= 4 for _, pixel in noir.getcolors(1 << 20) or [])


def test_a_render_in_a_look_says_so_in_its_manifest(tmp_path: Path) -> None:
    story = {
        "title": "T",
        "look": "noir",
        "scenes": [{"scene_id": "a", "text": "Hi", "narration": "", "duration": 1}],
    }
    (tmp_path / "s.json").write_text(json.dumps(story))
    made = run(
        "render",
        str(tmp_path / "s.json"),
        "-o",
        str(tmp_path / "o.mp4"),
        "--size",
        "180x320",
        "--look",
        "bold",
    )
    assert made.returncode == 0, made.stderr
    manifest = json.loads((tmp_path / "o.manifest.json").read_text())
    assert manifest["look"] == {"name": "noir", "sha256": load_look("noir").sha256}
    assert manifest["grade"]["lut"] == "mono"
    wrong = run(
        "render", str(tmp_path / "s.json"), "-o", str(tmp_path / "o.mp4"), "--look", str(tmp_path / "x.yaml")
    )
    assert wrong.returncode == 0, "the story's look holds"
