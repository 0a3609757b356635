"""Rendering with real programs: the same bytes from any number of workers, and nothing left behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.tolerances import SAME_AFTER_CODING_DB, assert_frames_equal
from tests.support.video import clip_of, compositor_of, decode, draw, textured, timeline_of
from tests.support.waiting import PROMPT_SECONDS, wait_until
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.mux import Mp4Writer
from video_pipeline.engine.render.renderer import RenderReport, render_segments
from video_pipeline.engine.timeline import Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, largest_rect, zoom_about

SIZE_PX = (90, 160)
FPS = Fraction(30)


def running_ffmpegs() -> list[str]:
    """Return the command names of this process's children, zombies too; Python's own are none of a render."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = status.read_text().partition(" (")
        except OSError:
            continue
        name, _, fields = rest.rpartition(") ")
        if int(fields.split()[1]) == os.getpid() and not name.startswith("python"):
            found.append(f"{pid} {name}")
    return found


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find children")


def timeline(folder: Path, scenes: int = 4, length: int = 30) -> Timeline:
    whole = largest_rect(240 / 427, SIZE_PX[0] / SIZE_PX[1])
    clips = [
        clip_of(
            textured(folder / f"{number}.png", number),
            *(number * (length - 5), number * (length - 5) + length),
            camera=Camera(whole, zoom_about(whole, zoom=1.2, focus=(0.5, 0.5))),
        )
        for number in range(scenes)
    ]
    joins = [Transition("fade", number, clips[number + 1].frames) for number in range(scenes - 1)]
    joins = [replace(join, frames=FrameRange(join.frames.start, join.frames.start + 5)) for join in joins]
    return timeline_of(clips, transitions=joins, size_px=SIZE_PX)


def settings_of(**video: Any) -> EncoderSettings:
    given = {"size": list(SIZE_PX), "preset": "veryfast", "fps": 30, **video}
    return encoder_settings(load_encoder("libx264"), load_config({"video": given}, environ=False).video)


def writer_for(target: Path, kind: type[Mp4Writer] = Mp4Writer) -> Mp4Writer:
    return kind(target, fps=FPS, title="t", chapters=(), audio=None)


def render(
    target: Path, compositor: FfmpegCompositor, settings: EncoderSettings, **options: Any
) -> RenderReport:
    with writer_for(target) as writer:
        return render_segments(compositor, settings, writer, **options)


def test_the_bytes_are_the_same_for_any_number_of_workers_and_every_time(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path))
    for number, video in enumerate(({"crf": 22}, {"bitrate": "500k"})):
        paths = [tmp_path / f"{number}-{run}.mp4" for run in range(4)]
        for path, workers in zip(paths, (1, 2, 2, 5), strict=True):
            report = render(path, compositor, settings_of(**video), workers=workers)
            assert report.workers == min(workers, len(compositor.timeline.segments()))
        assert len({path.read_bytes() for path in paths}) == 1


def test_the_file_shows_the_frames_of_the_compositor(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path))
    count = compositor.timeline.frame_count
    seen: list[tuple[int, int, int]] = []
    report = render(
        tmp_path / "v.mp4",
        compositor,
        settings_of(crf=14),
        progress=lambda done, total, cached: seen.append((done, total, cached)),
    )
    frames = decode(tmp_path / "v.mp4", SIZE_PX)
    assert_frames_equal(frames, draw(compositor), min_psnr_db=SAME_AFTER_CODING_DB)
    assert report.frames == len(frames) == count
    assert report.segments == compositor.timeline.segments()
    assert sorted(done for done, *_ in seen) == list(range(1, count + 1))
    assert {tuple(counts) for _, *counts in seen} == {(count, 0)}
    assert report.frame_wait_seconds > 0
    assert report.encode_seconds > 0


@needs_proc
def test_a_deleted_still_is_an_error_with_ffmpegs_message_and_leaves_no_process(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path))
    (tmp_path / "2.png").unlink()
    with pytest.raises(
        SubprocessError, match=r"frames \[30, 55\): ffmpeg ended after 0 of 25 frames"
    ) as caught:
        render(tmp_path / "v.mp4", compositor, settings_of(crf=22))
    details = caught.value.details
    assert details["argv"][0] == str(compositor.program)
    assert "-filter_complex" in details["argv"]
    assert details["returncode"] not in (0, None)
    assert any("2.png" in line for line in details["stderr_tail"])
    assert "No such file" in str(caught.value)
    assert running_ffmpegs() == []


@needs_proc
def test_a_program_that_writes_too_much_or_too_little_is_an_error(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=1))
    for name, script, message in (
        ("more", "exec head -c 90000000 /dev/zero", "failed or wrote more after the last frame"),
        ("less", "head -c 100000 /dev/zero", "ended after 4 of 30 frames"),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with pytest.raises(SubprocessError, match=message):
            render(tmp_path / "v.mp4", replace(compositor, program=program), settings_of(crf=22))
        assert running_ffmpegs() == []


@needs_proc
@pytest.mark.parametrize("after_frames", [0, 20])
def test_stopping_ends_the_render_at_once_and_no_child_stays(tmp_path: Path, after_frames: int) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=30, length=60))
    stop = threading.Event()
    stopped_at = [0.0]

    def progress(done: int, total: int, cached: int) -> None:
        if done > after_frames and not stop.is_set():
            stopped_at[0] = time.monotonic()
            stop.set()

    with pytest.raises(CancelledError):
        render(tmp_path / "v.mp4", compositor, settings_of(crf=22), progress=progress, stop=stop)
    assert 0 < time.monotonic() - stopped_at[0] < PROMPT_SECONDS
    assert running_ffmpegs() == []


@needs_proc
def test_stopping_also_ends_an_ffmpeg_that_gives_no_frame(tmp_path: Path) -> None:
    pipe = tmp_path / "never.png"
    os.mkfifo(pipe)  # ffmpeg waits for someone to write into it
    source = Still(pipe, 100, 100, "")
    compositor = compositor_of(
        timeline_of([clip_of(source, 0, 30), clip_of(source, 30, 60)], size_px=SIZE_PX)
    )
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        render(tmp_path / "v.mp4", compositor, settings_of(crf=22), stop=stop)
    timer.join()
    assert time.monotonic() - started < PROMPT_SECONDS
    assert running_ffmpegs() == []


def test_a_stop_that_was_set_before_starts_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    compositor = compositor_of(timeline(tmp_path))
    seen: list[int] = []
    with pytest.raises(CancelledError):
        render(
            tmp_path / "v.mp4",
            compositor,
            settings_of(crf=22),
            stop=stop,
            progress=lambda done, *_: seen.append(done),
        )
    assert seen == []
    assert not (tmp_path / "v.mp4").exists()


@needs_proc
def test_an_error_before_the_first_segment_is_written_ends_the_render(tmp_path: Path) -> None:
    def broken() -> None:
        raise RenderingError("the sound failed")

    compositor = compositor_of(timeline(tmp_path, scenes=20))
    with pytest.raises(RenderingError, match="the sound failed"):
        render(tmp_path / "v.mp4", compositor, settings_of(crf=22), before_first=broken)
    assert running_ffmpegs() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_at_most_two_segments_more_than_workers_are_ahead_of_the_writer(tmp_path: Path, workers: int) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=9, length=10))
    segments = compositor.timeline.segments()
    longest = max(len(segment) for segment in segments)
    first_ones = sum(len(segment) for segment in segments[: workers + 2])
    drawn, written, ahead = [0], [0], [0]

    def progress(done: int, total: int, cached: int) -> None:
        drawn[0] = done
        ahead[0] = max(ahead[0], done - written[0])

    class SlowWriter(Mp4Writer):
        def add_segment(self, data: bytes, frames: FrameRange) -> tuple[int, ...]:
            time.sleep(0.05)
            sizes = super().add_segment(data, frames)
            written[0] = frames.stop
            return sizes

    def until_all_that_may_be_is_drawn() -> None:
        wait_until(lambda: drawn[0] >= first_ones, seconds=60, what="the first segments")
        time.sleep(0.5)  # one more would show now
        assert drawn[0] == first_ones

    with writer_for(tmp_path / "v.mp4", SlowWriter) as writer:
        render_segments(
            compositor,
            settings_of(crf=22),
            writer,
            workers=workers,
            progress=progress,
            before_first=until_all_that_may_be_is_drawn,
        )
    assert written[0] == compositor.timeline.frame_count
    assert ahead[0] <= (workers + 2) * longest + 1


def test_the_result_is_playable_to_its_last_frame(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path))
    render(tmp_path / "v.mp4", compositor, settings_of(crf=22, gop=0.5))
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.pts * frame.time_base * FPS for frame in container.decode(stream)]  # type: ignore[operator]
        assert frames == list(range(compositor.timeline.frame_count))


def test_progress_is_reported_one_frame_at_a_time_and_never_decreases(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=4, length=20))
    told, telling = [], threading.Lock()

    def progress(done: int, total: int, cached: int) -> None:
        assert telling.acquire(blocking=False), "two threads at once"
        time.sleep(0.003)
        told.append(done)
        telling.release()

    render(tmp_path / "v.mp4", compositor, settings_of(crf=22), progress=progress, workers=4)
    assert told == [*range(1, compositor.timeline.frame_count + 1)]


def test_the_compositor_says_how_long_a_segment_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=2, length=100))
    assert [len(segment) for segment in compositor.segments()] == [100, 95]
    monkeypatch.setattr(FfmpegCompositor, "max_segment_seconds", 1)
    segments = compositor.segments()
    assert max(len(segment) for segment in segments) <= 30
    join = compositor.timeline.transitions[0].frames
    assert [segment.intersection(join) for segment in segments if segment.intersection(join)] == [join]
    report = render(tmp_path / "v.mp4", compositor, settings_of(crf=14))
    assert report.segments == segments
    assert_frames_equal(
        decode(tmp_path / "v.mp4", SIZE_PX), draw(compositor), min_psnr_db=SAME_AFTER_CODING_DB
    )
