"""Small videos made from FFmpeg's own sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

MakeVideo = Callable[..., Path]

TAGS = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
RGB_TO_YUV = f"scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,{TAGS}"


def pixels(image: Image.Image) -> npt.NDArray[np.float64]:
    """Return a picture's RGB values, (height, width, 3)."""
    return np.asarray(image.convert("RGB"), np.float64)
