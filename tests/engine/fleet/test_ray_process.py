"""What the supervision of Ray does besides starting it: folders, logs, clocks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.ray_process import clock_warning, make_temp, prune_logs


def test_the_oldest_logs_are_deleted_beyond_the_bound(tmp_path: Path) -> None:
    logs = tmp_path / "session_2026" / "logs"
    (logs / "old").mkdir(parents=True)
    for age, name in enumerate(["new.out", "middle.out", "old/oldest.out"]):
        (logs / name).write_bytes(b"x" * 100)
        os.utime(logs / name, (1000 - age, 1000 - age))
    other = tmp_path / "session_2026" / "sockets"
    other.write_bytes(b"x" * 1000)
    assert prune_logs(tmp_path, most_bytes=300) == 0
    assert prune_logs(tmp_path, most_bytes=250) == 1
    assert not (logs / "old" / "oldest.out").exists()
    assert prune_logs(tmp_path, most_bytes=0) == 2
    assert other.exists()


def test_the_folder_of_sockets_is_made_anew_and_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "vp-1"
    folder.mkdir()
    (folder / "left").touch()
    make_temp(folder)
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    link = tmp_path / "vp-2"
    link.symlink_to(folder)
    with pytest.raises(ConfigError, match=r"storage\.temp_path: .* belongs to another user; delete it"):
        make_temp(link)


def test_a_clock_that_is_far_off_is_a_warning_with_the_seconds() -> None:
    assert clock_warning(4.9) is None
    assert clock_warning(-5.0) is None
    assert clock_warning(40.2) == "this machine's clock is 40 s ahead of the server's; set it by NTP"
    assert clock_warning(-3600.0) == "this machine's clock is 3600 s behind the server's; set it by NTP"
