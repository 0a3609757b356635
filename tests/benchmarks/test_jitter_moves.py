"""The moves whose jitter is measured: all drawers show the same one."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from benchmarks.handwritten import Move
from benchmarks.jitter import Points, blob_centres, blob_workload, follow, measure_luma
from benchmarks.jitter_moves import drawers, moves, view
from benchmarks.report import moves_table
from video_pipeline import native

SIZE_PX = (270, 480)
SECONDS = 1.0


def places(move: Move, frames: int) -> Points:
    """Return the blobs' true places on the screen, (frames, blobs, 2)."""
    centres = blob_centres((405, 720)) / (405, 720)
    found = []
    for frame in range(frames):
        seen = view(move, frame / 30, width_px=SIZE_PX[0])
        found.append((centres - (seen.x, seen.y)) / (seen.width, seen.height) * SIZE_PX)
    return np.array(found)


@pytest.mark.parametrize("name", ["zoom in 10 %/s", "zoom out 5 %/s", "pan 10 px/s"])
def test_every_drawer_shows_the_move(tmp_path: Path, name: str) -> None:
    move = moves(seconds=SECONDS)[name]
    work = blob_workload(seconds=SECONDS, size_px=SIZE_PX, folder=tmp_path)
    expected = places(move, work.frames)
    for drawer, draw in drawers().items():
        frames = (frame.copy() for frame in draw(imageio_ffmpeg.get_ffmpeg_exe(), work, move))
        tracks = follow(frames, expected[0], window_px=30)
        # zoompan cuts to whole pixels of the chroma grid.
        bound = {"native": 0.05, "perspective": 1.0, "zoompan-4x": 1.5, "zoompan-1x": 3.0}[drawer]
        assert np.nanmax(np.abs(tracks - expected)) < bound, drawer
        assert len(tracks) == work.frames


@pytest.mark.skipif(not native.available(), reason="the native extension was not built")
def test_native_frames_are_steadier_than_the_filters(tmp_path: Path) -> None:
    move = moves(seconds=SECONDS)["zoom in 5 %/s"]
    work = blob_workload(seconds=SECONDS, size_px=SIZE_PX, folder=tmp_path)
    found = {
        name: measure_luma(
            draw(imageio_ffmpeg.get_ffmpeg_exe(), work, move), work, start_zoom=move.start_zoom
        )
        for name, draw in drawers().items()
    }
    assert found["native"].rms_px < found["perspective"].rms_px < found["zoompan-4x"].rms_px
    assert found["native"].backward_steps == 0


def test_zooms_in_and_out_and_pans_are_measured() -> None:
    found = moves(seconds=4.0)
    assert len(found) == 11
    for name, move in found.items():
        end = move.start_zoom + 4 * move.zoom_per_second
        assert min(move.start_zoom, end) > 1 - 1e-9, name
        assert -1e-9 < move.left(4.0, width_px=1080) < 1 - 1 / end + 1e-9, name


def test_the_table_has_a_column_for_each_drawer() -> None:
    rows = {
        "pan": {
            "native": {"rms_px": 0.00412, "backward_steps": 0},
            "zoompan": {"rms_px": 1.5, "backward_steps": 7},
        }
    }
    header, _, row = moves_table(rows).splitlines()
    assert "native" in header
    assert "0.0041 (0)" in row
    assert "1.5000 (7)" in row
