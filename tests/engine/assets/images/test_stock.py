"""Stock libraries: which words are searched for, which hit is taken, clips, credits, and where files come from."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.picture_setup import painting, painting_through, set_picture_environment
from tests.support.picture_vendors import STOCK, StockVendor
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.assets.images.pixabay import pixabay_clips
from video_pipeline.engine.assets.images.stock import StockItem, smallest_covering
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.story.model import VideoSpec

EACH = pytest.mark.parametrize("name", STOCK)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)


def searched(path: str) -> str:
    query = parse_qs(urlsplit(path).query)
    return (query.get("q") or query["query"])[0]


@EACH
def test_the_author_and_the_licence_are_kept(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run:
        origin = run.paint(seed=2).origin
        assert origin is not None
        assert origin.credit == f"Ann 2 on {name.capitalize()}"
        assert origin.link.startswith(f"https://{'www.' if name == 'pexels' else ''}{name}.com/")
        assert "license" in origin.licence
        assert (origin.generated, origin.kind, origin.prompt) == (False, "picture", "boat leaves harbour")


@EACH
def test_neighbouring_scenes_of_the_same_words_have_different_pictures_of_one_search(
    name: str, tmp_path: Path
) -> None:
    with painting(name, tmp_path) as run:
        links = [made.origin.link for seed in range(6) if (made := run.paint(seed=seed)).origin]
        assert len(set(links)) == 6
        assert len(run.fake.worked) == 1


@EACH
def test_fewer_words_are_searched_for_if_nothing_is_found(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run:
        assert isinstance(run.fake.vendor, StockVendor)
        run.fake.vendor.none_for = "boat leaves harbour"
        run.paint()
        assert [searched(asked.path) for asked in run.fake.worked] == ["boat leaves harbour", "boat leaves"]


@EACH
def test_a_scenes_own_words_are_searched_for_first(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path) as run:
        run.paint(prompt="red lighthouse at dawn")
        assert searched(run.fake.worked[0].path) == "red lighthouse at dawn"


@EACH
def test_results_are_kept_for_a_day_even_without_a_cache(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, cache_enabled=False) as run:
        run.paint()
        time.sleep(0.02)
        painting_through(run.fake, tmp_path, cache_enabled=False).paint()
        assert len(run.fake.worked) == 1


@EACH
def test_a_clip_is_found_in_the_smallest_file_that_covers_the_frame(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, services={name: {"media": "clips"}}) as run:
        made = run.paint()
        assert run.fake.problems == []
        assert isinstance(made.shown, Path)
        assert made.origin is not None
        assert made.origin.kind == "clip"
        assert probe_footage(made.shown, VideoSpec(path=str(made.shown))).footage.duration > 0
        asked = [each.path for each in run.fake.asked if each.path.startswith("/files/")]
        assert asked == ["/files/1-sd.mp4" if name == "pexels" else "/files/1_small.mp4"]


@EACH
def test_a_file_on_another_machines_private_address_is_not_fetched(name: str, tmp_path: Path) -> None:
    with painting(name, tmp_path, max_retries=0) as run:
        good = run.fake.vendor.answer

        def answer(asked: object) -> object:
            made, billed = good(asked)  # type: ignore[arg-type]
            return type(made)(200, made.type, made.body.replace(b"127.0.0.1", b"10.0.0.7")), billed

        run.fake.vendor.answer = answer  # type: ignore[assignment, method-assign]
        with pytest.raises(ImageGenerationError, match=r"10\.0\.0\.7 is 10\.0\.0\.7; allowed: "):
            run.paint()


def test_the_smallest_file_that_covers_a_frame_is_chosen_or_the_largest() -> None:
    files = [
        StockItem(url=f"https://x/{side}", width=side, height=2 * side, author="", page="")
        for side in (100, 2000, 400, 800)
    ]
    assert smallest_covering(files, (360, 640)).width == 400
    assert smallest_covering(files, (5000, 5000)).width == 2000


def test_pixabays_clips_of_the_frames_shape_go_before_others() -> None:
    hits = [
        {"id": at, "pageURL": "https://p/x", "duration": seconds, "user": "A",
         "videos": {"large": {"url": f"https://p/{at}.mp4", "width": width, "height": height}}}
        for at, (width, height, seconds) in enumerate([(1920, 1080, 9), (1080, 1920, 9), (1080, 1920, 2)])
    ]  # fmt: skip
    body = json.loads(json.dumps({"hits": hits}))
    assert [clip.url for clip in pixabay_clips(body, (1080, 1920))] == ["https://p/1.mp4"]
    assert [clip.url for clip in pixabay_clips(body, (1920, 1080))] == ["https://p/0.mp4"]
