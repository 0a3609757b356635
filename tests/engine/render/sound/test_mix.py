"""The sound of a whole video: real files mixed by the real ffmpeg, decoded and measured."""

from __future__ import annotations

import hashlib
import math
import os
import re
import resource
import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import ROOT
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import AssetError, CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.render.sound.mix import SAMPLE_RATE_HZ, AudioReport, mix_audio
from video_pipeline.engine.render.sound.mixdown import (
    CROSSFADE,
    MERGE_GAP,
    Envelope,
    mixed_samples,
    speech_intervals,
)
from video_pipeline.engine.timeline import AudioTrack, Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.audio import Loudness, parse_loudness

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
Sound = npt.NDArray[np.float64]


def write_wav(path: Path, samples: Sound, rate_hz: int = 48000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def tone(frequency_hz: float, seconds: float, amplitude: float = 0.25, rate_hz: int = 48000) -> Sound:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def noise(seconds: float, amplitude: float, seed: int, rate_hz: int = 48000) -> Sound:
    return amplitude * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def track(
    kind: str,
    path: Path,
    at: Fraction | int,
    duration: Fraction | int,
    start: Fraction | int = 0,
    gain_db: float = 0,
) -> AudioTrack:
    return AudioTrack(
        kind=kind,  # type: ignore[arg-type]
        path=path,
        sha256="",
        at=Fraction(at),
        duration=Fraction(duration),
        start=Fraction(start),
        gain_db=gain_db,
    )


def timeline(tracks: Sequence[AudioTrack], frames: int, fps: Fraction | int = 30) -> Timeline:
    still = Still(path=Path("picture.png"), width_px=16, height_px=16, sha256="")
    clip = Clip(scene_id="1", frames=FrameRange(0, frames), source=still)
    return Timeline(
        width_px=16, height_px=16, fps=Fraction(fps), title="", clips=(clip,), audio=tuple(tracks)
    )


def render(folder: Path, line: Timeline, **options: object) -> tuple[AudioReport, npt.NDArray[np.float32]]:
    report = mix_audio(line, settings=Audio.model_validate(options), target=folder / "mix.wav", ffmpeg=FFMPEG)
    raw = subprocess.run(
        [FFMPEG, "-nostdin", "-v", "error", "-i", report.path, "-f", "f32le", "-"],
        check=True,
        capture_output=True,
    ).stdout
    return report, np.frombuffer(raw, np.float32).reshape(-1, 2)


def mixed(line: Timeline, **options: object) -> npt.NDArray[np.float32]:
    """The mix before it is brought to its loudness: levels are those of the plan."""
    chosen = Audio.model_validate(options)
    return np.concatenate(list(mixed_samples(line, settings=chosen, speech=speech_intervals(line))))


def measured(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak, by an ffmpeg of its own."""
    log = subprocess.run(
        [FFMPEG, "-nostdin", "-hide_banner", "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    summary = log[log.rindex("Summary:") :]
    integrated = re.search(r"I:\s+(\S+) LUFS", summary)
    peak = re.search(r"Peak:\s+(\S+) dBFS", summary)
    assert integrated
    assert peak
    return float(integrated[1]), float(peak[1])


def level_db(samples: npt.NDArray[np.float32], frequency_hz: float, begin: float, end: float) -> float:
    """The level of one tone on the left between two times, by its Fourier coefficient."""
    part = samples[round(begin * 48000) : round(end * 48000), 0].astype(np.float64)
    window = np.hanning(len(part))
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(len(part)) / 48000)
    return 20 * math.log10(2 * abs(np.sum(part * window * turns)) / window.sum() + 1e-12)


# --- length and place -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fps", "samples"), [(Fraction(30), 161600), (Fraction(24), 202000), (Fraction(30000, 1001), 161762)]
)
@pytest.mark.parametrize("peaks", [False, True], ids=["linear", "limited"])
def test_the_sound_is_as_long_as_the_pictures_to_the_sample(
    tmp_path: Path, fps: Fraction, samples: int, peaks: bool
) -> None:
    sound = noise(9, 0.02, seed=1)
    if peaks:
        sound[24000::24000] = 0.95
    path = write_wav(tmp_path / "n.wav", sound)
    report, heard = render(tmp_path, timeline([track("narration", path, 0, 9)], 101, fps))
    assert report.limited == peaks
    assert report.samples == len(heard) == samples


@pytest.mark.parametrize("rate_hz", [24000, 44100, 48000])
@pytest.mark.parametrize("peaks", [False, True], ids=["linear", "limited"])
def test_a_click_is_heard_at_its_sample(tmp_path: Path, rate_hz: int, peaks: bool) -> None:
    sound = noise(1, 0.001 if peaks else 0.05, seed=2, rate_hz=rate_hz)
    sound[rate_hz // 4] = 0.9
    path = write_wav(tmp_path / "n.wav", sound, rate_hz)
    fps = Fraction(30000, 1001)
    at = 37 / fps
    options = {} if peaks else {"target_lufs": -30}
    report, heard = render(tmp_path, timeline([track("narration", path, at, 1)], 90, fps), **options)
    assert report.limited == peaks
    onset = int(np.argmax(np.abs(heard[:, 0])))
    assert abs(onset - (round(at * SAMPLE_RATE_HZ) + 12000)) <= 1


def test_the_sound_of_a_clip_starts_where_its_pictures_start(tmp_path: Path) -> None:
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


def test_music_is_low_while_someone_speaks_and_back_after(tmp_path: Path) -> None:
    music = write_wav(tmp_path / "m.wav", tone(440, 12))
    clip = write_wav(tmp_path / "f.wav", tone(1000, 12))
    speech = write_wav(tmp_path / "n.wav", tone(2600, 2, 0.2, 24000), 24000)
    tracks = [
        track("music", music, 0, 12),
        track("footage", clip, 0, 12),
        track("narration", speech, 3, 2),
        track("narration", speech, Fraction(11, 2), 2),
    ]
    report, heard = render(tmp_path, timeline(tracks, 360), music_duck=-9, music_fade=0.2)
    for frequency_hz in (440, 1000):
        loud = level_db(heard, frequency_hz, 1.0, 2.5)
        assert level_db(heard, frequency_hz, 2.5, 2.74) == pytest.approx(loud, abs=0.1)
        # Already low at the first word, and low in the half second between the two.
        for begin, end in ((3.0, 3.2), (3.5, 4.5), (5.05, 5.45), (5.5, 7.5)):
            assert level_db(heard, frequency_hz, begin, end) == pytest.approx(loud - 9, abs=0.15)
        assert level_db(heard, frequency_hz, 8.15, 10) == pytest.approx(loud, abs=0.1)
    assert level_db(heard, 2600, 3.5, 4.5) == pytest.approx(
        level_db(heard, 440, 1, 2.5) + 20 * math.log10(0.2 / 0.25) + 16, abs=0.15
    )
    assert report.speech == ((Fraction(3), Fraction(15, 2)),)
    assert not report.limited


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


# --- loudness ---------------------------------------------------------------------------------------------


def spoken_like(seconds: float, amplitude: float, seed: int, clicks: float = 0.0) -> Sound:
    """Noise in syllables and pauses, with sharp peaks if wanted."""
    sound = noise(seconds, amplitude, seed, 24000)
    at = np.arange(len(sound)) / 24000
    sound *= np.clip(np.sin(2 * np.pi * 3 * at), 0, 1) * (at % 4 < 3)
    if clicks:
        sound[6000::12000] = clicks
    return sound


@pytest.mark.parametrize(
    ("amplitude", "clicks", "target_lufs", "limited"),
    [(0.005, 0, -14, False), (0.25, 0, -20, False), (0.12, 0.6, -14, True), (0.05, 0.9, -14, True), (0.2, 0, -9, True)],
    ids=["far too quiet", "too loud", "speech", "sharp peaks", "a loud target"],
)  # fmt: skip
def test_the_result_has_its_loudness_and_keeps_its_true_peak(
    tmp_path: Path, amplitude: float, clicks: float, target_lufs: float, limited: bool
) -> None:
    path = write_wav(tmp_path / "n.wav", spoken_like(12, amplitude, 8, clicks), 24000)
    report, _ = render(tmp_path, timeline([track("narration", path, 0, 12)], 360), target_lufs=target_lufs)
    integrated, peak = measured(report.path)
    assert integrated == pytest.approx(target_lufs, abs=0.2 + 1e-6)
    assert report.limited == limited
    assert peak <= -1 + 0.1
    assert report.output_lufs == pytest.approx(integrated, abs=0.11)
    assert report.output_true_peak_db == pytest.approx(peak, abs=0.11)
    assert report.input_lufs + report.gain_db >= target_lufs - 0.11
    assert not report.silent


def test_sums_above_full_scale_are_not_clipped(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "n.wav", tone(1000, 4, 0.9))
    line = timeline([track("narration", path, 0, 4), track("narration", path, 0, 4, gain_db=6)], 120)
    report, heard = render(tmp_path, line)
    assert report.input_true_peak_db > 8
    part = heard[48000:96000, 0].astype(np.float64)
    carrier = np.exp(-2j * np.pi * 1000 * np.arange(len(part)) / 48000)
    clean = np.real(2 * np.mean(part * carrier) * np.conj(carrier))
    distortion_db = 10 * math.log10(np.mean((part - clean) ** 2) / np.mean(clean**2))
    assert distortion_db < -75


@pytest.mark.parametrize(
    "amplitude", [None, 0.0, 0.00008], ids=["no tracks", "digital silence", "below the gate"]
)
def test_silence_stays_silent(tmp_path: Path, amplitude: float | None) -> None:
    tracks = []
    if amplitude is not None:
        path = write_wav(tmp_path / "n.wav", noise(3, amplitude, seed=9))
        tracks = [track("narration", path, 0, 3)]
    report, heard = render(tmp_path, timeline(tracks, 90))
    assert report.silent
    assert report.gain_db == 0
    assert not report.limited
    assert len(heard) == 144000
    assert np.abs(heard).max() <= 5 * (amplitude or 0)
    if not amplitude:
        assert report.input_true_peak_db == -math.inf


def test_a_sound_too_short_to_measure_gets_no_gain_but_keeps_its_true_peak(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "n.wav", tone(1000, 0.3, 0.999))
    report, heard = render(tmp_path, timeline([track("narration", path, 0, 1)], 9))
    assert report.silent
    assert report.gain_db == 0
    assert report.limited
    assert len(heard) == 14400
    assert measured(report.path)[1] == pytest.approx(-1, abs=0.1)


def test_the_summary_of_the_meter_is_read_whatever_stands_around_it() -> None:
    log = (
        "[Parsed_ebur128_0 @ 0x1] Summary:\n\n  Integrated loudness:\n    I:         -23.4 LUFS\n"
        "    Threshold: -33.5 LUFS\n\n  Loudness range:\n    LRA:         2.0 LU\n\n  True peak:\n"
        "    Peak:        0.3 dBFS\n[out#0/null @ 0x2] video:0KiB\n"
    )
    assert parse_loudness(log) == Loudness(integrated_lufs=-23.4, true_peak_db=0.3)
    quiet = parse_loudness(log.replace("-23.4", "-70.0").replace("0.3 dBFS", "-inf dBFS"))
    assert quiet.true_peak_db == -math.inf
    assert not quiet.measurable
    for wrong in ("", "Summary: none", log.replace("-23.4", "nan")):
        with pytest.raises(ValueError, match="ebur128"):
            parse_loudness(wrong)


# --- files, errors, cancelling ----------------------------------------------------------------------------


def test_the_same_timeline_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "n.wav", spoken_like(3, 0.12, 10), 24000)
    line = timeline([track("narration", path, 0, 3), track("music", path, 0, 4)], 120)
    hashes = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        report, _ = render(folder, line)
        hashes.append(hashlib.sha256(report.path.read_bytes()).hexdigest())
        assert [entry.name for entry in folder.iterdir()] == ["mix.wav"]
    assert hashes[0] == hashes[1]


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def spoken(folder: Path) -> Timeline:
    """Return a timeline of three seconds with something to hear, so that ffmpeg is asked."""
    return timeline([track("narration", write_wav(folder / "n.wav", noise(1, 0.1, seed=3)), 0, 1)], 90)


def test_a_failing_ffmpeg_is_reported_and_leaves_what_was_there(tmp_path: Path) -> None:
    broken = script(tmp_path / "ffmpeg", "echo no such filter: ebur128 >&2; exit 3")
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "mix.wav"
    target.write_bytes(b"the last one")
    with pytest.raises(SubprocessError, match="no such filter: ebur128") as raised:
        mix_audio(spoken(tmp_path), settings=Audio(), target=target, ffmpeg=broken)
    assert raised.value.details["returncode"] == 3
    assert raised.value.details["argv"][0] == str(broken)
    assert [entry.name for entry in folder.iterdir()] == ["mix.wav"]
    assert target.read_bytes() == b"the last one"


def test_a_sound_that_is_gone_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    line = timeline([track("narration", tmp_path / "gone.wav", 0, 1)], 30)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(AssetError, match=r"gone\.wav"):
        mix_audio(line, settings=Audio(), target=folder / "mix.wav", ffmpeg=FFMPEG)
    assert not list(folder.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderingError, match=r"nowhere.*No such file"):
        mix_audio(spoken(tmp_path), settings=Audio(), target=tmp_path / "nowhere" / "mix.wav", ffmpeg=FFMPEG)


@pytest.mark.parametrize("calls", [2, 5], ids=["while mixing", "while ffmpeg runs"])
def test_cancelling_stops_at_once_ends_the_child_and_leaves_nothing(tmp_path: Path, calls: int) -> None:
    slow = script(tmp_path / "ffmpeg", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    folder = tmp_path / "out"
    folder.mkdir()
    asked = iter(range(1000))
    begun = time.monotonic()
    with pytest.raises(CancelledError, match="cancelled"):
        mix_audio(
            spoken(tmp_path),
            settings=Audio(),
            target=folder / "mix.wav",
            ffmpeg=slow,
            cancelled=lambda: next(asked) >= calls,
        )
    assert time.monotonic() - begun < 20
    assert not list(folder.iterdir())
    started = tmp_path / "pid"
    assert started.exists() == (calls == 5)
    if started.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(started.read_text()), 0)


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
        code = f"import test_mix; print(test_mix.peak_kib({scenes}, {str(tmp_path)!r}))"
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
