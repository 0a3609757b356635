"""The ledger on a full or broken disk, with a damaged file, or with a killed writer."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.ledgers import (
    ROOT,
    STORY_4K,
    assert_sound,
    claim,
    claimed,
    job,
    publish,
    quick_folder,
    run_python,
    submit,
)
from video_pipeline.engine.jobs.ledger.errors import LedgerCorrupt, LedgerError, LedgerFull, ledger_error
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.local_disk import network_type
from video_pipeline.engine.jobs.ledger.schema import MIGRATIONS
from video_pipeline.engine.jobs.model import JobStatus


def test_commits_are_durable_and_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        submit(ledger)
        assert ledger.file._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert ledger.file._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert ledger.file._db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("l", "l-wal", "l-shm", "l-lock", "l-turn"), 0o600)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let the kernel refuse to make a file of this process longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
def test_a_write_that_the_kernel_refuses_acknowledges_nothing_and_room_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "l"
    acknowledged = []
    with Ledger(path) as ledger:
        acknowledged.append(submit(ledger))

        def submit_on_and_on() -> None:
            for _ in range(1000):
                with ledger.file.group():
                    group = [submit(ledger, story=STORY_4K) for _ in range(8)]
                acknowledged.extend(group)

        with no_file_above(400_000), pytest.raises(LedgerFull, match="cannot be written"):
            submit_on_and_on()
        assert 1 < len(acknowledged) < 1000
        assert {one.job_id for one in ledger.jobs.page(limit=2000)} == set(acknowledged)
        acknowledged.append(submit(ledger))
    with Ledger(path) as again:
        assert {one.job_id for one in again.jobs.page(limit=2000)} == set(acknowledged)
    assert_sound(path)


_ON_A_SMALL_DISK = """
import os, sys
from pathlib import Path
from video_pipeline.engine.jobs.ledger.errors import LedgerFull
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from tests.support.ledgers import STORY_4K, assert_sound, claim, publish, submit
folder = Path(sys.argv[1])
ledger = Ledger(folder / "l")
acknowledged = set()
ballast = folder / "ballast"
ballast.write_bytes(bytes(1_000_000))
refused = 0
for turn in range(3):
    while True:
        try:
            with ledger.file.group():
                group = [submit(ledger, story=STORY_4K, max_queued=10**6) for _ in range(5)]
        except LedgerFull:
            refused += 1
            break
        acknowledged |= set(group)
    for _ in range(5):
        try:
            acknowledged.add(submit(ledger, story=STORY_4K, max_queued=10**6))
        except LedgerFull:
            refused += 1
    found = {job.job_id for job in ledger.jobs.page(limit=10**6)}
    assert found == acknowledged, (len(found), len(acknowledged))
    ballast.write_bytes(bytes(1_000_000 - 300_000 * (turn + 1)))
acknowledged.add(submit(ledger))
assert publish(ledger, claim(ledger))
ledger.close()
with Ledger(folder / "l") as again:
    assert {job.job_id for job in again.jobs.page(limit=10**6)} == acknowledged
assert_sound(folder / "l")
print(len(acknowledged), "acknowledged,", refused, "refused")
"""


def test_a_full_disk_acknowledges_nothing_and_room_mends_it(tmp_path: Path) -> None:
    """Run on a separate file system of 3 MB, in a mount namespace."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare: a small file system cannot be mounted")
    mount = f"mount -t tmpfs -o size=3m tmpfs '{tmp_path}'"
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*namespace, mount], capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here (user namespaces are off)")
    done = subprocess.run(
        [*namespace, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, _ON_A_SMALL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"(\d+) acknowledged, (\d+) refused\n", done.stdout)
    assert found is not None
    assert int(found[1]) > 50
    assert int(found[2]) >= 6


def test_a_read_only_ledger_is_reported(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        ledger.file._db.execute("PRAGMA query_only = ON")
        with pytest.raises(LedgerFull, match="read-only"):
            submit(ledger)


def test_a_damaged_page_is_reported_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with Ledger(path) as ledger:
        for _ in range(40):
            submit(ledger, story=STORY_4K)
    with closing(sqlite3.connect(path)) as db:
        roots = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name IN ('jobs_status', 'payloads')"
        ).fetchall()
    with path.open("r+b") as file:
        for (page,) in roots:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 4096)
    with Ledger(path) as ledger:
        for call in (lambda: ledger.jobs.page(status=JobStatus.QUEUED), lambda: claimed(ledger)):
            with pytest.raises(LedgerCorrupt, match=r"l is damaged .*l-wal and l-shm"):
                call()


@pytest.mark.parametrize(
    "content", [b"not a database at all " * 300, b"SQLite format 3\x00" + b"\xff" * 8000]
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l"
    path.write_bytes(content)
    with pytest.raises(LedgerCorrupt, match=re.escape(str(path))):
        Ledger(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
        db.commit()
    with pytest.raises(LedgerCorrupt, match="not a ledger"):
        Ledger(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(LedgerError, match=f"has version {len(MIGRATIONS) + 1}, but this program"):
        Ledger(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"file/state/l cannot be opened"):
        Ledger(tmp_path / "file" / "state" / "l")


def test_a_failing_system_call_is_distinguished_from_a_full_disk(tmp_path: Path) -> None:
    assert isinstance(ledger_error(OSError(28, "No space left on device"), tmp_path), LedgerFull)
    assert type(ledger_error(OSError(13, "Permission denied"), tmp_path)) is LedgerError


def test_a_network_share_is_known_by_its_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        f"30 22 0:26 / {tmp_path}/the\\040share rw shared:1 - nfs4 server:/export rw,vers=4.2\n"
        f"31 30 0:27 / {tmp_path}/the\\040share/local rw - xfs /dev/vdb rw\n"
    )
    assert network_type(tmp_path / "the share" / "state", mounts=mounts) == "nfs4"
    assert network_type(tmp_path / "the share" / "local" / "state", mounts=mounts) is None
    assert network_type(tmp_path / "the share of another", mounts=mounts) is None
    assert network_type(tmp_path, mounts=tmp_path / "nowhere") is None


def test_several_processes_may_make_the_ledger_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from video_pipeline.engine.jobs.ledger.ledger import Ledger; from video_pipeline.engine.jobs.model import NewJob\n"
        "with Ledger(sys.argv[1]) as ledger: ledger.queue.submit(NewJob('a', 's', '{}'), ageing=1, max_queued=9)"
    )
    children = [run_python(program, str(tmp_path / "l")) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    for child in children:
        assert child.stdout is not None
        child.stdout.close()
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.queue.length() == 4


_WRITES_UNTIL_KILLED = """
import random, sys
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from tests.support.ledgers import STORY_4K, claim, publish, submit
dice = random.Random(int(sys.argv[2]))
ledger = Ledger(sys.argv[1])
for left in ledger.attempts.recover():
    ledger.attempts.requeue(left.job.job_id, left.job.fence, reason="killed")
print("ready")
while True:
    said = []
    with ledger.file.group():
        for _ in range(dice.randrange(1, 40)):
            said.append("submitted " + submit(ledger, story=STORY_4K, max_queued=10**6))
        for _ in range(dice.randrange(10)):
            attempt = claim(ledger)
            if publish(ledger, attempt):
                said.append("completed " + attempt.job_id)
        claim(ledger)
    print("\\n".join(said))
"""


def test_no_acknowledged_write_is_lost_if_the_writer_is_killed(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    path = tmp_path / "l"
    submitted: set[str] = set()
    completed: set[str] = set()
    rounds = 0
    while rounds < 8 or len(submitted) <= 100 or not completed:
        rounds += 1
        assert rounds < 200, "the children write nothing"
        child = run_python(_WRITES_UNTIL_KILLED, str(path), str(dice.randrange(2**32)))
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(dice.uniform(0, 0.12))
            child.kill()
            lines = child.stdout.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith("\n"):
                verb, job_id = line.split()
                (submitted if verb == "submitted" else completed).add(job_id)
        assert_sound(path)
        with Ledger(path) as ledger:
            found = {one.job_id: one.status for one in ledger.jobs.page(limit=10**6)}
        assert submitted <= set(found)
        assert {found[job_id] for job_id in completed} <= {"completed"}


def test_a_writer_killed_between_rename_and_complete_can_be_detected(tmp_path: Path) -> None:
    path = tmp_path / "l"
    program = (
        "import os, sys; from video_pipeline.engine.jobs.ledger.ledger import Ledger; from tests.support.ledgers import claim, submit\n"
        "ledger = Ledger(sys.argv[1]); submit(ledger); attempt = claim(ledger)\n"
        "ledger.attempts.begin_publishing(attempt.job_id, attempt.fence); os.kill(os.getpid(), 9)"
    )
    with run_python(program, str(path)) as child:
        child.wait()
    with Ledger(path) as ledger:
        (left,) = ledger.attempts.recover()
        assert left.publishing
        assert ledger.attempts.complete(left.job.job_id, left.job.fence, {})
        assert job(ledger, left.job.job_id).status == "completed"


def test_two_connections_of_one_process_keep_their_locks_on_the_file(tmp_path: Path) -> None:
    """A third that opens and closes takes no lock away: else a process outside would remove the log under them."""
    with quick_folder() as folder:
        path = folder / "l"
        with Ledger(path) as ledger:
            submit(ledger)
            Ledger(path).close()
            program = "import sys; from video_pipeline.engine.jobs.ledger.ledger import Ledger; Ledger(sys.argv[1]).close()"
            with run_python(program, str(path)) as child:
                assert child.wait() == 0
            assert (folder / "l-wal").exists()
            publish(ledger, claim(ledger))
        assert_sound(path)
