"""Segments and sound stitched into one file, which is opened again."""

from __future__ import annotations

import itertools
import wave
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.tolerances import AAC_ERROR
from tests.support.video import as_frames, luma, run_ffmpeg
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import RenderingError
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.mux import Chapter, Mp4Writer
from video_pipeline.engine.render.planes import Buffer
from video_pipeline.engine.render.sound.track import encode_aac
from video_pipeline.engine.timing import FrameRange

SIZE_PX = (64, 96)
RATES = ["24", "30", "60", "30000/1001"]


def settings_of(fps: str = "30", **video: Any) -> EncoderSettings:
    given = {"size": list(SIZE_PX), "preset": "ultrafast", "fps": fps, "crf": 20, **video}
    return encoder_settings(load_encoder("libx264"), load_config({"video": given}, environ=False).video)


def level(number: int) -> int:
    return 40 + number * 7 % 180


def frames_of(frames: FrameRange) -> Iterator[Buffer]:
    width, height = SIZE_PX
    array = np.full((height * 3 // 2, width), 128, np.uint8)
    for number in range(frames.start, frames.stop):
        array[:height] = level(number)
        yield array


def ranges(*cuts: int) -> list[FrameRange]:
    return [FrameRange(a, b) for a, b in zip((0, *cuts), cuts, strict=False)]


def sound(path: Path, seconds: Fraction) -> Path:
    samples = round(seconds * 48000)
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(samples) / 48000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(np.repeat((tone * 32767).astype("<i2")[:, None], 2, axis=1).tobytes())
    encoded = path.with_suffix(".m4a")
    encode_aac(path, encoded, bitrate=Audio().bitrate)
    return encoded


def written(
    path: Path,
    segments: Sequence[FrameRange],
    *,
    settings: EncoderSettings,
    audio: Path | None = None,
    title: str = "A title",
    chapters: Sequence[Chapter] = (),
    edit_list: bool = False,
) -> Path:
    with Mp4Writer(
        path, fps=settings.fps, title=title, chapters=chapters, audio=audio, edit_list=edit_list
    ) as writer:
        for frames in segments:
            data = encode_segment(frames_of(frames), settings)
            sizes = writer.add_segment(data, frames)
            assert len(sizes) == len(frames)
            assert sum(sizes) + 8 == int.from_bytes(data[(box := data.index(b"mdat") - 4) : box + 4], "big")
        writer.finish()
    return path


def boxes(path: Path) -> list[str]:
    """Return the names of a file's top-level boxes in order."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode("ascii"))
        at += int.from_bytes(data[at : at + 4], "big")
    return names


@pytest.mark.parametrize("edit_list", [False, True])
@pytest.mark.parametrize("fps", RATES)
def test_stitched_segments_are_one_video_with_every_frame_in_its_place(
    tmp_path: Path, fps: str, edit_list: bool
) -> None:
    segments = ranges(1, 3, 33, 60, 61, 95)
    # Presets from superfast on use B-frames, which are decoded out of order.
    settings = settings_of(fps, gop=0.5, preset="superfast")
    path = written(tmp_path / "v.mp4", segments, settings=settings, edit_list=edit_list)
    assert (b"elst" in path.read_bytes()) == edit_list
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        time_base = stream.time_base
        assert stream.average_rate == Fraction(fps)
        assert stream.frames == 95
        assert stream.duration * time_base == 95 / Fraction(fps)
    assert time_base is not None
    shown = sorted(packet.pts * time_base * Fraction(fps) for packet in packets if packet.pts is not None)
    assert shown == list(range(95))
    decoding = [packet.dts for packet in packets]
    assert all(a < b for a, b in itertools.pairwise(decoding))  # type: ignore[operator]
    assert any(packet.dts != packet.pts for packet in packets)
    starts = {packet.pts * time_base * Fraction(fps) for packet in packets if packet.is_keyframe}  # type: ignore[operator]
    assert {segment.start for segment in segments} <= starts
    decoded = as_frames(run_ffmpeg("-xerror", "-i", path, "-f", "rawvideo", "-"), SIZE_PX)
    assert len(decoded) == 95
    for number, picture in enumerate(luma(decoded)):
        assert abs(int(picture.mean()) - level(number)) <= 2


@pytest.mark.parametrize("edit_list", [False, True])
@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("count", [1, 31, 200])
def test_sound_and_pictures_end_within_a_frame(tmp_path: Path, count: int, fps: str, edit_list: bool) -> None:
    settings = settings_of(fps)
    seconds = count / Fraction(fps)
    path = written(
        tmp_path / "v.mp4",
        ranges(count),
        settings=settings,
        audio=sound(tmp_path / "s.wav", seconds),
        edit_list=edit_list,
    )
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert audio.codec_context.name == "aac"
        assert audio.codec_context.sample_rate == 48000
        ends = [stream.duration * stream.time_base for stream in (video, audio)]  # type: ignore[operator]
        assert ends[0] == seconds
        assert abs(ends[1] - ends[0]) <= 1 / Fraction(fps)
        assert (audio.start_time or 0) * audio.time_base == 0  # type: ignore[operator]
    heard = np.frombuffer(
        run_ffmpeg("-i", path, "-map", "0:a", "-af", "pan=mono|c0=c0", "-f", "f32le", "-"), np.float32
    )
    assert abs(len(heard) - seconds * 48000) <= 48000 / Fraction(fps)
    if count > 1:
        # The encoder's delay is removed: the tone starts at its own time.
        expected = 0.2 * np.sin(2 * np.pi * 440 * np.arange(4800) / 48000)
        lags = [float(np.dot(heard[lag : lag + 2400], expected[:2400])) for lag in range(40)]
        assert int(np.argmax(lags)) <= 1
        # Without an edit list the tone fades in over the 1024 samples that one packet of AAC lacks.
        whole = slice(0 if edit_list else 1024, 4800)
        assert np.abs(heard[whole] - expected[whole]).max() <= AAC_ERROR


def test_no_track_of_a_finished_file_has_an_edit_list(tmp_path: Path) -> None:
    path = written(
        tmp_path / "v.mp4",
        ranges(60, 120),
        settings=settings_of(preset="veryfast"),
        audio=sound(tmp_path / "s.wav", Fraction(4)),
        chapters=[Chapter(FrameRange(0, 60), "One"), Chapter(FrameRange(60, 120), "Two")],
    )
    data = path.read_bytes()
    assert data.count(b"trak") == 3  # picture, sound, chapters
    assert b"edts" not in data
    assert b"elst" not in data
    with av.open(str(path)) as container:
        assert [stream.start_time for stream in container.streams] == [0, 0, 0]


def test_sound_and_pictures_are_interleaved_in_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "v.mp4",
        ranges(60, 120, 180),
        settings=settings_of(),
        audio=sound(tmp_path / "s.wav", Fraction(6)),
    )
    with av.open(str(path)) as container:
        streams = (container.streams.video[0], container.streams.audio[0])
        found = [
            (packet.pos, packet.stream.type, packet.dts * packet.time_base)
            for packet in container.demux(streams)
            if packet.dts is not None
        ]
    last = {"video": Fraction(0), "audio": Fraction(0)}
    for _, kind, time in sorted(found):
        last[kind] = time
        assert abs(last["video"] - last["audio"]) < 2.5


def test_the_index_is_before_the_data(tmp_path: Path) -> None:
    path = written(tmp_path / "v.mp4", ranges(10, 20), settings=settings_of())
    names = boxes(path)
    assert names.index("moov") < names.index("mdat")


def test_title_and_chapters_are_in_the_file(tmp_path: Path) -> None:
    fps = Fraction(30000, 1001)
    cuts = ranges(30, 75, 90)
    chapters = [Chapter(frames, f"Szene {number} · 日本") for number, frames in enumerate(cuts)]
    path = written(
        tmp_path / "v.mp4",
        cuts,
        settings=settings_of("30000/1001"),
        title="Ein „Titel“ 🙂",
        chapters=chapters,
    )
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Ein „Titel“ 🙂"
        found = container.chapters()
    assert [chapter["metadata"]["title"] for chapter in found] == [chapter.title for chapter in chapters]
    for chapter, frames in zip(found, cuts, strict=True):
        assert chapter["start"] * chapter["time_base"] == pytest.approx(float(frames.start / fps), abs=0.001)
        assert chapter["end"] * chapter["time_base"] == pytest.approx(float(frames.stop / fps), abs=0.001)


def test_the_stream_is_tagged_bt709_limited(tmp_path: Path) -> None:
    path = written(tmp_path / "v.mp4", ranges(5, 9), settings=settings_of())
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (
            1,
            1,
            1,
            1,
        )


@pytest.mark.parametrize("next_start", [4, 6])
def test_a_gap_or_an_overlap_between_segments_is_refused(tmp_path: Path, next_start: int) -> None:
    settings = settings_of()
    with Mp4Writer(tmp_path / "v.mp4", fps=settings.fps, title="", chapters=(), audio=None) as writer:
        writer.add_segment(encode_segment(frames_of(FrameRange(0, 5)), settings), FrameRange(0, 5))
        late = FrameRange(next_start, next_start + 5)
        data = encode_segment(frames_of(late), settings)
        with pytest.raises(RenderingError, match="does not follow frame 5"):
            writer.add_segment(data, late)


def test_a_segment_with_another_number_of_frames_is_refused(tmp_path: Path) -> None:
    settings = settings_of()
    with (
        Mp4Writer(tmp_path / "v.mp4", fps=settings.fps, title="", chapters=(), audio=None) as writer,
        pytest.raises(RenderingError, match="5 packets came out of 6 frames"),
    ):
        writer.add_segment(encode_segment(frames_of(FrameRange(0, 5)), settings), FrameRange(0, 6))


def test_a_segment_of_other_settings_is_refused(tmp_path: Path) -> None:
    settings, other = settings_of(), settings_of(preset="slow")
    with Mp4Writer(tmp_path / "v.mp4", fps=settings.fps, title="", chapters=(), audio=None) as writer:
        writer.add_segment(encode_segment(frames_of(FrameRange(0, 5)), settings), FrameRange(0, 5))
        with pytest.raises(RenderingError, match=r"H\.264 headers differ"):
            writer.add_segment(encode_segment(frames_of(FrameRange(5, 9)), other), FrameRange(5, 9))


def test_a_folder_that_is_not_there_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RenderingError, match=r"nowhere/v\.mp4: cannot be written: No such file"):
        written(tmp_path / "nowhere" / "v.mp4", ranges(3), settings=settings_of())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_that_says_so() -> None:
    with pytest.raises(RenderingError, match=r"/dev/full: cannot be written"):
        written(Path("/dev/full"), ranges(60), settings=settings_of())
