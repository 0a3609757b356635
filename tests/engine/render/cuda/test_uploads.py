"""Frames drawn in host memory, copied as NV12 to the GPU that encodes them, on the emulated driver."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from tests.support.emulator import EmulatedDriver

pytestmark = pytest.mark.skipif(find_spec("cuda") is None, reason="cuda-bindings is not installed")

ENCODE = """
import io, json, sys
from contextlib import ExitStack
from fractions import Fraction
import av, numpy as np
from video_pipeline.engine.render.cuda.open import opened
from video_pipeline.engine.render.cuda.uploads import GpuUploads
from video_pipeline.engine.render.encoders import encode
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.nvenc import frames_held
from video_pipeline.engine.render.planes import video_frame

def packets(data):
    with av.open(io.BytesIO(data), "r") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]

def decoded(data):
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]

def by_planes(frames, settings):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(settings.encoder, rate=settings.fps)
        encode._configure(stream.codec_context, settings, 1)
        stream.codec_context.pix_fmt = "yuv420p"
        for number, drawn in enumerate(frames):
            frame = video_frame(drawn)
            frame.pts, frame.time_base = number, 1 / settings.fps
            frame.color_range, frame.colorspace = 1, 1
            frame.color_primaries, frame.color_trc = 1, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()

found = []
for width, height in ((160, 134), (146, 50), (320, 256)):
    rng = np.random.default_rng(width)
    frames = [rng.integers(16, 236, (height * 3 // 2, width), np.uint8) for _ in range(40)]
    for bf in ("0", "2"):
        settings = EncoderSettings(
            "h264_nvenc", width, height, Fraction(30), 20, {"preset": "p4", "bf": bf, "forced-idr": "1"}
        )
        uploads = GpuUploads(opened(0), width=width, height=height, bound=10**8)
        room = np.empty_like(frames[0])
        def drawn():  # as a compositor: each frame overwrites the one before
            for frame in frames:
                room[:] = frame
                yield room
            room[:] = 0
        with ExitStack() as stack:
            on_gpu = uploads.frames(drawn(), held=frames_held(settings.options), stack=stack)
            copied = encode.encode_frames(on_gpu, settings, gpu=0)
        host = encode.encode_frames(drawn(), settings, gpu=0)
        planes = by_planes(frames, settings)
        found.append({
            "case": (width, height, bf),
            "equal": copied == host,
            "packets": packets(copied) == packets(planes),
            "lossless": all(map(np.array_equal, decoded(copied), frames)),
            "count": len(decoded(copied)),
        })
print(json.dumps(found))
"""


@pytest.mark.parametrize("lazy", [0, 1])
def test_frames_copied_as_nv12_are_encoded_to_the_bytes_of_separate_planes(
    driver: EmulatedDriver, lazy: int
) -> None:
    """The emulated encoder is lossless, so its pictures are those that were drawn."""
    done = driver.python(ENCODE, lazy=lazy)
    assert done.returncode == 0, done.stderr
    for case in json.loads(done.stdout):
        assert case["equal"], case
        assert case["packets"], case
        assert case["lossless"], case
        assert case["count"] == 40


LEAVE = """
import gc
from contextlib import ExitStack, closing
import numpy as np
from video_pipeline.engine.render.cuda.open import opened
from video_pipeline.engine.render.cuda.uploads import GpuUploads
uploads = GpuUploads(opened(0), width=160, height=134, bound=10**8)
frame = np.zeros((201, 160), np.uint8)
closed = []
def drawn():
    try:
        while True:
            yield frame
    finally:
        closed.append(True)
for stop in range(8):
    with ExitStack() as stack:
        on_gpu = stack.enter_context(closing(uploads.frames(drawn(), held=4, stack=stack)))
        for number, _ in zip(range(stop), on_gpu):
            pass
print(len(closed), uploads._surfaces._count, len(uploads._lanes))
held = []
with ExitStack() as stack:
    on_gpu = uploads.frames(drawn(), held=4, stack=stack)
    try:
        for each in on_gpu:
            held.append(each)
    except Exception as error:
        print(len(held), error)
del uploads, on_gpu, held, each
gc.collect()
"""


def test_ranges_that_are_given_up_in_the_middle_leave_their_memory_to_the_next(
    driver: EmulatedDriver,
) -> None:
    done = driver.python(LEAVE, lazy=1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "7 8 1",  # the first was not begun; the last frame is still referred to
        "6 Emulated GPU (GPU 0): the encoder holds more frames than were foreseen",
    ]
