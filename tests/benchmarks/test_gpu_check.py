"""The check of a GPU: its parts run over the emulated driver, fail alone, and time nothing there."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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

TIMED = ("kernels", "path", "encoder_path", "copied_path")


def test_on_an_emulated_driver_frames_are_compared_and_nothing_is_timed(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gpu.json"
    command = ("benchmarks.gpu_check", "--quick", "--out", out)
    done = driver.module(*command, kernels=cuda_kernels, timeout=240)
    assert done.returncode == 0, done.stderr
    parts = json.loads(out.read_text())["parts"]
    assert parts["parity"]["device"] == "Emulated GPU (GPU 0)"
    assert "byte for byte" in parts["parity"]["frames"]
    for name in TIMED:
        assert parts[name]["skipped"] == "nothing is timed on an emulated driver", name
    assert parts["renders"]["skipped"] == "--quick"
    # The emulated driver has no kernels of ffmpeg's filters, and this machine no Vulkan.
    for name in ("scale_cuda + overlay_cuda", "xfade_vulkan", "libplacebo"):
        assert parts["peers"][name]["skipped"], parts["peers"]
    (compiled,) = parts["compiled"]["kernels"].values()
    assert set(compiled) == set(KERNELS)
    for made in compiled.values():
        assert 16 <= made["registers"] <= 128
        assert made["instructions"] > 100
        assert made["spill_bytes"] <= 64
    assert compiled["vp_compose"]["shared_bytes"] == 9216


def test_without_a_gpu_it_says_why_and_writes_what_needs_none(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gpu.json"
    command = ("benchmarks.gpu_check", "--only", "parity", "kernels", "peers", "--out", out)
    done = driver.module(*command, kernels=cuda_kernels, cards=0, timeout=240)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "no GPU is measured: the driver finds no GPU"
    parts = json.loads(out.read_text())["parts"]
    assert {parts[name]["skipped"] for name in ("parity", "kernels")} == {"the driver finds no GPU"}
    assert set(parts["peers"]) == {"scale_cuda + overlay_cuda", "xfade_vulkan", "libplacebo", "seconds"}


FAILING = """
import json, sys, time
from pathlib import Path
from benchmarks import gpu_check
from benchmarks.gpu_check import Part

command = [sys.executable, "-c", "PARTS"]
real = gpu_check.subprocess.Popen

def popen(argv, **options):
    bodies = {
        "crashes": "import os; os.kill(os.getpid(), 11)",
        "hangs": "import time; time.sleep(60)",
        "says nothing": "import sys; sys.exit('the last words')",
        "fails": "print('{\\"error\\": \\"ValueError: no\\"}')",
        "works": "print('noise'); print('{\\"fps\\": 3}')",
    }
    return real([sys.executable, "-c", bodies[argv[argv.index("--part") + 1]]], **options)

gpu_check.subprocess.Popen = popen
gpu_check.PARTS = tuple(
    Part(name, dict, 2.0 if name == "hangs" else 60.0)
    for name in ("crashes", "hangs", "says nothing", "fails", "works")
)
result, file = gpu_check.check(Path(sys.argv[1]), quick=True)
assert json.loads(file.read_text()) == json.loads(json.dumps(result))
print(json.dumps(result["parts"]))
gpu_check.TOTAL_SECONDS = 4.0
print(json.dumps(gpu_check.check(Path(sys.argv[1]), quick=True)[0]["parts"]))
"""


def test_a_part_that_fails_crashes_or_hangs_leaves_its_error_and_the_rest_goes_on(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    done = driver.python(FAILING, str(tmp_path / "gpu.json"))
    assert done.returncode == 0, done.stderr
    parts, late = map(json.loads, done.stdout.splitlines())
    assert parts["crashes"]["error"] == "it was ended by SIGSEGV"
    assert parts["hangs"]["error"] == "it took longer than 2 s"
    assert parts["says nothing"]["error"] == "the last words"
    assert parts["fails"]["error"] == "ValueError: no"
    assert parts["works"]["fps"] == 3
    assert {each["error"] for each in late.values()} == {"no time was left"}
    assert "hangs: it took longer than 2 s" in done.stderr


def test_all_parts_together_take_less_than_nine_minutes() -> None:
    from benchmarks.gpu_check import PARTS, TOTAL_SECONDS

    # A part has what is left of the time, and ends it at most.
    assert TOTAL_SECONDS <= 520
    assert all(part.seconds < TOTAL_SECONDS for part in PARTS)


MEASURED = """
import json
from benchmarks import gpu_check, gpu_estimate, gpu_kernels
gpu_kernels.SIZE_PX, gpu_kernels.CAPTION_PX, gpu_kernels.STEPS = (64, 32), (40, 10), (0.9, 1.08)
device = gpu_check.open_gpu()
found = gpu_check.timed_kernels(device, calls=1)
assert found["composing_fps"] > 0, found
assert len(found["frame_ms"]) == 61, found
assert found["gpu"] == {}, found  # the emulated driver does not say
figures = {"multiprocessors": 58, "clock_ghz": 2.04, "memory_gbs": 300.0}
gpu_check.gpu_figures = lambda device: figures
found = gpu_check.timed_kernels(device, calls=1)
assert set(found["kernels"]) == {name for name, _, _ in gpu_estimate.CASES}
for name, case in found["kernels"].items():
    assert "vp_compose" in case["ms"], (name, case)
    assert set(case["share_of_bounds"]) == {"issue", "integer", "load/store", "memory"}, (name, case)
    assert case["bound_by"]
for path in (gpu_check.path_fps, gpu_check.encoder_path_fps, gpu_check.copied_path_fps):
    assert path(device, threads=2, seconds=0.1) > 0, path
"""


def test_the_measuring_code_runs_over_the_emulated_driver(driver: EmulatedDriver, cuda_kernels: Path) -> None:
    """Its numbers mean nothing there, and are not kept."""
    done = driver.python(MEASURED, kernels=cuda_kernels, timeout=120)
    assert done.returncode == 0, done.stderr


RENDERS = """
import json, sys
from pathlib import Path
from benchmarks import gpu_renders
from benchmarks.workload import make_workload
load = make_workload(folder=Path(sys.argv[1]), scenes=2, scene_seconds=0.6, fade_seconds=0.2, picture_px=(240, 320))
from dataclasses import replace
load = replace(load, size_px=(192, 160)).write()
gpu_renders.BUILD = Path(sys.argv[1])
print(json.dumps(gpu_renders.time_renders(load, rounds=1)))
"""


def test_whole_renders_are_timed_with_their_ratios(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    done = driver.python(RENDERS, str(tmp_path), kernels=cuda_kernels, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert set(found["runs"]) == {
        "libx264, cuda",
        "libx264, native",
        "h264_nvenc, cuda",
        "h264_nvenc, native",
        "libx264, plain ffmpeg command",
    }
    assert 0 < found["composing_share_of_cpu"] < 1
    assert found["times_as_fast_as_native"] > 0
    assert found["times_as_fast_as_plain_ffmpeg_command"] > 0


def test_a_render_that_fails_leaves_its_last_line_and_the_others_are_timed() -> None:
    from benchmarks.contenders import Contender
    from benchmarks.gpu_renders import _ratios, _run

    found: dict[str, Any] = {"runs": {}, "errors": {}}
    for name, code in (("libx264, cuda", "sys.exit('the last words')"), ("libx264, native", "")):
        _run(found, name, Contender(name, (sys.executable, "-c", f"import sys; {code}"), None, 1))
    assert found["errors"] == {"libx264, cuda": "the last words"}
    assert len(found["runs"]["libx264, native"]) == 1
    assert _ratios(found) == {}
