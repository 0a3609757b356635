"""Encoders, tried with real encodes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.on_gpus import outcomes
from video_pipeline.engine.common.registry import Probe, Selection
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, UnavailableError
from video_pipeline.engine.machine.cuda_devices import driver_is_here
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
        probe.reason == "video.codec: got 'h264_nonsense' (did you mean 'h264_nvenc'?); "
        "allowed: auto, h264_nvenc, libx264, hevc_nvenc, av1_nvenc"
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
    assert "video.codec: got 'h264_nvenc', which is not usable here" in text
    assert probe.reason in text
    assert probe.reason != "the probe encode failed"
    assert "allowed on this machine: auto, libx264" in text
    assert probe.log.splitlines()[0].strip() in text
    auto = chosen("auto")
    assert auto.name == "libx264"
    assert probe.reason in auto.reason
    assert any(line.startswith("h264_nvenc: ") for line in auto.log)


def test_what_no_encoder_takes_is_an_error_that_lists_what_the_encoders_of_this_machine_have(
    driver: EmulatedDriver,
) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen("auto", tune="nonsense")
    assert str(caught.value).startswith("video.tune: got 'nonsense'; allowed with libx264: film, animation")
    if not driver_is_here():
        assert "nvenc: hq" not in str(caught.value)
    (with_gpu,) = outcomes(driver, [{"video": {"codec": "auto", "tune": "nonsense"}}])
    lines = with_gpu["message"].splitlines()
    assert lines[0].startswith("video.tune: got 'nonsense'; allowed with libx264: film, animation")
    assert (
        lines[-1]
        .strip()
        .startswith("video.tune: got 'nonsense'; allowed with h264_nvenc: hq, ll, ull, lossless")
    )


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
            {
                "video": {"codec": "h264_nvenc", "session_wait": 0},
                "emulator": {"faults": "OpenEncodeSessionEx=21"},
            },
            {"video": {"codec": "h264_nvenc", "tune": "uhq"}},
            {"video": {"codec": "h264_nvenc"}, "emulator": {"capabilities": "HEIGHT_MAX=1024"}},
        ],
    )
    assert (lost["error"], lost["kind"]) == ("UnavailableError", "machine")
    assert "every NVENC session" in lost["message"]
    assert "OpenEncodeSessionEx failed: incompatible client key (21)" in lost["message"]
    assert (uhq["error"], uhq["kind"]) == ("ConfigError", "permanent")
    assert (
        uhq["message"]
        == "video.tune: got 'uhq' (did you mean 'hq'?); allowed with h264_nvenc: hq, ll, ull, lossless"
    )
    assert (small["error"], small["kind"]) == ("UnavailableError", "permanent")
    assert "Height 1920 exceeds 1024" in small["message"]


def test_a_driver_that_does_not_answer_is_waited_for_once_by_all_encoders(driver: EmulatedDriver) -> None:
    script = """
from video_pipeline.engine.render.encoders import choice, trial
waited_for = []
def try_settings(settings):
    if settings.encoder == "libx264":
        return trial._try_here(settings)
    waited_for.append(settings.encoder)
    return trial._try_apart(settings, seconds=2)
choice.try_settings = try_settings
for encoder in ("h264_nvenc", "hevc_nvenc", "av1_nvenc"):
    print(choice.probe_encoder(encoder).reason)
print(*waited_for)
"""
    done = driver.python(script, faults="cuInit=hang")
    told = ["the GPU's driver did not answer in 2 s"] * 3
    assert done.stdout.splitlines() == [*told, "h264_nvenc"], done.stderr


def test_every_card_of_the_model_with_the_most_engines_encodes_and_the_others_are_named(
    driver: EmulatedDriver,
) -> None:
    def case(names: str, cards: int, **emulator: str) -> dict[str, Any]:
        return {
            "video": {"codec": "h264_nvenc", "session_wait": 0},
            "emulator": {"cards": cards, "name": names, **emulator},
        }

    equal, mixed, half, none = outcomes(
        driver,
        [
            case("NVIDIA T4", 2, capabilities="NUM_ENCODER_ENGINES=1"),
            case(
                "NVIDIA T4;NVIDIA L40S;NVIDIA T4",
                3,
                capabilities="NUM_ENCODER_ENGINES=1,NUM_ENCODER_ENGINES@1=3",
            ),
            case("NVIDIA T4", 2, faults="OpenEncodeSessionEx@0=2"),
            case("NVIDIA T4", 2, faults="OpenEncodeSessionEx@0=2,OpenEncodeSessionEx@1=21"),
        ],
    )
    assert (equal["gpu"], equal["cards"], equal["engines"]) == ("NVIDIA T4, driver 580.00", [0, 1], 2)
    assert (mixed["gpu"], mixed["cards"], mixed["engines"]) == ("NVIDIA L40S, driver 580.00", [1], 3)
    assert mixed["reason"] == (
        "asked for by name; without GPU 0: another model, NVIDIA T4; without GPU 2: another model, NVIDIA T4"
    )
    assert (half["cards"], half["reason"]) == (
        [1],
        "asked for by name; without GPU 0: this GPU has no NVENC",
    )
    assert (none["error"], none["kind"]) == ("UnavailableError", "machine")
    assert (
        "GPU 0: this GPU has no NVENC; GPU 1: every NVENC session that the driver allows is taken"
        in none["message"]
    )


def test_whatever_is_missing_is_told_in_one_line_where_nvenc_was_asked_for_and_auto_goes_on(
    driver: EmulatedDriver,
) -> None:
    faults = {
        "CUDA could not be started: it sees no GPU": {"cards": 0},
        "CUDA_VISIBLE_DEVICES: got '9', which names no GPU of this machine": {"CUDA_VISIBLE_DEVICES": "9"},
        "the NVIDIA driver is too old for this FFmpeg: its NVENC API is 12.2": {"api": 0xC2},
        "this GPU has no NVENC": {"faults": "OpenEncodeSessionEx=2"},
        "CUDA could not be started: the driver's libraries and its kernel module": {"faults": "cuInit=803"},
    }
    cases = [
        {"video": {"codec": codec, "session_wait": 0}, "emulator": settings, "again": codec == "auto"}
        for settings in faults.values()
        for codec in ("h264_nvenc", "auto")
    ]
    found = outcomes(driver, cases)
    for words, named, auto in zip(faults, found[::2], found[1::2], strict=True):
        assert named["error"] == "UnavailableError", named
        assert (
            named["message"]
            .splitlines()[0]
            .startswith(f"video.codec: got 'h264_nvenc', which is not usable here: {words}")
        ), named["message"]
        assert auto["encoder"] == "libx264"
        assert auto["reason"].startswith(f"h264_nvenc is not usable: {words}")


@contextlib.contextmanager
def session_taken(driver: EmulatedDriver) -> Iterator[subprocess.Popen[str]]:
    """Hold the only session that the driver allows, in another program, until it is killed."""
    holding = """
import sys
from fractions import Fraction
import av
context = av.CodecContext.create("h264_nvenc", "w")
context.width, context.height, context.pix_fmt, context.framerate = 320, 256, "yuv420p", Fraction(30)
context.encode(av.VideoFrame(320, 256, "yuv420p"))
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", holding],
        env=driver.environment(sessions=1),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_a_refused_session_is_waited_for_as_long_as_configured_and_then_auto_takes_the_processor(
    driver: EmulatedDriver,
) -> None:
    video = {"codec": "auto", "size": [320, 256]}
    with session_taken(driver) as holder:
        at_once, later = outcomes(
            driver,
            [{"video": {**video, "session_wait": seconds}} for seconds in (0, 1)],
            sessions=1,
        )
        assert (at_once["encoder"], at_once["fallback"]) == ("libx264", "refused")
        assert at_once["reason"].endswith("every NVENC session that the driver allows is taken")
        assert (later["encoder"], later["fallback"]) == ("libx264", "refused")
        assert "(waited" in later["reason"]
        ending = threading.Timer(1.5, holder.kill)
        ending.start()
        (waited,) = outcomes(driver, [{"video": {**video, "session_wait": 40}}], sessions=1)
        ending.join()
    assert (waited["encoder"], waited["fallback"]) == ("h264_nvenc", None)
