"""What is kept of a picture: everything of itself, less of a worse one, and as much as libvmaf says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.quality import libvmaf_program
from tests.support.video import textured
from video_pipeline.engine.render.quality.detail import Stack, compare, motion


def stack_of(luma: np.ndarray) -> Stack:
    return luma[None].astype(np.float32)


@pytest.fixture(scope="module")
def luma(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    still = textured(tmp_path_factory.mktemp("detail") / "a.png", 4)
    return np.asarray(Image.open(still.path).convert("L").resize((352, 640), Image.Resampling.LANCZOS))


def kept(reference: np.ndarray, shown: np.ndarray) -> tuple[float, ...]:
    (found,) = compare(stack_of(reference), stack_of(shown), np.ones(1), frame_pixels=reference.size)
    return found.detail, *found.information


def test_a_picture_keeps_all_of_itself(luma: np.ndarray) -> None:
    assert kept(luma, luma) == pytest.approx((1, 1, 1, 1, 1), abs=1e-4)


def test_a_coarser_picture_keeps_less_at_every_scale(luma: np.ndarray) -> None:
    def coarse(step: int) -> np.ndarray:
        return ((luma.astype(int) + step // 2) // step * step).clip(0, 255).astype(np.uint8)

    fine, rough = kept(luma, coarse(8)), kept(luma, coarse(32))
    assert all(1 > better > worse for better, worse in zip(fine, rough, strict=True))


def test_frames_in_one_stack_are_compared_each_for_itself(luma: np.ndarray) -> None:
    noisy = np.clip(luma + np.random.default_rng(1).normal(0, 6, luma.shape), 0, 255).astype(np.uint8)
    both = compare(
        np.concatenate([stack_of(luma)] * 2),
        np.concatenate([stack_of(luma), stack_of(noisy)]),
        np.ones(1),
        frame_pixels=luma.size,
    )
    assert both[0].detail == pytest.approx(1, abs=1e-4)
    assert (both[1].detail, *both[1].information) == pytest.approx(kept(luma, noisy))


def test_motion_is_that_of_the_blurred_pictures(luma: np.ndarray) -> None:
    assert motion(luma, luma) == 0
    assert motion(luma[:, :-8], luma[:, 8:]) > motion(luma[:, :-2], luma[:, 2:]) > 0


def test_noise_counts_as_motion_no_more_than_in_vmaf() -> None:
    flat = np.full((256, 256), 120, float)
    noise = np.random.default_rng(2).normal(0, 5, (2, 256, 256))
    before, after = (flat + noise).round().astype(np.uint8)
    share = (1 + 16 + 36 + 16 + 1) / 256  # of the variance that the blur leaves, each way
    expected = 5 * 2**0.5 * share * (2 / np.pi) ** 0.5
    assert motion(before, after) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("step", [3, 8])
def test_the_features_are_close_to_libvmafs(luma: np.ndarray, step: int, tmp_path: Path) -> None:
    program = libvmaf_program()
    blocks = luma.astype(np.float32).reshape(80, 8, 44, 8)
    means = blocks.mean((1, 3), keepdims=True)
    shown = (
        (means + np.round((blocks - means) / step) * step).reshape(luma.shape).clip(0, 255).astype(np.uint8)
    )
    height, width = luma.shape
    chroma = np.full((height // 2, width), 128, np.uint8)
    for name, plane in (("reference", luma), ("shown", shown)):
        (tmp_path / name).write_bytes(np.concatenate([plane, chroma]).tobytes())
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}")
    log = tmp_path / "log.json"
    command = [program, "-v", "error", "-nostdin", *raw, "-i", tmp_path / "shown", *raw]
    graph = f"libvmaf=log_fmt=json:log_path={log}"
    subprocess.run(
        [*command, "-i", tmp_path / "reference", "-lavfi", graph, "-f", "null", "-"], check=True, timeout=60
    )
    metrics = json.loads(log.read_text())["frames"][0]["metrics"]
    expected = [metrics["integer_adm2"], *(metrics[f"integer_vif_scale{scale}"] for scale in range(4))]
    found = kept(luma, shown)
    assert found[0] == pytest.approx(expected[0], abs=0.01)
    # VIF here is over blocks; the model is fitted to it.
    assert found[1:] == pytest.approx(expected[1:], abs=0.12)
