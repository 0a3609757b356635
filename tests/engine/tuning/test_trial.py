"""A trial in its own process: the renderer's bytes, its own time, and the errors of encoders."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import av
import pytest

from tests.support.process_state import has_ended
from tests.support.tuning import raw_clip
from tests.support.video import as_frames
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.errors import CancelledError, EncoderError, RenderingError
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.timing import FrameRange
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.search import encoder_settings_of
from video_pipeline.engine.tuning.trial import TrialTask, run_trial

FAST = {"encoder": "libx264", "preset": "ultrafast", "crf": 25}


def _task(clip: RawClip, folder: Path, **settings: object) -> TrialTask:
    return TrialTask(
        frames=clip.path,
        segments=clip.segments(),
        settings=encoder_settings_of(FAST | settings, clip),  # type: ignore[arg-type]
        output=folder / "out.mp4",
    )


def _packets(data: bytes | Path) -> list[bytes]:
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_trial_writes_the_packets_that_the_renderer_writes(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, scenes=(FrameRange(0, 8), FrameRange(6, 12)))
    task = _task(clip, tmp_path)
    encoded = run_trial(task)
    frames = as_frames(clip.path.read_bytes(), (clip.width_px, clip.height_px))
    segments = (FrameRange(0, 8), FrameRange(8, 12))
    assert task.segments == segments
    expected = [
        packet
        for each in segments
        for packet in _packets(encode_segment(iter(frames[each.start : each.stop]), task.settings))
    ]
    assert _packets(task.output) == expected
    assert encoded.bytes == sum(map(len, expected))


def test_a_trial_counts_the_encoding_alone(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, size_px=(640, 360), frames=30)
    before = time.perf_counter()
    encoded = run_trial(_task(clip, tmp_path, preset="slow"))
    took = time.perf_counter() - before
    assert 0 < encoded.cpu_s < took
    assert 0 < encoded.wall_s < took
    quick = run_trial(_task(clip, tmp_path))
    assert quick.cpu_s < encoded.cpu_s
    assert 10 < quick.peak_mb < encoded.peak_mb < 2000


def test_the_memory_of_a_trial_is_not_its_parents(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    before = run_trial(_task(clip, tmp_path)).peak_mb
    ballast = bytearray(os.urandom(1024)) * (400 * 1024)
    after = run_trial(_task(clip, tmp_path)).peak_mb
    assert len(ballast) == 400 << 20
    assert abs(after - before) < 50


def test_threads_and_workers_are_the_encoders_and_the_segments_at_once(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, frames=16)
    task = replace(_task(clip, tmp_path), segments=clip.segments(4 / 30))
    assert len(task.segments) == 4
    alone = run_trial(task)
    together = run_trial(replace(task, workers=2, output=tmp_path / "together.mp4"))
    assert _packets(task.output) == _packets(tmp_path / "together.mp4")
    assert together.bytes == alone.bytes
    threaded = run_trial(replace(task, threads=2, output=tmp_path / "threaded.mp4"))
    assert len(_packets(tmp_path / "threaded.mp4")) == 16
    assert threaded.bytes > 0


def test_an_option_that_the_encoder_refuses_is_its_error(tmp_path: Path) -> None:
    task = _task(raw_clip(tmp_path), tmp_path)
    wrong = replace(task, settings=replace(task.settings, options={"preset": "fastest"}))
    with pytest.raises(EncoderError, match="libx264"):
        run_trial(wrong)
    unknown = replace(task, settings=replace(task.settings, options={"no_such_option": "1"}))
    with pytest.raises(EncoderError, match="no option no_such_option"):
        run_trial(unknown)


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, size_px=(640, 360), frames=60)
    with pytest.raises(EncoderError, match=r"took more than 0\.1 s"):
        run_trial(_task(clip, tmp_path, preset="placebo"), seconds=0.1)


def test_a_process_that_crashes_is_the_encoders_error(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, size_px=(640, 360), frames=60)
    found: list[BaseException] = []

    def run() -> None:
        try:
            run_trial(_task(clip, tmp_path, preset="placebo"))
        except EncoderError as error:
            found.append(error)

    running = threading.Thread(target=run)
    running.start()
    child = _child()
    os.kill(child, signal.SIGSEGV)
    running.join(FAST_SECONDS)
    assert "crashed (SIGSEGV)" in str(found[0])


def test_a_stopped_trial_ends_at_once(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, size_px=(640, 360), frames=120)
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        run_trial(_task(clip, tmp_path, preset="placebo"), stop=stop)


def test_frames_that_are_missing_are_no_fault_of_the_settings(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    clip.path.write_bytes(clip.path.read_bytes()[:-1])
    with pytest.raises(RenderingError, match="frame 11 is missing"):
        run_trial(_task(clip, tmp_path))
    clip.path.unlink()
    with pytest.raises(RenderingError, match="No such file"):
        run_trial(_task(clip, tmp_path))


def test_a_trial_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path, size_px=(640, 360), frames=120)
    code = (
        "import pickle, sys; from video_pipeline.engine.tuning.trial import run_trial; "
        "run_trial(pickle.loads(bytes.fromhex(sys.argv[1])))"
    )
    import pickle

    task = pickle.dumps(_task(clip, tmp_path, preset="placebo")).hex()
    parent = subprocess.Popen([sys.executable, "-c", code, task])
    child = _child(of=parent.pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: has_ended(child), what="the end of the trial")


def _child(of: int | None = None) -> int:
    """Wait for a trial's process and return its id."""
    deadline = time.monotonic() + 2 * FAST_SECONDS
    while time.monotonic() < deadline:
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    command = (entry / "cmdline").read_bytes()
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if b"tuning.trial" in command and int(stat[1]) == (of or os.getpid()):
                    return int(entry.name)
        time.sleep(0.02)
    raise AssertionError("no trial was started")
