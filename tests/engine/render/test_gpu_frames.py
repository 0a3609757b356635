"""Frames that go from the cuda compositor to NVENC without touching host memory, on the emulated driver."""

from __future__ import annotations

import io
import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.forks import ForkServer
from tests.support.jobs import tiny_story
from video_pipeline import native
from video_pipeline.engine.render.encoders.nvenc import frames_held

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="the native extension was not built"),
    pytest.mark.skipif(
        find_spec("cuda") is None or find_spec("nvidia") is None,
        reason="cuda-bindings and nvidia-cuda-nvrtc-cu12 are not installed",
    ),
]

WIDTH, HEIGHT = 160, 134
CHECK_LAUNCHES = 15
"""Launches of the kernels with which a card is checked before it draws."""

NO_PINNED = "cuMemHostAlloc=2"
"""No pinned memory, so that frames of the native compositor go through host memory."""

NOT_PINNED = "Emulated GPU (GPU 0): cuMemHostAlloc: CUDA_ERROR_OUT_OF_MEMORY"

SURFACE_BYTES = 512 * HEIGHT * 3 // 2
FRAME_BYTES = WIDTH * HEIGHT * 3 // 2


def rendered(
    driver: EmulatedDriver,
    folder: Path,
    *options: str,
    compositor: str = "cuda",
    encoder: str = "h264_nvenc",
    seconds: float = 1.2,
    code: str = "",
    video: dict[str, Any] | None = None,
    **settings: Any,
) -> subprocess.CompletedProcess[str]:
    """Run `video-pipeline render` of a short story with NVENC on an emulated machine, without a cache."""
    folder.mkdir(exist_ok=True)
    story = folder / "story.json"
    story.write_text(json.dumps(tiny_story(seconds=seconds)), encoding="utf-8")
    config = folder / "config.yaml"
    config.write_text(json.dumps({"video": {"lookahead": 0, **(video or {})}}), encoding="utf-8")
    command = ("render", story, "-o", folder / "video.mp4", "--no-cache", "--config", config)
    how = (f"--size={WIDTH}x{HEIGHT}", "--encoder", encoder, "--compositor", compositor, *options)
    most = encoder == "h264_nvenc" and video is None
    chosen = {"codec": encoder, "size": [WIDTH, HEIGHT], "lookahead": 0} if most else None
    return driver.video_pipeline(*command, *how, code=code, chosen=chosen, timeout=120, **settings)


def encoder_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "video.manifest.json").read_text(encoding="utf-8"))[
        "encoder"
    ]
    return found


def downloads(driver: EmulatedDriver) -> list[int]:
    """Return the sizes of copies from a GPU to the host."""
    return [int(line.split()[1]) for line in driver.calls() if line.startswith("download ")]


def pictures(video: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(io.BytesIO(video.read_bytes()), "r") as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def host_video(
    driver_libraries: Path, driver_forks: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The video that the native compositor makes with the same encoder, from frames in host memory."""
    folder = tmp_path_factory.mktemp("host")
    driver = EmulatedDriver(driver_libraries, folder, driver_forks)
    done = rendered(driver, folder / "video", compositor="native", faults=NO_PINNED)
    assert done.returncode == 0, done.stderr
    count = encoder_of(folder / "video")["sessions"]["by_gpu"]["0"]
    assert encoder_of(folder / "video")["frames"] == {
        "segments_in_gpu_memory": 0,
        "segments_copied": 0,
        "segments_in_host_memory": count,
        "reasons": {NOT_PINNED: count},
    }
    return folder / "video" / "video.mp4"


def lines_with(done: subprocess.CompletedProcess[str], words: str) -> list[str]:
    return [line for line in done.stderr.splitlines() if words in line]


@pytest.mark.parametrize(
    ("encoder", "video"),
    [
        ("h264_nvenc", {"bf": 0}),
        ("h264_nvenc", {"bf": 2, "lookahead": 16}),
        ("hevc_nvenc", {}),
    ],
)
def test_frames_reach_the_encoder_without_host_memory_and_make_the_same_bytes(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, encoder: str, video: dict[str, int]
) -> None:
    """With streams that run as late as a GPU may; only what the thumbnail looks at is downloaded."""
    options = {"encoder": encoder, "video": video}
    host = rendered(driver, tmp_path / "host", compositor="native", faults=NO_PINNED, **options)
    assert host.returncode == 0, host.stderr
    (driver.state / "calls.log").unlink()
    done = rendered(driver, tmp_path / "gpu", encoder=encoder, video=video, kernels=cuda_kernels, lazy=1)
    assert done.returncode == 0, done.stderr
    found = encoder_of(tmp_path / "gpu")
    segments = sum(found["sessions"]["by_gpu"].values())
    assert found["frames"] == {
        "segments_in_gpu_memory": segments,
        "segments_copied": 0,
        "segments_in_host_memory": 0,
        "reasons": {},
    }
    assert (tmp_path / "gpu/video.mp4").read_bytes() == (tmp_path / "host/video.mp4").read_bytes()
    drawn = len(pictures(tmp_path / "gpu/video.mp4"))
    copied = [size for size in downloads(driver) if size % FRAME_BYTES == 0 or size == SURFACE_BYTES]
    assert copied.count(FRAME_BYTES) == 1  # the thumbnail's picture, drawn without captions
    assert 0 < copied.count(SURFACE_BYTES) == len(copied) - 1 < drawn / 10
    registered = [line for line in driver.calls() if line.startswith("register ")]
    assert 0 < len(registered) <= segments * (frames_held(found["options"]) + 8)


def test_each_of_two_cards_draws_the_frames_that_it_encodes(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path
) -> None:
    done = rendered(driver, tmp_path / "gpu", kernels=cuda_kernels, cards=2)
    assert done.returncode == 0, done.stderr
    assert sorted(encoder_of(tmp_path / "gpu")["sessions"]["by_gpu"]) == ["0", "1"]
    assert encoder_of(tmp_path / "gpu")["frames"]["segments_in_host_memory"] == 0
    registered = {line for line in driver.calls() if line.startswith("register ")}
    assert registered == {"register card=0", "register card=1"}
    for one, other in zip(pictures(tmp_path / "gpu/video.mp4"), pictures(host_video), strict=True):
        assert np.array_equal(one, other)


def test_a_card_that_is_lost_leaves_its_segments_to_the_other(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path
) -> None:
    done = rendered(driver, tmp_path / "gpu", kernels=cuda_kernels, cards=2, lost="1:10")
    assert done.returncode == 0, done.stderr
    found = encoder_of(tmp_path / "gpu")
    assert list(found["sessions"]["lost_gpus"]) == ["1"]
    assert found["frames"]["segments_in_gpu_memory"] == sum(found["sessions"]["by_gpu"].values())
    assert lines_with(done, "encoded again on another GPU")
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


LIMITED = """
import runpy, sys
from video_pipeline.engine.render.encoders.watched import limit_calls
limit_calls(1.0)
sys.argv = ["video-pipeline", *sys.argv[1:]]
runpy.run_module("video_pipeline", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("card", "status", "words"),
    [
        (1, "719", "CUDA_ERROR_LAUNCH_FAILED"),
        (0, "hang", "(GPU 0): the GPU's driver did not return from a call for 1 s"),
    ],
)
def test_a_card_that_fails_to_draw_or_hangs_leaves_its_segments_to_the_other(
    driver: EmulatedDriver,
    cuda_kernels: Path,
    tmp_path: Path,
    host_video: Path,
    card: int,
    status: str,
    words: str,
) -> None:
    """Also the first one, which would draw what goes through host memory."""
    faults = f"cuLaunchKernel@{card}={status}:{CHECK_LAUNCHES + 3}"
    done = rendered(driver, tmp_path / "gpu", code=LIMITED, kernels=cuda_kernels, cards=2, faults=faults)
    assert done.returncode == 0, done.stderr
    found = encoder_of(tmp_path / "gpu")
    assert found["frames"]["segments_in_host_memory"] == 0
    assert list(found["sessions"]["by_gpu"]) == [str(1 - card)]
    assert all(words in line for line in lines_with(done, "encoded again on another GPU"))
    assert words in found["sessions"]["lost_gpus"][str(card)]
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


def test_an_encoder_that_does_not_take_a_gpus_frames_gets_them_through_host_memory(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path
) -> None:
    done = rendered(driver, tmp_path / "gpu", kernels=cuda_kernels, faults="RegisterResource=8")
    assert done.returncode == 0, done.stderr
    frames = encoder_of(tmp_path / "gpu")["frames"]
    assert frames["segments_in_gpu_memory"] == 0
    assert frames["segments_in_host_memory"] > 0
    (reason,) = frames["reasons"]
    assert "h264_nvenc" in reason
    assert lines_with(done, f"{reason}; its frames go through host memory")
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


def test_to_a_card_that_cannot_draw_the_other_ones_frames_are_copied(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path
) -> None:
    faults = "cuLaunchKernel@1=719"
    done = rendered(driver, tmp_path / "gpu", kernels=cuda_kernels, cards=2, faults=faults)
    assert done.returncode == 0, done.stderr
    found = encoder_of(tmp_path / "gpu")
    assert found["frames"]["segments_in_gpu_memory"] == found["sessions"]["by_gpu"]["0"]
    assert found["frames"]["segments_copied"] == found["sessions"]["by_gpu"]["1"]
    reason = "Emulated GPU (GPU 1): cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED"
    assert found["frames"]["reasons"] == {reason: found["sessions"]["by_gpu"]["1"]}
    assert len(lines_with(done, f"{reason}: its frames are copied to it")) == 1
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


SMALL_BOUND = """
import runpy, sys
from video_pipeline.engine.render.compositors import cuda
whole = cuda.GpuPainter
cuda.GpuPainter = lambda device, *, width, height, bound: whole(device, width=width, height=height, bound=BOUND)
sys.argv = ["video-pipeline", *sys.argv[1:]]
runpy.run_module("video_pipeline", run_name="__main__")
"""


@pytest.mark.parametrize(("bound", "in_gpu"), [(1_500_000, False), (4_000_000, True)])
def test_little_memory_is_for_drawing_first(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path, bound: int, in_gpu: bool
) -> None:
    """Half of it holds frames for encoders: a segment that gets none has its frames in host memory."""
    code = SMALL_BOUND.replace("BOUND", str(bound))
    memory = bound + 300_000
    done = rendered(driver, tmp_path / "gpu", code=code, kernels=cuda_kernels, memory=memory, lazy=1)
    assert done.returncode == 0, done.stderr
    frames = encoder_of(tmp_path / "gpu")["frames"]
    assert (frames["segments_in_gpu_memory"] > 0) == in_gpu
    if frames["segments_in_host_memory"]:
        (reason,) = frames["reasons"]
        assert "there is no room for 14 frames of 0.1 MB for the encoder" in reason
        assert len(lines_with(done, reason)) == 1
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


def test_a_segment_whose_session_is_refused_keeps_its_frames_for_the_next(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path
) -> None:
    done = rendered(driver, tmp_path / "gpu", kernels=cuda_kernels, sessions=1, lazy=1)
    assert done.returncode == 0, done.stderr
    found = encoder_of(tmp_path / "gpu")
    assert found["sessions"]["refused"] > 0
    assert found["frames"]["segments_in_gpu_memory"] == found["sessions"]["by_gpu"]["0"] > 1
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


def test_a_driver_that_hangs_while_it_encodes_leaves_its_segments_to_the_other_card(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, host_video: Path
) -> None:
    faults = "EncodePicture@1=hang:8"
    done = rendered(driver, tmp_path / "gpu", code=LIMITED, kernels=cuda_kernels, cards=2, faults=faults)
    assert done.returncode == 0, done.stderr
    found = encoder_of(tmp_path / "gpu")
    assert list(found["sessions"]["lost_gpus"]) == ["1"]
    assert found["frames"]["segments_in_gpu_memory"] == found["sessions"]["by_gpu"]["0"] > 1
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


def copied(
    driver: EmulatedDriver, folder: Path, compositor: str = "native", **settings: Any
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Render with a compositor that draws on the processor; return the run and the manifest's part on frames."""
    done = rendered(driver, folder, compositor=compositor, **settings)
    assert done.returncode == 0, done.stderr
    return done, encoder_of(folder)


def test_frames_that_the_processor_draws_are_copied_as_nv12_from_pinned_memory(
    driver: EmulatedDriver, tmp_path: Path, host_video: Path
) -> None:
    """On two cards, each with its segments; a copy is made as late as a GPU may make it."""
    _, found = copied(driver, tmp_path / "gpu", cards=2, lazy=1)
    segments = sum(found["sessions"]["by_gpu"].values())
    assert len(found["sessions"]["by_gpu"]) == 2
    assert (found["frames"]["segments_copied"], found["frames"]["reasons"]) == (segments, {})
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()
    assert not downloads(driver)  # the thumbnail's frames are looked at before they are copied


def test_the_ffmpeg_compositors_frames_are_copied_too(driver: EmulatedDriver, tmp_path: Path) -> None:
    _, found = copied(driver, tmp_path / "gpu", compositor="ffmpeg")
    assert found["frames"]["segments_copied"] == found["sessions"]["by_gpu"]["0"]
    copied(driver, tmp_path / "host", compositor="ffmpeg", faults=NO_PINNED)
    assert (tmp_path / "gpu/video.mp4").read_bytes() == (tmp_path / "host/video.mp4").read_bytes()


@pytest.mark.parametrize(
    "faults",
    ["cuMemcpyAsync@1=700:20", "cuStreamSynchronize@1=hang:20"],
    ids=["lost", "hangs"],
)
def test_a_card_that_is_lost_or_hangs_while_frames_are_copied_leaves_its_segments_to_the_other(
    driver: EmulatedDriver, tmp_path: Path, host_video: Path, faults: str
) -> None:
    done, found = copied(driver, tmp_path / "gpu", code=LIMITED, cards=2, faults=faults)
    assert list(found["sessions"]["lost_gpus"]) == ["1"]
    assert lines_with(done, "encoded again on another GPU")
    assert found["frames"]["segments_copied"] == sum(found["sessions"]["by_gpu"].values())
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()


def test_where_nothing_can_be_copied_frames_go_through_host_memory_and_one_line_says_why(
    driver: EmulatedDriver, tmp_path: Path, host_video: Path
) -> None:
    done, found = copied(driver, tmp_path / "gpu", memory=20 * SURFACE_BYTES)
    frames = found["frames"]
    assert frames["segments_in_host_memory"] > 0
    (reason,) = frames["reasons"]
    assert "there is no room for 15 frames of 0.1 MB for the encoder: its memory is full" in reason
    assert len(lines_with(done, f"{reason}: its frames go through host memory")) == 1
    assert (tmp_path / "gpu/video.mp4").read_bytes() == host_video.read_bytes()
    done, found = copied(driver, tmp_path / "refused", faults="RegisterResource=8")
    assert found["frames"]["segments_copied"] == 0
    assert lines_with(done, "its frames go through host memory")
    assert (tmp_path / "refused/video.mp4").read_bytes() == host_video.read_bytes()
