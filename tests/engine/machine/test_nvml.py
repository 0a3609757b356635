"""NVML beneath the real pynvml, on emulated GPUs."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.waiting import FAST_SECONDS

pytest.importorskip("pynvml")

LIST = """
import json
from video_pipeline.engine.machine.gpus import gpus
found, why = gpus()
print(json.dumps([[gpu.name for gpu in found], why]))
"""


def listed(driver: EmulatedDriver, **settings: Any) -> tuple[list[str], str]:
    done = driver.run(sys.executable, "-c", LIST, **settings)
    assert done.returncode == 0, done.stderr
    names, why = json.loads(done.stdout)
    return names, why


def test_every_gpu_is_listed_but_one_that_is_lost(driver: EmulatedDriver) -> None:
    two = {"cards": 2, "name": "NVIDIA L4;NVIDIA T4"}
    assert listed(driver, **two) == (["NVIDIA L4", "NVIDIA T4"], "")
    (driver.state / "lost.0").touch()
    assert listed(driver, **two) == (["NVIDIA T4"], "")
    names, why = listed(driver, cards=1)
    assert (names, "GPU is lost" in why) == ([], True)


def test_the_reason_is_said_where_there_is_none(driver: EmulatedDriver) -> None:
    assert listed(driver, cards=0) == ([], "the NVIDIA driver reports no GPU")
    assert "Driver Not Loaded" in listed(driver, faults="nvmlInitWithFlags=9")[1]
    assert listed(driver, without=["libnvidia-ml.so.1"])[1].startswith("no NVIDIA driver answers (NVML ")


def test_nvml_that_hangs_is_asked_once_and_waited_for_no_longer_than_the_bound(
    driver: EmulatedDriver,
) -> None:
    script = """
import time
from video_pipeline.engine.machine.nvml import NvmlError, ask_nvml
for _ in range(3):
    started = time.monotonic()
    try:
        ask_nvml(lambda pynvml: pynvml.nvmlDeviceGetCount(), seconds=1)
    except NvmlError as error:
        print(f"{time.monotonic() - started:.1f}", error)
"""
    started = time.monotonic()
    done = driver.run(sys.executable, "-c", script, faults="nvmlDeviceGetCount_v2=hang")
    told = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert [words for _, words in told] == ["NVML does not answer (waited 1 s)"] * 3, done.stderr
    first, *later = [float(seconds) for seconds, _ in told]
    assert first >= 1
    assert max(later) < 1, "it is asked once"
    assert time.monotonic() - started < FAST_SECONDS
