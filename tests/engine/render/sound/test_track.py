"""The encoded sound of a video: it is mixed while it is encoded, with a bounded temporary file."""

from __future__ import annotations

import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.engine.render.sound.test_mix import FFMPEG, noise, script, spoken_like, timeline, track, write_wav
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import AssetError, CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.render.sound import mix
from video_pipeline.engine.render.sound.mix import AudioReport
from video_pipeline.engine.render.sound.track import produce_sound
from video_pipeline.engine.timeline import Timeline


def produced(target: Path, line: Timeline, *, ffmpeg: Path = FFMPEG, **options: object) -> AudioReport:
    target.parent.mkdir(exist_ok=True)
    return produce_sound(
        line,
        settings=Audio.model_validate(options),
        target=target,
        cache=None,
        ffmpeg=ffmpeg,
        ffmpeg_version="",
    )


def heard(folder: Path, *, peaks: float = 0.0) -> Timeline:
    """Return four seconds of speech over music."""
    words = spoken_like(3, 0.12, 10)
    words[5000::24000] += peaks
    speech = write_wav(folder / "n.wav", words, 24000)
    music = write_wav(folder / "m.wav", noise(2, 0.05, seed=4))
    return timeline([track("narration", speech, Fraction(1, 2), 3), track("music", music, 0, 4)], 120)


@pytest.mark.parametrize("peaks", [0.0, 0.7], ids=["by one gain", "limited, in several tries"])
def test_a_mix_that_is_made_again_for_each_pass_gives_the_bytes_of_a_stored_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peaks: float
) -> None:
    line = heard(tmp_path, peaks=peaks)
    stored = produced(tmp_path / "stored" / "s.m4a", line, target_lufs=-12 if peaks else -30)
    monkeypatch.setattr(mix, "STORED_SECONDS", 1)
    again = produced(tmp_path / "again" / "s.m4a", line, target_lufs=-12 if peaks else -30)
    assert stored.path.read_bytes() == again.path.read_bytes()
    assert stored.gain_db == again.gain_db
    assert stored.limited == again.limited == (peaks > 0)
    for report in (stored, again):
        assert [entry.name for entry in report.path.parent.iterdir()] == ["s.m4a"]


def test_ten_minutes_of_silence_take_no_room_but_its_own(tmp_path: Path) -> None:
    target = tmp_path / "out" / "s.m4a"
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.002):
            with suppress(FileNotFoundError):  # one that was renamed or deleted meanwhile
                most[0] = max(most[0], sum(file.stat().st_size for file in target.parent.rglob("*")))

    target.parent.mkdir()
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        report = produced(target, timeline([], 30 * 600))
    finally:
        ended.set()
        watching.join()
    assert report.samples == 600 * 48000
    assert most[0] < 3_000_000  # as samples it would be 173 MB
    with av.open(str(target)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert abs(sound.shape[1] - report.samples) <= 1024
    assert not sound.any()


def test_a_long_mix_is_nowhere_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix, "STORED_SECONDS", 1)
    folder, sizes = tmp_path / "out", []
    real = mix.mixed_samples

    def blocks(*args: object, **options: object):  # type: ignore[no-untyped-def]
        for block in real(*args, **options):  # type: ignore[arg-type]
            sizes.append(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
            yield block

    monkeypatch.setattr(mix, "mixed_samples", blocks)
    music = write_wav(tmp_path / "m.wav", noise(2, 0.05, seed=4))
    report = produced(folder / "s.m4a", timeline([track("music", music, 0, 30)], 900))
    assert report.samples == 30 * 48000
    assert len(sizes) >= 60  # mixed once to be measured, and once more
    assert max(sizes) < 1_500_000  # stored it would be 11 MB


@pytest.mark.parametrize("stored", [True, False])
def test_a_failing_ffmpeg_is_reported_with_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    monkeypatch.setattr(mix, "STORED_SECONDS", 100 if stored else 1)
    broken = script(tmp_path / "ffmpeg", "echo no such filter: ebur128 >&2; exit 3")
    with pytest.raises(SubprocessError, match="no such filter: ebur128") as raised:
        produced(tmp_path / "out" / "s.m4a", heard(tmp_path), ffmpeg=broken)
    assert raised.value.details["returncode"] == 3
    assert list((tmp_path / "out").iterdir()) == []


def test_a_sound_that_is_deleted_between_two_passes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mix, "STORED_SECONDS", 1)
    line = timeline([track("narration", tmp_path / "gone.wav", 0, 3)], 90)
    with pytest.raises(AssetError, match=r"gone\.wav"):
        produced(tmp_path / "out" / "s.m4a", line)


def test_a_sound_that_cannot_be_written_ends_the_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix, "STORED_SECONDS", 1)
    target = tmp_path / "out" / "s.m4a"
    target.mkdir(parents=True)
    with pytest.raises(RenderingError, match=r"s\.m4a.*Is a directory"):
        produced(target, heard(tmp_path))


def test_cancelling_stops_a_mix_whose_output_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mix, "STORED_SECONDS", 1)
    slow = script(tmp_path / "ffmpeg", "exec sleep 60")
    asked = iter(range(1000))
    with pytest.raises(CancelledError, match="cancelled"):
        produce_sound(
            timeline([track("music", write_wav(tmp_path / "m.wav", noise(2, 0.05, seed=4)), 0, 600)], 18000),
            settings=Audio(),
            target=tmp_path / "s.m4a",
            cache=None,
            ffmpeg=slow,
            ffmpeg_version="",
            cancelled=lambda: next(asked) >= 5,
        )


def test_a_sound_that_is_made_again_at_the_same_place_comes_from_the_cache_and_leaves_it_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, target = ContentCache(tmp_path / "cache"), tmp_path / "s.m4a"
    settings = Audio()
    first, second = (
        produce_sound(
            heard(tmp_path), settings=settings, target=target, cache=cache, ffmpeg=FFMPEG, ffmpeg_version="7"
        )
        for _ in range(2)
    )
    assert first == second
    assert not caplog.records
    (kept,) = (tmp_path / "cache").rglob("*.m4a")
    assert kept.read_bytes() == target.read_bytes()
    assert not kept.samefile(target)
