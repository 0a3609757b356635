"""The sound of a whole video: real files mixed by the real ffmpeg, decoded and measured."""

from __future__ import annotations

import hashlib
import math
import os
import re
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.sounds import Sound, level_db, noise, timeline, tone, track, write_wav
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import AssetError, CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.render.sound.mix import SAMPLE_RATE_HZ, AudioReport, mix_audio
from video_pipeline.engine.timeline import Timeline
from video_pipeline.filters.audio import Loudness, parse_loudness

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())


def render(folder: Path, line: Timeline, **options: object) -> tuple[AudioReport, npt.NDArray[np.float32]]:
    report = mix_audio(line, settings=Audio.model_validate(options), target=folder / "mix.wav", ffmpeg=FFMPEG)
    raw = subprocess.run(
        [FFMPEG, "-nostdin", "-v", "error", "-i", report.path, "-f", "f32le", "-"],
        check=True,
        capture_output=True,
    ).stdout
    return report, np.frombuffer(raw, np.float32).reshape(-1, 2)


def measured(path: Path) -> tuple[float, float]:
    """Return integrated loudness and true peak, measured by a separate run of ffmpeg."""
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


def test_the_summary_of_the_meter_is_found_among_other_lines() -> None:
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


def test_a_deleted_sound_is_named_and_no_file_is_left(tmp_path: Path) -> None:
    line = timeline([track("narration", tmp_path / "gone.wav", 0, 1)], 30)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(AssetError, match=r"gone\.wav"):
        mix_audio(line, settings=Audio(), target=folder / "mix.wav", ffmpeg=FFMPEG)
    assert not list(folder.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderingError, match=r"nowhere.*No such file"):
        mix_audio(spoken(tmp_path), settings=Audio(), target=tmp_path / "nowhere" / "mix.wav", ffmpeg=FFMPEG)


@pytest.mark.parametrize("when", ["while mixing", "while ffmpeg runs"])
def test_cancelling_stops_at_once_ends_the_child_and_leaves_nothing(tmp_path: Path, when: str) -> None:
    slow = script(
        tmp_path / "ffmpeg", f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 60"
    )
    started = tmp_path / "pid"
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
            cancelled=(lambda: next(asked) >= 2) if when == "while mixing" else started.exists,
        )
    assert time.monotonic() - begun < 20
    assert not list(folder.iterdir())
    assert started.exists() == (when == "while ffmpeg runs")
    if started.exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int(started.read_text()), 0)
