"""The GPUs that CUDA shows, on emulated machines."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from tests.support.emulator import EmulatedDriver
from tests.support.waiting import FAST_SECONDS

LIST = """
import json, sys
from dataclasses import asdict
from video_pipeline.engine.machine.cuda_devices import list_devices
print(json.dumps(asdict(list_devices(seconds=float(sys.argv[1])))))
"""


def listed(driver: EmulatedDriver, seconds: str = "20", **settings: Any) -> dict[str, Any]:
    done = driver.run(sys.executable, "-c", LIST, seconds, **settings)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_gpu_has_the_name_driver_and_uuid_that_nvml_reports(driver: EmulatedDriver) -> None:
    found = listed(driver, cards=2, name="NVIDIA L4;NVIDIA T4")
    by_nvml = driver.run(
        *(sys.executable, "-c"),
        "import json\n"
        "from video_pipeline.engine.machine.gpus import gpus\n"
        "print(json.dumps([[gpu.name, gpu.uuid, gpu.driver] for gpu in gpus()[0]]))",
        cards=2,
        name="NVIDIA L4;NVIDIA T4",
    )
    assert [[card["name"], card["uuid"], card["driver"]] for card in found["devices"]] == json.loads(
        by_nvml.stdout
    )
    assert [card["index"] for card in found["devices"]] == [0, 1]
    assert len({card["uuid"] for card in found["devices"]}) == 2


def test_gpus_are_counted_as_cuda_visible_devices_orders_them(driver: EmulatedDriver) -> None:
    code = LIST.replace(
        "import json, sys", "import json, sys, os; os.environ['CUDA_VISIBLE_DEVICES'] = '1'", 1
    )
    done = driver.run(sys.executable, "-c", code, "20", cards=2, name="NVIDIA L4;NVIDIA T4")
    (shown,) = json.loads(done.stdout)["devices"]
    assert (shown["index"], shown["name"]) == (0, "NVIDIA T4")


def test_a_lost_gpu_is_left_out(driver: EmulatedDriver) -> None:
    (driver.state / "lost.0").touch()
    assert [card["index"] for card in listed(driver, cards=2)["devices"]] == [1]


def test_why_there_is_none_is_said(driver: EmulatedDriver) -> None:
    assert listed(driver, cards=0)["reason"] == "cuInit failed: CUDA_ERROR_NO_DEVICE"
    assert listed(driver, faults="cuInit=803")["reason"] == "cuInit failed: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"


def test_without_nvml_the_driver_is_named_by_its_cuda(driver: EmulatedDriver) -> None:
    (card,) = listed(driver, without=["libnvidia-ml.so.1"])["devices"]
    assert card["driver"] == "of CUDA 13.0"


def test_a_driver_that_hangs_is_waited_for_no_longer_than_the_bound(driver: EmulatedDriver) -> None:
    started = time.monotonic()
    found = listed(driver, "1", faults="cuInit=hang")
    assert time.monotonic() - started < FAST_SECONDS
    assert (found["reason"], found["silent"]) == ("the GPU's driver did not answer in 1 s", True)
