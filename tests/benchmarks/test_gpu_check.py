"""The check of a GPU: what it reads of compiled kernels, and that it times nothing without a card."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.emulator import EmulatedDriver
from video_pipeline import native
from video_pipeline.engine.render.cuda.compile import KERNELS

pytestmark = [
    pytest.mark.skipif(not native.available(), reason="the native extension was not built"),
    pytest.mark.skipif(
        find_spec("cuda") is None or find_spec("nvidia") is None,
        reason="cuda-bindings and nvidia-cuda-nvrtc-cu12 are not installed",
    ),
]


def test_on_an_emulated_driver_frames_are_compared_and_nothing_is_timed(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gpu.json"
    command = (sys.executable, "-m", "benchmarks.gpu_check", "--quick", "--out", out)
    done = driver.run(*command, kernels=cuda_kernels, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["device"] == "Emulated GPU (GPU 0)"
    assert "byte for byte" in found["parity"]
    assert "nothing is timed" in done.stderr
    assert not {"kernels_ms", "path_fps", "renders"} & set(found)
    (compiled,) = found["compiled"].values()
    assert set(compiled) == set(KERNELS)
    for made in compiled.values():
        assert 16 <= made["registers"] <= 128
        assert made["instructions"] > 100
        assert made["spill_bytes"] <= 64
    assert compiled["vp_compose"]["shared_bytes"] == 9216


def test_without_a_gpu_it_says_why(driver: EmulatedDriver, cuda_kernels: Path) -> None:
    command = (sys.executable, "-m", "benchmarks.gpu_check", "--quick")
    done = driver.run(*command, kernels=cuda_kernels, cards=0)
    assert done.returncode == 1
    assert done.stderr.startswith("no GPU is measured: ")
    assert "the driver finds no GPU" in done.stderr


def test_the_measuring_code_runs_over_the_emulated_driver(driver: EmulatedDriver, cuda_kernels: Path) -> None:
    """Its numbers mean nothing there, and are not kept."""
    code = """
from benchmarks import gpu_check
gpu_check.SIZE_PX, gpu_check.CAPTION_PX, gpu_check.STEPS = (64, 32), (40, 10), (0.9, 1.08)
found = gpu_check.measured(gpu_check.open_gpu(), quick=True, report=lambda line: None)
assert found["composing_fps"] > 0, found
assert all(fps > 0 for fps in found["path_fps"].values()), found
assert len(found["kernels_ms"]) == 61, found
"""
    done = driver.python(code, kernels=cuda_kernels, timeout=120)
    assert done.returncode == 0, done.stderr
