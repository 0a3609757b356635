"""Segments of one video drawn by several machines: processes with caches of their own and one shared storage."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.cuda_frames import noisy
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.common.object_store import FolderStore
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import InputError, PipelineError, UnavailableError
from video_pipeline.engine.pipeline import RenderResult, render_story
from video_pipeline.engine.plan import plan_video
from video_pipeline.engine.spread.draw_segment import draw_segment
from video_pipeline.engine.spread.plan_data import MissingAssetError, PlanDataError, decode_plan, encode_plan
from video_pipeline.engine.story import parse_story

STORY: dict[str, Any] = {
    "title": "The light",
    "scenes": [
        {"scene_id": "a", "text": "The lamp was lit at dusk.", "image": "a.png", "duration": 2.5},
        {"scene_id": "b", "text": "Nobody came, and the sea rose.", "duration": 2.5},
        {"scene_id": "c", "text": "At dawn it was out.", "image": "b.png", "duration": 2.5},
    ],
}
MACHINE = """
import json, sys
from pathlib import Path
from video_pipeline.engine.common.object_store import FolderStore
from video_pipeline.engine.config import load_config
from video_pipeline.engine.spread.draw_segment import PlanDrawer
told = json.loads(sys.argv[1])
drawer = PlanDrawer(
    Path(told["plan"]).read_bytes(),
    store=FolderStore(Path(told["store"])),
    config=load_config(told["config"], environ=False),
    folder=Path(told["folder"]),
)
for number in told["numbers"]:
    drawn = drawer.draw(number)
    assert not drawn.was_cached, "another machine was to draw it"
"""


def settings(folder: Path, store: Path, **video: Any) -> dict[str, Any]:
    small = {
        "size": [180, 320],
        "fps": 24,
        "preset": "ultrafast",
        **({} if "quality" in video else {"crf": 28}),
    }
    return {
        "video": {**small, **video},
        "storage": {"cache_path": str(folder / "cache"), "temp_path": str(folder)},
        "fleet": {"store": str(store)},
        "watermark": {"image": str(store.parent / "a.png")},
        "tts": {"service": "none"},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    for name, size in (("a", (400, 300)), ("b", (300, 500))):
        noisy(folder / f"{name}.png", ord(name), size)
    return folder


class Machines:
    """Draws segments in two other processes, as a fleet would, and keeps the plan."""

    def __init__(self, place: Path, store: Path, **video: Any) -> None:
        self._place, self._store, self._video = place, store, video
        self.plan, self.numbers, self.seconds = b"", list[int](), 0.0

    def __call__(self, plan: Callable[[], bytes], numbers: Sequence[int], seconds: float) -> None:
        self.plan, self.numbers, self.seconds = plan(), list(numbers), seconds
        (self._place / "plan").write_bytes(self.plan)

        def run(machine: int) -> None:
            folder = self._place / f"machine{machine}"
            folder.mkdir()
            told = {
                "plan": str(self._place / "plan"),
                "store": str(self._store),
                "config": settings(folder, self._store),
                "folder": str(folder / "files"),
                "numbers": self.numbers[machine::2],
            }
            subprocess.run([sys.executable, "-c", MACHINE, json.dumps(told)], check=True, timeout=120)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run, range(2)))


def same_files(one: RenderResult, other: RenderResult) -> None:
    for name in ("video", "thumbnail", "srt", "vtt", "ass", "words"):
        assert getattr(one.outputs, name).read_bytes() == getattr(other.outputs, name).read_bytes(), name


@pytest.mark.parametrize(
    "video",
    [{"compositor": "native"}, {"compositor": "ffmpeg"}, {"compositor": "native", "quality": 92}],
    ids=str,
)
def test_a_video_whose_segments_two_other_machines_drew_has_the_bytes_of_a_local_one(
    place: Path, tmp_path: Path, video: dict[str, Any]
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    noisy(tmp_path / "a.png", 1, (40, 30))
    local, here = tmp_path / "local", tmp_path / "here"
    for folder in (local, here):
        folder.mkdir()
    told = settings(local, store, **video) | {"fleet": {}}
    alone = render_story(STORY, local / "v.mp4", config=load_config(told, environ=False), base=place)
    machines = Machines(tmp_path, store, **video)
    config = load_config(settings(here, store, **video), environ=False)
    spread = render_story(STORY, here / "v.mp4", config=config, base=place, spread=machines)
    same_files(alone, spread)
    assert len(machines.numbers) + spread.segments_ahead >= spread.segments
    assert len(machines.numbers) >= 2
    assert spread.segments_from_cache == spread.segments
    assert spread.segments_from_shared == len(machines.numbers)
    assert machines.seconds > 0
    assert str(place) not in machines.plan.decode()
    assert str(tmp_path) not in machines.plan.decode()


def test_segments_that_nobody_drew_are_drawn_by_the_render_itself(
    place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").mkdir()
    noisy(tmp_path / "a.png", 1, (40, 30))
    config = load_config(settings(tmp_path, tmp_path / "store"), environ=False)

    def fail(plan: Callable[[], bytes], numbers: Sequence[int], seconds: float) -> None:
        draw_segment(plan(), numbers[1], store=FolderStore(tmp_path / "store"), config=config)
        raise PipelineError("the fleet has no machine")

    result = render_story(STORY, tmp_path / "v.mp4", config=config, base=place, spread=fail)
    assert result.segments_from_cache == 1
    assert "segments are drawn here and not by other machines: the fleet has no machine" in caplog.text


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory, place: Path) -> tuple[bytes, FolderStore, Config]:
    folder = tmp_path_factory.mktemp("encoded")
    (folder / "store").mkdir()
    noisy(folder / "a.png", 1, (40, 30))
    config = load_config(settings(folder, folder / "store"), environ=False)
    store = FolderStore(folder / "store")
    plan = plan_video(parse_story(STORY), config=config, base=place, cache=open_asset_cache(config))
    return encode_plan(plan, store), store, config


def test_a_plan_survives_its_encoding(encoded: tuple[bytes, FolderStore, Config], tmp_path: Path) -> None:
    data, store, _ = encoded
    once = decode_plan(data, store, tmp_path / "assets")
    again = decode_plan(json.dumps(json.loads(data)).encode(), store, tmp_path / "assets")
    assert once == again
    assert len(once.timeline.clips) == 3
    assert all(path.stat().st_size for path in (tmp_path / "assets").iterdir())


def test_data_that_is_no_plan_is_told_and_builds_nothing(
    encoded: tuple[bytes, FolderStore, Config], tmp_path: Path
) -> None:
    data, store, _ = encoded
    whole = json.loads(data)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    wrong = (
        None,
        True,
        -1,
        10**400,
        1e308,
        "",
        "x" * 1000,
        "../../etc/passwd",
        [],
        {},
        {"is": "Path"},
        [[[]]],
    )

    def spots(value: Any) -> list[tuple[Any, Any]]:
        keys = (
            list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        )
        return [(value, key) for key in keys] + [spot for key in keys for spot in spots(value[key])]

    refused = list[str]()
    for _ in range(400):
        document = json.loads(data)
        holder, key = chance.choice(spots(document))
        holder[key] = chance.choice(wrong)
        try:
            decode_plan(json.dumps(document).encode(), store, tmp_path / "assets")
        except (PlanDataError, UnavailableError, MissingAssetError) as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert max(map(len, refused)) < 700
    for text in (
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"null",
        json.dumps({**whole, "timeline": None}).encode(),
    ):
        with pytest.raises((PlanDataError, UnavailableError)):
            decode_plan(text, store, tmp_path / "assets")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "9.9"}, "would make other bytes"),
        ({"format": 2}, "would make other bytes"),
        ({"encoder": {"pyav": "1.0"}}, "would make other bytes: encoder differs in .*pyav"),
        ({"identity": {}}, "would make other bytes: identity differs in"),
    ],
)
def test_a_machine_that_would_make_other_bytes_refuses(
    encoded: tuple[bytes, FolderStore, Config], change: dict[str, Any], words: str
) -> None:
    data, store, config = encoded
    with pytest.raises(UnavailableError, match=words):
        draw_segment(json.dumps({**json.loads(data), **change}).encode(), 0, store=store, config=config)


def test_a_file_that_is_missing_or_damaged_in_the_storage_is_named(
    encoded: tuple[bytes, FolderStore, Config], tmp_path: Path
) -> None:
    data, store, _ = encoded
    copy = FolderStore(tmp_path)
    keys = sorted(store.list("sha256/"))
    for key in keys[1:]:
        body = store.get(key)
        assert body is not None
        copy.put_if_absent(key, body)
    with pytest.raises(MissingAssetError, match=rf"has no {keys[0]}"):
        decode_plan(data, copy, tmp_path / "assets")
    copy.put_if_absent(keys[0], b"other")
    with pytest.raises(MissingAssetError, match=rf"{keys[0]} is damaged"):
        decode_plan(data, copy, tmp_path / "assets")
    body = store.get(keys[0])
    assert body is not None
    assert copy.put_if_absent(keys[0], body), "the damaged one was deleted"
    decode_plan(data, copy, tmp_path / "assets")


def test_a_segment_that_is_none_and_an_average_rate_are_refused(
    encoded: tuple[bytes, FolderStore, Config], place: Path, tmp_path: Path
) -> None:
    data, store, config = encoded
    with pytest.raises(InputError, match=r"segment: got 99; allowed: 0 to \d"):
        draw_segment(data, 99, store=store, config=config)
    told = settings(tmp_path, tmp_path)
    told["video"] = {"size": [180, 320], "bitrate": "800k", "codec": "libx264"}
    told["watermark"] = {}
    rated = load_config(told, environ=False)
    plan = plan_video(parse_story(STORY), config=rated, base=place, cache=open_asset_cache(rated))
    with pytest.raises(UnavailableError, match=r"video\.bitrate: .* drawn by one machine"):
        encode_plan(plan, store)
