"""The emulated driver beneath FFmpeg's real NVENC encoders, those of PyAV and of imageio-ffmpeg's program."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np

from tests.support.emulator import EmulatedDriver
from tests.support.waiting import wait_until

ENCODE = """
import hashlib, io, json, sys, threading
from fractions import Fraction
import av
import numpy as np

av.logging.set_level(av.logging.WARNING)

def encode(encoder, options, size=(320, 256), count=14, seed=0):
    width, height = size
    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, 256, (height * 3 // 2, width), dtype=np.uint8) for _ in range(count)]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=Fraction(30))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.gop_size = width, height, "yuv420p", 8
        context.options = options
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        back = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    file.seek(0)
    with av.open(file) as container:
        keys = [packet.pts * 30 * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe]
    same = len(back) == count and all(np.array_equal(a, b) for a, b in zip(back, frames))
    return {"same": same, "keys": [int(key) for key in keys]}
"""


def encoded(driver: EmulatedDriver, what: str, **settings: Any) -> Any:
    """Return what an expression on `encode` is, evaluated on the emulated machine."""
    done = driver.run(sys.executable, "-c", f"{ENCODE}\nprint(json.dumps({what}))", **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_picture_comes_back_as_it_was_in_both_codecs_with_and_without_b_frames(
    driver: EmulatedDriver,
) -> None:
    cases = [
        (encoder, {"bf": str(b_frames)}, size)
        for encoder in ("h264_nvenc", "hevc_nvenc")
        for b_frames, size in ((0, (162, 86)), (2, (160, 96)), (4, (176, 64)))
    ]
    results = encoded(driver, f"[encode(*case) for case in {cases!r}]")
    assert results == [{"same": True, "keys": [0, 8]}] * len(cases)
    assert [int(given["bf"]) for given in driver.configured()] == [0, 2, 4, 0, 2, 4]


def test_sessions_on_two_cards_encode_at_once(driver: EmulatedDriver) -> None:
    work = """
results = []
def work(number):
    results.append(encode("h264_nvenc", {"gpu": str(number % 2), "bf": "2"}, seed=number))
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
"""
    done = driver.run(sys.executable, "-c", f"{ENCODE}{work}\nprint(json.dumps(results))", cards=2)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"same": True, "keys": [0, 8]}] * 8
    assert sorted(given["card"] for given in driver.configured()) == ["0"] * 4 + ["1"] * 4


def test_sessions_are_counted_over_all_processes_and_end_with_theirs(driver: EmulatedDriver) -> None:
    holding = f"""{ENCODE}
context = av.CodecContext.create("h264_nvenc", "w")
context.width, context.height, context.pix_fmt, context.framerate = 320, 256, "yuv420p", Fraction(30)
context.encode(av.VideoFrame(320, 256, "yuv420p"))
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holding],
        env=driver.environment(sessions=1),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        refused = driver.run(sys.executable, "-c", f'{ENCODE}\nencode("h264_nvenc", {{}})', sessions=1)
        assert "incompatible client key (21)" in refused.stderr
        holder.kill()
    assert encoded(driver, 'encode("h264_nvenc", {})', sessions=1)["same"]


def test_a_lost_card_is_lost_for_later_processes_and_the_other_goes_on(driver: EmulatedDriver) -> None:
    lost = driver.run(
        sys.executable, "-c", f'{ENCODE}\nencode("h264_nvenc", {{"gpu": "0"}})', cards=2, lost="0:5"
    )
    assert "EncodePicture failed!: generic error (20)" in lost.stderr
    again = driver.run(sys.executable, "-c", f'{ENCODE}\nencode("h264_nvenc", {{"gpu": "0"}})', cards=2)
    assert "CUDA_ERROR_UNKNOWN" in again.stderr or "No capable devices" in again.stderr
    assert encoded(driver, 'encode("h264_nvenc", {"gpu": "1"})', cards=2)["same"]


def test_a_call_that_hangs_never_returns(driver: EmulatedDriver) -> None:
    code = f'{ENCODE}\nencode("h264_nvenc", {{}})'
    environment = driver.environment(faults="EncodePicture=hang:3")
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as encoding:
        try:
            wait_until(lambda: "hang EncodePicture" in driver.calls(), what="a call that hangs")
            time.sleep(0.5)
            assert encoding.poll() is None
        finally:
            encoding.kill()


def test_the_ffmpeg_program_of_imageio_encodes_on_it_too(driver: EmulatedDriver, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    done = driver.run(
        imageio_ffmpeg.get_ffmpeg_exe(),
        *("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x256:rate=30:duration=0.4"),
        *("-pix_fmt", "yuv420p", "-c:v", "h264_nvenc", "-bf", "2", target),
    )
    assert done.returncode == 0, done.stderr
    with av.open(io.BytesIO(target.read_bytes())) as container:
        frames = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    assert len(frames) == 12
    assert not np.array_equal(frames[0], frames[11])
