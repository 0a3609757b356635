"""How many encoders a GPU has, asked of the emulated NVENC."""

from __future__ import annotations

import sys

import pytest

from tests.support.emulator import EmulatedDriver

ASK = """
from video_pipeline.engine.machine.nvenc_engines import count_engines
print([count_engines(gpu) for gpu in range(3)])
"""


def test_nvenc_says_how_many_encoders_each_gpu_has(driver: EmulatedDriver) -> None:
    done = driver.run(
        sys.executable, "-c", ASK, cards=2, capabilities="NUM_ENCODER_ENGINES=2,NUM_ENCODER_ENGINES@1=4"
    )
    assert done.stdout.strip() == "[2, 4, None]", done.stderr
    assert [line for line in driver.calls() if line.startswith("open ")] == ["open card=0", "open card=1"]


def test_the_session_that_asks_is_closed(driver: EmulatedDriver) -> None:
    done = driver.run(sys.executable, "-c", ASK.replace("range(3)", "(0, 0, 0)"), sessions=1)
    assert done.stdout.strip() == "[3, 3, 3]", done.stderr


@pytest.mark.parametrize(
    "faults",
    [
        "cuInit=999",
        "cuDevicePrimaryCtxRetain=2",
        "CreateInstance=15",
        "OpenEncodeSessionEx=21",
        "GetEncodeCaps=8",
    ],
)
def test_a_driver_that_fails_says_nothing(driver: EmulatedDriver, faults: str) -> None:
    done = driver.run(sys.executable, "-c", ASK, faults=faults)
    assert done.stdout.strip() == "[None, None, None]", done.stderr


@pytest.mark.parametrize("library", ["libcuda.so.1", "libnvidia-encode.so.1"])
def test_without_a_library_nobody_says(driver: EmulatedDriver, library: str) -> None:
    done = driver.run(sys.executable, "-c", ASK, without=[library])
    assert done.stdout.strip() == "[None, None, None]", done.stderr


def test_a_count_of_none_is_no_count(driver: EmulatedDriver) -> None:
    done = driver.run(sys.executable, "-c", ASK, capabilities="NUM_ENCODER_ENGINES=0")
    assert done.stdout.strip() == "[None, None, None]", done.stderr
