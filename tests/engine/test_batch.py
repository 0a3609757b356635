"""Batches are rendered for real: resumed, changed, with rows that fail."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.command import scene, write
from video_pipeline import RowResult, render_many
from video_pipeline.engine.batch import JOURNAL
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.outputs.video_info import probe_video

CONFIG: dict[str, Any] = {
    "video": {"size": [90, 160], "fps": 24, "profile": "none", "preset": "ultrafast", "crf": 40}
}


def render(folder: Path, rows: str, **options: Any) -> tuple[RowResult, ...]:
    template = write(
        folder, scene(text="{{city}}", duration="{{seconds|0.25}}", image="{{picture}}"), "t.json"
    )
    table = write(folder, f"city,seconds,picture,output\n{rows}", "t.csv")
    return render_many(table, template, folder / "out", config=CONFIG, **options)


def statuses(results: tuple[RowResult, ...]) -> list[tuple[str, str]]:
    return [(result.name, result.status) for result in results]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("red", "blue"):
        Image.new("RGB", (90, 160), name).save(tmp_path / f"{name}.png")
    return tmp_path


def test_only_missing_changed_and_failed_rows_are_rendered_again(folder: Path) -> None:
    rows = "Rome,0.5,red.png,rome\nOslo,,blue.png,oslo\nBonn,,none.png,bonn\n"
    seen: list[RowResult] = []
    first = render(folder, rows, on_row=seen.append)
    assert statuses(first) == [("rome", "rendered"), ("oslo", "rendered"), ("bonn", "failed")]
    assert tuple(seen) == first
    assert "none.png" in (first[2].error or "")
    assert [path.name for path in sorted((folder / "out").glob("*.mp4"))] == ["oslo.mp4", "rome.mp4"]
    assert probe_video(folder / "out/rome.mp4").frame_count == 12
    Image.new("RGB", (90, 160), "green").save(folder / "none.png")
    again = render(folder, rows)
    assert statuses(again) == [("rome", "unchanged"), ("oslo", "unchanged"), ("bonn", "rendered")]
    Image.new("RGB", (91, 160), "navy").save(folder / "red.png")  # another content under the same name
    (folder / "out/oslo.mp4").unlink()
    changed = render(folder, rows.replace("Bonn", "Cologne"))
    assert statuses(changed) == [("rome", "rendered"), ("oslo", "rendered"), ("bonn", "rendered")]
    assert "Cologne" in (folder / "out/bonn.srt").read_text(encoding="utf-8")
    assert statuses(render(folder, rows.replace("Bonn", "Cologne"), again=True))[0] == ("rome", "rendered")


def test_a_journal_that_was_cut_or_has_foreign_lines_is_read_as_far_as_it_goes(folder: Path) -> None:
    rows = "Rome,,red.png,rome\nOslo,,blue.png,oslo\n"
    render(folder, rows)
    journal = folder / "out" / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"[]\nnot json\n" + lines[0] + lines[1][:20])
    assert statuses(render(folder, rows)) == [("rome", "unchanged"), ("oslo", "rendered")]
    assert journal.read_bytes().endswith(b"\n")
    assert statuses(render(folder, rows)) == [("rome", "unchanged"), ("oslo", "unchanged")]


def test_a_wrong_row_renders_nothing(folder: Path) -> None:
    with pytest.raises(InputError, match=r"row 2 \(line 3\): .*'duration': got 'soon'"):
        render(folder, "Rome,,red.png,rome\nOslo,soon,blue.png,oslo\n")
    assert not (folder / "out").exists()


def test_a_row_that_would_replace_what_is_read_renders_nothing(folder: Path) -> None:
    template = write(folder, scene(text="x"), "t.json")
    table = write(folder, "output\na\nt\n", "t.csv")
    (folder / "t.metadata.json").symlink_to("t.json")
    with pytest.raises(InputError, match=r"t\.metadata\.json: would replace .*the template"):
        render_many(table, template, folder, config=CONFIG)
    assert not (folder / "a.mp4").exists()


def test_a_second_run_into_the_same_folder_is_refused(folder: Path) -> None:
    (folder / "out").mkdir()
    with (folder / "out" / JOURNAL).open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process renders a batch into it"):
            render(folder, "Rome,,red.png,rome\n")
