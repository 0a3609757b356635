"""Video clips decoded on a GPU, by FFmpeg's real hwaccel on an emulated NVDEC."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.emulator import EmulatedDriver
from video_pipeline.engine.machine.hwaccel import sample_video

TRY = """
from pathlib import Path
import imageio_ffmpeg
from video_pipeline.engine.machine.hwaccel import try_hwaccel
found = try_hwaccel(Path(imageio_ffmpeg.get_ffmpeg_exe()))
print(found.works, found.reason)
"""

CLIP = """
import sys
from fractions import Fraction
import av
import numpy as np
with av.open(sys.argv[1], "w") as container:
    stream = container.add_stream("h264_nvenc", rate=24)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt, context.gop_size = 320, 256, "yuv420p", 12
    context.options = {"bf": "2"}
    rows, columns = np.mgrid[0:384, 0:320]
    for number in range(48):
        picture = ((rows * 2 + columns + 9 * number) % 200 + 20).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 24)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
"""


def test_the_trials_video_is_what_every_decoder_must_give() -> None:
    video, pictures = sample_video()
    with av.open(io.BytesIO(video), format="h264") as container:
        decoded = [frame.to_ndarray(format="yuv420p").tobytes() for frame in container.decode(video=0)]
    assert b"".join(decoded) == pictures
    assert len(set(decoded)) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "True a trial gave the CPU's pixels"),
        ({"without": ["libcuda.so.1"]}, "False no NVIDIA driver on this machine"),
        ({"without": ["libnvcuvid.so.1"]}, "False "),
        ({"cards": 0}, "False "),
        ({"faults": "cuvidDecodePicture=999"}, "False "),
    ],
    ids=["works", "no driver", "no library", "no card", "fails"],
)
def test_the_ffmpeg_program_is_tried(driver: EmulatedDriver, settings: dict[str, Any], words: str) -> None:
    done = driver.python(TRY, **settings)
    assert done.stdout.startswith(words), (done.stdout, done.stderr)
    assert len(done.stdout.strip()) > len("False ")


def rendered(
    driver: EmulatedDriver, folder: Path, name: str, hwaccel: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Render a story of a clip that the emulated encoder wrote."""
    clip = folder / "clip.mp4"
    if not clip.is_file():
        made = driver.python(CLIP, str(clip))
        assert made.returncode == 0, made.stderr
    story = folder / "story.json"
    scene = {"scene_id": "a", "video": {"path": "clip.mp4"}, "narration": "", "duration": 1.5}
    story.write_text(json.dumps({"id": "s", "title": "S", "scenes": [scene]}), encoding="utf-8")
    config = folder / f"{name}.yaml"
    config.write_text(
        f"video: {{size: [176, 144], fps: 24, codec: libx264, hwaccel: {hwaccel}}}", encoding="utf-8"
    )
    command = ("render", story, "-o", folder / f"{name}.mp4", "--no-cache", "--config", config)
    return driver.video_pipeline(*command, **settings)


def manifest_of(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.manifest.json").read_text(encoding="utf-8"))
    return found


def test_a_clip_decoded_on_the_gpu_makes_the_video_that_the_cpu_makes(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    by_hash = set()
    for name, hwaccel, faults in (
        ("cpu", "none", ""),
        ("gpu", "auto", ""),
        ("lost", "cuda", "cuvidDecodePicture=999:20"),  # after the trial and some frames
    ):
        decoders = driver.calls().count("decoder 320x256")
        done = rendered(driver, tmp_path, name, hwaccel, faults=faults)
        assert done.returncode == 0, done.stderr
        manifest = manifest_of(tmp_path, name)
        by_hash.add(next(file["sha256"] for file in manifest["outputs"] if file["role"] == "video"))
        on_gpu = driver.calls().count("decoder 320x256") > decoders
        assert on_gpu == (hwaccel != "none")
        assert (manifest["compositor"]["options"]["hwaccel"] == "cuda") == on_gpu
        assert ("its clips are decoded on the CPU" in done.stderr) == (name == "lost")
    assert len(by_hash) == 1


def test_the_gpu_asked_for_by_name_that_does_not_decode_is_an_error(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    done = rendered(driver, tmp_path, "named", "cuda", faults="cuvidDecodePicture=999")
    assert done.returncode == 2, done.stderr
    assert "video.hwaccel: got 'cuda', which is not usable here: " in done.stderr
    assert done.stderr.rstrip().endswith("allowed on this machine: auto, none")
    assert not (tmp_path / "named.mp4").exists()
