"""The keys of `video` that decide how frames are encoded. A profile is a set of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from video_pipeline.engine.config.quality import QUALITY_MAX, QUALITY_MIN, QUALITY_WORDS
from video_pipeline.engine.config.values import Bitrate, Quality, parse_bit_rate

PARTITIONS: Final = ("p8x8", "p4x4", "b8x8", "i8x8", "i4x4")
"""x264's partitions, which the key `partitions` lists; or it is `none` or `all`."""

_ONE: Final = f"({'|'.join(PARTITIONS)})"
Partitions = Annotated[str, Field(pattern=rf"^(none|all|{_ONE}(,{_ONE}){{0,4}})$")]
Deblock = Annotated[str, Field(pattern=r"^-?[0-6]:-?[0-6]$")]


class Section(BaseModel):
    """A part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EncoderKeys(Section):
    """The keys of the encoder. Their defaults are those of the default profile."""

    preset: str = Field("superfast", description="x264 preset, or p1 … p7 for NVENC.")
    tune: str | None = Field(None, description="x264 or NVENC tune.")
    crf: float | None = Field(
        16.0,
        ge=0,
        le=51,
        description="Constant quality (cq for NVENC), instead of a bitrate. If both are null: 16. A profile's has a cap by size.",
    )
    quality: Quality | None = Field(
        None,
        description=f"Quality to reach, instead of a crf or bitrate: a VMAF, {QUALITY_MIN} to {QUALITY_MAX}, or "
        f"{QUALITY_WORDS}. Each segment gets the crf that it needs, with a cap by size (libx264).",
    )
    bitrate: Bitrate | None = Field(
        None, description="Average bit rate of the video; null: constant quality."
    )
    max_bitrate: Bitrate | None = Field(
        None,
        description="Cap on the bit rate; null: none with a crf or bitrate that is set, with a profile's crf 8 Mbit/s at "
        "1080x1920 and 30 fps, in proportion for other sizes and rates.",
    )
    bufsize: Bitrate | None = Field(
        None, description="Bits of the buffer over which max_bitrate holds; null: those of two seconds."
    )
    gop: float = Field(4.0, gt=0, le=30, description="Seconds between keyframes.")
    bf: int | None = Field(
        None,
        ge=0,
        le=16,
        description="B-frames in a row; null: the preset's, 2 for NVENC if the GPU has them.",
    )
    b_adapt: int | None = Field(
        0,
        ge=0,
        le=2,
        description="Choice of B-frames: 0 none, 1 fast, 2 optimal (x264); null: the preset's.",
    )
    b_pyramid: Literal["none", "strict", "normal", "each", "middle"] | None = Field(
        None, description="B-frames as references of others; null: the preset's."
    )
    refs: int | None = Field(None, ge=1, le=16, description="Reference frames; null: the preset's.")
    lookahead: int | None = Field(
        20,
        ge=0,
        le=250,
        description="Frames that the rate control looks ahead; null: the preset's, none for NVENC.",
    )
    mbtree: bool | None = Field(
        True,
        description="Macroblock-tree rate control, which spends bits on what later frames refer to; null: the preset's.",
    )
    qcomp: float | None = Field(
        0.4, ge=0, le=1, description="Compression of the quantiser's curve over time; null: 0.6."
    )
    aq: Literal["none", "spatial", "temporal", "both", "autovariance", "autovariance-biased"] | None = Field(
        None, description="Adaptive quantisation; null: the preset's, spatial for NVENC."
    )
    aq_strength: float | None = Field(
        0.6,
        ge=0,
        le=15,
        description="Strength of adaptive quantisation; null: the preset's (1 with x264, 8 with NVENC).",
    )
    psy: bool | None = Field(None, description="Psychovisual decisions of x264; null: on.")
    psy_rd: float | None = Field(
        None, ge=0, le=10, description="Strength of psychovisual decisions; null: the tune's, or 1."
    )
    trellis: int | None = Field(
        0,
        ge=0,
        le=2,
        description="Trellis quantisation: 0 none, 1 in the final encode of a block, 2 in all decisions; null: the preset's.",
    )
    deadzone_inter: int | None = Field(
        8,
        ge=0,
        le=32,
        description="Coefficients up to this are rounded to zero in inter blocks, without trellis (x264); null: 21.",
    )
    deadzone_intra: int | None = Field(5, ge=0, le=32, description="The same in intra blocks; null: 11.")
    me: Literal["dia", "hex", "umh", "esa", "tesa"] | None = Field(
        None, description="Motion search; null: the preset's."
    )
    me_range: int | None = Field(
        None, ge=4, le=1024, description="Range of the motion search in pixels; null: the preset's."
    )
    subme: int | None = Field(
        None, ge=0, le=11, description="Subpixel motion search and mode decision; null: the preset's."
    )
    partitions: Partitions | None = Field(
        None,
        description="Partitions of macroblocks that are tried: none, all, or a list of "
        f"{', '.join(PARTITIONS)} with commas; null: the preset's.",
    )
    dct8x8: bool | None = Field(
        None, description="Adaptive transform of 8x8 blocks (8x8dct); null: the preset's."
    )
    mixed_refs: bool | None = Field(
        None, description="A reference frame for each partition; null: the preset's."
    )
    direct: Literal["none", "spatial", "temporal", "auto"] | None = Field(
        None, description="Prediction of direct motion vectors in B-frames; null: the preset's."
    )
    weightp: Literal["none", "simple", "smart"] | None = Field(
        None, description="Weighted prediction of P-frames, which helps fades; null: the preset's."
    )
    weightb: bool | None = Field(None, description="Weighted prediction of B-frames; null: the preset's.")
    fast_pskip: bool | None = Field(
        False, description="Early detection of skipped blocks in P-frames; null: on."
    )
    scenecut: int | None = Field(
        0,
        ge=0,
        le=100,
        description="Threshold of x264's detection of cuts, 0: none; null: the preset's (40).",
    )
    deblock: Deblock | None = Field(
        "-1:-1",
        description="Strength and threshold of the deblocking filter, such as -1:-1; null: the tune's.",
    )
    coder: Literal["cabac", "cavlc"] | None = Field(
        None, description="Entropy coder of H.264; null: the preset's."
    )
    multipass: Literal["disabled", "qres", "fullres"] | None = Field(
        None, description="Passes over each frame, the first one at a quarter of its size or whole (NVENC)."
    )

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        for key in self.model_fields_set & {"crf", "bitrate"}:
            if self.quality is not None and (other := getattr(self, key)) is not None:
                raise ValueError(f"quality: got {self.quality!r} and {key}: {other!r}; give one of them")
        if {"crf", "bitrate"} <= self.model_fields_set and self.crf is not None and self.bitrate is not None:
            raise ValueError(f"crf: got {self.crf!r} and bitrate: {self.bitrate!r}; give one of them")
        return self

    @model_validator(mode="after")
    def _cap_above_average(self) -> Self:
        if self.crf is not None or self.bitrate is None or self.max_bitrate is None:
            return self
        if parse_bit_rate(self.max_bitrate) < parse_bit_rate(self.bitrate):
            raise ValueError(
                f"max_bitrate: got {self.max_bitrate!r}; it must not be below bitrate, {self.bitrate!r}"
            )
        return self


ENCODER_KEYS: Final = tuple(EncoderKeys.model_fields)

RATE_KEYS: Final = ("crf", "quality", "bitrate")
"""Keys of which one decides the rate: one that is set takes the place of the others on lower layers."""

FREE_OF_THE_PRESET: Final = ("preset", *RATE_KEYS, "max_bitrate", "bufsize", "gop")
"""Keys whose null does not mean the preset's own value."""

NEUTRAL: Final[dict[str, Any]] = {
    **{key: None for key in ENCODER_KEYS if key not in ("preset", "gop")},
    "gop": 2.0,
}
"""The values of keys that a profile does not name."""
