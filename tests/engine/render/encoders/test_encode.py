"""Segments encoded by the real encoder, opened again."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from tests.support.tolerances import SAME_AFTER_CODING_DB, psnr_db
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.values import parse_bit_rate
from video_pipeline.engine.errors import ConfigError, RenderingError
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.choice import probe_encoder
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.encoders.options import NVENC_FOR_X264, NVENC_PRESETS, X264_PRESETS
from video_pipeline.engine.render.planes import Buffer

SIZE_PX = (96, 160)
RATES = ["24", "30", "60", "30000/1001"]


def config(**video: Any) -> Config:
    given = {"size": list(SIZE_PX), "preset": "veryfast", **video}
    return load_config({"video": given}, environ=False)


def settings_of(encoder: str = "libx264", **video: Any) -> EncoderSettings:
    return encoder_settings(load_encoder(encoder), config(**video).video)


def moving(count: int, seed: int = 0, noise: int = 6) -> Iterator[Buffer]:
    """Yield a picture that moves, in one array that is written over as a renderer does."""
    width, height = SIZE_PX
    rng = np.random.default_rng(seed)
    base = rng.integers(16, 236, (height // 16 + 1, width // 16 + 1), np.uint8).repeat(16, 0).repeat(16, 1)
    array = np.full((height * 3 // 2, width), 128, np.uint8)
    for number in range(count):
        rolled = np.roll(base[:height, :width], number * 2, axis=1).astype(np.int16)
        array[:height] = (rolled + rng.integers(-noise, noise + 1, rolled.shape)).clip(16, 235)
        yield array


def opened(data: bytes) -> av.container.InputContainer:
    container = av.open(io.BytesIO(data))
    assert isinstance(container, av.container.InputContainer)
    return container


# -- settings -------------------------------------------------------------------------------------


def test_a_crf_has_no_bit_rate_and_a_bit_rate_no_crf() -> None:
    assert settings_of(crf=21).options["crf"] == "21"
    assert "b" not in settings_of(crf=21).options
    assert settings_of(bitrate="5000k").options["b"] == "5000k"
    assert "crf" not in settings_of(bitrate="5000k").options
    assert settings_of("h264_nvenc", crf=18.5).options["cq"] == "18.5"
    assert settings_of("h264_nvenc", crf=18.5).options["b"] == "0"
    assert settings_of("h264_nvenc", bitrate="9M").options["b"] == "9M"
    assert "cq" not in settings_of("h264_nvenc", bitrate="9M").options


@pytest.mark.parametrize("preset", X264_PRESETS)
def test_every_x264_preset_has_an_nvenc_preset(preset: str) -> None:
    assert settings_of(preset=preset).options["preset"] == preset
    assert settings_of("h264_nvenc", preset=preset).options["preset"] == NVENC_FOR_X264[preset]
    assert NVENC_FOR_X264[preset] in NVENC_PRESETS


def test_slower_x264_presets_never_stand_for_faster_ones_of_nvenc() -> None:
    stands_for = [NVENC_FOR_X264[preset] for preset in X264_PRESETS]
    assert stands_for == sorted(stands_for)
    assert settings_of("h264_nvenc", preset="p6").options["preset"] == "p6"


@pytest.mark.parametrize(
    ("encoder", "video", "message"),
    [
        ("libx264", {"preset": "p4"}, r"video\.preset: got 'p4'; allowed with libx264: ultrafast, .*placebo"),
        (
            "libx264",
            {"preset": "fastest"},
            r"video\.preset: got 'fastest' \(did you mean 'faster'\?\); allowed with libx264: ultrafast",
        ),
        ("libx264", {"tune": "hq"}, r"video\.tune: got 'hq'; allowed with libx264: film, animation"),
        ("h264_nvenc", {"preset": "p8"}, r"video\.preset: got 'p8'; allowed with h264_nvenc: p1, .*p7"),
        ("h264_nvenc", {"tune": "film"}, r"video\.tune: got 'film'; allowed with h264_nvenc: hq"),
    ],
)
def test_a_wrong_preset_or_tune_is_an_error_that_lists_the_right_ones(
    encoder: str, video: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of(encoder, **video)


def vbv(settings: EncoderSettings) -> dict[str, str]:
    """Return x264's buffer options out of its parameters."""
    parts = dict(part.split("=") for part in settings.options["x264-params"].split(":"))
    return {key: value for key, value in parts.items() if key.startswith("vbv")}


@pytest.mark.parametrize(
    ("video", "kilobits"),
    [
        ({"size": [1080, 1920]}, 8000),
        ({"size": [1080, 1920], "fps": 60}, 16000),
        ({"size": [2160, 3840]}, 32000),
        ({"size": [270, 480]}, 500),
        ({"size": [90, 160]}, 400),
        ({"size": [270, 480], "max_bitrate": "2M"}, 2000),
    ],
    ids=str,
)
def test_without_a_rate_the_quality_is_constant_and_capped_by_size(
    video: dict[str, Any], kilobits: int
) -> None:
    settings = settings_of(**video)
    assert settings.options["crf"] == "16"
    assert "b" not in settings.options
    assert vbv(settings) == {"vbv-maxrate": str(kilobits), "vbv-bufsize": str(2 * kilobits)}
    on_gpu = settings_of("h264_nvenc", **video).options
    # FFmpeg drops a buffer beside a constant quality, so none is given.
    assert (on_gpu["cq"], on_gpu["maxrate"], "bufsize" in on_gpu) == ("16", str(kilobits * 1000), False)


def test_an_explicit_bit_rate_or_quality_is_kept() -> None:
    average = settings_of(bitrate="8000k")
    assert (average.options["b"], vbv(average), "crf" in average.options) == ("8000k", {}, False)
    quality = settings_of(crf=18)
    assert (quality.options["crf"], vbv(quality), "b" in quality.options) == ("18", {}, False)
    assert vbv(settings_of(crf=18, max_bitrate="900k"))["vbv-maxrate"] == "900"


def test_the_default_rate_of_noise_stays_below_its_cap() -> None:
    size = len(encode_segment(moving(150, noise=100), settings_of()))
    assert size * 8 / 5 < 1.25 * 400_000
    assert size < 0.7 * len(encode_segment(moving(150, noise=100), settings_of(crf=21)))


def test_gop_is_counted_in_seconds() -> None:
    assert settings_of(gop=2, fps=30).gop_frames == 60
    assert settings_of(gop=0.5, fps="30000/1001").gop_frames == 15
    assert settings_of(gop=0.001).gop_frames == 1


def test_settings_in_the_manifest_are_those_given_to_ffmpeg() -> None:
    settings = settings_of(bitrate="900k", tune="film")
    assert settings.describe()["tune"] == settings.ffmpeg_options()["tune"] == "film"
    assert settings.ffmpeg_options()["b:v"] == "900k"
    assert settings.ffmpeg_options()["c:v"] == settings.describe()["encoder"] == "libx264"
    assert settings.ffmpeg_options()["g"] == "120"


@pytest.mark.parametrize(
    ("text", "bits"), [("8000k", 8_000_000), ("8M", 8_000_000), ("192K", 192_000), ("500000", 500_000)]
)
def test_bit_rates_are_read_in_every_spelling(text: str, bits: int) -> None:
    assert parse_bit_rate(text) == bits


# -- segments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("count", [1, 2, 3, 45])
def test_a_segment_has_every_frame_starts_with_a_keyframe_and_its_times_rise(count: int, fps: str) -> None:
    settings = settings_of(crf=23, fps=fps, gop=0.5)
    with opened(encode_segment(moving(count), settings)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        time_base = stream.time_base
    assert time_base is not None
    assert len(packets) == count
    assert packets[0].is_keyframe
    assert sorted(
        packet.pts * time_base * Fraction(fps) for packet in packets if packet.pts is not None
    ) == list(range(count))
    decoding = [packet.dts for packet in packets]
    assert all(a is not None and b is not None and a < b for a, b in itertools.pairwise(decoding))
    assert all(packet.dts <= packet.pts for packet in packets)  # type: ignore[operator]
    keyframes = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    assert all(b - a <= settings.gop_frames for a, b in zip(keyframes, [*keyframes[1:], count], strict=True))


def test_the_pictures_come_back_and_are_tagged() -> None:
    data = encode_segment(moving(12), settings_of(crf=16))
    with opened(data) as container:
        decoded = list(container.decode(video=0))
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        assert (context.color_primaries, context.color_trc) == (ColorPrimaries.BT709, ColorTrc.BT709)
        assert (context.colorspace, context.color_range) == (Colorspace.ITU709, ColorRange.MPEG)
    assert len(decoded) == 12
    for frame, array in zip(decoded, moving(12), strict=True):
        assert (frame.color_primaries, frame.color_trc) == (ColorPrimaries.BT709, ColorTrc.BT709)
        assert psnr_db(frame.to_ndarray(format="yuv420p"), array) > SAME_AFTER_CODING_DB - 1


@pytest.mark.parametrize("size", [(96, 160), (98, 162), (162, 98), (64, 150), (96, 164)], ids=str)
def test_every_plane_of_every_even_size_comes_back_in_its_place(size: tuple[int, int]) -> None:
    width, height = size
    settings = encoder_settings(load_encoder("libx264"), config(crf=12, size=list(size)).video)
    chroma = height // 2
    array = np.empty((height * 3 // 2, width), np.uint8)
    array[:height] = np.linspace(30, 220, height)[:, None]
    planes = array[height:].reshape(2, chroma, width // 2)
    planes[0] = np.linspace(60, 200, chroma)[:, None]
    planes[1] = np.linspace(200, 60, chroma)[:, None]
    with opened(encode_segment(iter([array] * 3), settings)) as container:
        for frame in container.decode(video=0):
            assert (frame.width, frame.height) == size
            back = frame.to_ndarray(format="yuv420p")
            for plane in (slice(0, height), slice(height, None)):
                assert psnr_db(back[plane], array[plane]) > SAME_AFTER_CODING_DB


@pytest.mark.parametrize(
    "video", [{"crf": 23}, {"bitrate": "300k"}, {"bitrate": "4M", "tune": "grain"}], ids=str
)
def test_segments_of_different_pictures_and_lengths_have_the_same_headers(video: dict[str, Any]) -> None:
    settings = settings_of(**video)
    headers = set()
    for count, seed, noise in ((40, 0, 6), (1, 1, 60), (7, 2, 1), (90, 3, 100)):
        with opened(encode_segment(moving(count, seed, noise), settings)) as container:
            headers.add(container.streams.video[0].codec_context.extradata)
    assert len(headers) == 1
    assert headers != {None}


def test_the_same_frames_make_the_same_bytes() -> None:
    settings = settings_of(bitrate="400k")
    assert encode_segment(moving(30), settings) == encode_segment(moving(30), settings)
    assert encode_segment(moving(30), settings) != encode_segment(moving(30, seed=1), settings)


@pytest.mark.parametrize("preset", ["veryfast", "medium"])
def test_the_bytes_depend_on_neither_the_processor_nor_what_was_in_memory(preset: str) -> None:
    settings = settings_of(preset=preset)
    plain = {**settings.options, "x264-params": settings.options["x264-params"] + ":asm=0"}
    made = {encode_segment(moving(30), replace(settings, options=plain))}
    for size in (0, 100_000, 400_000, 1_600_000):
        dirt = [np.full(size, 0xA5, np.uint8) for _ in range(100)]
        del dirt
        made.add(encode_segment(moving(30), settings))
    assert len(made) == 1


def test_a_bit_rate_is_kept_to() -> None:
    sizes = {
        rate: len(encode_segment(moving(120, noise=40), settings_of(bitrate=rate)))
        for rate in ("200k", "800k")
    }
    for rate, size in sizes.items():
        assert size * 8 / 4 == pytest.approx(parse_bit_rate(rate), rel=0.35), sizes


def test_a_lower_crf_keeps_more() -> None:
    def quality(crf: float) -> float:
        with opened(encode_segment(moving(10), settings_of(crf=crf))) as container:
            last = list(container.decode(video=0))[-1].to_ndarray(format="yuv420p")
        return psnr_db(last, [array.copy() for array in moving(10)][-1])

    assert quality(10) > quality(22) + 1 > quality(35) + 2


def test_an_encoder_that_cannot_start_is_a_rendering_error_with_its_settings() -> None:
    settings = settings_of(crf=20)
    broken = EncoderSettings("libx264", 96, 160, Fraction(30), 60, {**settings.options, "preset": "nonsense"})
    with pytest.raises(RenderingError, match="libx264") as caught:
        encode_segment(moving(2), broken)
    assert caught.value.details["options"]["preset"] == "nonsense"


def test_an_error_in_drawing_is_raised_unchanged() -> None:
    def broken() -> Iterator[Buffer]:
        yield from moving(3)
        raise RenderingError("no more pictures")

    with pytest.raises(RenderingError, match="no more pictures"):
        encode_segment(broken(), settings_of(crf=20))


@pytest.mark.gpu
@pytest.mark.parametrize("video", [{"crf": 23}, {"bitrate": "3M"}], ids=str)
def test_nvenc_encodes_closed_segments_with_the_same_headers(video: dict[str, Any]) -> None:
    probe = probe_encoder("h264_nvenc")
    if not probe.works:
        pytest.skip(f"h264_nvenc: {probe.reason}")
    settings = settings_of("h264_nvenc", **video)
    headers = set()
    for count in (5, 40):
        wide = EncoderSettings("h264_nvenc", 320, 256, settings.fps, settings.gop_frames, settings.options)
        frames = iter([np.full((384, 320), 60 + number, np.uint8) for number in range(count)])
        with opened(encode_segment(frames, wide)) as container:
            stream = container.streams.video[0]
            headers.add(stream.codec_context.extradata)
            packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        assert len(packets) == count
        assert packets[0].is_keyframe
    assert len(headers) == 1
