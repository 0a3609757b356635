"""Draw docs/images/languages.jpg: one finished frame of the same story in each language.

    python -m benchmarks.language_sheet [OUT.jpg]

It needs the extra `cjk`. The frames are those that `video-pipeline preview` draws.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.config import load_config
from video_pipeline.engine.preview import FrameAt, preview_story
from video_pipeline.engine.story import parse_story
from video_pipeline.filters.typeset import Box, TextStyle, layout_text, rasterise

TEXTS: Final = {
    "en": "Grandmother laughed and lit the lamp. “Now we can see the sea!” 🌊",
    "es": "La abuela rio y encendió la lámpara. «¡Ahora vemos el mar!» 💃🏽",
    "de": "Großmutter lachte und zündete die Lampe an. „Jetzt sehen wir das Meer!“ 🇩🇪",
    "ru": "Бабушка засмеялась и зажгла лампу. «Теперь мы видим море!» 🌊",
    "ar": "ضحكت الجدة وأشعلت المصباح: «الآن نرى البحر!» 🌙",
    "he": "סבתא צחקה והדליקה את המנורה: „עכשיו רואים את הים (42)!“ ✨",
    "hi": "दादी हँसीं और दीपक जलाया। “अब हमें समुद्र स्पष्ट दिखता है!” 🪔",
    "th": "คุณยายหัวเราะแล้วจุดตะเกียง “ตอนนี้เราเห็นทะเลแล้ว!” 🐚",
    "ja": "おばあさんは笑ってランプに火をつけました。「ほら、海が見えるよ！」👵🏻",
    "ko": "할머니는 웃으며 등불을 켰습니다. “이제 바다가 보여요!” 👨‍👩‍👧",
    "zh-Hans": "奶奶笑着点亮了灯，说：“现在我们看得见大海了！”❤️",
    "zh-Hant": "奶奶笑著點亮了燈，說：「現在我們看得見大海了！」🏮",
}
COLUMNS: Final = 6
TILE_PX: Final = (252, 448)
GAP_PX: Final = 6
JPEG_QUALITY: Final = 84


def draw_sheet(target: Path) -> None:
    """Write the contact sheet: a frame for each language, with its tag in the corner."""
    rows = -(-len(TEXTS) // COLUMNS)
    width, height = TILE_PX
    sheet = Image.new(
        "RGB", (COLUMNS * (width + GAP_PX) - GAP_PX, rows * (height + GAP_PX) - GAP_PX), (24, 24, 24)
    )
    config = load_config(
        {
            "video": {"size": f"{2 * width}x{2 * height}"},
            "tts": {"service": "none"},
            "scenes": {"text_size": 84, "text_position": "center", "text_animation": "none"},
        },
        environ=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        for number, (language, text) in enumerate(TEXTS.items()):
            story = parse_story(
                {
                    "id": f"sheet-{number}",
                    "title": language,
                    "scenes": [{"scene_id": "a", "text": text}],
                    "metadata": {"language": language, "genre": "fantasy"},
                }
            )
            result = preview_story(story, Path(folder) / f"{language}.png", at=FrameAt(30), config=config)
            if result.warnings:
                raise SystemExit(f"{language}: {'; '.join(result.warnings)}")
            with Image.open(Path(folder) / f"{language}.png") as frame:
                tile = frame.convert("RGB").resize(TILE_PX, Image.Resampling.LANCZOS)
            tag = rasterise(
                layout_text(
                    language,
                    fonts=FontCatalogue().resolve("Noto Sans SemiBold"),
                    style=TextStyle(size_px=17, box=Box(padding_px=5, radius_px=6)),
                    max_width_px=width,
                    max_height_px=40,
                )
            ).image
            tile.paste(tag, (8, 8), tag)
            row, column = divmod(number, COLUMNS)
            sheet.paste(tile, (column * (width + GAP_PX), row * (height + GAP_PX)))
    sheet.save(target, "JPEG", quality=JPEG_QUALITY, optimize=True)


if __name__ == "__main__":
    draw_sheet(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images/languages.jpg"))
