"""The mix before its loudness is adjusted: when each sound plays, how loud, and the memory that it takes."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tests.support.sounds import level_db, mixed, noise, timeline, tone, track, write_wav
from video_pipeline.engine.common.music import Score
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import AssetError
from video_pipeline.engine.render.sound.mix import SAMPLE_RATE_HZ
from video_pipeline.engine.render.sound.mixdown import (
    CROSSFADE,
    MERGE_GAP,
    Envelope,
    mixed_samples,
    speech_intervals,
)

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())


def test_the_sound_of_a_clip_starts_with_its_pictures(tmp_path: Path) -> None:
    sound = np.zeros(48000 * 5)
    sound[48000 * 3] = 0.9
    path = tmp_path / "clip.mp4"
    subprocess.run(
        [
            *(FFMPEG, "-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=5:r=25"),
            *("-i", write_wav(tmp_path / "c.wav", sound), "-c:v", "libx264", "-c:a", "aac", path),
        ],
        check=True,
    )
    line = timeline([track("footage", path, Fraction(1, 3), 2, start=Fraction(5, 2))], 90)
    heard = mixed(line)
    assert abs(int(np.argmax(np.abs(heard[:, 0]))) - (16000 + 24000)) <= 1


def test_speech_that_is_shorter_than_its_stretch_is_followed_by_silence_without_a_click(
    tmp_path: Path,
) -> None:
    path = write_wav(tmp_path / "n.wav", tone(300, 1.0, 0.5, 24000), 24000)
    heard = mixed(timeline([track("narration", path, 0, 3)], 90))
    assert level_db(heard, 300, 0.2, 0.8) == pytest.approx(20 * math.log10(0.5), abs=0.1)
    assert not heard[48000 + 2 :].any()
    assert np.abs(np.diff(heard[:, 0])).max() < 0.5 * 2 * math.pi * 300 / 48000 * 1.3


def test_every_track_fades_at_its_edges(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "n.wav", np.full(48000 * 2, 0.8))
    heard = mixed(timeline([track("narration", path, Fraction(1, 2), 1)], 60))
    assert np.abs(np.diff(heard[:, 0])).max() < 0.01
    assert np.allclose(heard[24000 + 400 : 72000 - 400], 0.8, atol=1e-3)


def test_sound_past_the_last_frame_is_cut(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "n.wav", tone(300, 3))
    line = timeline([track("narration", path, 1, 3), track("music", path, 5, 1)], 60)
    assert len(mixed(line)) == 96000
    assert speech_intervals(line) == ((Fraction(1), Fraction(2)),)


# --- music ------------------------------------------------------------------------------------------------


def test_music_has_the_level_of_its_settings_and_its_own_gain(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "m.wav", tone(440, 4, 0.5))
    line = timeline([track("music", path, 0, 4, gain_db=-3)], 120)
    heard = mixed(line, music_volume=-12, music_fade=0.5)
    assert level_db(heard, 440, 1, 3) == pytest.approx(20 * math.log10(0.5) - 15, abs=0.05)


def test_repeated_music_has_no_gap_and_comes_back_to_the_sample(tmp_path: Path) -> None:
    sound = noise(1.3, 0.2, seed=5)
    path = write_wav(tmp_path / "m.wav", sound)
    heard = mixed(timeline([track("music", path, 0, 10)], 300), music_volume=0, music_fade=0)[:, 0]
    windows = heard[480:-480].reshape(-1, 480)
    loudness_db = 20 * np.log10(np.sqrt((windows.astype(np.float64) ** 2).mean(axis=1)))
    assert loudness_db.min() > np.median(loudness_db) - 2
    assert loudness_db.max() < np.median(loudness_db) + 2
    period = len(sound) - CROSSFADE
    for turn in range(1, 7):
        begin = turn * period + CROSSFADE
        expected = sound[CROSSFADE : CROSSFADE + 40000]
        assert np.allclose(heard[begin : begin + 40000], expected, atol=1e-4)


def test_an_effect_is_not_lowered_under_speech(tmp_path: Path) -> None:
    speech = write_wav(tmp_path / "s.wav", np.zeros(3 * 48000))
    path = write_wav(tmp_path / "e.wav", tone(440, 1, 0.25))
    line = timeline([track("narration", speech, 0, 3), track("effect", path, 1, 1, gain_db=-6)], 90)
    heard = mixed(line)
    assert level_db(heard, 440, 1.2, 1.8) == pytest.approx(20 * math.log10(0.25) - 6, abs=0.05)
    assert level_db(heard, 440, 0.2, 0.8) < -90


def test_synthesised_music_is_repeated_without_a_crossfade(tmp_path: Path) -> None:
    sound = noise(1.3, 0.2, seed=5)
    path = write_wav(tmp_path / "m.wav", sound)
    score = Score("calm", 1, 60.0, "C major", Fraction(1))
    line = timeline([replace(track("music", path, 0, 5), score=score)], 150)
    heard = mixed(line, music_volume=0, music_fade=0)[480:-480, 0]
    assert np.allclose(heard, np.tile(sound, 4)[480 : 5 * 48000 - 480], atol=1e-4)


def test_music_of_a_hundredth_of_a_second_is_repeated_too(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "m.wav", noise(0.01, 0.2, seed=6))
    heard = mixed(timeline([track("music", path, 0, 2)], 60), music_volume=0, music_fade=0)[:, 0]
    assert np.sqrt((heard[480:-480].reshape(-1, 960) ** 2).mean(axis=1)).min() > 0.1


def test_music_fades_in_and_out(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "m.wav", tone(440, 3))
    heard = mixed(timeline([track("music", path, 0, 8)], 240), music_volume=0, music_fade=2)
    full = level_db(heard, 440, 3.5, 5.5)
    for near, half in (((0.0, 0.1), (0.95, 1.05)), ((7.9, 8.0), (6.95, 7.05))):
        assert level_db(heard, 440, *near) < full - 40
        assert level_db(heard, 440, *half) == pytest.approx(full - 6, abs=0.3)


def test_music_without_a_sample_is_an_error_not_an_endless_loop(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "m.wav", tone(440, 1))
    with pytest.raises(AssetError, match=r"m\.wav.*empty"):
        mixed(timeline([track("music", path, 0, 3, start=2)], 90))


# --- the envelope -----------------------------------------------------------------------------------------

moments = st.fractions(min_value=0, max_value=8, max_denominator=1000)


@settings(deadline=None, max_examples=20)
@given(spoken=st.lists(st.tuples(moments, moments), max_size=6), block=st.integers(2000, 60000))
def test_the_envelope_is_low_under_all_speech_and_does_not_depend_on_blocks(
    spoken: list[tuple[Fraction, Fraction]], block: int
) -> None:
    line = timeline([track("narration", Path("n.wav"), at, length) for at, length in spoken], 300)
    intervals = speech_intervals(line)
    for (_, stop), (start, _) in pairwise(intervals):
        assert start - stop >= MERGE_GAP
    total = 480000
    silent = np.zeros(total)
    whole = Envelope(intervals).depth(0, total)
    whole = silent if whole is None else whole
    assert whole.min() >= 0
    assert whole.max() <= 1
    assert np.abs(np.diff(whole)).max() < 2e-4
    for at, length in spoken:
        begin, end = round(at * 48000), round(min(at + length, Fraction(10)) * 48000)
        assert (whole[begin:end] == 1).all()
    envelope = Envelope(intervals)
    for begin in range(0, total, block):
        end = min(begin + block, total)
        part = envelope.depth(begin, end)
        assert np.array_equal(silent[begin:end] if part is None else part, whole[begin:end])


# --- memory -----------------------------------------------------------------------------------------------


def peak_kib(scenes: int, folder: str) -> int:
    """Mix one second of speech a scene, over music, and return this process's greatest size."""
    speech, music = Path(folder, "n.wav"), Path(folder, "m.wav")
    tracks = [track("narration", speech, second, 1) for second in range(scenes)]
    line = timeline([*tracks, track("music", music, 0, scenes)], scenes * 30)
    total = sum(len(block) for block in mixed_samples(line, settings=Audio(), speech=speech_intervals(line)))
    assert total == scenes * SAMPLE_RATE_HZ
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_memory_does_not_grow_with_scenes(tmp_path: Path) -> None:
    write_wav(tmp_path / "n.wav", noise(1, 0.1, seed=11, rate_hz=24000), 24000)
    write_wav(tmp_path / "m.wav", noise(20, 0.1, seed=12, rate_hz=44100), 44100)
    peaks = []
    for scenes in (15, 150):
        code = f"import test_mixdown; print(test_mixdown.peak_kib({scenes}, {str(tmp_path)!r}))"
        roots = [str(Path(__file__).parent), str(ROOT)]
        child = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(roots)},
        )
        peaks.append(int(child.stdout))
    # A whole mix of 150 seconds would be 58 MB.
    assert abs(peaks[1] - peaks[0]) < 20 * 1024, f"peaks of 15 and 150 scenes: {peaks} KiB"
