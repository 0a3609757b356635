"""Files that several open at once, all of them the first."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from video_pipeline.engine.common.wal_file import open_wal_file
from video_pipeline.engine.notify.outbox import Outbox
from video_pipeline.engine.publish.schema import open_records

ROUNDS = 40


def test_everyone_who_makes_a_file_at_the_same_time_gets_it(tmp_path: Path) -> None:
    failures: list[Exception] = []
    for number in range(ROUNDS):
        gate = threading.Barrier(4)

        def use(kind: int, folder: Path = tmp_path / str(number), gate: threading.Barrier = gate) -> None:
            gate.wait()
            try:
                if kind:
                    open_records(folder / "publications.sqlite3").close()
                else:
                    Outbox(folder / "notifications.sqlite3").close()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=use, args=(kind,)) for kind in (0, 0, 1, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_file_is_its_owners_alone_and_a_lock_that_stays_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.sqlite3"
    open_wal_file(path, busy_seconds=1.0).close()
    assert path.stat().st_mode & 0o077 == 0
    other = tmp_path / "locked.sqlite3"
    holder = sqlite3.connect(other, isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        open_wal_file(other, busy_seconds=0.1)
    holder.close()
