"""Encoders, tried with real encodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.on_gpus import outcomes
from video_pipeline.engine.common.registry import Probe, Selection
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, UnavailableError
from video_pipeline.engine.render.encoders.choice import choose_encoding, forget_trials, probe_encoder


def chosen(codec: str, **video: Any) -> Selection:
    return choose_encoding(
        load_config({"video": {"codec": codec, **video}}, environ=False).video
    ).chosen_encoder


def test_libx264_is_probed_by_a_real_encode() -> None:
    probe = probe_encoder("libx264")
    assert probe.works
    assert probe.reason == "a probe encode succeeded"


def test_an_encoder_that_does_not_exist_is_reported_as_such() -> None:
    probe = probe_encoder("h264_nonsense")
    assert not probe.works
    assert (
        probe.reason
        == "video.codec: got 'h264_nonsense'; allowed: auto, h264_nvenc, libx264, hevc_nvenc, av1_nvenc"
    )


def test_probes_in_several_threads_all_read_the_same_log() -> None:
    def probe(name: str) -> Probe:
        forget_trials()
        return probe_encoder(name)

    first = probe("h264_nvenc")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(probe, ["h264_nvenc"] * 32)) == {first}
    assert first.works or first.log


def test_asking_for_nvenc_works_or_says_why_not() -> None:
    probe = probe_encoder("h264_nvenc")
    if probe.works:
        assert chosen("h264_nvenc").name == chosen("auto").name == "h264_nvenc"
        return
    with pytest.raises(UnavailableError) as caught:
        chosen("h264_nvenc")
    text = str(caught.value)
    assert "encoder 'h264_nvenc' is not usable here" in text
    assert probe.reason in text
    assert probe.reason != "the probe encode failed"
    assert "allowed on this machine: auto, libx264" in text
    assert probe.log.splitlines()[0].strip() in text
    auto = chosen("auto")
    assert auto.name == "libx264"
    assert probe.reason in auto.reason
    assert any(line.startswith("h264_nvenc: ") for line in auto.log)


def test_what_no_encoder_takes_is_an_error_that_lists_what_each_has() -> None:
    with pytest.raises(ConfigError) as caught:
        chosen("auto", tune="nonsense")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("video.tune: got 'nonsense'; allowed with h264_nvenc: hq, ll, ull, lossless")
    assert lines[1].strip().startswith("video.tune: got 'nonsense'; allowed with libx264: film, animation")


def test_the_probe_encodes_with_the_options_and_the_size_of_the_render(driver: EmulatedDriver) -> None:
    video = {"codec": "h264_nvenc", "size": [400, 300], "preset": "p6", "fps": 60, "gop": 1, "crf": 30}
    (found,) = outcomes(driver, [{"video": video}])
    assert found["encoder"] == "h264_nvenc"
    (given,) = driver.configured()
    assert (given["size"], given["fps"], given["gop"], given["bf"], given["cq"]) == (
        *("400x300", "60/1", "60", "2", "30.00"),
    )


def test_auto_takes_what_the_card_can_do_and_says_why_it_takes_another(driver: EmulatedDriver) -> None:
    def case(lacks: str = "", **video: Any) -> dict[str, Any]:
        return {"video": {"codec": "auto", **video}, "emulator": {"capabilities": lacks}}

    small, film, plain, wide = outcomes(
        driver,
        [
            case("WIDTH_MAX=1024"),
            case(tune="film"),
            case(),
            case("WIDTH_MAX=1024", size=[640, 360]),
        ],
    )
    assert small["encoder"] == film["encoder"] == "libx264"
    assert "pictures of at most 1024 pixels width, not 1080" in small["reason"]
    assert "h264_nvenc: Width 1080 exceeds 1024" in small["log"]
    assert "video.tune: got 'film'; allowed with h264_nvenc: hq, ll, ull, lossless" in film["reason"]
    assert plain["encoder"] == wide["encoder"] == "h264_nvenc"


def test_an_encoder_asked_for_by_name_that_lacks_something_is_an_error(driver: EmulatedDriver) -> None:
    lost, uhq, small = outcomes(
        driver,
        [
            {"video": {"codec": "h264_nvenc"}, "emulator": {"faults": "OpenEncodeSessionEx=21"}},
            {"video": {"codec": "h264_nvenc", "tune": "uhq"}},
            {"video": {"codec": "h264_nvenc"}, "emulator": {"capabilities": "HEIGHT_MAX=1024"}},
        ],
    )
    assert (lost["error"], lost["kind"]) == ("UnavailableError", "machine")
    assert "every NVENC session" in lost["message"]
    assert "OpenEncodeSessionEx failed: incompatible client key (21)" in lost["message"]
    assert (uhq["error"], uhq["kind"]) == ("ConfigError", "permanent")
    assert uhq["message"] == "video.tune: got 'uhq'; allowed with h264_nvenc: hq, ll, ull, lossless"
    assert (small["error"], small["kind"]) == ("UnavailableError", "permanent")
    assert "Height 1920 exceeds 1024" in small["message"]


def test_a_driver_that_does_not_answer_is_waited_for_once_by_all_encoders(driver: EmulatedDriver) -> None:
    script = """
import time
from video_pipeline.engine.render.encoders import choice, trial
real = trial._try_apart
choice.try_settings = lambda settings: real(settings, seconds=2) if settings.encoder != "libx264" else trial._try_here(settings)
started = time.monotonic()
for encoder in ("h264_nvenc", "hevc_nvenc", "av1_nvenc"):
    print(choice.probe_encoder(encoder).reason)
print(time.monotonic() - started < 4)
"""
    done = driver.python(script, faults="cuInit=hang")
    assert done.stdout.splitlines() == ["the GPU's driver did not answer in 2 s"] * 3 + ["True"], done.stderr
