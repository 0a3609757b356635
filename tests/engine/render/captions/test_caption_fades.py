"""Captions of scenes that fade from or to black: they fade with their picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.support.tolerances import CAPTION_LIGHT
from tests.support.video import (
    Frames,
    catalogue,
    clip_of,
    compositor_of,
    draw,
    draw_range,
    flat,
    luma,
    timeline_of,
)
from video_pipeline import native
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.render.captions.draw import draw_captions
from video_pipeline.engine.timeline import Caption
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.fade import light
from video_pipeline.filters.text import TextStyle

SIZE_PX = (180, 320)
FRAMES = 30
STYLE = TextStyle(size_px=24)

Form = Literal["drawtext", "picture", "native"]
FORMS = [
    "drawtext",
    "picture",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason="no native extension")),
]


FONTS = {"drawtext": "Noto Sans", "picture": "NotoSans-Bold", "native": "NotoSans-Bold"}


def drawn(folder: Path, words: Caption, form: Form) -> Frames:
    """Return the frames of a caption on a grey that does not fade itself."""
    source = flat(folder / "grey.png", (40, 40, 40), SIZE_PX)
    timeline = timeline_of([clip_of(source, 0, FRAMES)], size_px=SIZE_PX)
    drawtext = form != "native"
    art = draw_captions(
        replace(timeline, captions=(words,)),
        fonts=catalogue(),
        cache=ContentCache(folder / "cache"),
        drawtext=drawtext,
    )
    assert [a.drawn_by for a in art] == ["drawtext" if form == "drawtext" else "raster"]
    graphs = compositor_of(timeline)
    if form != "native":
        return draw(graphs.with_captions(art))
    from video_pipeline.engine.render.compositors.native import NativeCompositor

    return draw_range(NativeCompositor(timeline=timeline, captions=art, graphs=graphs))


def ink(frames: Frames) -> np.ndarray:
    """Return how much brighter than the grey each frame is in all."""
    grey = luma(frames[0])[0, 0]
    return np.array([(luma(frame).astype(float) - grey).clip(0).sum() for frame in frames])


def caption(form: Form, **fields: object) -> Caption:
    given: dict[str, object] = {"frames": FrameRange(0, FRAMES), "animation": "none", **fields}
    return Caption(scene_id="s", text="HI HO", style=STYLE, font=FONTS[form], position="center", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fades", [(10, 0), (0, 8), (10, 8), (0, 45), (20, 20)])
def test_a_caption_has_the_light_of_its_scene_on_every_frame(
    tmp_path: Path, form: Form, fades: tuple[int, int]
) -> None:
    fades_in, fades_out = fades
    whole = ink(drawn(tmp_path, caption(form), form))
    faded = ink(drawn(tmp_path, caption(form, fade_in_frames=fades_in, fade_out_frames=fades_out), form))
    assert whole.min() > 1000
    shares = faded / whole
    wanted = [light(at, FRAMES, fades_in, fades_out) for at in range(FRAMES)]
    assert np.abs(shares - wanted).max() <= CAPTION_LIGHT, np.round(shares - wanted, 3)


@pytest.mark.parametrize("form", FORMS)
def test_the_light_of_the_scene_and_the_entrance_of_the_caption_multiply(tmp_path: Path, form: Form) -> None:
    whole = ink(drawn(tmp_path, caption(form), form))
    plain = ink(drawn(tmp_path, caption(form, animation="fade"), form)) / whole
    faded = ink(drawn(tmp_path, caption(form, animation="fade", fade_out_frames=20), form)) / whole
    wanted = plain * [light(at, FRAMES, 0, 20) for at in range(FRAMES)]
    assert np.abs(faded - wanted).max() <= CAPTION_LIGHT
