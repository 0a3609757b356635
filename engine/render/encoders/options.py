"""The options of every video encoder: one table from the keys of `video` to FFmpeg's options.

What an encoder does not have is an error that lists what it has; nothing is left out silently. Choices and bounds are
those of the table that FFmpeg's encoder has too, by its own list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import av
from av.codec.context import CodecOption

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError

X264_PRESETS: Final = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
X264_TUNES: Final = (
    *("film", "animation", "grain", "stillimage"),
    *("psnr", "ssim", "fastdecode", "zerolatency"),
)
NVENC_PRESETS: Final = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
NVENC_TUNES: Final = ("hq", "uhq", "ll", "ull", "lossless")
NVENC_FOR_X264: Final = {
    "ultrafast": "p1",
    "superfast": "p1",
    "veryfast": "p2",
    "faster": "p3",
    "fast": "p4",
    "medium": "p4",
    "slow": "p5",
    "slower": "p6",
    "veryslow": "p7",
    "placebo": "p7",
}
"""The NVENC preset to use if the configuration names an x264 preset."""


@cache
def ffmpeg_options(encoder: str) -> Mapping[str, CodecOption]:
    """Return the options of an encoder by FFmpeg's own list; none if this FFmpeg does not have the encoder."""
    try:
        known = av.CodecContext.create(encoder, "w").supported_options
    except ValueError:
        return {}
    return {option.name: option for option in (*known.generic, *known.private)}


@dataclass(frozen=True, slots=True)
class Words:
    """A choice: FFmpeg's options for each word. `stands_for` has words of other encoders."""

    options: Mapping[str, Mapping[str, str]]
    stands_for: Mapping[str, str] = field(default_factory=dict)

    def allowed(self, encoder: str) -> tuple[str, ...]:
        """Return the words that FFmpeg's encoder has too."""
        known = ffmpeg_options(encoder)

        def has(name: str, value: str) -> bool:
            if name not in known:
                return not known
            choices = known[name].choices
            return not choices or value in {choice.name for choice in choices}

        return tuple(
            word for word, options in self.options.items() if all(has(*item) for item in options.items())
        )

    def write(self, key: str, value: str, encoder: str) -> dict[str, str]:
        """Return FFmpeg's options for a word; raise ConfigError."""
        allowed = self.allowed(encoder)
        word = self.stands_for.get(value, value)
        if word not in allowed:
            raise ConfigError(
                f"video.{key}: got {value!r}{closest(value, allowed)}; allowed with {encoder}: {', '.join(allowed)}"
            )
        return dict(self.options[word])


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of one of FFmpeg's options. With `above`, the least is not allowed itself; `whole` means no fractions."""

    option: str
    least: float
    most: float
    above: bool = False
    whole: bool = False

    def write(self, key: str, value: float, encoder: str) -> dict[str, str]:
        """Return FFmpeg's option for a number; raise ConfigError."""
        known = ffmpeg_options(encoder).get(self.option)
        most = (
            min(self.most, known.max) if known and known.max > known.min else self.most
        )  # text has no bounds
        if value > most or value < self.least or (self.above and value == self.least):
            first = f"more than {self.least:g}, to" if self.above else f"{self.least:g} to"
            raise ConfigError(f"video.{key}: got {value:g}; allowed with {encoder}: {first} {most:g}")
        if self.whole and value != int(value):
            raise ConfigError(
                f"video.{key}: got {value:g}; allowed with {encoder}: a whole number, {self.least:g} to {most:g}"
            )
        return {self.option: f"{value:g}"}


@dataclass(frozen=True, slots=True)
class Switch:
    """One of FFmpeg's options that is on or off."""

    option: str

    def write(self, key: str, value: bool, encoder: str) -> dict[str, str]:
        """Return FFmpeg's option."""
        return {self.option: "1" if value else "0"}


@dataclass(frozen=True, slots=True)
class Written:
    """Text that is one of FFmpeg's options as it is; the configuration's model has checked it."""

    option: str
    example: str

    def write(self, key: str, value: str, encoder: str) -> dict[str, str]:
        """Return FFmpeg's option."""
        return {self.option: value}


@dataclass(frozen=True, slots=True)
class Apart:
    """A key that an encoder's own module writes, because it depends on other keys: FFmpeg's name of it."""

    option: str


Way = Words | Amount | Switch | Written | Apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How each family of encoders takes a key of `video`; None if it does not have it."""

    key: str
    x264: Way | None
    nvenc: Way | None

    def way(self, encoder: str) -> Way | None:
        """Return how an encoder takes the key; None too if FFmpeg's encoder lacks the option."""
        way = self.x264 if encoder == "libx264" else self.nvenc
        known = ffmpeg_options(encoder)
        lacks = isinstance(way, Amount | Switch | Written) and known and way.option not in known
        if lacks or (isinstance(way, Words) and not way.allowed(encoder)):
            return None
        return way


def _each_word(option: str, *words: str) -> dict[str, dict[str, str]]:
    return {word: {option: word} for word in words}


OPTIONS: Final = (
    Row(
        key="preset",
        x264=Words(_each_word("preset", *X264_PRESETS)),
        nvenc=Words(_each_word("preset", *NVENC_PRESETS), NVENC_FOR_X264),
    ),
    Row(
        key="tune", x264=Words(_each_word("tune", *X264_TUNES)), nvenc=Words(_each_word("tune", *NVENC_TUNES))
    ),
    # NVENC's cq 0 means that it chooses.
    Row(key="crf", x264=Amount("crf", 0, 51), nvenc=Amount("cq", 0, 51, above=True)),
    Row(key="quality", x264=Apart("crf"), nvenc=None),
    Row(key="bitrate", x264=Apart("b"), nvenc=Apart("b")),
    Row(key="max_bitrate", x264=Apart("vbv-maxrate"), nvenc=Apart("maxrate")),
    Row(key="bufsize", x264=Apart("vbv-bufsize"), nvenc=Apart("bufsize")),
    Row(key="gop", x264=Apart("g"), nvenc=Apart("g")),
    Row(key="bf", x264=Amount("bf", 0, 16), nvenc=Amount("bf", 0, 4)),
    Row(key="b_adapt", x264=Amount("b_strategy", 0, 2), nvenc=Amount("b_adapt", 0, 1)),
    Row(
        key="b_pyramid",
        x264=Words(_each_word("b-pyramid", "none", "strict", "normal")),
        nvenc=Words(
            {
                "none": {"b_ref_mode": "disabled"},
                "each": {"b_ref_mode": "each"},
                "middle": {"b_ref_mode": "middle"},
            }
        ),
    ),
    Row(key="refs", x264=Amount("refs", 1, 16), nvenc=Amount("refs", 1, 7)),
    Row(key="lookahead", x264=Amount("rc-lookahead", 0, 250), nvenc=Amount("rc-lookahead", 0, 32)),
    Row(key="mbtree", x264=Switch("mbtree"), nvenc=None),
    Row(key="qcomp", x264=Amount("qcomp", 0, 1), nvenc=None),
    Row(
        key="aq",
        x264=Words(
            {
                "none": {"aq-mode": "none"},
                "spatial": {"aq-mode": "variance"},
                **_each_word("aq-mode", "autovariance", "autovariance-biased"),
            }
        ),
        nvenc=Words(
            {
                "none": {"spatial-aq": "0", "temporal-aq": "0"},
                "spatial": {"spatial-aq": "1", "temporal-aq": "0"},
                "temporal": {"spatial-aq": "0", "temporal-aq": "1"},
                "both": {"spatial-aq": "1", "temporal-aq": "1"},
            }
        ),
    ),
    Row(key="aq_strength", x264=Amount("aq-strength", 0, 3), nvenc=Amount("aq-strength", 1, 15, whole=True)),
    Row(key="psy", x264=Switch("psy"), nvenc=None),
    Row(key="psy_rd", x264=Amount("psy-rd", 0, 10), nvenc=None),
    Row(key="trellis", x264=Amount("trellis", 0, 2), nvenc=None),
    Row(key="deadzone_inter", x264=Apart("deadzone-inter"), nvenc=None),
    Row(key="deadzone_intra", x264=Apart("deadzone-intra"), nvenc=None),
    Row(key="me", x264=Words(_each_word("motion-est", "dia", "hex", "umh", "esa", "tesa")), nvenc=None),
    Row(key="me_range", x264=Amount("me_range", 4, 1024), nvenc=None),
    Row(key="subme", x264=Amount("subq", 0, 11), nvenc=None),
    Row(key="partitions", x264=Written("partitions", "p8x8,i4x4"), nvenc=None),
    Row(key="dct8x8", x264=Switch("8x8dct"), nvenc=None),
    Row(key="mixed_refs", x264=Switch("mixed-refs"), nvenc=None),
    Row(
        key="direct", x264=Words(_each_word("direct-pred", "none", "spatial", "temporal", "auto")), nvenc=None
    ),
    Row(
        key="weightp",
        x264=Words(_each_word("weightp", "none", "simple", "smart")),
        nvenc=Words({"none": {"weighted_pred": "0"}, "simple": {"weighted_pred": "1"}}),
    ),
    Row(key="weightb", x264=Switch("weightb"), nvenc=None),
    Row(key="fast_pskip", x264=Switch("fast-pskip"), nvenc=None),
    Row(key="scenecut", x264=Amount("sc_threshold", 0, 100), nvenc=None),
    Row(key="deblock", x264=Written("deblock", "-1:-1"), nvenc=None),
    Row(
        key="coder",
        x264=Words(_each_word("coder", "cabac", "cavlc")),
        nvenc=Words(_each_word("coder", "cabac", "cavlc")),
    ),
    Row(key="multipass", x264=None, nvenc=Words(_each_word("multipass", "disabled", "qres", "fullres"))),
)
"""Every key of `video` that is an encoder's option."""


def table_options(
    video: Video, encoder: str, *, defaults: Mapping[str, str | int] | None = None
) -> dict[str, str]:
    """Return FFmpeg's options for the keys of the table that depend on no other key; raise ConfigError.

    `defaults` are the encoder's own values for keys that are null. The rate (`crf` and the keys that are `Apart`) is
    not among the options.
    """
    written: dict[str, str] = {}
    left_out = left_out_of_profile(video, encoder)
    for row in OPTIONS:
        value = getattr(video, row.key) if row.key not in left_out else None
        if value is None and defaults:
            value = defaults.get(row.key)
        way = row.way(encoder)
        if value is None or row.key == "crf" or isinstance(way, Apart):
            continue
        written |= _write_key(row, value, encoder)
    return written


def _write_key(row: Row, value: Any, encoder: str) -> dict[str, str]:
    """Return FFmpeg's options for a key; raise ConfigError."""
    way = row.way(encoder)
    if way is None:
        has = ", ".join(other.key for other in OPTIONS if other.way(encoder) is not None)
        raise ConfigError(
            f"video.{row.key}: got {value!r}, which {encoder} does not have; allowed with {encoder}: {has}"
        )
    return {} if isinstance(way, Apart) else way.write(row.key, value, encoder)


def left_out_of_profile(video: Video, encoder: str) -> tuple[str, ...]:
    """Return the keys of a profile that an encoder does not have, or not with their values.

    A profile is for all encoders, so that is no error, as it is if the configuration itself sets the key.
    """
    left_out = []
    for row in OPTIONS:
        value = getattr(video, row.key)
        if value is None or row.key in video.model_fields_set:
            continue
        try:
            _write_key(row, value, encoder)
        except ConfigError:
            left_out.append(row.key)
    return tuple(left_out)


def quality_options(crf: float, encoder: str) -> dict[str, str]:
    """Return FFmpeg's option for a constant quality; raise ConfigError."""
    way = next(row.way(encoder) for row in OPTIONS if row.key == "crf")
    assert isinstance(way, Amount)
    return way.write("crf", crf, encoder)
