"""The disk space that is held for the ledger."""

from __future__ import annotations

from pathlib import Path

from video_pipeline.engine.jobs.free_space import free_bytes
from video_pipeline.engine.jobs.node.reserve import MOST_BYTES, LedgerReserve


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_an_eighth_of_the_free_space_that_is_required_is_held_until_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    reserve = LedgerReserve(path, min_free_mb=16)
    reserve.release()
    assert not path.exists()
    reserve.hold()
    reserve.hold()
    assert 2_000_000 <= blocks(path) < 2_010_000
    assert path.stat().st_mode & 0o777 == 0o600
    reserve.release()
    assert blocks(path) == 0
    reserve.hold()
    assert blocks(path) >= 2_000_000


def test_no_more_than_a_bound_is_held_and_what_an_earlier_node_held_counts(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    LedgerReserve(path, min_free_mb=1000).hold()
    assert MOST_BYTES <= blocks(path) < MOST_BYTES + 10_000
    LedgerReserve(path, min_free_mb=16).hold()
    assert blocks(path) < 2_010_000


def test_nothing_is_held_of_a_disk_that_has_too_little(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    LedgerReserve(path, min_free_mb=free_bytes(tmp_path) / 1e6 * 2).hold()
    assert not path.exists() or blocks(path) == 0
    LedgerReserve(path, min_free_mb=0).hold()
    assert not path.exists() or blocks(path) == 0
