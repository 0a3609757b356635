"""Speech decoded and joined: no click, nothing that is cut, silent or too short."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.speech_sounds import ogg_of, spoken_samples, wav_of
from video_pipeline.engine.assets.speech.joining import (
    PAUSE_SECONDS,
    NotSpeechError,
    decode_speech,
    join_speech,
)

RATE = 24_000
LOUD = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE + 1.0)
"""A second of tone that begins and ends in the middle of a wave."""


def test_pieces_that_end_in_the_middle_of_a_wave_are_joined_without_a_click() -> None:
    joined = join_speech([LOUD, LOUD[: RATE // 3], LOUD], RATE)
    slope = 0.5 * 2 * np.pi * 200 / RATE
    inner = joined.samples[RATE // 2 : -RATE // 2]  # the ends of the whole are the mixer's
    assert (
        np.abs(np.diff(np.concatenate([LOUD, np.zeros(5), LOUD]))).max() > 10 * slope
    )  # a plain join clicks
    assert np.abs(np.diff(inner)).max() < 1.2 * slope
    assert len(joined.samples) == 2 * RATE + RATE // 3 + 2 * round(PAUSE_SECONDS * RATE)


def test_silence_at_the_ends_is_left_out_and_times_move_by_it() -> None:
    quiet = np.zeros(RATE // 2)
    joined = join_speech([np.concatenate([quiet, LOUD, quiet]), np.concatenate([quiet, LOUD])], RATE)
    first, second = (start + len(quiet) for start in joined.starts)
    assert np.abs(joined.samples[:first]).max() == 0
    assert abs(joined.samples[first]) > 0.3
    assert np.abs(joined.samples[second - 20 : second]).max() == 0
    assert np.abs(joined.samples[second : second + 400]).max() > 0.3
    assert first < 0.1 * RATE


@pytest.mark.parametrize("make", [wav_of, ogg_of])
def test_a_sound_is_decoded_whole(make: object) -> None:
    samples, _ = spoken_samples("The lamp was lit.")
    decoded, rate = decode_speech(make(samples), letters=13)  # type: ignore[operator]
    assert rate == RATE
    assert 0 <= len(decoded) - len(samples) < 1024  # Ogg fills its last block
    near = min(len(decoded), len(samples))
    assert np.abs(decoded[:near] - samples[:near]).mean() < 0.05


@pytest.mark.parametrize("make", [wav_of, ogg_of])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_sound_is_refused(make: object, share: float) -> None:
    data = make(spoken_samples("The lamp was lit.")[0])  # type: ignore[operator]
    with pytest.raises(NotSpeechError, match="cut off"):
        decode_speech(data[: int(len(data) * share)], letters=1)


def test_a_streamed_wav_has_no_length_and_is_taken() -> None:
    samples = spoken_samples("The lamp was lit.")[0]
    decoded, _ = decode_speech(wav_of(samples, streamed=True), letters=13)
    assert len(decoded) == len(samples)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"<html>", "is not a sound"),
        (b"RIFF", "cut off"),
        (b"OggS" + bytes(40), "cut off|cannot be decoded"),
        (b"ID3" + bytes(100), "cannot be decoded|silent"),
        (wav_of(np.zeros(RATE)), "is silent"),
        (wav_of(np.zeros(0)), "is silent|cannot be decoded"),
        (wav_of(0.1 * np.ones(100)), "too short for 20 letters"),
    ],
)
def test_what_is_no_speech_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NotSpeechError, match=why):
        decode_speech(data, letters=20)
