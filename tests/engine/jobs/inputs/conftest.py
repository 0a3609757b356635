"""Asset folders for the tests of this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import samples


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(samples.picture())
    (folder / "deep" / "b.png").write_bytes(samples.picture("PNG"))
    (folder / "clip.mp4").write_bytes(samples.clip())
    (folder / "music.mp3").write_bytes(samples.sound(".mp3"))
    samples.font_at(folder / "own.ttf")
    (tmp_path / "secret.jpg").write_bytes(samples.picture())
    return folder
