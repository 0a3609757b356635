"""Fixtures of tests that read small videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lavfi import MakeVideo
from tests.support.video import run_ffmpeg


@pytest.fixture
def video(tmp_path: Path) -> MakeVideo:
    """Return a function that renders a lavfi graph to a small H.264 video."""

    def make(graph: str, *, name: str = "v.mp4") -> Path:
        path = tmp_path / name
        coding = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", "30", "-bf", "2")
        run_ffmpeg("-f", "lavfi", "-i", graph, *coding, path)
        return path

    return make
