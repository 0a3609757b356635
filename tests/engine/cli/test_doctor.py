"""What `doctor` reports of GPUs, and the speeds that it measures."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator import EmulatedDriver
from video_pipeline import native
from video_pipeline.engine.cli.doctor import as_text
from video_pipeline.engine.cli.main import main

SMALL = "video: {size: [320, 256], fps: 24}"


def doctor(driver: EmulatedDriver, folder: Path, *options: str, **settings: Any) -> tuple[int, str]:
    """Return the exit status and the report of `doctor` on an emulated machine."""
    config = folder / "config.yaml"
    if not config.is_file():
        config.write_text(SMALL, encoding="utf-8")
    done = driver.video_pipeline("doctor", "--config", config, *options, **settings)
    return done.returncode, done.stdout


@pytest.mark.skipif(
    not native.available() or find_spec("cuda") is None or find_spec("nvidia") is None,
    reason="the native extension, cuda-bindings or nvidia-cuda-nvrtc-cu12 is missing",
)
def test_each_gpu_is_shown_with_what_it_can_and_why_not_and_auto_with_what_it_takes(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    status, text = doctor(
        driver,
        tmp_path,
        cards=3,
        name="NVIDIA L4;NVIDIA A100;NVIDIA T4",
        faults="OpenEncodeSessionEx@1=2,cuLaunchKernel@2=719",
        capabilities="NUM_ENCODER_ENGINES=2",
        kernels=cuda_kernels,
    )
    assert status == 0, text
    lines = text.splitlines()
    assert "voices        English: heart (hibari)" in lines
    assert any(line.startswith("voices        Spanish: ") for line in lines)
    first = lines.index(
        "GPU 0         NVIDIA L4, driver 580.00, 24576 MiB, 20480 free, 2 encoders, 0 encoder sessions open"
    )
    assert lines[first + 1 : first + 5] == [
        "              draws with cuda: yes",
        "              encodes with h264_nvenc: yes",
        "              encodes with hevc_nvenc: yes",
        "              encodes with av1_nvenc: no, this GPU has no encoder for this codec",
    ]
    second = next(number for number, line in enumerate(lines) if line.startswith("GPU 1  "))
    assert "NVIDIA A100" in lines[second]
    assert "encoders," not in lines[second]
    assert lines[second + 1 : second + 3] == [
        "              draws with cuda: yes",
        "              encodes with h264_nvenc: no, this GPU has no NVENC",
    ]
    assert (
        "              draws with cuda: no, NVIDIA T4 (GPU 2): cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED"
        in lines
    )
    assert any(
        line.startswith("auto          encoder h264_nvenc: a probe encode succeeded") for line in lines
    )
    assert any(line.startswith("auto          compositor ") for line in lines)
    assert "compositor    yes cuda: NVIDIA L4 (GPU 0), compute capability 8.9" in lines
    assert "the NVENC sessions of NVIDIA L4 allow 61" in text


def test_an_encoder_named_in_the_configuration_that_does_not_work_is_a_problem(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("video: {codec: h264_nvenc}", encoding="utf-8")
    status, text = doctor(driver, tmp_path, "--json", without=["libnvidia-encode.so.1"])
    found = json.loads(text)
    assert status == 1
    (problem,) = found["problems"]
    assert problem.startswith(
        "video.codec: got 'h264_nvenc', which is not usable here: the driver's encoder library is missing (in a container: "
    )
    assert found["auto"]["encoder"]["name"] == "libx264"
    (card,) = found["gpus"]
    assert not card["nvenc"]["h264_nvenc"]["works"]


def test_the_probe_renders_a_second_with_everything_that_works(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    status, text = doctor(driver, tmp_path, "--json", "--probe")
    found = json.loads(text)
    assert status == 0, found["problems"]
    expected = {
        (compositor["name"], encoder["name"])
        for compositor in found["compositors"]
        for encoder in found["encoders"]
        if compositor["works"] and encoder["works"]
    }
    assert {(path["compositor"], path["encoder"]) for path in found["probes"]} == expected
    assert ("ffmpeg", "h264_nvenc") in expected
    for path in found["probes"]:
        assert path["works"], path
        assert path["frames"] == 24
        assert path["frames_per_second"] > 0


def test_the_formats_of_pictures_are_listed_with_the_extra_that_one_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    formats = {each["name"]: each["missing"] for each in found["picture_formats"]}
    assert {"JPEG", "PNG", "TIFF", "BMP", "GIF", "AVIF", "animated WebP"} <= formats.keys()
    assert formats["AVIF"] is None
    assert (formats["SVG"] is None) == (find_spec("resvg_py") is not None)
    text = as_text(
        found | {"picture_formats": [{"name": "JPEG", "missing": None}, {"name": "X", "missing": "needs Y"}]}
    )
    assert "stills        JPEG\n              X needs Y\n" in text
