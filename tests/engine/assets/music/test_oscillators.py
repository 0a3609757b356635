"""Waves from tables: as exact as they must be, and of the right pitch."""

from __future__ import annotations

import numpy as np
import pytest

from video_pipeline.engine.assets.music.oscillators import (
    PARTIALS,
    decay,
    glide,
    hiss,
    oscillate,
    pitch_hz,
    smoothed,
    swell,
    wave_table,
)


def test_the_table_of_a_sine_is_a_sine() -> None:
    exact = np.sin(2 * np.pi * np.arange(16384) / 16384)
    assert np.abs(wave_table("sine") - exact).max() < 1e-7


def test_a_wave_has_the_harmonics_of_its_name() -> None:
    for name, partials in PARTIALS.items():
        spectrum = np.abs(np.fft.rfft(wave_table(name))) * 2 / 16384
        assert spectrum[1 : len(partials) + 1] == pytest.approx(partials, abs=1e-5)
        assert spectrum[len(partials) + 1 :].max() < 1e-5


@pytest.mark.parametrize(("note", "hertz"), [(69, 440), (57, 220), (60, 261.6256), (84, 1046.502)])
def test_a_note_has_its_pitch(note: int, hertz: float) -> None:
    assert pitch_hz(note) == pytest.approx(hertz, abs=1e-3)
    turns = np.diff(np.signbit(oscillate("sine", pitch_hz(note), 96000))).sum() / 4
    assert turns == pytest.approx(hertz, abs=0.5)


def test_a_glide_begins_and_ends_at_its_frequencies() -> None:
    wave = glide("sine", 200, 800, 48000)
    crossings = np.flatnonzero(np.diff(np.signbit(wave)))
    assert 24000 / np.diff(crossings)[:3].mean() == pytest.approx(200, rel=0.05)
    assert 24000 / np.diff(crossings)[-8:].mean() == pytest.approx(800, rel=0.05)


def test_a_swell_begins_and_ends_at_nothing() -> None:
    shaped = swell(np.ones(1000, np.float32), attack=300, release=400)
    assert shaped[0] < 1e-4
    assert shaped[-1] < 1e-4
    assert (shaped[300:600] == 1).all()
    assert (np.diff(shaped[:300]) > 0).all()
    assert (np.diff(shaped[600:]) < 0).all()


def test_a_decay_is_a_half_after_its_time() -> None:
    fall = decay(48000, half_seconds=0.25)
    assert fall[0] == 1
    assert fall[12000] == pytest.approx(0.5, abs=0.01)


def test_hiss_is_white_and_has_no_constant_part() -> None:
    noise = hiss(2**16, seed=1)
    power = (np.abs(np.fft.rfft(noise)) ** 2)[1:].reshape(8, -1).mean(axis=1)
    assert power.max() < 1.1 * power.min()
    assert abs(noise.mean()) < 0.01
    assert np.abs(noise).max() <= 1
    assert not np.array_equal(noise, hiss(2**16, seed=2))


def test_a_smoothed_wave_is_the_mean_of_neighbours() -> None:
    wave = hiss(500, seed=4)
    expected = np.convolve(wave, np.ones(7) / 7)[:500]
    assert np.abs(smoothed(wave, 7) - expected).max() < 1e-6
