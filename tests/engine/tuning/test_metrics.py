"""Quality of an encoded clip: real ffmpeg, frames that are equal, worse, and of another number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.tuning import raw_clip
from tests.support.video import run_ffmpeg
from video_pipeline.engine.errors import RenderingError, SubprocessError, UnavailableError
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.tuning import metrics
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.metrics import (
    METRICS,
    Quality,
    find_measuring_ffmpeg,
    measure_quality,
    percentile,
)


def _encoded(clip: RawClip, path: Path, *options: str) -> Path:
    size = f"{clip.width_px}x{clip.height_px}"
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(clip.fps), "-i", clip.path)
    run_ffmpeg(*raw, "-c:v", "libx264", *options, path)
    return path


def test_equal_frames_have_the_best_quality(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    found = measure_quality(
        find_measuring_ffmpeg(METRICS), _encoded(clip, tmp_path / "a.mp4", "-qp", "0"), clip, metrics=METRICS
    )
    assert found.psnr_y == found.xpsnr_y == metrics.EQUAL_DB
    assert found.ssim == 1
    assert found.vmaf is not None
    assert found.vmaf > 95


def test_worse_frames_have_a_lower_quality_by_every_metric(tmp_path: Path) -> None:
    clip, ffmpeg = raw_clip(tmp_path), find_measuring_ffmpeg(METRICS)
    good, bad = (
        measure_quality(ffmpeg, _encoded(clip, tmp_path / f"{crf}.mp4", "-crf", crf), clip, metrics=METRICS)
        for crf in ("18", "42")
    )
    for name in ("vmaf", "vmaf_harmonic", "vmaf_p1", "vmaf_phone", "xpsnr_y", "ssim", "psnr_y"):
        assert getattr(bad, name) < getattr(good, name)
    assert bad.vmaf_p1 is not None
    assert bad.vmaf_p1 <= bad.vmaf_harmonic <= bad.vmaf < bad.vmaf_phone  # type: ignore[operator]


def test_the_psnr_is_that_of_the_frames(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    encoded = _encoded(clip, tmp_path / "a.mp4", "-crf", "30")
    found = measure_quality(find_measuring_ffmpeg(("psnr",)), encoded, clip, metrics=("psnr",))
    raw = run_ffmpeg("-i", encoded, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
    shape = (clip.frames, clip.height_px * 3 // 2, clip.width_px)
    ours, theirs = (np.frombuffer(each, np.uint8).reshape(shape) for each in (clip.path.read_bytes(), raw))
    errors = (ours[:, : clip.height_px].astype(float) - theirs[:, : clip.height_px]) ** 2
    assert found.psnr_y == pytest.approx(10 * np.log10(255**2 / errors.mean()), abs=0.01)


def test_the_worst_frame_is_the_one_that_is_worst(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    data = bytearray(clip.path.read_bytes())
    size = len(data) // clip.frames
    spoiled = tmp_path / "spoiled.yuv"
    random = np.random.default_rng(1)
    data[7 * size : 7 * size + 96 * 64] = random.integers(0, 255, 96 * 64, np.uint8).tobytes()
    spoiled.write_bytes(data)
    encoded = _encoded(replace(clip, path=spoiled), tmp_path / "a.mp4", "-qp", "0")
    found = measure_quality(find_measuring_ffmpeg(METRICS), encoded, clip, metrics=METRICS)
    assert found.worst_frame == 7
    sampled = measure_quality(find_measuring_ffmpeg(METRICS), encoded, clip, metrics=METRICS, every=4)
    assert sampled.worst_frame in (0, 4, 8)
    assert sampled.vmaf > found.vmaf  # type: ignore[operator]
    assert sampled.psnr_y == found.psnr_y


def test_only_what_is_asked_for_is_measured(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    encoded, ffmpeg = _encoded(clip, tmp_path / "a.mp4"), find_measuring_ffmpeg(METRICS)
    assert measure_quality(ffmpeg, encoded, clip, metrics=()) == Quality()
    found = measure_quality(ffmpeg, encoded, clip, metrics=("ssim",))
    assert found == Quality(ssim=found.ssim)
    assert found.ssim is not None


def test_another_number_of_frames_is_an_error(tmp_path: Path) -> None:
    clip = raw_clip(tmp_path)
    encoded = _encoded(clip, tmp_path / "a.mp4")
    with pytest.raises(RenderingError, match="has 12 frames, not 11"):
        measure_quality(find_measuring_ffmpeg(METRICS), encoded, replace(clip, frames=11), metrics=METRICS)
    encoded.write_bytes(b"no video")
    with pytest.raises(SubprocessError, match="clip 'clip': its quality could not be measured"):
        measure_quality(find_measuring_ffmpeg(METRICS), encoded, clip, metrics=METRICS)


def test_a_program_without_vmaf_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = FfmpegProgram(Path("newer"), "ffmpeg version 9", frozenset(["psnr", "ssim", "xpsnr"]), "system")
    older = replace(
        newer, path=Path("older"), version="ffmpeg version 8", filters=newer.filters | {"libvmaf"}
    )
    monkeypatch.setattr(metrics, "ffmpeg_programs", lambda memory: (newer, older))
    assert find_measuring_ffmpeg(METRICS) is older
    assert find_measuring_ffmpeg(("psnr",)) is newer
    monkeypatch.setattr(metrics, "ffmpeg_programs", lambda memory: (newer,))
    with pytest.raises(UnavailableError, match="newer lacks libvmaf; `pip install imageio-ffmpeg`"):
        find_measuring_ffmpeg(METRICS)


def test_a_percentile_lies_between_the_values() -> None:
    values = [float(value) for value in range(101)]
    assert percentile(values, 0.01) == 1
    assert percentile([90.0, 100.0], 0.01) == pytest.approx(90.1)
    assert percentile([5.0], 0.01) == 5
