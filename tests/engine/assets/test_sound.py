"""Sound files of every container, and rejected files: real ones, made by ffmpeg and NumPy."""

from __future__ import annotations

import hashlib
import subprocess
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from video_pipeline.engine.assets.sound import SAMPLE_RATE_HZ, probe_sound, read_sound
from video_pipeline.engine.errors import AssetError

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def write_wav(path: Path, samples: npt.NDArray[np.float64], rate_hz: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())
    return path


def clicks(seconds: float, rate_hz: int, *times: float) -> npt.NDArray[np.float64]:
    samples = np.zeros(round(seconds * rate_hz))
    for time in times:
        samples[round(time * rate_hz)] = 0.9
    return samples


def heard(path: Path, start: Fraction = Fraction(0)) -> npt.NDArray[np.float32]:
    return np.concatenate(list(read_sound(path, start=start)))


FORMATS = {
    "wav": ["-c:a", "pcm_s16le"],
    "flac": [],
    "mp3": [],
    "opus": ["-ar", "48000"],
    "ogg": ["-c:a", "libvorbis"],
    "m4a": ["-c:a", "aac"],
    "mov": ["-c:a", "pcm_s24le"],
    "mkv": ["-c:a", "pcm_s16le"],
    "webm": ["-ar", "48000", "-c:a", "libopus"],
}


@pytest.mark.parametrize("rate_hz", [24000, 44100])
@pytest.mark.parametrize("extension", FORMATS)
def test_every_container_keeps_its_length_and_its_click_in_place(
    tmp_path: Path, extension: str, rate_hz: int
) -> None:
    source = write_wav(tmp_path / "source.wav", clicks(3, rate_hz, 0.5), rate_hz)
    path = tmp_path / f"sound.{extension}"
    ffmpeg("-i", source, *FORMATS[extension], path)
    sound = probe_sound(path)
    # AAC fills its last frame of 1024 samples.
    longest = Fraction(1024, rate_hz) if extension == "m4a" else Fraction(0)
    assert 0 <= sound.duration - 3 <= longest
    assert sound.path == path
    assert sound.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    samples = heard(path)
    assert abs(len(samples) - sound.duration * SAMPLE_RATE_HZ) <= 1
    assert abs(int(np.argmax(np.abs(samples[:, 0]))) - SAMPLE_RATE_HZ // 2) <= 1


def test_a_wav_is_as_long_as_its_samples(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "odd.wav", np.zeros(24001), 24000)
    assert probe_sound(path).duration == Fraction(24001, 24000)


def test_a_header_that_promises_more_sound_than_the_file_has_is_corrected(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "cut.wav", np.full(48000 * 4, 0.1), 48000)
    whole = path.read_bytes()
    path.write_bytes(whole[: 44 + 48000 * 2])
    assert probe_sound(path).duration == 1


def test_a_truncated_mp3_is_heard_up_to_its_cut(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "source.wav", np.random.default_rng(7).uniform(-0.3, 0.3, 96000), 24000)
    path = tmp_path / "cut.mp3"
    ffmpeg("-i", source, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 77])
    duration = probe_sound(path).duration
    assert Fraction(3, 2) < duration < Fraction(5, 2)
    assert abs(len(heard(path)) - duration * SAMPLE_RATE_HZ) <= 1


def test_one_channel_is_heard_on_both_sides_at_its_own_level(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "mono.wav", np.full(24000, 0.5), 24000)
    samples = heard(path)
    assert np.array_equal(samples[:, 0], samples[:, 1])
    assert np.allclose(samples[2400:-2400], 0.5, atol=1e-3)


def test_six_channels_become_two(tmp_path: Path) -> None:
    path = tmp_path / "surround.flac"
    ffmpeg("-f", "lavfi", "-i", "aevalsrc=0.1|0.1|0.1|0|0|0:c=5.1:s=48000:d=1", path)
    samples = heard(path)
    assert samples.shape == (48000, 2)
    assert np.abs(samples).max() > 0.1


@pytest.mark.parametrize("extension", ["wav", "mp3", "mp4"])
@pytest.mark.parametrize(("start", "click_at"), [(Fraction(3), 12000), (Fraction(23, 2), 24000)])
def test_reading_starts_at_the_sample_asked_for(
    tmp_path: Path, extension: str, start: Fraction, click_at: int
) -> None:
    source = write_wav(tmp_path / "source.wav", clicks(14, 48000, 3.25, 12.0), 48000)
    path = tmp_path / f"sound.{extension}"
    ffmpeg("-i", source, path)
    samples = heard(path, start)[:36000, 0]
    assert abs(int(np.argmax(np.abs(samples))) - click_at) <= 1


def test_lost_sound_becomes_silence_and_later_sound_stays_in_sync(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "source.wav", clicks(4, 48000, 0.5, 3.0), 48000)
    path = tmp_path / "gap.mkv"
    select = "aselect=not(between(t\\,1\\,2)),asetnsamples=1024:p=0"
    ffmpeg("-i", source, "-af", f"asetnsamples=480,{select}", "-c:a", "pcm_s16le", path)
    samples = heard(path)
    late = int(np.argmax(np.abs(samples[96000:, 0]))) + 96000
    assert abs(late - 3 * 48000) <= 48  # Matroska's time stamps are milliseconds


def test_a_clip_of_video_and_sound_is_read_for_its_sound(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    ffmpeg(
        "-f", "lavfi", "-i", "color=s=64x64:d=2", "-f", "lavfi", "-i", "sine=d=2:r=48000",
        "-c:v", "libx264", "-c:a", "aac", "-shortest", path,
    )  # fmt: skip
    assert abs(probe_sound(path).duration - 2) < Fraction(1, 20)


def silent_video(path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64:d=1", "-c:v", "libx264", "-f", "mp4", path)


def picture(path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=s=64x64", "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", path)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty file": (lambda path: path.touch(), "empty"),
    "prose": (
        lambda path: path.write_text("Once upon a time there was no sound. " * 200),
        "is not a sound",
    ),
    "a picture": (picture, "is not a sound"),
    "a video without sound": (silent_video, "no audio stream"),
    "a wav without samples": (lambda path: write_wav(path, np.zeros(0), 24000), "no sample"),
    "a folder": (lambda path: path.mkdir(), "is a folder; give a file"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_not_a_sound_is_refused_with_its_name_and_the_reason(
    tmp_path: Path, kind: str
) -> None:
    make, reason = REFUSED[kind]
    path = tmp_path / "sound.mp3"
    make(path)
    with pytest.raises(AssetError, match=reason) as raised:
        probe_sound(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"gone\.wav.*does not exist"):
        probe_sound(tmp_path / "gone.wav")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
    ],
    ids=["m3u8", "ffconcat"],
)
def test_a_playlist_posing_as_mp3_is_refused_not_followed(tmp_path: Path, text: str) -> None:
    secret = tmp_path / "secret.aac"
    ffmpeg("-f", "lavfi", "-i", "sine=d=3", secret)
    assert probe_sound(secret).duration > 2
    path = tmp_path / "song.mp3"
    path.write_text(text.format(path=secret.name))
    with pytest.raises(AssetError, match="is not a sound"):
        probe_sound(path)
