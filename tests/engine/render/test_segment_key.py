"""The key of a segment depends on everything that is visible, and on nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_pipeline.engine.common.cache import FileDigests
from video_pipeline.engine.config import load_config
from video_pipeline.engine.render import segment_key as module
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.captions.lettering import Letter, Lettering, Word
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.segment_key import encoding_versions, segment_key
from video_pipeline.engine.timeline import (
    AudioTrack,
    Clip,
    Focus,
    Footage,
    Grade,
    Still,
    Timeline,
    Transition,
    Watermark,
)
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, Rect

SIZE_PX = (90, 160)
COMPOSITOR = {"name": "ffmpeg", "version": "ffmpeg version 7", "motion": "auto"}
CAMERA = Camera(Rect(0, 0, 1, 1), Rect(0.1, 0.1, 0.8, 0.8))
SETTINGS = encoder_settings(
    load_encoder("libx264"), load_config({"video": {"size": [90, 160], "crf": 22}}, environ=False).video
)


def by_name(path: Path) -> str:
    """Return the file's name in place of its hash."""
    return path.name


def key(
    timeline: Timeline,
    frames: FrameRange,
    *,
    captions: tuple[CaptionArt, ...] = (),
    settings: EncoderSettings = SETTINGS,
    compositor: Mapping[str, Any] = COMPOSITOR,
) -> str:
    return segment_key(timeline, captions, frames, settings=settings, compositor=compositor, digest=by_name)


def still(name: str) -> Still:
    return Still(Path(f"/pictures/{name}.png"), 200, 300, f"hash of {name}")


def shifted(frames: FrameRange, by: int) -> FrameRange:
    return FrameRange(frames.start + by, frames.stop + by)


def story(first_frames: int = 90) -> tuple[Timeline, tuple[CaptionArt, ...], FrameRange]:
    """Return a timeline of three scenes, the captions, and the segment of the second scene."""
    second = first_frames - 10
    clips = (
        Clip("a", FrameRange(0, first_frames), still("a"), camera=CAMERA, fade_in_frames=5),
        Clip("b", FrameRange(second, second + 80), still("b"), camera=CAMERA),
        Clip("c", FrameRange(second + 70, second + 150), still("c"), fade_out_frames=5),
    )
    joins = (
        Transition("fade", 0, FrameRange(second, second + 10)),
        Transition("wipeleft", 1, FrameRange(second + 70, second + 80)),
    )
    text = Lettering(40, (0, 9), (Letter(0, 0, 5, 0), Letter(0, 5, 9, 4)), (Word(0, 0, 9, 2, 30),))
    art = CaptionArt(
        "b", FrameRange(second + 5, second + 75), "fade", Path("/c/b.png"), 10, 20, (), 3, text=text
    )
    return Timeline(*SIZE_PX, Fraction(30), "T", clips, joins), (art,), FrameRange(second, second + 70)


def changed_clip(timeline: Timeline, index: int, **values: Any) -> Timeline:
    clips = list(timeline.clips)
    clips[index] = replace(clips[index], **values)
    return replace(timeline, clips=tuple(clips))


@given(by=st.integers(0, 5000))
def test_a_segment_that_only_moved_in_time_keeps_its_key(by: int) -> None:
    timeline, captions, segment = story()
    moved = replace(
        timeline,
        clips=tuple(replace(clip, frames=shifted(clip.frames, by)) for clip in timeline.clips),
        transitions=tuple(replace(join, frames=shifted(join.frames, by)) for join in timeline.transitions),
    )
    art = tuple(replace(art, frames=shifted(art.frames, by)) for art in captions)
    assert key(moved, shifted(segment, by), captions=art) == key(timeline, segment, captions=captions)


def test_a_scene_put_before_changes_no_key_behind_it() -> None:
    timeline, _, segment = story()
    before = Clip("new", FrameRange(0, 40), still("new"))
    longer = replace(
        timeline,
        clips=(before, *(replace(clip, frames=shifted(clip.frames, 40)) for clip in timeline.clips)),
        transitions=tuple(
            Transition(join.name, join.after + 1, shifted(join.frames, 40)) for join in timeline.transitions
        ),
    )
    assert key(longer, shifted(segment, 40)) == key(timeline, segment)


def test_letters_words_and_the_watermark_are_in_the_key() -> None:
    timeline, (art,), segment = story()
    assert art.text is not None
    mark = Watermark(Path("/c/mark.png"), "mark.png", "hash", 4, 4, 20, 20, 0.6)
    word, letters = art.text.words[0], art.text.letters
    marked = replace(timeline, watermark=mark)
    others = [
        key(timeline, segment, captions=(replace(art, text=None),)),
        key(timeline, segment, captions=(replace(art, text=replace(art.text, letters=letters[:1])),)),
        *(
            key(timeline, segment, captions=(replace(art, text=replace(art.text, words=(other,))),))
            for other in (replace(word, stop_frame=31), replace(word, right_px=8))
        ),
        key(timeline, segment, captions=(replace(art, spoken=Path("/c/spoken.png")),)),
        key(timeline, segment, captions=(replace(art, plate=Path("/c/plate.png")),)),
        key(marked, segment, captions=(art,)),
        key(replace(marked, watermark=replace(mark, opacity=0.5)), segment, captions=(art,)),
        key(replace(marked, watermark=replace(mark, x_px=6)), segment, captions=(art,)),
    ]
    assert len({key(timeline, segment, captions=(art,)), *others}) == 1 + len(others)


def test_invisible_fields_are_not_in_the_key() -> None:
    timeline, captions, segment = story()
    expected = key(timeline, segment, captions=captions)
    track = AudioTrack("music", Path("/m.mp3"), "hash", Fraction(0), Fraction(3))
    elsewhere = replace(timeline.clips[1].source, path=Path("/other/folder/b.png"))
    for other in (
        replace(timeline, title="Another"),
        replace(timeline, audio=(track,)),
        changed_clip(timeline, 1, scene_id="renamed"),
        changed_clip(timeline, 1, source=elsewhere),
        changed_clip(timeline, 1, source=replace(timeline.clips[1].source, is_copy=True)),
        changed_clip(timeline, 1, source=replace(timeline.clips[1].source, pictures=7)),
        changed_clip(timeline, 1, source=replace(timeline.clips[1].source, subject=(0.2, 0.4))),
        changed_clip(timeline, 1, focus=Focus(0.2, 0.4, "found")),  # its camera is in the key
        changed_clip(timeline, 2, source=still("another last picture")),
        changed_clip(timeline, 0, fade_in_frames=0),
    ):
        assert key(other, segment, captions=captions) == expected
    art = replace(captions[0], scene_id="renamed", picture=Path("/another/folder/b.png"))
    later = replace(captions[0], frames=FrameRange(segment.stop, segment.stop + 10))
    assert key(timeline, segment, captions=(art, later)) == expected


def test_how_a_gpu_would_decode_a_clip_is_not_in_the_key() -> None:
    timeline, captions, segment = story()
    footage = Footage(Path("/c.mp4"), 640, 360, "hash", "mp4", Fraction(0), Fraction(9))
    shown = changed_clip(timeline, 1, source=footage)
    other = changed_clip(timeline, 1, source=replace(footage, exact_pix_fmt="yuv420p"))
    assert key(shown, segment, captions=captions) == key(other, segment, captions=captions)
    assert key(shown, segment, captions=captions) != key(timeline, segment, captions=captions)


def test_what_decodes_clips_is_in_the_key_of_segments_that_show_one() -> None:
    timeline, captions, segment = story()
    footage = Footage(Path("/c.mp4"), 640, 360, "hash", "mp4", Fraction(0), Fraction(9))
    programs = [{**COMPOSITOR, "footage": {"version": version}} for version in ("7", "8")]
    elsewhere = changed_clip(timeline, 2, source=footage)
    before = FrameRange(0, 80)
    assert len({key(elsewhere, before, captions=captions, compositor=each) for each in programs}) == 1
    assert key(timeline, before, captions=captions, compositor=programs[0]) == key(
        elsewhere, before, captions=captions, compositor=programs[1]
    )
    shown = changed_clip(timeline, 1, source=footage)
    assert len({key(shown, segment, captions=captions, compositor=each) for each in programs}) == 2


CAPTION_CHANGES: tuple[dict[str, Any], ...] = (
    {"picture": Path("/c/other.png")},
    {"x_px": 11},
    {"y_px": 21},
    {"rise_px": 4},
    {"animation": "none"},
    {"frames": FrameRange(86, 155)},
    {"frames": FrameRange(85, 156)},
    {"picture": None, "lines": ({"textfile": Path("/c/1.txt"), "fontfile": "/f/a.ttf"},)},
    {"picture": None, "lines": ({"textfile": Path("/c/2.txt"), "fontfile": "/f/a.ttf"},)},
    {"picture": None, "lines": ({"textfile": Path("/c/1.txt"), "fontfile": "/f/b.ttf"},)},
)


def test_every_visible_change_has_its_own_key() -> None:
    timeline, captions, segment = story()
    footage = Footage(Path("/v.mp4"), 200, 300, "hash of v", "mov", Fraction(0), Fraction(3))
    timelines = [
        timeline,
        replace(timeline, fps=Fraction(25)),
        replace(timeline, width_px=92),
        replace(timeline, height_px=162),
        changed_clip(timeline, 1, source=still("other")),
        changed_clip(timeline, 1, source=replace(still("b"), width_px=201)),
        changed_clip(timeline, 0, source=still("other")),
        changed_clip(timeline, 0, frames=FrameRange(1, 90)),
        changed_clip(timeline, 1, frames=FrameRange(80, 161)),
        changed_clip(timeline, 1, fit="blur"),
        changed_clip(timeline, 1, camera=None),
        changed_clip(timeline, 1, camera=replace(CAMERA, end=Rect(0.1, 0.1, 0.8, np.nextafter(0.8, 1)))),
        changed_clip(timeline, 1, camera=replace(CAMERA, easing="cubic")),
        changed_clip(timeline, 1, fade_in_frames=4),
        changed_clip(timeline, 1, fade_out_frames=11),
        changed_clip(timeline, 1, source=footage),
        changed_clip(timeline, 1, source=replace(footage, start=Fraction(1))),
        changed_clip(timeline, 1, source=replace(footage, duration=Fraction(2))),
        changed_clip(timeline, 1, source=replace(footage, color_matrix="bt709")),
        replace(timeline, transitions=timeline.transitions[1:]),
        replace(timeline, transitions=(Transition("dissolve", 0, FrameRange(80, 90)),)),
        replace(timeline, transitions=(Transition("fade", 0, FrameRange(80, 89)),)),
    ]
    keys = [key(other, segment, captions=captions) for other in timelines]
    keys += [key(timeline, segment, captions=(replace(captions[0], **change),)) for change in CAPTION_CHANGES]
    keys += [key(timeline, segment), key(timeline, segment, captions=captions * 2)]
    keys += [
        key(timeline, segment, captions=captions, settings=other)
        for other in (
            replace(SETTINGS, gop_frames=30),
            replace(SETTINGS, options={**SETTINGS.options, "crf": "23"}),
            replace(SETTINGS, options={**SETTINGS.options, "preset": "slow"}),
        )
    ]
    keys += [
        key(timeline, segment, captions=captions, compositor={**COMPOSITOR, **change})
        for change in ({"name": "native"}, {"version": "ffmpeg version 8"}, {"motion": "zoompan"})
    ]
    keys.append(key(timeline, FrameRange(segment.start, segment.stop - 1), captions=captions))
    assert len(set(keys)) == len(keys)


@given(cut=st.integers(81, 149))
def test_two_parts_of_a_scene_have_different_keys(cut: int) -> None:
    timeline, captions, segment = story()
    parts = (FrameRange(segment.start, cut), FrameRange(cut, segment.stop))
    assert len({key(timeline, part, captions=captions) for part in (*parts, segment)}) == 3


def test_a_fade_is_in_the_keys_of_the_parts_that_it_reaches() -> None:
    clip = Clip("a", FrameRange(0, 100), still("a"), fade_in_frames=20, fade_out_frames=20)
    timeline = Timeline(*SIZE_PX, Fraction(30), "T", (clip,))
    parts = [FrameRange(start, start + 20) for start in range(0, 100, 20)]
    for change, reached in (({"fade_in_frames": 19}, parts[0]), ({"fade_out_frames": 19}, parts[-1])):
        other = changed_clip(timeline, 0, **change)
        assert [part for part in parts if key(timeline, part) != key(other, part)] == [reached]


def test_files_without_a_known_hash_are_distinguished_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    timeline = Timeline(*SIZE_PX, Fraction(30), "T", (Clip("a", FrameRange(0, 9), Still(path, 9, 9, "")),))
    digests, keys = FileDigests(), []
    for content in (b"one", b"two", b"one"):
        path.write_bytes(content)
        digest = digests if content == b"two" else FileDigests()
        keys.append(
            segment_key(
                timeline, (), FrameRange(0, 9), settings=SETTINGS, compositor=COMPOSITOR, digest=digest
            )
        )
    assert keys[0] == keys[2] != keys[1]


def test_digests_are_read_again_when_a_file_has_changed(tmp_path: Path) -> None:
    path, digests = tmp_path / "a", FileDigests()
    path.write_bytes(b"abc")
    first = digests(path)
    assert digests(path) == first
    path.write_bytes(b"abcd")
    assert digests(path) != first
    path.unlink()
    with pytest.raises(FileNotFoundError):
        digests(path)


def test_the_versions_of_the_encoder_are_known() -> None:
    versions = encoding_versions("libx264")
    assert versions["x264"].startswith("core ")
    assert versions["libraries"]["libavcodec"][0] >= 60


@pytest.mark.parametrize(
    ("name", "other"),
    [("__version__", "0.0.0"), ("FORMAT", 999), ("encoding_versions", lambda encoder: {"x264": "core 1"})],
)
def test_the_keys_depend_on_the_versions_of_the_encoding_programs(
    monkeypatch: pytest.MonkeyPatch, name: str, other: Any
) -> None:
    timeline, captions, segment = story()
    before = key(timeline, segment, captions=captions)
    monkeypatch.setattr(module, name, other)
    assert key(timeline, segment, captions=captions) != before


def test_the_encoder_s_versions_are_of_the_encoder_that_is_set() -> None:
    timeline, _, segment = story()
    keys = {
        key(timeline, segment, settings=replace(SETTINGS, encoder=name)) for name in ("libx264", "h264_nvenc")
    }
    assert len(keys) == 2
    assert set(encoding_versions("libx264")) == {"pyav", "libraries", "x264"}
    assert all(len(numbers) == 3 for numbers in encoding_versions("libx264")["libraries"].values())


def test_a_font_is_in_the_key_by_its_content_and_not_by_its_path(tmp_path: Path) -> None:
    timeline, (art,), segment = story()
    text = tmp_path / "1.txt"
    text.write_text("words")

    def with_font(path: Path, content: bytes) -> str:
        path.write_bytes(content)
        lines = ({"textfile": text, "fontfile": str(path), "fontsize": 20},)
        return segment_key(
            timeline,
            (replace(art, picture=None, lines=lines),),
            segment,
            settings=SETTINGS,
            compositor=COMPOSITOR,
        )

    one = with_font(tmp_path / "a.ttf", b"one")
    assert with_font(tmp_path / "moved.ttf", b"one") == one
    assert with_font(tmp_path / "a.ttf", b"two") != one


def test_a_grade_is_in_the_key_by_its_content_and_strength(tmp_path: Path) -> None:
    timeline, captions, segment = story()

    def graded(**fields: Any) -> str:
        grade = Grade(
            **{"path": tmp_path / "a", "name": "a.cube", "sha256": "one", "strength": 1.0, **fields}
        )
        return key(changed_clip(timeline, 1, grade=grade), segment, captions=captions)

    assert graded() != key(timeline, segment, captions=captions)
    assert graded(path=tmp_path / "moved", name="b.cube") == graded()
    assert graded(sha256="two") != graded()
    assert graded(strength=0.5) != graded()


def parts_of(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Return the parts of a key."""
    seen: list[dict[str, Any]] = []
    with monkeypatch.context() as patch:
        patch.setattr(module, "key_of", lambda parts: seen.append(dict(parts)) or "key")
        key(*arguments, **options)
    return seen[0]


def test_a_key_is_made_from_these_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline, captions, _ = story()
    timeline = changed_clip(timeline, 1, fade_in_frames=3)
    parts = parts_of(monkeypatch, timeline, FrameRange(95, 160), captions=captions)
    assert parts["format"] == 2
    assert parts["version"] == module.__version__
    assert parts["frames"] == 65
    assert set(parts["timeline"]) == {"width_px", "height_px", "fps", "watermark", "progress"}
    assert parts["timeline"]["fps"] == "30"
    # The second scene and the third, from its transition on; all counted from the segment's start.
    assert [clip["source"]["sha256"] for clip in parts["clips"]] == ["hash of b", "hash of c"]
    assert [clip["frames"] for clip in parts["clips"]] == [[-15, 65], [55, 135]]
    for fade in ("fade_in_frames", "fade_out_frames"):
        assert [clip[fade] for clip in parts["clips"]] == [0, 0], "neither is reached"
    assert "path" not in parts["clips"][0]["source"]
    assert "scene_id" not in parts["clips"][0]
    assert parts["transitions"] == [{"name": "wipeleft", "after": 0, "frames": [55, 65]}]
    assert parts["captions"][0]["picture"] == {"sha256": "b.png"}
    assert parts["settings"]["gop_frames"] == SETTINGS.gop_frames
    assert parts["encoder"] == encoding_versions("libx264")
    assert parts["compositor"] == COMPOSITOR
    assert len(parts) == 10


def test_arrays_and_bytes_stand_in_a_key_by_their_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline, _, segment = story()
    value = {"array": np.zeros((2, 3), np.uint8), "bytes": b"abc", "font": {"fontfile": "/f/a.ttf"}}
    parts = parts_of(monkeypatch, timeline, segment, compositor=value)["compositor"]
    assert json.loads(json.dumps(parts["array"])) == ["uint8", [2, 3], hashlib.sha256(bytes(6)).hexdigest()]
    assert parts["bytes"] == {"sha256": hashlib.sha256(b"abc").hexdigest()}
    assert parts["font"] == {"fontfile": {"sha256": "a.ttf"}}


def test_a_missing_file_is_an_error_of_the_disk() -> None:
    timeline, (art,), segment = story()
    with pytest.raises(FileNotFoundError):
        segment_key(timeline, (art,), segment, settings=SETTINGS, compositor=COMPOSITOR)


def test_plain_values_of_different_types_are_distinguished() -> None:
    timeline, _, segment = story()
    values: list[Any] = [
        None, True, 1, 2, 0.5, "1", "a", b"a", b"b", Fraction(1, 2), Fraction(1, 3), Path("a"), Path("b"),
        [1, 2], [2, 1], {"a": 1}, {"a": 2}, FrameRange(80, 90), FrameRange(80, 91), FrameRange(81, 90),
        np.zeros(4, np.uint8), np.ones(4, np.uint8), np.zeros(4, np.int8), np.zeros((2, 2), np.uint8),
        CAMERA, replace(CAMERA, easing="cubic"),
    ]  # fmt: skip
    keys = [key(timeline, segment, compositor={"value": value}) for value in values]
    assert len(set(keys)) == len(values)
    assert key(timeline, segment, compositor={"value": (1, 2)}) == keys[values.index([1, 2])]
    turned = np.ones((3, 2), np.uint8).T
    assert key(timeline, segment, compositor={"value": turned}) == key(
        timeline, segment, compositor={"value": turned.copy()}
    )


def test_a_transition_that_begins_before_the_range_is_drawn_from_its_first_frame() -> None:
    timeline, _, _ = story()
    part = FrameRange(85, 100)  # the transition is [80, 90)
    assert key(changed_clip(timeline, 0, source=still("other")), part) != key(timeline, part)
    longer = replace(timeline, transitions=(replace(timeline.transitions[0], frames=FrameRange(79, 90)),))
    assert key(longer, part) != key(replace(timeline, transitions=timeline.transitions[:1]), part)
    faded = changed_clip(timeline, 1, fade_in_frames=3)
    assert key(faded, part) != key(timeline, part), "the fade of the clip that comes in is in the transition"
    assert key(faded, FrameRange(90, 100)) == key(timeline, FrameRange(90, 100))


@pytest.mark.parametrize(
    ("part", "fade_in", "fade_out"),
    [
        (FrameRange(0, 20), True, False),
        (FrameRange(19, 40), True, False),
        (FrameRange(20, 80), False, False),
        (FrameRange(60, 81), False, True),
        (FrameRange(80, 100), False, True),
    ],
)
def test_a_fade_reaches_exactly_its_frames(part: FrameRange, fade_in: bool, fade_out: bool) -> None:
    clip = Clip("a", FrameRange(0, 100), still("a"), fade_in_frames=20, fade_out_frames=20)
    timeline = Timeline(*SIZE_PX, Fraction(30), "T", (clip,))
    plain = changed_clip(timeline, 0, fade_in_frames=0, fade_out_frames=0)
    assert (key(timeline, part) != key(plain, part)) == (fade_in or fade_out)
    assert (key(timeline, part) != key(changed_clip(timeline, 0, fade_in_frames=0), part)) == fade_in
    assert (key(timeline, part) != key(changed_clip(timeline, 0, fade_out_frames=0), part)) == fade_out


def test_an_unknown_type_in_a_segments_key_is_an_error() -> None:
    timeline, _, segment = story()
    with pytest.raises(TypeError, match="object cannot be part of a segment's key"):
        key(timeline, segment, compositor={"name": object()})
