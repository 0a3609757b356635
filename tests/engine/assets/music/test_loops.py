"""Synthesised music: the same bytes for a seed, no seam, no clipping, room for the voice."""

from __future__ import annotations

import hashlib
import itertools
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.loudness import loudness_of
from tests.support.sounds import write_wav
from video_pipeline.engine.assets.music.loops import LOOP_LUFS, LOOP_SECONDS, Pcm, make_loop, score_of
from video_pipeline.engine.assets.music.moods import BY_NAME, MOODS, SCALES, SUITS, find_mood
from video_pipeline.engine.common.music import MoodName

NAMES: tuple[MoodName, ...] = get_args(MoodName)


@pytest.fixture(scope="module")
def loops() -> dict[str, Pcm]:
    return {name: make_loop(name, 3) for name in NAMES}


@pytest.fixture(params=NAMES)
def loop(request: pytest.FixtureRequest, loops: dict[str, Pcm]) -> npt.NDArray[np.float64]:
    return loops[request.param] / 32768


def test_every_mood_is_in_the_table_once() -> None:
    assert tuple(mood.name for mood in MOODS) == NAMES
    assert len(NAMES) >= 10


def test_a_mood_s_rhythms_are_bars_of_sixteen_steps_and_its_chords_exist() -> None:
    for mood in MOODS:
        for figure in (*mood.figures, mood.bass, mood.kick or "." * 16, mood.shaker or "." * 16):
            assert len(figure) == 16, mood.name
        assert all(set(figure) <= set("0123.") for figure in mood.figures)
        assert all(0 <= degree < 7 for degrees in mood.progressions for degree in degrees)
        assert mood.scale in SCALES


def test_the_same_seed_gives_the_same_bytes_on_every_machine() -> None:
    # Only exactly rounded operations are used, so this holds for every processor and version of NumPy.
    digest = hashlib.sha256(make_loop("hopeful", 7).astype("<i2").tobytes()).hexdigest()
    assert digest == "b56e28537134ba9e8efafcc2a4a58b290d7ee7b081ae1dfcac0903f5e4e3cc01"


def test_every_seed_and_every_mood_sound_different(loops: dict[str, Pcm]) -> None:
    others = [make_loop("calm", seed) for seed in (4, 5)]
    for one, other in itertools.combinations([*loops.values(), *others], 2):
        size = min(len(one), len(other))
        assert abs(np.corrcoef(one[:size, 0], other[:size, 0])[0, 1]) < 0.6


def test_a_loop_lasts_20_to_30_seconds_in_whole_beats(loops: dict[str, Pcm]) -> None:
    low, high = LOOP_SECONDS
    for name in NAMES:
        for seed in range(40):
            score = score_of(name, seed)
            first, last = BY_NAME[name].tempo
            assert first - 0.1 <= score.tempo <= last + 0.1
        assert low <= len(loops[name]) / 48000 <= high
        assert (len(loops[name]) / 48000 / float(score_of(name, 3).beat)) % 4 == 0


def test_the_seam_is_no_larger_than_other_steps(loop: npt.NDArray[np.float64]) -> None:
    steps = np.abs(np.diff(loop, axis=0))
    assert np.abs(loop[0] - loop[-1]).max() <= np.quantile(steps, 0.999)
    # The level goes on, too: a second on both sides of the seam, as loud as the quietest second elsewhere.
    seconds = np.sqrt((np.roll(loop, 24000, axis=0)[: 20 * 48000].reshape(20, -1) ** 2).mean(axis=1))
    assert seconds[0] >= 0.7 * seconds[1:].min()


def test_no_sample_clicks(loop: npt.NDArray[np.float64]) -> None:
    # A click bends the wave at two or three samples alone; a stroke, even of noise, is many samples long.
    bends = np.abs(np.diff(loop, 2, axis=0)).max(axis=1)
    around = np.lib.stride_tricks.sliding_window_view(bends, 961)[::97]
    assert (around[:, 480] <= 4 * np.quantile(around, 0.98, axis=1) + 1e-4).all()


def test_the_constant_part_is_inaudible(loop: npt.NDArray[np.float64]) -> None:
    assert np.abs(loop.mean(axis=0)).max() < 10 ** (-80 / 20)


def test_the_voice_has_room_between_1_and_4_khz(loop: npt.NDArray[np.float64]) -> None:
    power = np.abs(np.fft.rfft(loop.mean(axis=1))) ** 2
    hertz = np.fft.rfftfreq(len(loop), 1 / 48000)

    def share_db(low: float, high: float) -> float:
        return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum() / power.sum()))

    assert share_db(1000, 4000) < -15
    assert share_db(0, 40) < -20
    assert share_db(80, 1000) > -3
    assert share_db(8000, 24000) < -30


def test_the_loudness_is_that_which_the_mix_counts_on(loops: dict[str, Pcm], tmp_path: Path) -> None:
    for name, loop in loops.items():
        lufs, peak_db = loudness_of(write_wav(tmp_path / f"{name}.wav", loop / 32767))
        assert lufs == pytest.approx(LOOP_LUFS, abs=1), name
        assert peak_db <= -1, name


def test_a_loop_takes_less_than_a_second_of_a_processor() -> None:
    took = []
    for _ in range(3):
        begun = time.process_time()
        make_loop("bright", 11)
        took.append(time.process_time() - begun)
    assert min(took) < 1


@pytest.mark.parametrize(
    ("mood", "genre", "expected"),
    [
        (None, "horror", "dark"),
        (None, "Science Fiction", "dreamy"),
        ("Melancholic", "comedy", "sad"),
        ("of no kind", "comedy", "bright"),
        (None, "of no kind", "calm"),
    ],
)
def test_a_story_s_mood_goes_before_its_genre(mood: str | None, genre: str, expected: str) -> None:
    assert find_mood(mood, genre).name == expected


def test_every_mood_suits_its_own_name_and_a_genre() -> None:
    from video_pipeline.engine.assets.backgrounds import GENRES

    suited: dict[Any, set[str]] = {}
    for genre in GENRES:
        assert genre in SUITS, genre
        suited.setdefault(SUITS[genre], set()).add(genre)
    assert all(SUITS[name] == name for name in NAMES)
