"""Types of the configuration's values: bit rates, sizes, frame rates, paths."""

from __future__ import annotations

import contextlib
import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from video_pipeline.engine.common.music import MUSIC_WORDS, MusicWord
from video_pipeline.engine.config.quality import QUALITY_LEVELS, QUALITY_MAX, QUALITY_MIN
from video_pipeline.engine.story.fields import CANVAS_MAX_PX, expand_user
from video_pipeline.engine.timing import parse_fps

BIT_RATE_MIN, BIT_RATE_MAX = 8_000, 1_000_000_000
_BIT_RATE = r"^([89]\d{3}|[1-9]\d{4,8}|1000000000|([89]|[1-9]\d{1,5}|1000000)[kK]|([1-9]\d{0,2}|1000)[mM])$"


def _bitrate(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    if isinstance(value, str):
        is_allowed = re.search(_BIT_RATE, value, re.ASCII) is not None
    else:
        is_allowed = BIT_RATE_MIN <= value <= BIT_RATE_MAX
    if not is_allowed:
        raise ValueError("allowed: 8k to 1000M, in bits per second (8000, 8k, 8M)")
    return f"{value // 1000}k" if isinstance(value, int) else value


def parse_bit_rate(text: str) -> int:
    """Return bits a second of '8000k', '8M' or '8000000'."""
    factor = {"k": 1000, "m": 1_000_000}.get(text[-1].lower(), 1)
    return int(text.rstrip("kKmM")) * factor


def parse_size(text: str) -> tuple[int, int]:
    """Return the sides in pixels of '1080x1920'; raise ValueError that says what is allowed."""
    found = re.fullmatch(r"([0-9]{1,6})[xX]([0-9]{1,6})", text)
    if not found:
        raise ValueError("allowed: WxH in pixels, such as 1080x1920")
    return int(found[1]), int(found[2])


def _size(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


def _even_sides(value: tuple[int, int]) -> tuple[int, int]:
    if any(side % 2 for side in value):
        raise ValueError("allowed: even sides, as H.264 with 4:2:0 chroma needs")
    return value


_FPS_ALLOWED: Final = (
    "allowed: 24 to 60 frames per second (24000/1001 too), as a number or a ratio such as '30000/1001'"
)


def _frame_rate(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError(_FPS_ALLOWED)
    try:
        fps = parse_fps(value)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(_FPS_ALLOWED) from error
    if not Fraction(23976, 1000) <= fps + Fraction(1, 1000) or fps > 60:
        raise ValueError(_FPS_ALLOWED)
    return fps


def _quality(value: Any) -> Any:
    number = value
    if isinstance(value, str) and value not in QUALITY_LEVELS:
        with contextlib.suppress(ValueError):
            number = float(value)
    if isinstance(number, str) and number in QUALITY_LEVELS:
        return number
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or not QUALITY_MIN <= number <= QUALITY_MAX
    ):
        raise ValueError(f"allowed: a VMAF, {QUALITY_MIN} to {QUALITY_MAX}, or {', '.join(QUALITY_LEVELS)}")
    return float(number)


BitrateText = Annotated[str, Field(pattern=_BIT_RATE)]
Bitrate = Annotated[
    BitrateText,
    BeforeValidator(
        _bitrate,
        json_schema_input_type=BitrateText | Annotated[int, Field(ge=BIT_RATE_MIN, le=BIT_RATE_MAX)],
    ),
]
Quality = Annotated[
    float | Literal["draft", "social", "archive"],
    BeforeValidator(
        _quality,
        json_schema_input_type=Annotated[float, Field(ge=QUALITY_MIN, le=QUALITY_MAX)]
        | Literal["draft", "social", "archive"],
    ),
]
FrameRate = Annotated[
    Fraction,
    BeforeValidator(_frame_rate, json_schema_input_type=int | float | str),
    Field(json_schema_extra={"description": "24 to 60, or a ratio such as 30000/1001"}),
]
LocalPath = Annotated[Path, AfterValidator(expand_user)]


def _music_word_or_file(value: Any) -> Any:
    if value is not None and not isinstance(value, str | Path):
        raise ValueError("allowed: 'auto', 'none' or the path of a file")
    return Path(value) if isinstance(value, str) and value not in MUSIC_WORDS else value


def _music_file(value: MusicWord | Path) -> MusicWord | Path:
    # `Path` drops the dot of `./auto`, which then would be a word again when the configuration is sent as JSON.
    return Path.cwd() / value if isinstance(value, Path) and str(value) in MUSIC_WORDS else value


Music = Annotated[
    MusicWord | LocalPath,
    BeforeValidator(_music_word_or_file, json_schema_input_type=MusicWord | LocalPath),
    AfterValidator(_music_file),
]
Pixels = Annotated[int, Field(ge=16, le=CANVAS_MAX_PX)]
Sides = Annotated[tuple[Pixels, Pixels], AfterValidator(_even_sides)]
Size = Annotated[
    Sides,
    BeforeValidator(
        _size,
        json_schema_input_type=tuple[Pixels, Pixels]
        | Annotated[str, Field(pattern=r"^[0-9]{1,6}[xX][0-9]{1,6}$")],
    ),
]
