"""Subtitles as ASS (Advanced SubStation Alpha, v4.00+) with karaoke tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from video_pipeline.engine.common.captions import CaptionPosition
from video_pipeline.engine.outputs.subtitles import Cue, cue_lines
from video_pipeline.engine.render.captions.safe_areas import safe_area
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import Seconds
from video_pipeline.filters.text import Color

FONT: Final = "Noto Sans"
HIGHLIGHT: Final[Color] = (255, 212, 0, 255)
"""Colour of the words that were heard, unless the captions highlight words themselves."""

_SIZE_PX: Final = 48  # on a frame 1080 px wide, as captions are by default
_EM_TO_LINE: Final = 1.36  # ASS measures a font by its ascent and descent; these are of Noto Sans
_ALIGNMENTS: Final[dict[CaptionPosition, int]] = {"bottom": 2, "center": 5, "top": 8}
_WORD_JOINER: Final = "\u2060"
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_STYLE_FIELDS: Final = (
    "Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, "
    "StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, "
    "Encoding"
)


@dataclass(frozen=True, slots=True)
class _Look:
    size_px: int
    color: Color
    heard: Color
    outline: Color
    outline_px: float
    position: CaptionPosition


def to_ass(cues: Sequence[Cue], timeline: Timeline) -> str:
    """Return cues as ASS in the look of the timeline's first caption, each in the colour of its own scene's.

    Each word of a spoken cue has a tag with the time that it is heard, in hundredths of a second, and the blank after it
    one with the pause (`{\\k42}Once{\\k5} {\\k31}upon`); the tags of a cue never add up to more than its length. A cue that
    is not spoken has none, and the style Plain.
    """
    look = _look_of(timeline)
    platform = timeline.captions[0].platform if timeline.captions else "generic"
    area = safe_area(timeline.width_px, timeline.height_px, platform)
    side = round(area.side * timeline.width_px)
    edge = {"bottom": area.bottom, "center": 0.0, "top": area.top}[look.position]
    colours = {caption.scene_id: caption.style.color for caption in timeline.captions}
    rtl = any(_RIGHT_TO_LEFT.search(cue.text) for cue in cues)

    def style(name: str, first: Color, second: Color) -> str:
        values = (
            name,
            FONT,
            round(look.size_px * _EM_TO_LINE),
            *(_ass_color(color) for color in (first, second, look.outline, (0, 0, 0, 160))),
            *(-1, 0, 0, 0, 100, 100, 0, 0, 1),
            f"{look.outline_px:g}",
            0,
            _ALIGNMENTS[look.position],
            side,
            side,
            round(edge * timeline.height_px),
            -1 if rtl else 1,  # libass finds the direction of each line if the encoding is -1
        )
        return f"Style: {','.join(map(str, values))}"

    return "\n".join(
        [
            "[Script Info]",
            f"Title: {' '.join(timeline.title.split())}",
            "ScriptType: v4.00+",
            "WrapStyle: 0",
            "ScaledBorderAndShadow: yes",
            "YCbCr Matrix: TV.709",
            f"PlayResX: {timeline.width_px}",
            f"PlayResY: {timeline.height_px}",
            "",
            "[V4+ Styles]",
            f"Format: {_STYLE_FIELDS}",
            style("Karaoke", look.heard, look.color),
            style("Plain", look.color, look.color),
            "",
            "[Events]",
            "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
            *(_dialogue(cue, colours.get(cue.scene_id or "", look.color), look.color) for cue in cues),
            "",
        ]
    )


def _look_of(timeline: Timeline) -> _Look:
    if timeline.captions:
        caption = timeline.captions[0]
        style = caption.style
        heard = caption.highlight or HIGHLIGHT
        return _Look(style.size_px, style.color, heard, style.stroke_color, style.stroke_px, caption.position)
    scale = min(timeline.width_px, timeline.height_px) / 1080
    return _Look(
        max(4, round(_SIZE_PX * scale)), (255, 255, 255, 255), HIGHLIGHT, (0, 0, 0, 255), 4 * scale, "bottom"
    )


def _dialogue(cue: Cue, colour: Color, usual: Color) -> str:
    start, stop = _hundredths(cue.start), _hundredths(cue.stop)
    style = "Karaoke" if cue.words else "Plain"
    name = (cue.speaker or "").replace(",", " ")  # a comma would end the field
    text = "".join(_tagged(cue)) if cue.words else _escaped("\n".join(cue_lines(cue.text)))
    if colour != usual:
        # Words that were not heard yet have the second colour, in Plain all the first one.
        blue_green_red = _ass_color((*colour[:3], 255)).removeprefix("&H00")
        text = f"{{\\{2 if cue.words else 1}c&H{blue_green_red}&}}{text}"
    return f"Dialogue: 0,{_ass_clock(start)},{_ass_clock(stop)},{style},{name},0,0,0,,{text}"


def _tagged(cue: Cue) -> Iterator[str]:
    """Yield the text of a cue with a tag before each word and before the text up to the next word."""
    first, last = _hundredths(cue.start), _hundredths(cue.stop)
    reached, at = first, 0
    for word in cue.words:
        begins = min(max(_hundredths(word.begins), reached), last)
        ends = min(max(_hundredths(word.ends), begins), last)
        if begins > reached:
            yield f"{{\\k{begins - reached}}}"
        yield f"{_escaped(cue.text[at : word.start])}{{\\k{ends - begins}}}{_escaped(cue.text[word.start : word.stop])}"
        reached, at = ends, word.stop
    yield _escaped(cue.text[at:])


def _escaped(text: str) -> str:
    """Escape text for ASS as FFmpeg does (`ff_ass_bprint_text_event`): a word joiner parts a backslash from what follows."""
    clean = "".join(c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp"))
    clean = clean.replace("\\", f"\\{_WORD_JOINER}").replace("{", "\\{").replace("}", "\\}")
    return clean.replace("\n", "\\N")


def _hundredths(seconds: Seconds) -> int:
    return int(seconds * 100 + Fraction(1, 2))


def _ass_clock(hundredths: int) -> str:
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"


def _ass_color(color: Color) -> str:
    """Return a colour as ASS writes it: transparency, blue, green, red."""
    red, green, blue, alpha = color
    return f"&H{255 - alpha:02X}{blue:02X}{green:02X}{red:02X}"
