"""Which compositor a render uses."""

from __future__ import annotations

import pytest

from video_pipeline import native
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.compositors.choice import choose_compositor


def test_a_compositor_that_cannot_draw_here_is_an_error_that_lists_those_that_can() -> None:
    with pytest.raises(
        UnavailableError, match=r"video\.compositor: got 'cuda', which is not usable here: it is not part"
    ) as raised:
        choose_compositor("cuda")
    assert str(raised.value).endswith("native, ffmpeg" if native.available() else "auto, ffmpeg")
    assert choose_compositor("ffmpeg").name == "ffmpeg"


def test_the_native_compositor_is_chosen_if_its_extension_was_built() -> None:
    chosen = choose_compositor("auto")
    assert chosen.name == ("native" if native.available() else "ffmpeg")
    if native.available():
        assert native.target() in chosen.reason
    else:
        with pytest.raises(UnavailableError, match="got 'native', which is not usable here: it needs its C"):
            choose_compositor("native")
