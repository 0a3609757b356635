"""What doctor says of `tune`."""

from __future__ import annotations

import pytest

from video_pipeline.engine.cli import doctor_tuning
from video_pipeline.engine.cli.doctor_tuning import examine_tuning, tuning_lines
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.tuning import metrics


def test_this_machine_measures_every_metric() -> None:
    found = examine_tuning()
    assert all(found["metrics"].values())
    assert found["ffmpeg"]
    assert tuning_lines(found) == ["tune          measures vmaf, xpsnr, ssim, psnr; guided search"]


def test_what_is_missing_is_said_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    old = FfmpegProgram(metrics.Path("old"), "ffmpeg version 4", frozenset(["ssim", "psnr"]), "system")
    monkeypatch.setattr(metrics, "ffmpeg_programs", lambda memory: (old,))
    monkeypatch.setattr(doctor_tuning, "find_spec", lambda name: None)
    found = examine_tuning()
    assert found["ffmpeg"] is None
    (line,) = tuning_lines(found)
    assert "measures ssim, psnr; no ffmpeg has vmaf, xpsnr (`pip install imageio-ffmpeg`)" in line
    assert "no guided search (pip install 'video-pipeline[tune]')" in line
