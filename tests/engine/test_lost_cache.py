"""A cache whose files disappear during a render: the video is the same."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from video_pipeline.engine.common.cache_room import COUNT
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.preview import FrameAt, preview_story
from video_pipeline.engine.story import Story, parse_story


def files_below(folder: Path) -> list[Path]:
    """Return the files below a folder, without those of folders that are deleted while it looks."""
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


@contextmanager
def deleted_again_and_again(folder: Path, *, folders_too: bool) -> Iterator[list[int]]:
    """Delete everything in a folder every few milliseconds while the block runs; yield the number of files."""
    count, ended = [0], threading.Event()

    def run() -> None:
        while not ended.wait(0.003):
            for path in files_below(folder):
                with suppress(OSError):
                    path.unlink()
                    count[0] += 1
            if folders_too:
                shutil.rmtree(folder, ignore_errors=True)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (60, 80, 4), np.uint8)).save(folder / "clear.png")  # is converted
    Image.fromarray(rng.integers(0, 256, (90, 60, 3), np.uint8)).save(folder / "plain.png")
    return folder


def story_of(pictures: Path, *, name: str = "s") -> Story:
    looks: list[dict[str, Any]] = [
        {},
        {"image": str(pictures / "clear.png")},
        {"image": str(pictures / "plain.png")},
    ]
    scenes = [
        {
            "scene_id": f"{name}{number}",
            "text": f"Words {number}",
            "narration": "",
            "duration": 1.5,
            **looks[number % 3],
        }
        for number in range(6)
    ]
    return parse_story({"id": name, "title": "T", "scenes": scenes})


def config_of(cache: Path, pictures: Path, compositor: str, **storage: Any) -> Config:
    settings = {
        "video": {"size": [144, 256], "fps": 24, "preset": "ultrafast", "compositor": compositor},
        "watermark": {"image": str(pictures / "clear.png")},
        "storage": {"cache_path": str(cache), **storage},
        "tts": {"service": "none"},
        "processing": {"max_concurrent_jobs": 1},
    }
    return load_config(settings, environ=False)


@pytest.mark.parametrize("folders_too", [False, True], ids=["files", "folders"])
@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
def test_a_render_works_if_files_of_the_cache_are_deleted_meanwhile(
    tmp_path: Path, pictures: Path, compositor: str, folders_too: bool
) -> None:
    if compositor == "native":
        pytest.importorskip("video_pipeline.native._core")
    story, cache = story_of(pictures), tmp_path / "cache"
    config = config_of(cache, pictures, compositor)
    expected = render_story(story, tmp_path / "a.mp4", config=config, use_cache=False).outputs.video
    with deleted_again_and_again(cache, folders_too=folders_too) as count:
        for number in range(2):
            result = render_story(story, tmp_path / f"{number}.mp4", config=config)
            assert result.outputs.video.read_bytes() == expected.read_bytes()
    assert count[0] > 5


def test_a_preview_works_if_files_of_the_cache_are_deleted_meanwhile(tmp_path: Path, pictures: Path) -> None:
    story, cache = story_of(pictures), tmp_path / "cache"
    config = config_of(cache, pictures, "ffmpeg")
    preview_story(story, tmp_path / "a.png", at=FrameAt(number=40), config=config)
    with deleted_again_and_again(cache, folders_too=False):
        preview_story(story, tmp_path / "b.png", at=FrameAt(number=40), config=config)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_bound_of_a_cache_holds_during_a_render(tmp_path: Path, pictures: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    config = config_of(cache, pictures, "auto", max_storage_gb=60_000 / 1e9)
    most, ended = [0], threading.Event()

    def sizes() -> dict[int, int]:
        found: dict[int, int] = {}
        for path in files_below(cache):
            with suppress(OSError):
                status = path.stat()
                found[status.st_ino] = status.st_size if path.name != COUNT else 0
        return found

    def watch() -> None:
        while not ended.wait(0.001):
            # A file that is deleted and written again during a listing would be counted twice: two must agree.
            if (found := sizes()) == sizes():
                most[0] = max(most[0], sum(found.values()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for name in "ab":
            render_story(story_of(pictures, name=name), tmp_path / f"{name}.mp4", config=config)
    finally:
        ended.set()
        thread.join()
    left = sum(sizes().values())
    assert 30_000 < max(most[0], left) < 80_000
    assert left < 60_100


def test_a_cache_that_is_no_folder_is_a_warning_if_it_is_not_required(
    tmp_path: Path, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    config = config_of(tmp_path / "file", pictures, "auto")
    result = render_story(story_of(pictures), tmp_path / "a.mp4", config=config, cache_required=False)
    assert result.outputs.video.exists()
    assert len([record for record in caplog.records if "storage.cache_path" in record.message]) == 1
