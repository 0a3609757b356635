"""Sounds that fake speech services make: a tone for each word, at known times."""

from __future__ import annotations

import io
import re
import wave
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

RATE_HZ = 24_000
PERIOD = 100
AMPLITUDE = 0.4
"""Words are tones of 240 Hz."""

Samples = npt.NDArray[np.float64]


def spoken_samples(text: str) -> tuple[Samples, list[tuple[int, int, float]]]:
    """Return a tone for each word, with the place of each in the text and the second at which it begins."""
    made: list[Samples] = [np.zeros(round(0.2 * RATE_HZ))]
    at, words = len(made[0]), []
    for match in re.finditer(r"[^\s,.;:!?…—()“”]+|[.!?]", text):
        if match[0] in ".!?":
            made.append(np.zeros(round(0.25 * RATE_HZ)))
        else:
            length = PERIOD * (5 + 5 * len(match[0]))  # whole periods, so that the fake itself does not click
            tone = AMPLITUDE * np.sin(2 * np.pi * np.arange(length) / PERIOD)
            words.append((*match.span(), at / RATE_HZ))
            made += [tone, np.zeros(round(0.02 * RATE_HZ))]
            at += len(made[-2])
        at += len(made[-1])
    return np.concatenate(made), words


def wav_of(samples: Samples, *, streamed: bool = False) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    data = bytearray(held.getvalue())
    if streamed:  # OpenAI's servers write the header before they know the length
        data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    return bytes(data)


def ogg_of(samples: Samples) -> bytes:
    held = io.BytesIO()
    with av.open(held, "w", format="ogg") as container:
        # FFmpeg's own encoder, which has no mono.
        stream = container.add_stream("vorbis", rate=RATE_HZ, layout="stereo", options={"strict": "-2"})
        both = np.repeat(samples.astype(np.float32).reshape(1, -1), 2, axis=0)
        frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
        frame.sample_rate = RATE_HZ
        frame.time_base = Fraction(1, RATE_HZ)
        frame.pts = 0
        for one in (frame, None):
            container.mux(stream.encode(one))
    return held.getvalue()
