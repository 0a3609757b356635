"""Sounds that change between the plan and the mix, or during the mix: no wrong sound is heard or cached."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.engine.render.sound.test_mix import FFMPEG, timeline, tone, write_wav
from tests.support.swapping import swapping
from video_pipeline.engine.assets.sound import probe_sound
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import IN_MEMORY_BYTES
from video_pipeline.engine.config.sections import Audio
from video_pipeline.engine.errors import FileChangedError
from video_pipeline.engine.render.sound.mixdown import mixed_samples
from video_pipeline.engine.render.sound.track import produce_sound
from video_pipeline.engine.timeline import AudioTrack, Timeline

SETTINGS = Audio()


def line_of(path: Path, *, kind: str = "music", scene_id: str | None = None) -> Timeline:
    found = probe_sound(path)
    track = AudioTrack(kind, found.path, found.sha256, Fraction(0), Fraction(4), scene_id=scene_id)  # type: ignore[arg-type]
    return timeline([track], 120)


def produced(line: Timeline, folder: Path) -> None:
    produce_sound(
        line,
        settings=SETTINGS,
        target=folder / "sound.m4a",
        cache=ContentCache(folder / "cache"),
        ffmpeg=FFMPEG,
        ffmpeg_version="7",
    )


@pytest.mark.parametrize(
    ("kind", "scene_id", "named"), [("music", None, "music"), ("footage", "one", "scene 'one'")]
)
def test_a_sound_that_was_replaced_before_the_mix_is_named(
    tmp_path: Path, kind: str, scene_id: str | None, named: str
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(400, 6))
    line = line_of(path, kind=kind, scene_id=scene_id)
    write_wav(path, tone(800, 6))
    with pytest.raises(FileChangedError) as caught:
        produced(line, tmp_path)
    assert str(caught.value) == f"{named}: {path}: the file changed during the render; render again"
    assert not [*(tmp_path / "cache").rglob("*.*")]


def test_a_sound_that_is_gone_before_the_mix_is_named(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(400, 6))
    line = line_of(path)
    path.unlink()
    with pytest.raises(FileChangedError, match=r"music: .*a\.wav"):
        produced(line, tmp_path)


def test_a_long_sound_that_is_rewritten_during_the_mix_is_noticed(tmp_path: Path) -> None:
    seconds = IN_MEMORY_BYTES // 96_000 + 9
    path = write_wav(tmp_path / "a.wav", np.zeros(48_000 * seconds))
    line = line_of(path)
    blocks = mixed_samples(line, settings=SETTINGS, speech=())
    next(blocks)
    with path.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\x10\x20" * 9)
    with pytest.raises(FileChangedError, match=r"music: .*a\.wav"):
        for _ in blocks:
            pass


def test_music_that_repeats_while_it_is_swapped_is_of_one_file_or_none(tmp_path: Path) -> None:
    files = [write_wav(tmp_path / f"{hz}.wav", tone(hz, 1.5)) for hz in (400, 800)]
    path = write_wav(tmp_path / "a.wav", tone(400, 1.5))
    line = line_of(path)
    right = np.concatenate([*mixed_samples(line, settings=SETTINGS, speech=())])
    ended = 0
    with swapping("replace", path, *files, pause_s=0.01):
        for _ in range(40):
            try:
                mix = np.concatenate([*mixed_samples(line, settings=SETTINGS, speech=())])
            except FileChangedError:
                ended += 1
            else:
                assert np.array_equal(mix, right)
    assert ended


def test_a_track_without_a_hash_is_mixed_as_it_is(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(400, 6))
    line = line_of(path)
    line = replace(line, audio=(replace(line.audio[0], sha256=""),))
    write_wav(path, tone(800, 6))
    assert sum(len(block) for block in mixed_samples(line, settings=SETTINGS, speech=())) == 4 * 48_000
