"""The cuda compositor on the emulated driver: its frames are the native compositor's, byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.cuda_build import build_kernels
from tests.support.emulator import EmulatedDriver
from tests.support.jobs import tiny_story
from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS
from video_pipeline import native

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="the native extension was not built"),
    pytest.mark.skipif(
        find_spec("cuda") is None or find_spec("nvidia") is None,
        reason="cuda-bindings and nvidia-cuda-nvrtc-cu12 are not installed",
    ),
]

SMALL = "--size=134x134"


def rendered(
    driver: EmulatedDriver, folder: Path, *options: str, code: str = "", **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run `video-pipeline render` of a short story on an emulated machine."""
    folder.mkdir(exist_ok=True)
    story = folder / "story.json"
    story.write_text(json.dumps(tiny_story(seconds=0.8)), encoding="utf-8")
    command = ("render", story, "-o", folder / "video.mp4", SMALL, "--encoder", "libx264", *options)
    return driver.video_pipeline(*command, code=code, **settings)


def manifest_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "video.manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("megabytes", [2000, 2])
def test_every_frame_of_everything_is_the_native_compositors(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, megabytes: int
) -> None:
    """Three ranges at once, with much memory and with little; streams are run as late as they may be."""
    command = ("tests.support.cuda_frames", tmp_path, str(megabytes))
    memory = megabytes * 10**6 + 100_000  # what the painter does not bound is little
    done = driver.module(*command, kernels=cuda_kernels, lazy=1, memory=memory, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["compared"] == found["frames"] > 300
    assert found["wrong"] == 0
    assert found["compared_on_gpu"] == found["frames"]
    assert found["wrong_on_gpu"] == 0
    assert found["by_turns"]
    assert found["identity"]
    assert found["segments"]
    assert found["batch"] == (8 if megabytes == 2000 else 1)
    assert len([line for line in driver.calls() if line.startswith("launch ")]) > found["frames"] / 8


def test_a_video_is_the_native_compositors_and_its_segments_serve_both(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    videos = []
    for name, compositor, *options in (
        ("drawn", "cuda", "--no-cache"),
        ("native", "native"),
        ("cached", "cuda"),
    ):
        folder = tmp_path / name
        done = rendered(driver, folder, "--compositor", compositor, *options, kernels=cuda_kernels)
        assert done.returncode == 0, done.stderr
        assert manifest_of(folder)["compositor"]["name"] == compositor
        videos.append((folder / "video.mp4").read_bytes())
    assert videos[0] == videos[1] == videos[2]
    counts = [manifest_of(tmp_path / name)["segments_from_cache"] for name in ("drawn", "native", "cached")]
    assert counts[:2] == [0, 0]
    assert counts[2] == len(manifest_of(tmp_path / "cached")["segments"])


def test_auto_takes_a_gpu_that_works_and_says_which(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    done = rendered(driver, tmp_path, kernels=cuda_kernels)
    assert done.returncode == 0, done.stderr
    chosen = manifest_of(tmp_path)["compositor"]
    assert chosen["name"] == "cuda"
    assert chosen["reason"] == "Emulated GPU (GPU 0), compute capability 8.9"


PROBES = """
import json, os, sys
from video_pipeline.engine.config import load_config
from video_pipeline.engine.render.compositors.choice import probe_compositor
from video_pipeline.engine.render.cuda import open

open.OPEN_SECONDS = 2.0
for case in json.loads(sys.argv[1]):
    os.environ.update(case)
    print(probe_compositor("cuda", load_config({}, environ=False)).reason)
    for name in case:
        del os.environ[name]
"""


def test_what_keeps_a_gpu_from_drawing_is_told_in_one_line(
    driver: EmulatedDriver, cuda_kernels: Path
) -> None:
    expected = [
        ({"EMULATOR_CARDS": "0"}, "the driver finds no GPU"),
        ({"CUDA_VISIBLE_DEVICES": "7"}, "CUDA_VISIBLE_DEVICES=7 names no GPU of this machine"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES= names no GPU of this machine"),
        (
            {"EMULATOR_CUDA": "11040"},
            "the driver is too old: it supports CUDA 11.4, and 12.0 is needed (driver 525 or newer)",
        ),
        (
            {"EMULATOR_FAULTS": "cuInit=803"},
            "the driver cannot be used: GPU 0: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        ),
        (
            {"EMULATOR_FAULTS": "cuDevicePrimaryCtxRetain=2"},
            "Emulated GPU (GPU 0): cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY",
        ),
        (
            {"EMULATOR_CAPABILITY": "210"},
            "Emulated GPU (GPU 0): NVRTC 12.9 does not know its compute capability 21.0; "
            "it knows 5.0 to 12.1",
        ),
        (
            {"EMULATOR_FAULTS": "cuModuleLoadData=209"},
            "Emulated GPU (GPU 0): cuModuleLoadData: CUDA_ERROR_NO_BINARY_FOR_GPU",
        ),
        (
            {"EMULATOR_FAULTS": "cuLaunchKernel=719"},
            "Emulated GPU (GPU 0): cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED",
        ),
        (
            {"EMULATOR_FAULTS": "cuDeviceGetCount=hang"},
            "the GPU's driver did not return from a call for 2 s",
        ),
        ({}, "the GPU's driver did not return from a call for 2 s"),  # it is not asked again
    ]
    done = driver.python(PROBES, json.dumps([case for case, _ in expected]), kernels=cuda_kernels)
    assert done.stdout.splitlines() == [reason for _, reason in expected], done.stderr


def test_where_a_gpu_does_not_work_auto_says_why_and_goes_on(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    done = rendered(driver, tmp_path, kernels=cuda_kernels, cards=0)
    assert done.returncode == 0, done.stderr
    chosen = manifest_of(tmp_path)["compositor"]
    assert (chosen["name"], chosen["reason"]) == ("native", "cuda is not usable: the driver finds no GPU")


def test_by_name_a_gpu_that_does_not_work_ends_the_render(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    done = rendered(driver, tmp_path, "--compositor", "cuda", kernels=cuda_kernels, cards=0)
    assert done.returncode == 2
    assert (
        "--compositor: got 'cuda', which is not usable here: the driver finds no GPU; allowed on this machine"
        in done.stderr
    )
    assert not (tmp_path / "video.mp4").exists()


def test_a_gpu_that_draws_other_bytes_is_not_used(driver: EmulatedDriver, tmp_path: Path) -> None:
    """Here by another rounding of a fade."""
    sources = tmp_path / "native"
    for part in ("cuda", "pixel"):
        shutil.copytree(ROOT / "native" / part, sources / part)
    blend = sources / "pixel/blend.h"
    text = blend.read_text()
    blend.write_text(text.replace("((level * amount) >> 8) + 128", "((level * amount) >> 8) + 120"))
    assert blend.read_text() != text
    wrong = build_kernels(tmp_path, native=sources)
    done = rendered(driver, tmp_path / "video", kernels=wrong)
    assert done.returncode == 0, done.stderr
    chosen = manifest_of(tmp_path / "video")["compositor"]
    assert chosen["name"] == "native"
    assert "Emulated GPU (GPU 0) draws other frames than the processor: " in chosen["reason"]


def test_a_full_card_is_one_line(driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path) -> None:
    """The GPU has enough for the first frames of a check, and not for those of the video."""
    done = rendered(
        driver, tmp_path, "--compositor", "cuda", "--no-cache", kernels=cuda_kernels, memory=700_000
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "memory is full" in line]
    assert "Emulated GPU (GPU 0): its memory is full: " in line
    assert line.endswith("and the GPU has none left")
    assert not (tmp_path / "video.mp4").exists()


def test_less_memory_than_a_frame_needs_names_the_key(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    done = driver.module("tests.support.cuda_frames", tmp_path, "0.1", kernels=cuda_kernels, timeout=120)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "MB are needed for " in last
    assert last.endswith("video.gpu_memory_mb allows 0.1")


def test_a_card_that_is_lost_ends_the_render_with_the_call_that_failed(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    done = rendered(
        driver,
        tmp_path,
        "--compositor",
        "cuda",
        "--no-cache",
        kernels=cuda_kernels,
        faults="cuLaunchKernel=719:16",
    )
    assert done.returncode == 1
    assert "Emulated GPU (GPU 0): cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED" in done.stderr
    assert not (tmp_path / "video.mp4").exists()


def test_a_driver_that_does_not_return_while_drawing_ends_the_render(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    code = """
import runpy, sys
from video_pipeline.engine.render.encoders.watched import limit_calls
limit_calls(1.0)
sys.argv = ["video-pipeline", *sys.argv[1:]]
runpy.run_module("video_pipeline", run_name="__main__")
"""
    done = rendered(
        driver,
        tmp_path,
        "--compositor",
        "cuda",
        "--no-cache",
        code=code,
        kernels=cuda_kernels,
        faults="cuLaunchKernel=hang:16",
    )
    assert done.returncode == 1, done.stderr
    assert "the GPU's driver did not return from a call for 1 s" in done.stderr
    assert not (tmp_path / "video.mp4").exists()


def test_a_card_that_is_lost_or_hangs_leaves_the_rest_of_each_range_to_another_and_then_to_the_processor(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    """Whichever call fails or does not return, on three threads at once; every frame is the native compositor's."""
    done = driver.module("tests.support.lost_gpus", tmp_path, kernels=cuda_kernels, cards=2, timeout=300)
    assert done.returncode == 0, done.stderr
    for outcome in json.loads(done.stdout.splitlines()[-1]):
        shown = f"{outcome}\n{done.stderr[-2000:]}"
        assert outcome["wrong"] == 0, shown
        assert outcome["lost"] == outcome["cards"], shown
        assert outcome["seconds"] < FAST_SECONDS, shown


def test_auto_goes_on_with_the_processor_where_the_only_card_hangs_and_the_manifest_says_so(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    code = """
import runpy, sys
from video_pipeline.engine.render.encoders.watched import limit_calls
limit_calls(1.0)
sys.argv = ["video-pipeline", *sys.argv[1:]]
runpy.run_module("video_pipeline", run_name="__main__")
"""
    faults = "cuLaunchKernel=hang:16"
    done = rendered(driver, tmp_path, "--no-cache", code=code, kernels=cuda_kernels, faults=faults)
    assert done.returncode == 0, done.stderr
    words = "Emulated GPU (GPU 0): the GPU's driver did not return from a call for 1 s"
    assert words in manifest_of(tmp_path)["compositor"]["reason"]
    assert f"{words}; frames [" in done.stderr
    assert "are drawn by the processor" in done.stderr
    assert rendered(driver, tmp_path / "other", "--compositor", "native", "--no-cache").returncode == 0
    assert (tmp_path / "video.mp4").read_bytes() == (tmp_path / "other/video.mp4").read_bytes()


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (
            ["cuda", "cupy_backends"],
            "the package cuda-bindings is missing and the package CuPy is missing "
            "(pip install 'video-pipeline[cuda]')",
        ),
        (
            ["nvidia"],
            "NVRTC is missing (the package nvidia-cuda-nvrtc-cu12) (pip install 'video-pipeline[cuda]')",
        ),
    ],
)
def test_a_missing_package_is_named(
    driver: EmulatedDriver,
    cuda_kernels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: list[str],
    reason: str,
) -> None:
    """In an environment without it: links to everything else."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for kind in ("purelib", "platlib"):
        for path in Path(sysconfig.get_path(kind)).iterdir():
            link = packages / path.name
            if path.name not in missing and not link.exists():
                link.symlink_to(path)
    code = f"import _editable_skbc_video_pipeline\n{PROBES}"
    monkeypatch.setenv("PYTHONPATH", f"{packages}:{ROOT}")
    done = driver.run(sys.executable, "-S", "-c", code, "[{}]", kernels=cuda_kernels)
    assert done.stdout.splitlines() == [reason], done.stderr
