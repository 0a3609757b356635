"""Clips: recognised by their bytes, shown upright, and unable to make FFmpeg open another file."""

from __future__ import annotations

import os
import random
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from video_pipeline.engine.assets.footage import Clipped, NotVideoError, probe_footage
from video_pipeline.engine.assets.sound import SAMPLE_RATE_HZ, probe_sound, read_sound
from video_pipeline.engine.errors import AssetError
from video_pipeline.engine.story.model import VideoSpec

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x36:d=1:r=25")
TONE = ("-f", "lavfi", "-i", "sine=d=1")


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def probed(path: Path, **fields: Any) -> Clipped:
    return probe_footage(path, VideoSpec(path=str(path), **fields))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    ffmpeg(*PICTURE, folder / "silent.mp4")
    ffmpeg(*PICTURE, *TONE, "-shortest", folder / "loud.mp4")
    return folder


CONTAINERS = {
    "mp4": "mov",
    "mov": "mov",
    "mkv": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "ts": "mpegts",
    "mpg": "mpeg",
    "flv": "flv",
    "gif": "gif",
}


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_container_is_detected_from_its_bytes_and_measured(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    ffmpeg(*PICTURE, path)
    renamed = path.rename(tmp_path / "clip.bin")
    footage = probed(renamed).footage
    assert footage.demuxer == CONTAINERS[suffix]
    assert (footage.width_px, footage.height_px) == (64, 36)
    assert (footage.start, footage.duration) == (0, 1)
    assert len(footage.sha256) == 64
    assert footage.path == renamed.resolve()


def loud_clip(path: Path) -> Path:
    """Write a clip of 12 seconds with clicks at 1 and 11 seconds."""
    clicks = "aevalsrc='0.9*between(mod(t,10),1,1.001)':s=44100:d=12"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x36:d=12:r=25", "-f", "lavfi", "-i", clicks, "-shortest", path)
    return path.rename(path.with_suffix(".bin"))


@pytest.mark.parametrize("suffix", [suffix for suffix in CONTAINERS if suffix != "gif"])
def test_the_sound_of_every_container_is_heard_in_its_place(tmp_path: Path, suffix: str) -> None:
    sound = probed(loud_clip(tmp_path / f"clip.{suffix}")).sound
    assert sound is not None
    assert sound.duration == pytest.approx(12, abs=0.1)
    assert probe_sound(sound.path).duration == pytest.approx(12, abs=0.1)
    for start, click in ((0, 1.0), (Fraction(21, 2), 0.5)):
        samples = np.concatenate(list(read_sound(sound.path, start=Fraction(start))))[: 3 * SAMPLE_RATE_HZ]
        loudest = int(np.argmax(np.abs(samples[:, 0]))) / SAMPLE_RATE_HZ
        assert loudest == pytest.approx(click, abs=0.03)  # MP3 in AVI and FLV begins with its encoder's delay


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_a_clip_is_as_long_as_its_picture_however_long_its_sound_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    ffmpeg(*PICTURE, "-f", "lavfi", "-i", "sine=d=90:r=48000", path)
    clipped = probed(path)
    assert clipped.warning is None
    assert float(clipped.footage.duration) == pytest.approx(1, abs=0.05)


def test_a_camera_s_mpeg_ts_with_arrival_times_is_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "camera.mts"
    ffmpeg(*PICTURE, *TONE, "-f", "mpegts", "-mpegts_m2ts_mode", "1", path)
    assert path.read_bytes()[4::192][:8] == b"G" * 8
    clipped = probed(path)
    assert clipped.footage.demuxer == "mpegts"
    assert clipped.footage.duration == pytest.approx(1, abs=0.05)
    assert clipped.sound is not None
    assert probe_sound(path).duration == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("turn", [90, 180, 270, -90])
def test_a_turned_phone_s_clip_is_as_wide_as_it_is_seen(clips: Path, tmp_path: Path, turn: int) -> None:
    path = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", str(turn), "-i", clips / "silent.mp4", "-c", "copy", path)
    footage = probed(path).footage
    assert (footage.width_px, footage.height_px) == ((64, 36) if turn == 180 else (36, 64))


def test_wide_pixels_are_counted_as_wide(tmp_path: Path) -> None:
    path, turned = tmp_path / "wide.mp4", tmp_path / "turned.mp4"
    ffmpeg(*PICTURE, "-vf", "setsar=2/1", path)
    ffmpeg("-display_rotation", "90", "-i", path, "-c", "copy", turned)
    assert (probed(path).footage.width_px, probed(path).footage.height_px) == (128, 36)
    assert (probed(turned).footage.width_px, probed(turned).footage.height_px) == (36, 128)


def test_a_part_is_cut_out(clips: Path) -> None:
    part = probed(clips / "silent.mp4", start=0.2, end=0.7).footage
    assert (part.start, part.duration) == (Fraction(1, 5), Fraction(1, 2))
    rest = probed(clips / "silent.mp4", start=0.4, end=100).footage
    assert (rest.start, rest.duration) == (Fraction(2, 5), Fraction(3, 5))


def test_a_start_past_the_end_says_how_long_the_clip_is(clips: Path) -> None:
    with pytest.raises(AssetError, match=r"start 5 s is past its end; allowed: less than 1\.00 s"):
        probed(clips / "silent.mp4", start=5)


def test_the_sound_is_there_where_it_is_wanted(clips: Path) -> None:
    assert probed(clips / "silent.mp4").sound is None
    assert probed(clips / "loud.mp4", sound=False).sound is None
    sound = probed(clips / "loud.mp4").sound
    assert sound is not None
    assert sound.path == (clips / "loud.mp4").resolve()
    assert sound.duration == pytest.approx(1, abs=0.05)


def test_a_file_with_only_sound_is_no_clip_even_under_a_clip_s_name(tmp_path: Path) -> None:
    path = tmp_path / "voice.mp4"
    ffmpeg(*TONE, "-c:a", "aac", path)
    with pytest.raises(NotVideoError, match=r"voice\.mp4: has no video stream"):
        probed(path)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\n{target}\n",
        "ffconcat version 1.0\nfile {target}\n",
        "<?xml version='1.0'?><MPD><BaseURL>{target}</BaseURL></MPD>",
        "just text",
    ],
    ids=["m3u8", "concat", "dash", "text"],
)
def test_a_playlist_posing_as_a_clip_is_refused(clips: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "posing.mp4"
    path.write_text(text.format(target=clips / "silent.mp4"))
    with pytest.raises(NotVideoError, match="is not a video; allowed: MP4"):
        probed(path)


def test_a_broken_clip_is_named_and_may_be_fallen_back_from(clips: Path, tmp_path: Path) -> None:
    whole = (clips / "silent.mp4").read_bytes()
    broken = {
        "half.mp4": (whole[: len(whole) // 2], "cannot be decoded"),
        "empty.mp4": (b"", "is empty (0 bytes)"),
        "noise.ts": (b"G" * 5000, "cannot be decoded"),
        "header.mp4": (whole[:40], "cannot be decoded"),
    }
    for name, (data, reason) in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AssetError) as caught:
            probed(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {reason}")
        assert not isinstance(caught.value, NotVideoError)
    with pytest.raises(AssetError, match="does not exist"):
        probed(tmp_path / "gone.mp4")
    with pytest.raises(AssetError, match="cannot be read: Is a directory"):
        probed(tmp_path)


def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "latin.mkv"
    ffmpeg(*PICTURE, "-metadata", "title=café", path)
    path.write_bytes(path.read_bytes().replace("café".encode(), b"caf\xe9\xe9"))
    assert b"caf\xe9\xe9" in path.read_bytes()
    assert probed(path).footage.duration == 1


def test_a_relative_name_is_never_taken_for_a_protocol(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path("pipe:0")
    name.write_bytes((clips / "silent.mp4").read_bytes())
    assert probed(name).footage.duration == 1


def test_damaged_clips_are_read_or_refused_and_nothing_else(clips: Path, tmp_path: Path) -> None:
    seed = 20_260_102
    print("seed", seed)
    chance = random.Random(seed)
    ffmpeg(*PICTURE, tmp_path / "a.mkv")
    sources = [(clips / "loud.mp4").read_bytes(), (tmp_path / "a.mkv").read_bytes()]
    refused = 0
    for turn in range(200):
        data = bytearray(sources[turn % 2])
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(400 if turn % 4 < 2 else len(data))] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(data)
        try:
            clip = probed(tmp_path / "damaged")
        except AssetError:
            refused += 1
        else:
            assert clip.footage.duration > 0
    assert 0 < refused < 200


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", Path("/dev/zero")):
        with pytest.raises(NotVideoError, match="is not a regular file"):
            probed(path)
