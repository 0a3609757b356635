"""Clips that are shorter than their headers say: measured by their decodable frames, with the last one held."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import pytest
from PIL import Image

from tests.support.video import (
    clip_of,
    compositor_of,
    draw,
    draw_range,
    number_of,
    numbered_clip,
    run_ffmpeg,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.assets import clip_frames
from video_pipeline.engine.assets.clip_frames import packets_of
from video_pipeline.engine.assets.footage import Clipped, NotVideoError, probe_footage
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.raw_frames import Children, read_frames
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Footage, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.color import scale_to_bt709
from video_pipeline.filters.graph import argv, open_input

SIZE_PX = (108, 192)
FRAMES, FPS = 90, 30


def probed(path: Path, *, start: float = 0, end: float | None = None) -> Clipped:
    return probe_footage(path, VideoSpec(path=str(path), start=start, end=end))


def compositors(timeline: Timeline) -> list[Compositor]:
    found: list[Compositor] = [compositor_of(timeline)]
    if native.available():
        from video_pipeline.engine.render.compositors.native import NativeCompositor

        found.append(NativeCompositor(timeline=timeline, captions=(), graphs=compositor_of(timeline)))
    return found


def numbers(footage: Footage, frames: int) -> list[int]:
    """Return the numbers of a clip's frames as every compositor draws them, whole and in pieces."""
    timeline = timeline_of([clip_of(footage, 0, frames)], fps=FPS, size_px=SIZE_PX)
    seen = [number_of(frame) for frame in draw(compositor_of(timeline))]
    for compositor in compositors(timeline):
        for start in range(0, frames, 40):
            stop = min(frames, start + 40)
            drawn = draw_range(compositor, start, stop)
            assert [number_of(frame) for frame in drawn] == seen[start:stop], compositor.name
    return seen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, each frame with its number, the header first."""
    folder = tmp_path_factory.mktemp("whole")
    made = numbered_clip(folder / "m.mp4", times=[Fraction(number, FPS) for number in range(FRAMES)], gop=15)
    path = folder / "whole.mp4"
    run_ffmpeg("-i", made, "-c", "copy", "-movflags", "+faststart", path)
    return path


def remuxed(whole: Path, path: Path, *options: str) -> Path:
    run_ffmpeg("-i", whole, "-c", "copy", *options, path)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("kept", [0.4, 0.7])
def test_a_file_that_was_cut_short_holds_its_last_frame(
    whole: Path, tmp_path: Path, suffix: str, kept: float
) -> None:
    path = remuxed(whole, tmp_path / f"a.{suffix}", *(("-movflags", "+faststart") if suffix == "mp4" else ()))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    clipped = probed(path)
    assert clipped.footage.duration == 3
    assert clipped.footage.last_frame is not None
    last = round(clipped.footage.last_frame * FPS)
    assert 5 < last < 80
    seen = numbers(clipped.footage, FRAMES)
    shown = seen[-1]
    assert last - 5 <= shown <= last  # the ffmpeg program gives up a little before PyAV does
    assert seen == [*range(shown + 1), *[shown] * (FRAMES - shown - 1)]
    assert clipped.warning == (
        f"{path}: its frames end at {(last + 1) / FPS:.2f} s, not at 3.00 s as its header says; "
        "the last one is held"
    )


def test_a_part_that_was_cut_off_shows_the_last_frame_before_it(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    clipped = probed(path, start=2.5)
    assert clipped.footage.last_frame is not None
    seen = numbers(clipped.footage, 15)
    assert seen == [seen[0]] * 15
    assert round(clipped.footage.last_frame * FPS) - 1 <= seen[0] <= round(clipped.footage.last_frame * FPS)
    assert clipped.warning is not None


@pytest.mark.parametrize("zeroed", [0.3, 0.6, 0.9])
def test_a_download_whose_rest_is_zeros_holds_its_last_frame(
    whole: Path, tmp_path: Path, zeroed: float
) -> None:
    path = tmp_path / "a.mp4"
    data = whole.read_bytes()
    frames = data.index(b"mdat") + 4
    kept = frames + int((len(data) - frames) * (1 - zeroed))
    path.write_bytes(data[:kept].ljust(len(data), b"\0"))
    clipped = probed(path)
    assert clipped.footage.last_frame is not None
    last = round(clipped.footage.last_frame * FPS)
    seen = numbers(clipped.footage, FRAMES)
    assert seen[: max(0, last - 3)] == [*range(last - 3)]
    assert len(set(seen[last + 1 :])) == 1
    assert clipped.warning is not None


def test_a_whole_file_has_no_warning_and_ends_where_it_is_cut(whole: Path) -> None:
    assert probed(whole).warning is None
    assert probed(whole).footage.last_frame == Fraction(FRAMES - 1, FPS)
    part = probed(whole, start=0.5, end=1.5)
    assert part.warning is None
    assert part.footage.last_frame == Fraction(44, FPS)
    assert numbers(part.footage, 60) == [*range(15, 45), *[44] * 30]


@pytest.mark.parametrize("start", [2.97, 2.985, 2.999])
def test_a_start_in_the_last_frame_shows_it(whole: Path, start: float) -> None:
    assert numbers(probed(whole, start=start).footage, 5) == [FRAMES - 1] * 5


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_a_clip_is_measured_from_where_it_starts(whole: Path, tmp_path: Path, suffix: str) -> None:
    path = remuxed(whole, tmp_path / f"a.{suffix}", "-output_ts_offset", "100")
    clipped = probed(path)
    assert clipped.footage.duration == pytest.approx(3, abs=0.05)
    assert numbers(clipped.footage, FRAMES) == [*range(FRAMES)]
    assert numbers(probed(path, start=1, end=2).footage, 40) == [*range(30, 60), *[59] * 10]


def test_time_stamps_that_restart_go_on_where_they_were(whole: Path, tmp_path: Path) -> None:
    once = remuxed(whole, tmp_path / "once.ts").read_bytes()
    path = tmp_path / "twice.ts"
    path.write_bytes(once * 2)
    clipped = probed(path)
    assert clipped.footage.duration == pytest.approx(6, abs=0.1)
    seen = numbers(clipped.footage, 2 * FRAMES)
    assert seen[: FRAMES - 3] == [*range(FRAMES - 3)]
    assert seen[FRAMES + 3 :] == pytest.approx([*range(3, FRAMES)], abs=2)


def sized(path: Path, *sizes: str) -> Path:
    data = b""
    for number, size in enumerate(sizes):
        part = path.with_suffix(f".{number}.ts")
        run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:d=1:r=30", "-c:v", "libx264", "-bf", "0", part)
        data += part.read_bytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_pause_in_a_file_with_an_index_is_no_restart(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(number, FPS) + (20 if number >= 15 else 0) for number in range(30)]
    clipped = probed(numbered_clip(tmp_path / f"pause.{suffix}", times=times, last_frame=Fraction(1, FPS)))
    assert clipped.warning is None
    assert float(clipped.footage.duration) == pytest.approx(21, abs=0.05)
    assert clipped.footage.last_frame == pytest.approx(times[-1], abs=0.001)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_only_the_end_of_a_file_with_an_index_is_read(
    whole: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = remuxed(whole, tmp_path / f"a.{suffix}")
    read: list[int] = []

    def counted(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
        for packet in packets_of(container):
            read.append(packet.size)
            yield packet

    monkeypatch.setattr(clip_frames, "packets_of", counted)
    assert probed(path).footage.last_frame == pytest.approx(Fraction(FRAMES - 1, FPS), abs=0.01)
    assert len(read) <= FRAMES / 2


def test_a_clip_whose_size_changes_is_shown_to_its_end(tmp_path: Path) -> None:
    footage = probed(sized(tmp_path / "a.ts", "90x160", "160x90")).footage
    assert footage.changes_size
    timeline = timeline_of([clip_of(footage, 0, 60)], fps=FPS, size_px=SIZE_PX)
    for compositor in compositors(timeline):
        frames = draw_range(compositor)
        assert len(frames) == 60
        assert frames[59, :30].max() <= 20  # the wide part stands on black
        assert frames[59, 90:100].max() > 100


def test_a_size_that_changes_only_in_the_middle_is_seen(tmp_path: Path) -> None:
    assert probed(sized(tmp_path / "a.ts", "90x160", "160x90", "90x160")).footage.changes_size
    assert not probed(sized(tmp_path / "b.ts", "90x160", "90x160")).footage.changes_size


def test_where_ffmpeg_gives_fewer_frames_the_last_is_held_and_named(
    whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = scale_to_bt709(open_input(whole, demuxer="mov"), width_px=64, height_px=114)
    command = argv(find_ffmpeg().path, [graph], "pipe:1", f="rawvideo", **{"frames:v": 5})
    clip = clip_of(probed(whole).footage, 0, 8)
    frames = read_frames(command, FrameRange(0, 8), size_px=(64, 114), children=Children(), clips=[clip])
    assert [number_of(frame) for frame in frames] == [0, 1, 2, 3, 4, 4, 4, 4]
    assert f"scene 's0' ({whole}): only 5 of frames [0, 8) could be read" in caplog.text


# -- which stream ----------------------------------------------------------------------------------


@pytest.fixture
def cover(tmp_path: Path) -> Path:
    path = tmp_path / "cover.png"
    Image.new("RGB", SIZE_PX, (200, 40, 40)).save(path)
    return path


def test_a_cover_that_comes_first_is_not_what_a_clip_shows(whole: Path, cover: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    streams = ("-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic")
    run_ffmpeg("-i", whole, "-i", cover, *streams, path)
    assert numbers(probed(path).footage, 20) == [*range(20)]


def test_the_default_stream_is_shown(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    black = ("-f", "lavfi", "-i", "color=black:s=64x114:d=3:r=30")
    disposition = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    run_ffmpeg(*black, "-i", whole, "-map", "0", "-map", "1", "-c:v:1", "copy", *disposition, path)
    footage = probed(path).footage
    assert footage.stream_index == 1
    assert numbers(footage, 20) == [*range(20)]


@pytest.mark.parametrize("suffix", ["m4a", "mkv"])
def test_a_sound_file_s_cover_is_held(cover: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tone = ("-f", "lavfi", "-i", "sine=d=2")
    run_ffmpeg(
        *tone,
        "-i",
        cover,
        "-map",
        "0",
        "-map",
        "1",
        "-disposition:v:0",
        "attached_pic",
        "-c:v",
        "mjpeg",
        path,
    )
    clipped = probed(path)
    assert clipped.footage.duration == pytest.approx(2, abs=0.1)
    assert clipped.sound is not None
    timeline = timeline_of([clip_of(clipped.footage, 0, 60)], fps=FPS, size_px=SIZE_PX)
    for compositor in compositors(timeline):
        frames = draw_range(compositor)
        assert len(frames) == 60
        assert (frames[0] == frames[59]).all()
        assert int(frames[0, 90, 50]) == pytest.approx(79, abs=4)


def test_a_clip_without_a_frame_that_can_be_decoded_is_refused(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = whole.read_bytes()
    start = data.index(b"mdat") + 4
    path.write_bytes(data[:start] + bytes(len(data) - start))
    with pytest.raises(NotVideoError, match=r"a\.mp4: has no frame that can be decoded"):
        probed(path)
