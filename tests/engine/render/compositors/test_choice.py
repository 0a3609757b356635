"""Which compositor a render uses."""

from __future__ import annotations

import shutil

import pytest

from video_pipeline import native
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.compositors.choice import choose_compositor, probe_compositor

NO_DRIVER = shutil.which("nvidia-smi") is None


def config(compositor: str) -> Config:
    return load_config({"video": {"compositor": compositor}}, environ=False)


@pytest.mark.skipif(not NO_DRIVER, reason="this machine has a GPU")
def test_a_compositor_that_cannot_draw_here_is_an_error_that_lists_those_that_can() -> None:
    why = "no NVIDIA driver" if native.available() else "it needs the native"
    with pytest.raises(
        UnavailableError, match=rf"video\.compositor: got 'cuda', which is not usable here: {why}"
    ) as raised:
        choose_compositor(config("cuda"))
    assert str(raised.value).endswith("native, ffmpeg" if native.available() else "auto, ffmpeg")
    assert choose_compositor(config("ffmpeg")).name == "ffmpeg"


@pytest.mark.skipif(not NO_DRIVER, reason="this machine has a GPU")
def test_the_native_compositor_is_chosen_if_its_extension_was_built() -> None:
    chosen = choose_compositor(config("auto"))
    assert chosen.name == ("native" if native.available() else "ffmpeg")
    assert chosen.reason.startswith("cuda is not usable: ")
    if native.available():
        assert native.target() in probe_compositor("native", config("auto")).reason
    else:
        with pytest.raises(UnavailableError, match="got 'native', which is not usable here: it needs its C"):
            choose_compositor(config("native"))
