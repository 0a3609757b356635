"""What a child process on an emulated machine does: one case after another, in one start of Python.

    python -m tests.support.on_gpus     cases in, outcomes out, both JSON lists

The emulator reads its settings at each call, so a case changes the environment of its own process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np

from tests.support.emulator import EmulatedDriver


def outcomes(driver: EmulatedDriver, cases: list[dict[str, Any]], **settings: Any) -> list[dict[str, Any]]:
    """Return what came of cases on an emulated machine: with `video` of a choice, with `options` of an encode.

    A choice with `again` knows what came of the trials of the case before.
    """
    done = driver.module("tests.support.on_gpus", stdin=json.dumps(cases), timeout=120, **settings)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def _emulator(settings: dict[str, Any]) -> Iterator[None]:
    names = {
        key if key.isupper() else f"EMULATOR_{key.upper()}": str(value) for key, value in settings.items()
    }
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def _choose(video: dict[str, Any], *, again: bool = False) -> dict[str, Any]:
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.render.encoders.choice import choose_encoding, forget_trials
    from video_pipeline.engine.render.encoders.sessions import SESSIONS

    if not again:
        forget_trials()
    chosen = choose_encoding(load_config({"video": video}, environ=False).video)
    gpu = chosen.settings.gpu
    return {
        "gpu": gpu,
        "cards": [device.index for device in SESSIONS.usable(gpu)],
        "engines": SESSIONS.engines(gpu),
        "fallback": chosen.fallback,
        "encoder": chosen.settings.encoder,
        "reason": chosen.chosen_encoder.reason,
        "log": chosen.chosen_encoder.log,
        "options": chosen.settings.options,
    }


def _encode(case: dict[str, Any]) -> dict[str, Any]:
    from video_pipeline.engine.render.encoders.base import EncoderSettings
    from video_pipeline.engine.render.encoders.encode import encode_segment

    width, height = case.get("size", (320, 256))
    settings = EncoderSettings(
        case.get("encoder", "h264_nvenc"), width, height, Fraction(30), case.get("gop", 60), case["options"]
    )
    frames = (
        np.full((height * 3 // 2, width), 60 + number, np.uint8) for number in range(case.get("frames", 6))
    )
    return {"bytes": len(encode_segment(frames, settings))}


def _outcome(case: dict[str, Any]) -> dict[str, Any]:
    from video_pipeline.engine.jobs.dispatch.failures import classify

    with _emulator(case.get("emulator", {})):
        try:
            return (
                _choose(case["video"], again=case.get("again", False)) if "video" in case else _encode(case)
            )
        except Exception as error:
            return {
                "error": type(error).__name__,
                "message": str(error),
                "log": getattr(error, "log", None),
                "kind": classify(error).kind,
            }


def main() -> None:
    """Work on the cases of standard input."""
    print(json.dumps([_outcome(case) for case in json.load(sys.stdin)]), flush=True)
    os._exit(0)  # a case may have left a thread in a call that hangs


if __name__ == "__main__":
    main()
