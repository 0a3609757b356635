"""The table of encoder options: each entry is taken by FFmpeg's real encoder, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.on_gpus import outcomes
from tests.support.paths import ROOT
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.render.encoders.base import encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.encoders.options import (
    OPTIONS,
    Amount,
    Apart,
    Row,
    Switch,
    Words,
    Written,
    left_out_of_profile,
)
from video_pipeline.engine.render.encoders.x264 import DEADZONES

ENCODER_NAMES = tuple(member.name for member in ENCODERS.members)
NVENC = tuple(name for name in ENCODER_NAMES if name.endswith("_nvenc"))


def video(**given: Any) -> Video:
    return load_config({"video": {"size": [320, 256], **given}}, environ=False).video


def options(encoder: str, **given: Any) -> dict[str, str]:
    return encoder_settings(load_encoder(encoder), video(**given)).options


def values(row: Row, encoder: str) -> Iterator[Any]:
    """Yield the words of a row, its bounds, both positions of a switch, or an example of a text."""
    way = row.way(encoder)
    if isinstance(way, Words):
        yield from way.allowed(encoder)
    elif isinstance(way, Amount):
        yield way.least + 0.5 if way.above else int(way.least)
        yield int(way.most)
    elif isinstance(way, Switch):
        yield from (True, False)
    elif isinstance(way, Written):
        yield way.example


def other_values(row: Row, encoder: str) -> Iterator[Any]:
    """Yield values that the configuration takes and the encoder does not."""
    mine = set(values(row, encoder))
    for other in ENCODER_NAMES:
        yield from (value for value in values(row, other) if isinstance(value, str) and value not in mine)
    way = row.way(encoder)
    widest = max((way.most for way in (row.x264, row.nvenc) if isinstance(way, Amount)), default=0)
    if isinstance(way, Amount) and way.most < widest:
        yield widest
    if isinstance(way, Amount) and way.above:
        yield 0


def test_every_key_of_the_table_is_one_of_the_configuration() -> None:
    assert [row.key for row in OPTIONS] == list(dict.fromkeys(row.key for row in OPTIONS))
    assert {row.key for row in OPTIONS} <= set(Video.model_fields)


@pytest.mark.parametrize("row", [row for row in OPTIONS if row.x264], ids=lambda row: row.key)
def test_libx264_takes_each_word_and_both_bounds(row: Row) -> None:
    for value in values(row, "libx264"):
        preset = {"preset": "ultrafast"} if row.key != "preset" else {}
        chosen = choose_encoding(video(codec="libx264", **preset, **{row.key: value}))
        assert chosen.settings.encoder == "libx264"


def test_nvenc_takes_each_word_and_both_bounds_and_the_driver_gets_them(driver: EmulatedDriver) -> None:
    cases = [
        (encoder, row.key, value)
        for encoder in ("h264_nvenc", "hevc_nvenc")
        for row in OPTIONS
        for value in values(row, encoder)
    ]
    results = outcomes(
        driver,
        [{"options": options(encoder, **{key: value}), "encoder": encoder} for encoder, key, value in cases],
    )
    for case, found in zip(cases, results, strict=True):
        assert "bytes" in found, (case, found)
    names = {"crf": "cq", "aq": "spatial_aq", "tune": "tuning"}
    given = driver.configured()
    assert len(given) == len(cases)
    for (encoder, key, value), reached in zip(cases, given, strict=True):
        assert reached["codec"] == encoder.removesuffix("_nvenc")
        if key in ("bf", "refs", "lookahead", "crf"):
            assert float(reached[names.get(key, key)]) == pytest.approx(value), (encoder, key, value)
        elif key == "aq":
            assert (reached["spatial_aq"], reached["temporal_aq"]) == {
                "none": ("0", "0"),
                "spatial": ("1", "0"),
                "temporal": ("0", "1"),
                "both": ("1", "1"),
            }[value]
    for key in ("preset", "tuning", "multipass"):
        asked = [value for encoder, one, value in cases if names.get(one, one) == key]
        reached = {
            one[key] for one, case in zip(given, cases, strict=True) if names.get(case[1], case[1]) == key
        }
        assert len(reached) == len(set(asked)), (key, reached)


@pytest.mark.parametrize("encoder", ENCODER_NAMES)
def test_what_an_encoder_does_not_have_is_an_error_that_lists_what_it_has(encoder: str) -> None:
    refused = 0
    for row in OPTIONS:
        if isinstance(row.way(encoder), Apart):
            continue
        for value in other_values(row, encoder):
            if row.key == "preset" and encoder in NVENC:
                continue  # x264's stand for NVENC's
            with pytest.raises(ConfigError) as caught:
                options(encoder, **{row.key: value})
            text = str(caught.value)
            assert text.startswith(f"video.{row.key}: got {value!r}"), text
            assert f"allowed with {encoder}: " in text
            refused += 1
    assert refused >= 3


def test_uhq_is_a_tune_of_hevc_and_av1_alone() -> None:
    with pytest.raises(ConfigError, match=r"allowed with h264_nvenc: hq, ll, ull, lossless$"):
        options("h264_nvenc", tune="uhq")
    for encoder in ("hevc_nvenc", "av1_nvenc"):
        assert options(encoder, tune="uhq")["tune"] == "uhq"


def test_multipass_is_refused_by_libx264_with_all_that_it_has() -> None:
    with pytest.raises(ConfigError) as caught:
        options("libx264", multipass="qres")
    assert str(caught.value) == (
        "video.multipass: got 'qres', which libx264 does not have; allowed with libx264: "
        "preset, tune, crf, quality, bitrate, max_bitrate, bufsize, gop, bf, b_adapt, b_pyramid, refs, lookahead, mbtree, "
        "qcomp, aq, aq_strength, psy, psy_rd, trellis, deadzone_inter, deadzone_intra, me, me_range, subme, "
        "partitions, dct8x8, mixed_refs, direct, weightp, weightb, fast_pskip, scenecut, deblock, coder"
    )


X264_WORDS: dict[str, tuple[Any, str]] = {
    "b_adapt": (2, "b_adapt=2"),
    "b_pyramid": ("strict", "b_pyramid=1"),
    "refs": (2, "ref=2"),
    "lookahead": (7, "rc_lookahead=7"),
    "mbtree": (False, "mbtree=0"),
    "qcomp": (0.75, "qcomp=0.75"),
    "aq": ("autovariance", "aq=2:1.00"),
    "aq_strength": (0.5, "aq=1:0.50"),
    "psy": (False, "psy=0"),
    "psy_rd": (0.5, "psy_rd=0.50:0.00"),
    "trellis": (2, "trellis=2"),
    "deadzone_inter": (9, "deadzone=9,11"),
    "deadzone_intra": (7, "deadzone=21,7"),
    "me": ("umh", "me=umh"),
    "me_range": (12, "me_range=12"),
    "subme": (4, "subme=4"),
    "partitions": ("p8x8,i4x4", "analyse=0x3:0x11"),
    "dct8x8": (False, "8x8dct=0"),
    "mixed_refs": (False, "mixed_ref=0"),
    "direct": ("temporal", "direct=2"),
    "weightp": ("simple", "weightp=1"),
    "weightb": (False, "weightb=0"),
    "fast_pskip": (False, "fast_pskip=0"),
    "scenecut": (11, "scenecut=11"),
    "deblock": ("-1:-2", "deblock=1:-1:-2"),
    "coder": ("cavlc", "cabac=0"),
    "bf": (5, "bframes=5"),
}
"""A value of each key that is x264's own option and not the preset's, and what x264 writes of it into its output."""


def x264_says(**given: Any) -> list[str]:
    settings = encoder_settings(load_encoder("libx264"), video(preset="medium", crf=30, **given))
    frames = (np.full((384, 320), 100, np.uint8) for _ in range(2))
    segment = encode_segment(frames, settings)
    found = re.search(rb"options: ([ -~]*)", segment)
    assert found
    return found[1].decode().split()


def test_each_key_reaches_x264() -> None:
    own = {row.key for row in OPTIONS if row.x264 and not isinstance(row.x264, Apart)} | set(DEADZONES)
    assert X264_WORDS.keys() == own - {"preset", "tune", "crf"}
    before = x264_says()
    for key, (value, words) in X264_WORDS.items():
        assert words not in before, key
        assert words in x264_says(**{key: value}), key


def test_a_key_of_a_profile_that_an_encoder_lacks_is_left_out_and_one_that_is_set_is_an_error() -> None:
    mine = {
        "name": "mine",
        "video": {"preset": "slow", "trellis": 1, "lookahead": 60, "bf": 3, "aq": "autovariance"},
    }
    profiled = video(profile=mine)
    assert left_out_of_profile(profiled, "libx264") == ()
    assert options("libx264", profile=mine)["trellis"] == "1"
    assert left_out_of_profile(profiled, "h264_nvenc") == ("lookahead", "aq", "trellis")
    taken = options("h264_nvenc", profile=mine)
    assert (taken["bf"], taken["preset"], taken["spatial-aq"]) == ("3", "p5", "1")
    assert not taken.keys() & {"trellis", "rc-lookahead"}
    for key, value in (("trellis", 1), ("lookahead", 60)):
        with pytest.raises(ConfigError, match=f"video.{key}: got {value}"):
            options("h264_nvenc", profile=mine, **{key: value})


def test_a_lossless_tune_needs_no_rate_where_a_profile_has_one() -> None:
    assert "cq" not in options("h264_nvenc", profile="archive", tune="lossless")


def test_a_cap_and_its_buffer_hold_for_a_bit_rate_too() -> None:
    x264 = options("libx264", bitrate="2M", max_bitrate="3M", bufsize="1M")
    assert (x264["b"], "crf" in x264) == ("2M", False)
    assert ":vbv-maxrate=3000:vbv-bufsize=1000:" in x264["x264-params"]
    assert x264["x264-params"].endswith(":ratetol=0.1")
    nvenc = options("h264_nvenc", bitrate="2M", max_bitrate="3M")
    assert (nvenc["b"], nvenc["maxrate"], nvenc["bufsize"]) == ("2M", "3000000", "6000000")
    assert options("h264_nvenc", bitrate="2M", bufsize="1M")["bufsize"] == "1000000"


@pytest.mark.parametrize(
    ("encoder", "given", "message"),
    [
        ("libx264", {"crf": 20, "bufsize": "2M"}, "video.bufsize: got '2M'; libx264 has a buffer only with"),
        ("libx264", {"bitrate": "2M", "bufsize": "2M"}, "only with video.max_bitrate"),
        (
            "h264_nvenc",
            {"bufsize": "2M"},
            "video.bufsize: got '2M'; h264_nvenc has a buffer only with video.bit",
        ),
        ("h264_nvenc", {"tune": "lossless", "crf": 20}, "video.crf: got 20.0; leave it out"),
        ("hevc_nvenc", {"tune": "lossless", "bitrate": "2M"}, "video.bitrate: got '2M'; leave it out"),
        ("h264_nvenc", {"crf": 0}, "video.crf: got 0; allowed with h264_nvenc: more than 0, to 51"),
    ],
)
def test_a_rate_that_an_encoder_would_drop_is_an_error(
    encoder: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        options(encoder, **given)
    assert message in str(caught.value)


def test_a_cap_below_the_average_is_an_error() -> None:
    with pytest.raises(ConfigError, match="max_bitrate: got '1M'; it must not be below bitrate, '2M'"):
        video(bitrate="2M", max_bitrate="1M")
    assert video(max_bitrate="1M", crf=20).rate_control().max_bit_rate == 1_000_000


def test_a_gpu_without_b_frames_encodes_without_them_unless_they_are_asked_for(
    driver: EmulatedDriver,
) -> None:
    without = {"capabilities": "NUM_MAX_BFRAMES=0"}
    default, asked, auto = outcomes(
        driver,
        [
            {"video": {"codec": "hevc_nvenc"}, "emulator": without},
            {"video": {"codec": "h264_nvenc", "bf": 2}, "emulator": without},
            {"video": {"codec": "auto", "bf": 2}, "emulator": without},
        ],
    )
    assert (default["encoder"], default["options"]["bf"]) == ("hevc_nvenc", "0")
    assert default["reason"] == "asked for by name; without B-frames, which this GPU does not encode"
    assert asked["error"] == "UnavailableError"
    assert "this GPU encodes no B-frames with this codec (video.bf)" in asked["message"]
    assert (auto["encoder"], auto["options"]["bf"]) == ("libx264", "2")


def test_the_documentation_has_each_key_for_each_encoder() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = text[text.index("## What each encoder takes") :]
    rows = {line.split("|")[1].strip(" `"): line for line in table.splitlines() if line.startswith("| `")}
    assert list(rows) == [row.key for row in OPTIONS]
    for row in OPTIONS:
        _, _, x264, nvenc, _ = rows[row.key].split("|")
        for way, cell in ((row.x264, x264), (row.nvenc, nvenc)):
            assert bool(cell.strip()) == (way is not None), row.key
            if isinstance(way, Amount):
                assert f"{way.least:g}" in cell
                assert f"{way.most:g}" in cell
            elif isinstance(way, Apart | Switch | Written):
                assert f"`{way.option}`" in cell
            elif way is not None:
                words = list(way.options)
                assert words[0] in cell
                assert words[-1] in cell
