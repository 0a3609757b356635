"""The NVIDIA GPUs of this machine."""

from __future__ import annotations

from video_pipeline.engine.machine.gpus import gpus


def test_gpus_are_listed_or_their_absence_is_explained() -> None:
    found, why = gpus()
    assert bool(found) != bool(why)
