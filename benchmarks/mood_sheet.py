"""Draw docs/images/moods.png: the waveform, spectrum and loudness of each mood's music, and of the sound effects.

    python -m benchmarks.mood_sheet [OUT.png]

Loudness and true peak are those of ffmpeg's ebur128; shares of power are by octave.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from video_pipeline.engine.assets.music.effects import MAKERS, make_effect
from video_pipeline.engine.assets.music.loops import Pcm, make_loop, score_of
from video_pipeline.engine.assets.music.moods import MOODS
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg

SEED: Final = 1
RATE_HZ: Final = 48_000
WIDTH_PX, ROW_PX = 1200, 84
WAVE_PX: Final = (330, 850)
"""Where the waveform begins and ends, in pixels; to its right are the octaves."""
OCTAVES_HZ: Final = (31, 62, 125, 250, 500, 1000, 2000, 4000, 8000)
BACK, INK, FAINT = (250, 249, 246), (38, 42, 51), (150, 154, 163)
BLUE, RED = (56, 104, 176), (196, 84, 66)


def measured(sound: Pcm, folder: Path) -> tuple[float, float]:
    """Return the integrated loudness (LUFS) and the true peak (dBTP) of a sound."""
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(sound.astype("<i2").tobytes())
    argv = [str(find_ffmpeg().path), "-hide_banner", "-nostats", "-i", str(path)]
    argv += ["-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"]
    log = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stderr
    lufs, peak = (
        re.findall(pattern, log)[-1] for pattern in (r"I:\s+(-?[\d.]+) LUFS", r"Peak:\s+(-?[\d.]+|-inf)")
    )
    return float(lufs), float(peak)


def octave_db(sound: npt.NDArray[Any]) -> list[float]:
    """Return the power of each octave from `OCTAVES_HZ` on, in dB of the whole."""
    power = np.abs(np.fft.rfft(sound.mean(axis=1))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    shares = [power[(hertz >= low) & (hertz < 2 * low)].sum() / power.sum() for low in OCTAVES_HZ]
    return [float(10 * np.log10(share + 1e-12)) for share in shares]


def draw_row(draw: ImageDraw.ImageDraw, top: int, sound: Pcm, title: str, lines: list[str]) -> None:
    """Draw one sound: its words, its waveform and its octaves from -60 to 0 dB."""
    large, small = ImageFont.load_default(20), ImageFont.load_default(13)
    draw.text((20, top + 8), title, INK, large)
    for number, line in enumerate(lines):
        draw.text((20, top + 36 + 17 * number), line, FAINT if number else INK, small)
    left, right = WAVE_PX
    middle, samples = top + ROW_PX // 2, sound.mean(axis=1) / 32768
    edges = np.linspace(0, len(samples), right - left + 1).astype(int)
    for x, (begin, end) in enumerate(pairwise(edges)):
        part = samples[begin : max(end, begin + 1)]
        low, high = (round(float(value) * 90) for value in (part.min(), part.max()))
        draw.line([left + x, middle - high, left + x, middle - low], BLUE)
    bar, base = 30, top + ROW_PX - 22
    for number, level in enumerate(octave_db(sound / 32768)):
        x = right + 40 + number * (bar + 4)
        height = max(0, round((level + 60) / 60 * (ROW_PX - 32)))
        voice = 1000 <= OCTAVES_HZ[number] < 4000
        draw.rectangle([x, base - height, x + bar, base], RED if voice else BLUE)
        name = str(OCTAVES_HZ[number]) if OCTAVES_HZ[number] < 1000 else f"{OCTAVES_HZ[number] // 1000}k"
        draw.text((x + bar // 2, base + 3), name, FAINT, small, anchor="ma")


def draw_sheet(target: Path) -> None:
    """Draw all moods and effects, and print a table of their figures."""
    rows = len(MOODS) + len(MAKERS)
    sheet = Image.new("RGB", (WIDTH_PX, rows * ROW_PX + 40), BACK)
    draw = ImageDraw.Draw(sheet)
    head = f"seed {SEED}; left: waveform; right: power by octave, -60 to 0 dB (red: 1 to 4 kHz, the voice's consonants)"
    draw.text((20, 12), head, FAINT, ImageFont.load_default(15))
    print("name          s     LUFS   dBTP  CPU s   seam / largest step  1-4 kHz dB")
    with tempfile.TemporaryDirectory() as folder:
        for number, mood in enumerate(MOODS):
            begun = time.process_time()
            sound = make_loop(mood.name, SEED)
            took = time.process_time() - begun
            lufs, peak = measured(sound, Path(folder))
            score, seconds = score_of(mood.name, SEED), len(sound) / RATE_HZ
            key = score.key.replace("♭", " flat").replace("♯", " sharp")  # the font has no such signs
            lines = [f"{score.tempo:.0f} bpm, {key}, {seconds:.1f} s", f"{lufs:.1f} LUFS, {peak:.1f} dBTP"]
            draw_row(draw, 40 + number * ROW_PX, sound, mood.name, lines)
            wide = sound.astype(np.int64)
            seam, step = np.abs(wide[0] - wide[-1]).max() / 32768, np.abs(np.diff(wide, axis=0)).max() / 32768
            voice = 10 * np.log10(sum(10 ** (level / 10) for level in octave_db(sound / 32768)[5:7]))
            print(
                f"{mood.name:12s} {seconds:5.1f} {lufs:6.1f} {peak:6.1f}  {took:5.2f}   {seam:.4f} / {step:.4f}      {voice:6.1f}"
            )
        for number, name in enumerate(MAKERS, len(MOODS)):
            sound = make_effect(name)
            draw_row(draw, 40 + number * ROW_PX, sound, name, [f"{len(sound) / RATE_HZ * 1000:.0f} ms"])
    sheet.quantize(64).save(target, optimize=True)


if __name__ == "__main__":
    draw_sheet(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images/moods.png"))
