"""Material: clips of raw frames from stories, timelines and video files of every kind."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import write
from tests.support.disks import small_disk
from tests.support.samples import sound
from tests.support.tuning import raw_clip, video_file
from tests.support.video import decode, draw_range, run_ffmpeg
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.plan import plan_captions, plan_timeline
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timing import FrameRange
from video_pipeline.engine.tuning.frame_rate import rate_of
from video_pipeline.engine.tuning.material import RawClip, stretches
from video_pipeline.engine.tuning.sources import Sources, gather_clips

STORY: dict[str, Any] = {
    "id": "story",
    "title": "Story",
    "scenes": [
        {"scene_id": "one", "text": "One", "narration": "", "duration": 1.0},
        {"scene_id": "two", "text": "Two", "narration": "", "duration": 1.0},
    ],
}


@pytest.fixture
def config() -> Config:
    return load_config({"video": {"size": [90, 160], "fps": 24}})


def _gather(config: Config, cache: Path, *names: Path, **options: Any) -> tuple[RawClip, ...]:
    given = Sources(training=tuple(map(str, names)), **options)
    return gather_clips(given, config=config, cache=ContentCache(cache))


def test_the_frames_of_a_story_are_those_of_its_render(
    tmp_path: Path, session_cache: Path, config: Config
) -> None:
    (clip,) = _gather(config, session_cache, write(tmp_path, STORY))
    plan = plan_captions(plan_timeline(parse_story(STORY), config=config, cache=ContentCache(session_cache)))
    drawn = draw_range(plan.compositor)
    assert clip.path.read_bytes() == drawn.tobytes()
    assert (clip.name, clip.part, clip.frames, clip.fps) == ("story", "training", len(drawn), 24)
    assert clip.scenes == tuple(each.frames for each in plan.timeline.clips)
    assert clip.segments() == plan.timeline.segments(max_frames=96)


def test_frames_are_drawn_once(tmp_path: Path, session_cache: Path, config: Config) -> None:
    story = write(tmp_path, STORY)
    (first,) = _gather(config, session_cache, story)
    made = first.path.stat().st_mtime_ns
    (again,) = _gather(config, session_cache, story)
    assert again == first
    assert again.path.stat().st_mtime_ns == made
    first.path.write_bytes(b"damaged")
    (repaired,) = _gather(config, session_cache, story)
    assert repaired == first


def test_a_long_story_gives_stretches_that_end_where_segments_do(session_cache: Path, config: Config) -> None:
    scenes = [{"scene_id": f"s{number}", "narration": "", "duration": 5.0} for number in range(20)]
    plan = plan_timeline(
        parse_story({"id": "long", "title": "Long", "scenes": scenes}),
        config=config,
        cache=ContentCache(session_cache),
    )
    found = stretches(plan.compositor, 24.0)
    starts = {segment.start for segment in plan.compositor.segments()}
    assert len(found) == 3
    assert all(each.start in starts for each in found)
    assert sum(map(len, found)) <= 24 * 24
    assert found[0].start > 0
    assert found[-1].stop < plan.timeline.frame_count
    assert stretches(plan.compositor, None) == (FrameRange(0, plan.timeline.frame_count),)
    (short,) = stretches(plan.compositor, 1.0)
    assert len(short) == 24


def test_a_clip_is_cut_as_a_renderer_cuts_it(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, frames=300, scenes=(FrameRange(0, 100), FrameRange(90, 300)))
    assert clip.segments() == (FrameRange(0, 100), FrameRange(100, 200), FrameRange(200, 300))
    assert max(map(len, clip.segments(1.0))) == 30
    assert [each.start for each in clip.segments(60)] == [0, 100]


def test_a_video_file_is_decoded_as_it_is(tmp_path: Path, session_cache: Path, config: Config) -> None:
    path = video_file(tmp_path / "a.mkv")
    (clip,) = _gather(config, session_cache, path)
    assert clip.path.read_bytes() == decode(path, (96, 64)).tobytes()
    assert (clip.width_px, clip.height_px, clip.fps, clip.frames, clip.notes) == (96, 64, 30, 12, ())


def test_an_odd_size_is_cropped_and_said(tmp_path: Path, session_cache: Path, config: Config) -> None:
    path = video_file(tmp_path / "odd.mkv", size="97x65")
    (clip,) = _gather(config, session_cache, path)
    filtered = ("-vf", "crop=96:64:0:0:exact=1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
    assert clip.path.read_bytes() == run_ffmpeg("-i", path, *filtered)
    assert clip.notes == ("cropped from 97x65 to 96x64",)


def test_a_variable_frame_rate_is_made_steady_and_said(
    tmp_path: Path, session_cache: Path, config: Config
) -> None:
    path = tmp_path / "vfr.mkv"
    times = "settb=1/1000,setpts='(N+0.7*mod(floor(N/2),2))/25/TB'"
    run_ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=96x64:rate=25:duration=1",
        "-vf",
        times,
        "-fps_mode",
        "vfr",
        "-enc_time_base",
        "1/1000",
        path,
    )
    (clip,) = _gather(config, session_cache, path)
    assert clip.fps == 25
    assert "variable frame rate" in clip.notes[0]
    assert "made steady at 25" in clip.notes[0]


def test_hdr_is_converted_and_said(tmp_path: Path, session_cache: Path, config: Config) -> None:
    path = tmp_path / "hdr.mkv"
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    source = "testsrc2=size=96x64:rate=30:duration=0.2"
    run_ffmpeg("-f", "lavfi", "-i", source, "-vf", tags, "-c:v", "ffv1", "-pix_fmt", "yuv420p10", path)
    (clip,) = _gather(config, session_cache, path)
    assert clip.notes == ("colours converted from bt2020, smpte2084 to BT.709",)
    assert clip.path.stat().st_size == 96 * 64 * 3 // 2 * 6
    assert np.fromfile(clip.path, np.uint8).std() > 1


def test_fields_become_frames_and_that_is_said(tmp_path: Path, session_cache: Path, config: Config) -> None:
    path = tmp_path / "fields.mp4"
    source = "testsrc2=size=96x64:rate=50:duration=0.4"
    run_ffmpeg("-f", "lavfi", "-i", source, "-vf", "tinterlace=4,setfield=tff", "-flags", "+ildct+ilme", path)
    (clip,) = _gather(config, session_cache, path)
    assert "deinterlaced" in clip.notes


def test_what_is_no_material_is_refused(tmp_path: Path, session_cache: Path, config: Config) -> None:
    (tmp_path / "sound.wav").write_bytes(sound())
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "text.log").write_text("no story")
    (tmp_path / "empty.mp4").write_bytes(b"")
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.5", tmp_path / "sound.m4a")
    video_file(tmp_path / "slow.mkv", rate=12)
    (tmp_path / "broken.mkv").write_bytes((tmp_path / "slow.mkv").read_bytes()[:200])
    for name, words in (
        ("sound.wav", "is WAV; allowed: a story, a video file, corpus"),
        ("picture.png", "is PNG; allowed: a story, a video file, corpus"),
        ("text.log", "not JSON"),
        ("empty.mp4", "not JSON"),
        ("sound.m4a", "has no video stream"),
        ("slow.mkv", "12 frames a second; allowed: 24 to 60"),
        ("broken.mkv", "broken.mkv"),
        ("missing.json", "cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
    ):
        with pytest.raises(InputError, match=words) as error:
            _gather(config, session_cache, tmp_path / name)
        given = tmp_path / name
        assert str(error.value).startswith((f"material {given}: ", f"material: got '{given}', which "))
    with pytest.raises(InputError, match="material: got none"):
        _gather(config, session_cache)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".md", ".txt"])
def test_a_story_is_material_in_each_of_its_forms(
    suffix: str, tmp_path: Path, session_cache: Path, config: Config
) -> None:
    scene = {"scene_id": "a", "text": "Hello.", "narration": "", "duration": 1}
    story = json.dumps({"title": "T", "scenes": [scene]}, indent=1)
    (tmp_path / f"tale{suffix}").write_text(
        "Hello." if suffix in (".md", ".txt") else story, encoding="utf-8"
    )
    quiet = config.override("tts", service="none").override("scenes", default_duration=1.0)
    (clip,) = _gather(quiet, session_cache, tmp_path / f"tale{suffix}")
    assert (clip.name, clip.source) == ("tale", f"tale{suffix}")


def test_two_clips_never_have_one_name(tmp_path: Path, session_cache: Path, config: Config) -> None:
    first, second = (video_file(tmp_path / f"{name}.mkv") for name in ("a", "b"))
    third = tmp_path / "other" / "a.mkv"
    third.parent.mkdir()
    third.write_bytes(second.read_bytes())
    found = _gather(config, session_cache, first, second, held_out=(str(third),))
    assert [(each.name, each.part) for each in found] == [
        ("a", "training"),
        ("b", "training"),
        ("a-2", "held_out"),
    ]


def test_material_that_does_not_fit_is_refused_before_it_is_drawn(tmp_path: Path, config: Config) -> None:
    path = video_file(tmp_path / "a.mkv")
    cache = ContentCache(tmp_path / "cache", max_bytes=100_000)
    cache.folder.mkdir()
    with pytest.raises(
        InputError, match=r"max_storage_gb: got 0\.0001; the frames of the material take 0 MB: raise"
    ):
        gather_clips(Sources(training=(str(path),)), config=config, cache=cache)
    assert not list(cache.folder.rglob("*.yuv"))


def test_a_disk_without_room_for_the_frames_is_said_before_they_are_drawn(
    tmp_path: Path, config: Config
) -> None:
    path = video_file(tmp_path / "a.mkv", size="640x360", seconds=1)
    with small_disk(tmp_path / "small", megabytes=2) as folder:
        with pytest.raises(RenderingError, match="MB free; the frames of the material take 10 MB more"):
            _gather(config, folder, path)
        assert not list(folder.rglob("*.yuv"))


def test_a_length_that_is_none_is_refused(session_cache: Path, config: Config) -> None:
    for seconds in (0, -1, 1e9, float("nan")):
        with pytest.raises(InputError, match=r"seconds: got .*; allowed: more than 0, to 3600"):
            _gather(config, session_cache, Path("story.json"), seconds=seconds)


def test_a_frame_rate_is_steady_if_its_time_stamps_are_only_rounded() -> None:
    exact = [Fraction(number * 1001, 30000) for number in range(100)]
    rounded = [Fraction(round(time * 1000), 1000) for time in exact]
    assert rate_of(exact).fps == rate_of(rounded).fps == Fraction(30000, 1001)
    assert rate_of([Fraction(number, 15) for number in range(30)]).fps == 15
    assert rate_of([Fraction(0)], named=Fraction(25)).fps == 25
    missing = [*exact[:50], *exact[60:]]
    assert rate_of(missing).notes
