"""Every configuration key at its bounds and just outside them, and every documented default.

The bounds are repeated here on purpose: the schema is generated from the code, so it would agree with any
change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from tests.support.paths import ROOT
from video_pipeline.engine.cli.schema import config_schema
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.values import parse_bit_rate, parse_size
from video_pipeline.engine.errors import ConfigError

SCHEMA = config_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Number(NamedTuple):
    """The range of a key: both ends are included, or with `above` only the upper one. None means no bound."""

    least: float
    most: float | None
    above: bool = False
    step: float = 1e-6


class Whole(NamedTuple):
    """The same of a whole number."""

    least: int
    most: int | None
    above: bool = False
    step: int = 1


BOUNDS: dict[str, Number | Whole] = {
    "processing.max_concurrent_jobs": Whole(1, 1024),
    "processing.job_timeout": Number(0, None, above=True),
    "processing.retry_attempts": Whole(1, 100),
    "processing.retry_backoff_multiplier": Number(1, 100),
    "node.asset_max_mb": Number(0, 65_536, above=True),
    "node.assets_max_mb": Number(0, 1_048_576, above=True),
    "node.fetch_timeout": Number(0, 3600, above=True),
    "node.max_queued": Whole(1, 10_000_000),
    "node.high_reserve": Number(0, 1),
    "node.ageing": Number(0, None),
    "node.max_message_mb": Number(0, 1024, above=True),
    "node.max_parts": Whole(0, 1000),
    "node.max_requests_per_second": Number(0, None, above=True),
    "node.lease": Number(0, 600, above=True),
    "node.max_video_seconds": Number(0, 86_400, above=True),
    "node.max_scenes": Whole(1, 2000),
    "node.worker_disk_mb": Number(0, None, above=True),
    "node.drain_timeout": Number(0, None),
    "node.worker_memory_mb": Number(128, None),
    "node.jobs_per_worker": Whole(1, None),
    "node.min_free_mb": Number(0, None),
    "node.keep_days": Number(0, None, above=True),
    "web.port": Whole(0, 65_535),
    "web.max_connections": Whole(16, 16_384),
    "web.max_streams": Whole(1, 16_384),
    "fleet.lease": Number(2, 600),
    "fleet.split_seconds": Number(0, None),
    "fleet.user_slots": Whole(0, 100_000),
    "fleet.job_slots": Whole(0, 100_000),
    "notifications.command_timeout": Number(0, 86_400, above=True),
    "notifications.command_attempts": Whole(1, 100),
    "notifications.give_up_days": Number(0, 30, above=True),
    "notifications.keep_days": Number(0, None, above=True),
    "notifications.alerts.repeat_after": Number(0, None),
    "video.crf": Number(0, 51),
    "video.gpu_memory_mb": Number(64, 1_000_000),
    "video.gop": Number(0, 30, above=True),
    "video.bf": Whole(0, 16),
    "video.b_adapt": Whole(0, 2),
    "video.refs": Whole(1, 16),
    "video.lookahead": Whole(0, 250),
    "video.qcomp": Number(0, 1),
    "video.aq_strength": Number(0, 15),
    "video.psy_rd": Number(0, 10),
    "video.trellis": Whole(0, 2),
    "video.deadzone_inter": Whole(0, 32),
    "video.deadzone_intra": Whole(0, 32),
    "video.me_range": Whole(4, 1024),
    "video.subme": Whole(0, 11),
    "video.scenecut": Whole(0, 100),
    "video.session_wait": Number(0, 3600),
    "video.default_duration": Number(0, 36_000, above=True),
    "video.zoompan_oversample": Whole(1, 8),
    "images.max_retries": Whole(0, 100),
    "images.timeout": Number(0, None, above=True),
    "images.cache_ttl": Number(0, None),
    "images.parallel_requests": Whole(1, 32),
    "images.max_pictures": Whole(0, 1_000_000),
    "images.max_pictures_per_day": Whole(0, 1_000_000_000),
    "images.services.openai_compatible.megapixels": Number(0.1, 8),
    "images.services.automatic1111.steps": Whole(1, 150),
    "images.services.automatic1111.cfg_scale": Number(0, 30),
    "images.services.automatic1111.megapixels": Number(0.1, 8),
    "images.services.comfyui.megapixels": Number(0.1, 8),
    "images.max_frames": Whole(1, 100_000),
    "images.max_megapixels": Number(0, 1000, above=True),
    "images.max_moving_megapixels": Number(0, 100_000, above=True),
    "tts.speech_rate": Number(0.5, 2.0),
    "tts.pitch": Number(-20, 20),
    "tts.cache_ttl": Number(0, None),
    "tts.timeout": Number(0, 600, above=True),
    "tts.max_retries": Whole(0, 10),
    "tts.parallel_requests": Whole(1, 32),
    "tts.max_characters": Whole(0, 100_000_000),
    "tts.max_characters_per_day": Whole(0, 1_000_000_000),
    "scenes.default_duration": Number(0, 3600, above=True),
    "scenes.transition_duration": Number(0, 30),
    "scenes.fade_duration": Number(0, 30, above=True),
    "scenes.narration_padding": Number(0, 30),
    "scenes.text_size": Number(8, 400),
    "scenes.text_stroke.width": Number(0, 40),
    "scenes.text_shadow.x": Number(-60, 60),
    "scenes.text_shadow.y": Number(-60, 60),
    "scenes.text_shadow.blur": Number(0, 60),
    "scenes.text_box.padding": Number(0, 200),
    "scenes.text_box.radius": Number(0, 200),
    "scenes.max_still_seconds": Number(0, 3600),
    "scenes.zoom_rate": Number(0, 1),
    "scenes.zoom_max": Number(1, 4),
    "watermark.opacity": Number(0, 1),
    "watermark.width": Number(0, 1, above=True),
    "watermark.margin": Number(0, 0.45),
    "grade.strength": Number(0, 1),
    "progress_bar.height": Number(2, 48),
    "title_card.seconds": Number(0.5, 30),
    "title_card.text_size": Number(16, 400),
    "end_card.seconds": Number(0.5, 30),
    "end_card.text_size": Number(16, 400),
    "intro.seconds": Number(0.5, 30),
    "intro.volume": Number(-60, 12),
    "outro.seconds": Number(0.5, 30),
    "outro.volume": Number(-60, 12),
    "audio.music_seed": Whole(0, 2**32 - 1),
    "audio.music_volume": Number(-60, 12),
    "audio.music_duck": Number(-60, 0),
    "audio.music_fade": Number(0, 60),
    "audio.effects_volume": Number(-60, 12),
    "audio.target_lufs": Number(-40, -5),
    "audio.true_peak": Number(-9, 0),
    "publishing.missed_after": Number(0, None),
    "storage.keep_output_days": Number(0, None, above=True),
    "storage.max_output_gb": Number(0, None, above=True),
    "storage.max_storage_gb": Number(0, None, above=True),
}
OF_THEIR_OWN = {
    *("video.fps", "video.quality", "video.bitrate", "video.max_bitrate", "video.bufsize", "audio.bitrate"),
}
"""Keys that are numbers or text, tested below."""


def numeric_keys(node: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every key of the schema that may be a number."""
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    for other in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from numeric_keys(other, prefix)
    if node.get("type") in ("integer", "number"):
        yield prefix
    for key, value in node.get("properties", {}).items():
        yield from numeric_keys(value, f"{prefix}.{key}".removeprefix(".").removeprefix("video_pipeline."))


def written(key: str, value: Any) -> dict[str, Any]:
    """Return sections in which one key has a value."""
    data: Any = value
    for part in reversed(key.split(".")):
        data = {part: data}
    return dict(data)


def taken(key: str, value: Any) -> bool:
    """Say whether the engine takes a value; its schema must say the same."""
    data = written(key, value)
    valid: bool = VALIDATOR.is_valid({"video_pipeline": data})
    if not valid:
        with pytest.raises(ConfigError, match=re.escape(key)):
            load_config(data, environ=False)
        return False
    load_config(data, environ=False)
    return True


def test_every_number_of_the_schema_has_its_bounds_here() -> None:
    keys = set(numeric_keys(SCHEMA))
    in_a_profile = {key for key in keys if key.startswith("video.profile.")}
    assert keys - in_a_profile == BOUNDS.keys() | OF_THEIR_OWN
    assert {key.replace("profile.video.", "") for key in in_a_profile} < keys


@pytest.mark.parametrize("key", BOUNDS)
def test_a_number_is_taken_to_its_bounds_and_not_beyond(key: str) -> None:
    bounds = BOUNDS[key]
    assert taken(key, bounds.least) == (not bounds.above)
    assert taken(key, bounds.least + bounds.step)
    assert not taken(key, bounds.least - bounds.step)
    if bounds.most is None:
        assert taken(key, 10**12)
    else:
        assert taken(key, bounds.most)
        assert taken(key, bounds.most - bounds.step)
        assert not taken(key, bounds.most + bounds.step)


@pytest.mark.parametrize("key", BOUNDS)
def test_a_number_that_is_not_finite_is_refused(key: str) -> None:
    for value in (math.nan, math.inf, -math.inf, "x", [], {}):
        with pytest.raises(ConfigError):
            load_config(written(key, value), environ=False)
    if isinstance(BOUNDS[key], Whole):
        assert not taken(key, BOUNDS[key].least + 0.5)


@pytest.mark.parametrize(
    "section", ["size", *(f"resolutions.{name}" for name in ("portrait", "square", "landscape", "feed"))]
)
def test_sides_are_even_from_16_to_4096_px(section: str) -> None:
    key = f"video.{section}"
    for good in ([16, 4096], [4096, 16], [18, 4094]):
        assert taken(key, good)
    for bad in ([14, 100], [100, 15], [4098, 100], [100, 4097], [100], [100, 100, 100], [16.5, 100]):
        assert not taken(key, bad)
    for odd in ([17, 100], [100, 101], [4095, 16]):
        with pytest.raises(ConfigError, match="allowed: even sides"):
            load_config(written(key, odd), environ=False)


@pytest.mark.parametrize("text", ["1080x1920", "1080X1920", "16x4096", "001080x1920"])
def test_a_size_may_be_text(text: str) -> None:
    width, height = (int(side) for side in text.lower().split("x"))
    assert parse_size(text) == (width, height)
    assert taken("video.size", text)
    assert load_config({"video": {"size": text}}, environ=False).video.canvas_px() == (width, height)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1080",
        "x1920",
        "1080x",
        "1080*1920",
        "1080x1920x3",
        "-10x20",
        "1234567x16",
        "10x1234567",
        " 10x10",
    ],
)
def test_other_text_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="WxH in pixels, such as 1080x1920"):
        parse_size(text)


@pytest.mark.parametrize(
    ("written_rate", "rate"),
    [
        (24, Fraction(24)),
        (60, Fraction(60)),
        ("24", Fraction(24)),
        (23.976, Fraction(24000, 1001)),
        ("24000/1001", Fraction(24000, 1001)),
        ("60000/1001", Fraction(60000, 1001)),
        (25.5, Fraction(51, 2)),
        (Fraction(30), Fraction(30)),
    ],
)
def test_frame_rates_are_from_film_to_60(written_rate: Any, rate: Fraction) -> None:
    assert load_config({"video": {"fps": written_rate}}, environ=False).video.fps == rate
    if not isinstance(written_rate, Fraction):
        assert VALIDATOR.is_valid({"video_pipeline": {"video": {"fps": written_rate}}})


@pytest.mark.parametrize(
    "rate",
    [
        0,
        -24,
        20,
        23,
        23.9,
        "23.96",
        "23965/1000",
        60.01,
        "6001/100",
        61,
        1000,
        True,
        None,
        [30],
        "x",
        "",
        "1/0",
    ],
)
def test_other_frame_rates_are_refused(rate: Any) -> None:
    with pytest.raises(ConfigError, match=r"allowed: 24 to 60 frames per second \(24000/1001 too\)"):
        load_config({"video": {"fps": rate}}, environ=False)


@pytest.mark.parametrize("key", ["video.bitrate", "video.max_bitrate", "video.bufsize", "audio.bitrate"])
def test_bit_rates_are_whole_numbers_and_may_be_in_thousands_or_millions(key: str) -> None:
    section, _, name = key.partition(".")

    def kept(value: Any) -> str:
        assert taken(key, value)
        return str(getattr(getattr(load_config(written(key, value), environ=False), section), name))

    assert [kept(value) for value in (8000, 8999, 8_000_000)] == ["8k", "8k", "8000k"]
    for text in ("8000", "192k", "8M", "8m", "192K", "1000M"):
        assert kept(text) == text
    for wrong in (0, -1, True, 1.5, "", "0", "0k", "k", "-1k", "1.5M", "8G", "8kk", "8 k", []):
        assert not taken(key, wrong)
    for wrong in (1, 7999, 1_000_000_001, "1", "7k", "1001M", "9" * 5000, f"{'9' * 5000}k"):
        assert not taken(key, wrong)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("1", 1), ("8000", 8000), ("192k", 192_000), ("192K", 192_000), ("8M", 8_000_000), ("8m", 8_000_000)],
)
def test_a_bit_rate_is_in_bits_a_second(text: str, bits: int) -> None:
    assert parse_bit_rate(text) == bits


@pytest.mark.parametrize("text", ["8000X", "8G", "k", "M"])
def test_other_units_are_no_bit_rates(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_bit_rate(text)


@pytest.mark.parametrize(
    ("video", "cap"),
    [
        ({}, 8_000_000),
        ({"fps": 60}, 16_000_000),
        ({"size": [540, 960]}, 2_000_000),
        ({"size": [192, 108]}, 400_000),
        ({"size": [3840, 2160], "fps": 60}, 64_000_000),
    ],
)
def test_the_default_quality_is_capped_by_the_pixels_of_a_second(video: dict[str, Any], cap: int) -> None:
    rate = load_config({"video": video}, environ=False).video.rate_control()
    assert (rate.crf, rate.bitrate, rate.max_bit_rate) == (16, None, cap)


def test_a_quality_or_a_bit_rate_that_is_asked_for_is_kept() -> None:
    def rate(**video: Any) -> tuple[float | None, str | None, int | None]:
        found = load_config({"video": video}, environ=False).video.rate_control()
        return found.crf, found.bitrate, found.max_bit_rate

    assert rate(crf=18) == (18, None, None)
    assert rate(crf=18, max_bitrate="5M") == (18, None, 5_000_000)
    assert rate(bitrate="6000k") == (None, "6000k", None)
    assert rate(max_bitrate="5M") == (16, None, 5_000_000)
    assert rate(preset="slow") == (16, None, 8_000_000)
    assert rate(profile="draft") == (21, None, 8_000_000)
    assert rate(profile="archive") == (14, None, 60_000_000)
    assert rate(profile="guide") == (None, "8000k", None)


@pytest.mark.parametrize(
    ("given", "vmaf"),
    [(97, 97), ("93.5", 93.5), (85, 85), (99, 99), ("draft", 90), ("social", 95), ("archive", 97)],
)
def test_a_quality_is_a_vmaf_or_a_level_and_has_the_cap_by_size(given: object, vmaf: float) -> None:
    rate = load_config({"video": {"quality": given}}, environ=False).video.rate_control()
    assert (rate.quality, rate.crf, rate.bitrate, rate.max_bit_rate) == (vmaf, None, None, 8_000_000)
    assert given == "93.5" or taken("video.quality", given)  # options are text


@pytest.mark.parametrize("given", [84.9, 99.5, "best", "nan", "9" * 400, True, [95], ""])
def test_a_wrong_quality_is_answered_with_the_range_and_the_levels(given: object) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"video": {"quality": given}}, environ=False)
    assert "video.quality: got " in str(caught.value)
    assert "allowed: a VMAF, 85 to 99, or draft, social, archive" in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("crf", 20), ("bitrate", "4M")])
def test_a_quality_beside_another_rate_is_an_error(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"quality: got 95.* and {key}: .*; give one of them"):
        load_config({"video": {"quality": 95, key: value}}, environ=False)


def test_a_crf_beside_a_bit_rate_is_an_error() -> None:
    both = {"crf": 20, "bitrate": "1M"}
    for video in (both, {"profile": {"name": "mine", "video": {"preset": "fast", **both}}}):
        with pytest.raises(ConfigError, match=r"crf: got 20.* and bitrate: '1M'; give one of them"):
            load_config({"video": video}, environ=False)
    one = load_config({"video": {"crf": None, "bitrate": "1M"}}, environ=False).video
    assert (one.crf, one.bitrate) == (None, "1M")


def documented() -> dict[str, str]:
    """Return the default of each key in docs/configuration.md, as it is written there."""
    rows: dict[str, str] = {}
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 5 and cells[1].startswith("`") and "." in cells[1]:
            rows[cells[1].strip("`")] = cells[2].strip("`")
    return rows


def test_every_default_is_the_one_that_is_documented(tmp_path: Path) -> None:
    path, rows = tmp_path / "config.yaml", documented()
    assert len(rows) > 90
    for key, text in rows.items():
        if ".NAME." in key:  # of an account or target that a person names
            continue
        lines = [f"{'  ' * depth}{part}:" for depth, part in enumerate(key.split("."))]
        path.write_text("\n".join(lines) + f" {text}\n", encoding="utf-8")
        if key == "video.preset":  # it holds alone, without the default profile
            assert load_config(path, environ=False) == Config().override("video", profile="none")
            continue
        assert load_config(path, environ=False) == Config(), key


def test_unknown_keys_are_errors_in_every_section() -> None:
    for section in Config.model_fields:
        with pytest.raises(ConfigError, match="unknown key"):
            load_config({section: {"nothing": 1}}, environ=False)


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().video.crf = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("images.focus", ["auto", "center"]),
        ("node.curve", ["auto", "on", "off"]),
        ("video.audio_codec", ["aac"]),
        ("video.codec", ["auto", "h264_nvenc", "libx264", "hevc_nvenc", "av1_nvenc"]),
        ("video.compositor", ["auto", "cuda", "native", "ffmpeg"]),
        ("video.default_aspect_ratio", ["9:16", "1:1", "16:9", "4:5"]),
        ("video.motion", ["auto", "perspective", "zoompan"]),
        ("watermark.corner", ["top_left", "top_right", "bottom_left", "bottom_right"]),
        ("error_handling.log_level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    ],
)
def test_only_the_listed_choices_are_accepted(key: str, choices: list[str]) -> None:
    for choice in choices:
        assert taken(key, choice)
    for other in ("", "other", choices[0] + "x", choices[0].upper() + "X", 1, None):
        assert not taken(key, other)


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("video.aq", ["none", "spatial", "temporal", "both"]),
        ("video.multipass", ["disabled", "qres", "fullres"]),
    ],
)
def test_an_optional_choice_may_be_null_too(key: str, choices: list[str]) -> None:
    for choice in (*choices, None):
        assert taken(key, choice)
    for other in ("", "other", choices[0] + "x", choices[0].upper(), 1, True):
        assert not taken(key, other)


def test_effects_are_a_list_of_three_names() -> None:
    assert taken("scenes.effects", ["fade_in", "fade_out", "ken_burns"])
    assert taken("scenes.effects", [])
    assert not taken("scenes.effects", ["zoom"])


def test_an_image_service_has_a_name_of_1_to_64_characters() -> None:
    key = "images.service"
    assert [taken(key, "x" * letters) for letters in (0, 1, 64, 65)] == [False, True, True, False]


def test_a_home_folder_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for key in ("node.state_path", "node.keys_path", "storage.output_path", "storage.cache_path",
                "storage.temp_path", "audio.music", "watermark.image", "grade.lut"):  # fmt: skip
        section, _, name = key.partition(".")
        found = getattr(load_config(written(key, "~/x"), environ=False), section)
        assert getattr(found, name) == tmp_path / "x"
