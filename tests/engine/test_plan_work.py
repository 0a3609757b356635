"""A plan as data: segments are drawn by other processes, with nothing of the planner's but the shared storage."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.samples import clip
from video_pipeline.engine.assets.generate import open_asset_cache
from video_pipeline.engine.common.object_store import FolderStore, content_key
from video_pipeline.engine.common.plain_values import files_of
from video_pipeline.engine.common.shared_cache import shared_key
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import PlanError
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.plan import VideoPlan, plan_video
from video_pipeline.engine.plan_data import PlanData, decode_plan, encode_plan
from video_pipeline.engine.plan_work import draw_segment, join_segments, open_plan
from video_pipeline.engine.story import parse_story

MEDIA = ROOT / "examples" / "media"

STORY: dict[str, Any] = {
    "id": "apart",
    "title": "Drawn Apart",
    "metadata": {"language": "en"},
    "music": "auto",
    "scenes": [
        {
            "scene_id": "ridges",
            "text": "Words on ridges",
            "image": "media/ridges.jpg",
            "duration": 1.2,
            "transition": {"name": "smoothleft", "duration": 0.3},
            "effects": [{"type": "ken_burns", "zoom": [1.0, 1.2]}],
        },
        {
            "scene_id": "clip",
            "text": "Typed below",
            "video": "media/clip.mp4",
            "duration": 0.8,
            "animation": "typewriter",
            "transition": "fade",
        },
        {"scene_id": "drawn", "text": "שלום, and a box", "duration": 1.0, "box": {"colour": "#101828B0"}},
    ],
}

CHILD = """
import json, sys
from video_pipeline.engine.common.object_store import FolderStore
from video_pipeline.engine.plan_work import draw_segment
from pathlib import Path
store, plan, config, number = sys.argv[1:]
shared = FolderStore(Path(store))
data = shared.get(plan)
print(draw_segment(data, int(number), store=shared, config=json.loads(config)))
"""


def settings(folder: Path, **video: Any) -> dict[str, Any]:
    return {
        "video": {"size": [180, 320], "fps": 24, "preset": "ultrafast", "crf": 28, **video},
        "tts": {"service": "none"},
        "progress_bar": {"show": True},
        "storage": {"cache_path": str(folder / "cache"), "temp_path": str(folder / "temp")},
        "node": {"state_path": str(folder / "state")},
    }


def config(folder: Path, **video: Any) -> Config:
    return load_config(settings(folder, **video), environ=False)


@dataclass(frozen=True)
class Planned:
    """A local render, and the plan of the same story in shared storage; the planner's files are gone."""

    outputs: Mapping[str, bytes]
    plan: bytes
    store: FolderStore
    segments: int
    folders: tuple[str, ...]


def planned_in(folder: Path, own: Config, base: Path) -> VideoPlan:
    return plan_video(parse_story(STORY), config=own, base=base, cache=open_asset_cache(own))


def planned(folder: Path, **video: Any) -> Planned:
    base, shared = folder / "planner" / "story", folder / "shared"
    shared.mkdir()
    (base / "media").mkdir(parents=True)
    shutil.copy(MEDIA / "ridges.jpg", base / "media")
    (base / "media" / "clip.mp4").write_bytes(clip())
    own = config(folder / "planner", **video)
    local = render_story(
        parse_story(STORY), folder / "local" / "v.mp4", config=own, base=base, use_cache=False
    )
    store = FolderStore(shared)
    plan = planned_in(folder, own, base)
    data = encode_plan(plan, store)
    outputs = {
        name: getattr(local.outputs, name).read_bytes()
        for name in ("video", "thumbnail", "srt", "vtt", "ass", "words")
    }
    shutil.rmtree(folder / "planner")
    return Planned(outputs, data, store, local.segments, (str(folder), str(ROOT)))


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return planned(tmp_path_factory.mktemp("apart"))


def in_a_child(apart: Planned, folder: Path, number: int, **video: Any) -> subprocess.Popen[str]:
    """Draw a segment in a process with folders of its own."""
    key = "plans/one.plan"
    apart.store.put_if_absent(key, apart.plan)
    argv = [
        sys.executable,
        "-c",
        CHILD,
        apart.store.name,
        key,
        json.dumps(settings(folder, **video)),
        str(number),
    ]
    folder.mkdir()
    return subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(child: subprocess.Popen[str]) -> str:
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return out.split()[-1]


def same_as_local(apart: Planned, outputs: Any) -> None:
    for name, expected in apart.outputs.items():
        assert getattr(outputs, name).read_bytes() == expected, name


def test_segments_of_other_processes_are_joined_to_the_local_bytes(apart: Planned, tmp_path: Path) -> None:
    children = [in_a_child(apart, tmp_path / f"machine{number}", number) for number in range(apart.segments)]
    keys = [answer(child) for child in children]
    assert len(set(keys)) == apart.segments >= 3
    entries = {key: f"{shared_key('segments', key + '.segment')}" for key in keys}
    assert all(apart.store.get(entry) for entry in entries.values())
    joined = join_segments(
        apart.plan, keys, tmp_path / "out" / "v.mp4", store=apart.store, config=settings(tmp_path / "joiner")
    )
    same_as_local(apart, joined)


def test_a_damaged_or_missing_segment_is_drawn_where_the_video_is_joined(
    apart: Planned, tmp_path: Path
) -> None:
    own = settings(tmp_path / "one")
    with open_plan(apart.plan, store=apart.store, config=own) as opened:
        keys = [opened.draw(number) for number in range(apart.segments)]
    paths = [Path(apart.store.name, shared_key("segments", f"{key}.segment")) for key in keys]
    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    paths[1].unlink()
    joined = join_segments(
        apart.plan, keys, tmp_path / "v.mp4", store=apart.store, config=settings(tmp_path / "other")
    )
    same_as_local(apart, joined)
    assert paths[0].read_bytes()[-100:] == whole[-100:]


def test_a_plan_names_no_path_and_no_key_of_a_service(apart: Planned) -> None:
    text = apart.plan.decode()
    for folder in (*apart.folders, "/tmp", "/usr", "/root", "/home", "ridges.jpg"):
        assert folder not in text


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    base = tmp_path / "story"
    (base / "media").mkdir(parents=True)
    shutil.copy(MEDIA / "ridges.jpg", base / "media")
    (base / "media" / "clip.mp4").write_bytes(clip())
    (tmp_path / "shared").mkdir()
    store = FolderStore(tmp_path / "shared")
    for compositor in ("native", "ffmpeg"):
        plan = planned_in(tmp_path, config(tmp_path, compositor=compositor), base)
        data = encode_plan(plan, store)
        first = read(data)
        assert without_paths(first.timeline) == without_paths(plan.frames.timeline)
        assert without_paths(first.captions) == without_paths(plan.frames.captions)
        assert first.settings == plan.encoding.settings
        assert all(store.get(content_key(sha256)) for sha256 in first.files.values())
        drawn = json.loads(data)["captions"]
        assert {bool(each["lines"]) for each in drawn} == {compositor == "ffmpeg"} | {False}


def without_paths(value: Any) -> str:
    text = repr(value)
    for path in sorted({str(path) for path in files_of(value)}, key=len, reverse=True):
        text = text.replace(path, "FILE")
    parts = text.split("'fontfile': '")
    return parts[0] + "".join(part[part.index("'") :] for part in parts[1:])


def read(data: bytes) -> PlanData:
    return decode_plan(data, find=lambda sha256, suffix: Path("/nowhere") / f"{sha256}{suffix}")


HOSTILE = (
    None,
    True,
    -1,
    2**70,
    1e300,
    "",
    "/etc/passwd",
    "../x",
    "concat",
    [],
    {},
    [[]],
    {"is": "Path"},
    "1/0",
    "x" * 999,
)


def places_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all values inside plain data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*at, key), *places_in(item, (*at, key)))]


def test_hostile_plans_are_refused_in_one_line_and_name_no_file(apart: Planned) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    whole = json.loads(apart.plan)
    places = places_in(whole)
    refused = 0
    for _ in range(400):
        data = json.loads(apart.plan)
        *way, last = dice.choice(places)
        holder = data
        for key in way:
            holder = holder[key]
        if dice.random() < 0.2 and isinstance(holder, dict):
            holder[dice.choice(("path", "is", "x"))] = holder.pop(last)
        else:
            holder[last] = dice.choice(HOSTILE)
        refused += is_refused(json.dumps(data).encode())
    for _ in range(400):
        raw = bytearray(apart.plan)
        for _ in range(dice.randrange(1, 4)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        refused += is_refused(bytes(raw[: dice.choice((len(raw), dice.randrange(len(raw))))]))
    assert refused > 400
    for raw in (b"", b"[]", b"null", b"[" * 100_000, b"\xff", b'{"format": 1}', b'{"format": NaN}'):
        assert is_refused(raw)


def is_refused(data: bytes) -> bool:
    """Return whether a plan is refused by a PlanError in one line; every other error ends the test."""
    refusal: PlanError | None = None
    try:
        found = read(data)
    except PlanError as error:
        refusal = error
    if refusal is None:
        assert all(path.parent == Path("/nowhere") for path in files_of((found.timeline, found.captions)))
        return False
    assert "\n" not in str(refusal)
    assert refusal.reason in ("damaged", "version")
    return True


def test_a_plan_of_another_version_or_machine_is_refused_with_the_reason(
    apart: Planned, tmp_path: Path
) -> None:
    data = json.loads(apart.plan)
    for name, other, reason in (("format", 99, "version"), ("version", "9.9.9", "version")):
        with pytest.raises(PlanError) as told:
            read(json.dumps({**data, name: other}).encode())
        assert told.value.reason == reason
    segments = [{**each, "key": "0" * 64} for each in data["segments"]]
    data["compositor"]["identity"]["pillow"] = "1.0"
    foreign = json.dumps({**data, "segments": segments}).encode()
    with pytest.raises(PlanError, match=r"compositor pillow is '.*', planned with '1.0'") as told:
        draw_segment(foreign, 0, store=apart.store, config=settings(tmp_path / "one"))
    assert told.value.reason == "machine"
    with pytest.raises(PlanError, match="segment: got 99; allowed: 0 to"):
        draw_segment(apart.plan, 99, store=apart.store, config=settings(tmp_path / "one"))


def test_a_missing_or_damaged_file_of_a_plan_is_named_by_its_hash(apart: Planned, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shutil.copytree(apart.store.name, shared, ignore=shutil.ignore_patterns("cache"))
    store = FolderStore(shared)
    used = {
        sha256 for path, sha256 in read(apart.plan).files.items() if path.suffix in (".png", ".jpg", ".mp4")
    }
    for sha256 in used:
        path = shared / content_key(sha256)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PlanError, match="was damaged in") as told:
        draw_segment(apart.plan, 0, store=store, config=settings(tmp_path / "one"))
    assert told.value.reason == "files"
    shutil.rmtree(shared / "sha256")
    with pytest.raises(PlanError, match="is not in"):
        draw_segment(apart.plan, 0, store=store, config=settings(tmp_path / "two"))


def test_a_video_with_an_average_bit_rate_is_refused_to_be_drawn_apart(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    own = config(tmp_path, crf=None, bitrate="800k")
    story = {**STORY, "scenes": STORY["scenes"][2:]}
    plan = plan_video(parse_story(story), config=own, base=tmp_path, cache=open_asset_cache(own))
    with pytest.raises(PlanError, match=r"video\.bitrate: each segment's rate depends") as told:
        encode_plan(plan, FolderStore(tmp_path / "shared"))
    assert told.value.reason == "whole"


def test_segments_with_a_quality_are_probed_alike_on_every_machine(tmp_path: Path) -> None:
    apart = planned(tmp_path, crf=None, quality="standard")
    began = time.monotonic()
    keys = [
        draw_segment(apart.plan, number, store=apart.store, config=settings(tmp_path / f"m{number}"))
        for number in range(apart.segments)
    ]
    joined = join_segments(
        apart.plan, keys, tmp_path / "v.mp4", store=apart.store, config=settings(tmp_path / "joiner")
    )
    same_as_local(apart, joined)
    assert time.monotonic() - began < 120
