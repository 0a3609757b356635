"""How often `capped` in the manifest is right: segments that are encoded with and without a cap on the bit rate.

    python -m benchmarks.quality_cap [--seed 1]

The pictures are noise of several strengths over a gradient that moves, at 180x320 and 24 fps. A segment counts as limited if
one of its frames has another size, by more than 200 bytes, than without the cap.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from benchmarks.report import markdown_table
from video_pipeline.engine.config import load_config
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.quality.rates import is_capped

WIDTH, HEIGHT, FPS = 180, 320, 24
NOISES: Final = (0, 2, 5, 10, 20)
"""Standard deviations of the noise, in levels of luma."""

NOISY_FROM: Final = (0, 12)
"""The frame from which there is noise."""

LENGTHS: Final = (6, 24, 72)
CRFS: Final = (20, 30)
CAPS: Final = ("200k", "500k", "1M", "2M", "4M")
UNCAPPED: Final = "500M"
LIMITED_BYTES: Final = 200


def frames_of(rng: np.random.Generator, noise: float, start: int, count: int) -> list[npt.NDArray[np.uint8]]:
    """Return frames as the compositors give them: planes of YUV 4:2:0 below each other."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    made = []
    for number in range(count):
        luma = 60 + 100 * ((columns + rows + 2 * number) % 256) / 256
        luma = luma + rng.normal(0, noise if number >= start else 0, luma.shape)
        chroma = np.full((HEIGHT // 2, WIDTH), 128.0)
        made.append(np.concatenate([luma, chroma]).clip(16, 235).round().astype(np.uint8))
    return made


def settings_of(crf: int, cap: str) -> EncoderSettings:
    """Return the default profile's settings with a crf and a cap."""
    keys: dict[str, Any] = {
        "codec": "libx264", "size": [WIDTH, HEIGHT], "fps": FPS, "crf": crf, "max_bitrate": cap
    }  # fmt: skip
    return encoder_settings(load_encoder("libx264"), load_config({"video": keys}, environ=False).video)


def sizes_of(data: bytes) -> list[int]:
    """Return the bytes of each frame, in the order of decoding."""
    with av.open(io.BytesIO(data), "r") as container:
        return [packet.size for packet in container.demux(video=0) if packet.dts is not None]


def compare(seed: int) -> Iterator[tuple[bool, bool, float]]:
    """Yield of each segment whether it was called capped, whether it was limited, and the share of bits that it lost."""
    rng = np.random.default_rng(seed)
    for noise, start, length, crf in product(NOISES, NOISY_FROM, LENGTHS, CRFS):
        frames = frames_of(rng, noise, start, length)
        free = sizes_of(encode_segment(iter(frames), settings_of(crf, UNCAPPED)))
        for cap in CAPS:
            bits = int(float(cap.rstrip("kM")) * (1e3 if cap.endswith("k") else 1e6))
            sizes = sizes_of(encode_segment(iter(frames), settings_of(crf, cap)))
            called = is_capped(sizes, fps=Fraction(FPS), cap_bits=bits, buffer_bits=2 * bits)
            limited = any(abs(one - other) > LIMITED_BYTES for one, other in zip(sizes, free, strict=True))
            yield called, limited, 1 - sum(sizes) / sum(free)


def main() -> int:
    """Encode, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality_cap", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seed", type=int, default=1, help="of the noise (default 1)")
    found = list(compare(parser.parse_args().seed))
    missed = [lost for called, limited, lost in found if limited and not called]
    rows = [
        ("segments", str(len(found))),
        ("limited by the cap", str(sum(limited for _, limited, _ in found))),
        ("called capped, and not limited", str(sum(called and not limited for called, limited, _ in found))),
        ("limited, and not called capped", str(len(missed))),
        ("of these, with more than a tenth of the bits lost", str(sum(lost > 0.1 for lost in missed))),
    ]
    print(markdown_table(("what", "count"), rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
