"""Trials of encoders on drivers that crash or hang."""

from __future__ import annotations

import json

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.on_gpus import outcomes
from tests.support.waiting import PROMPT_SECONDS
from video_pipeline.engine.render.encoders.watched import CALL_SECONDS

TRY = """
import json, sys, time
from fractions import Fraction
from video_pipeline.engine.render.encoders import trial
from video_pipeline.engine.render.encoders.base import EncoderSettings
settings = EncoderSettings("h264_nvenc", 320, 256, Fraction(30), 60, {"preset": "p4", "bf": "2"})
began = time.monotonic()
found = trial._try_apart(settings, seconds=float(sys.argv[1]))
took = time.monotonic() - began
print(json.dumps([found.works, found.reason, found.kind, list(found.log), took]))
"""


@pytest.mark.parametrize("call", ["OpenEncodeSessionEx", "EncodePicture"])
def test_a_driver_that_hangs_is_waited_for_no_longer_than_the_bound(
    driver: EmulatedDriver, call: str
) -> None:
    for seconds in (5, 20):  # a busy computer may take more than five to come to the call
        done = driver.python(TRY, str(seconds), faults=f"{call}=hang")
        assert done.returncode == 0, done.stderr
        works, reason, kind, log, took = json.loads(done.stdout)
        assert (works, kind, log) == (False, "machine", [])
        # In a longer trial a call may be given up before the trial is.
        given_up = [f"h264_nvenc: the GPU's driver did not return from a call for {CALL_SECONDS:g} s"]
        assert reason in [
            f"the GPU's driver did not answer in {seconds} s",
            *given_up * (seconds > CALL_SECONDS),
        ]
        assert took < seconds + PROMPT_SECONDS
        if f"hang {call}" in driver.calls():
            break
    assert f"hang {call}" in driver.calls()


def test_a_driver_that_crashes_ends_the_trial_alone(driver: EmulatedDriver) -> None:
    # FFmpeg itself crashes where NVENC gives it no buffer.
    done = driver.python(TRY, "20", faults="CreateBitstreamBuffer=10")
    assert done.returncode == 0, done.stderr
    works, reason, kind, *_ = json.loads(done.stdout)
    assert (works, reason, kind) == (False, "FFmpeg crashed (SIGSEGV)", "machine")


def test_auto_encodes_on_the_processor_where_the_driver_crashes(driver: EmulatedDriver) -> None:
    case = {"video": {"codec": "auto"}, "emulator": {"faults": "CreateBitstreamBuffer=10"}}
    (found,) = outcomes(driver, [case])
    assert found["encoder"] == "libx264"
    assert "FFmpeg crashed" in found["reason"]


def test_a_call_that_hangs_in_the_middle_ends_the_encode_and_not_the_process(driver: EmulatedDriver) -> None:
    script = """
import json
from tests.support.on_gpus import _outcome
from video_pipeline.engine.render.encoders.watched import limit_calls
limit_calls(2)
case = {"options": {"preset": "p4", "bf": "2"}, "frames": 40}
stalled = {**case, "emulator": {"faults": "EncodePicture=hang:20"}}
print(json.dumps([_outcome(stalled), _outcome(case)]))
"""
    done = driver.python(script)
    assert done.returncode == 0, done.stderr
    stalled, after = json.loads(done.stdout)
    assert (stalled["error"], stalled["kind"]) == ("EncoderError", "machine")
    assert stalled["message"] == "h264_nvenc: the GPU's driver did not return from a call for 2 s"
    assert after["bytes"] > 0
