"""A node is upgraded and taken back while it has jobs: two versions, installed over each other by pip."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.audit import assert_sound
from tests.support.jobs import NodeProcess, is_rendering, job_of, long_story, node_process, submit, tiny_story
from tests.support.versions import edit, install, make_environment, wheel_of
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline import NodeClient
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.ledger.schema import MIGRATIONS

pytestmark = pytest.mark.slow

OLD, NEW, LATER = "0.1.0", "0.1.1", "0.2.0"
LATER_LEDGER = {
    "engine/jobs/ledger/schema.py": edit(
        "= (_FIRST, _TITLES)", '= (_FIRST, _TITLES, ("CREATE TABLE later (n INTEGER)",))'
    )
}
"""A change of a later version: its ledger has another table."""

FORMAT_1 = Path(__file__).with_name("ledger_format_1.sql")
"""A ledger of the first format: a job in each state, as `sqlite3.Connection.iterdump` wrote it."""

LONG_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Versions:
    """The wheels of three versions, and an environment to install them into."""

    wheels: dict[str, Path]
    python: Path

    def use(self, version: str) -> None:
        """Install a version in place of the one that is there."""
        install(self.wheels[version], self.python)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return subprocess.run(
            [self.python, "-m", "video_pipeline", *arguments],
            cwd=self.python.parent,
            capture_output=True,
            text=True,
            timeout=4 * FAST_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    folder = tmp_path_factory.mktemp("versions")
    wheels = {
        version: wheel_of(version, folder, changes=LATER_LEDGER if version == LATER else None)
        for version in (OLD, NEW, LATER)
    }
    return Versions(wheels, make_environment(folder / "environment"))


def stop(node: NodeProcess) -> None:
    node.signal(signal.SIGTERM)
    assert node.wait() == 0


def made_by(folders: Folders, job_id: str) -> str:
    """Return the version that made a finished job."""
    (manifest,) = folders.published(job_id).glob("*.manifest.json")
    return str(json.loads(manifest.read_text(encoding="utf-8"))["versions"]["video_pipeline"])


def all_completed(ledger: Ledger, jobs: list[str]) -> Callable[[], bool]:
    return lambda: all(job_of(ledger, job_id).status == "completed" for job_id in jobs)


def test_jobs_of_before_during_and_after_an_upgrade_are_each_rendered_once(
    tmp_path: Path, versions: Versions, session_cache: Path
) -> None:
    versions.use(OLD)
    options = {"python": versions.python, "cwd": versions.python.parent, "environ": {"PYTHONPATH": ""}}
    with (
        node_process(tmp_path, cache=session_cache, node={"drain_timeout": 0.5}, **options) as node,
        ThreadPoolExecutor(1) as background,
    ):
        folders, connect = Folders.of(node.config), node.config.node.bind
        node.wait_until_ready()
        with node.ledger() as ledger, NodeClient(connect, timeout=4 * FAST_SECONDS) as client:
            assert client.ping().version == OLD
            done = client.submit(tiny_story("done"), key="done").job_id
            wait_until(all_completed(ledger, [done]), what="the first job")
            running = submit(
                ledger, long_story(seconds=LONG_SECONDS), config={"video": {"compositor": "ffmpeg"}}
            )
            waiting = [client.submit(tiny_story(name), key=name).job_id for name in ("second", "third")]
            wait_until(lambda: is_rendering(ledger, running), what="frames")
            node.signal(signal.SIGTERM)
            during = background.submit(client.submit, tiny_story("during"), key="during")
            assert node.wait() == 0
            assert job_of(ledger, running).status == "queued"
            versions.use(NEW)
            node.start()
            node.wait_until_ready()
            assert client.ping().version == NEW
            again = [client.submit(tiny_story(name), key=name).job_id for name in ("done", "second", "third")]
            assert again == [done, *waiting]
            late = [
                during.result(timeout=4 * FAST_SECONDS).job_id,
                client.submit(tiny_story("after"), key="after").job_id,
            ]
            jobs = [done, running, *waiting, *late]
            wait_until(all_completed(ledger, jobs), seconds=4 * FAST_SECONDS, what="all jobs")
            assert job_of(ledger, running).attempts == 1
            assert [made_by(folders, job_id) for job_id in jobs] == [OLD, *([NEW] * 5)]
        stop(node)
        assert_sound(folders, jobs)


def test_a_ledger_of_a_later_version_is_refused_in_one_line_and_a_backup_takes_the_node_back(
    tmp_path: Path, versions: Versions, session_cache: Path
) -> None:
    options = {"python": versions.python, "cwd": versions.python.parent, "environ": {"PYTHONPATH": ""}}
    versions.use(NEW)
    with node_process(tmp_path, cache=session_cache, **options) as node:
        node.wait_until_ready()
        with node.ledger() as ledger:
            before = submit(ledger, tiny_story("before"), scheduled_for=4e9)
        backup = tmp_path / "before.tar.gz"
        file = tmp_path / "node.yaml"
        made = versions.run("backup", backup, "--config", file)
        assert made.returncode == 0, made.stderr
        stop(node)
        versions.use(LATER)
        node.start()
        node.wait_until_ready()
        with NodeClient(node.config.node.bind, timeout=60.0) as client:
            after = client.submit(tiny_story("after"), key="after").job_id
            assert client.wait(after, timeout=60).status == "completed"
            assert client.status(before).status == "queued"
        later = versions.run("backup", tmp_path / "later.tar.gz", "--config", file)
        assert later.returncode == 0, later.stderr
        stop(node)

        versions.use(NEW)
        folders = Folders.of(node.config)
        refused = versions.run("serve", "--config", file)
        assert refused.returncode == 2
        own = len(MIGRATIONS)
        too_new = f"has version {own + 1}, but this program supports versions up to {own}"
        lines = [line for line in refused.stderr.splitlines() if not line.startswith("20")]
        assert lines == [
            f"error: the ledger {folders.ledger} {too_new}: use the program that wrote it, or a newer one"
        ]
        folders.state.rename(tmp_path / "state of later")
        no = versions.run("restore", tmp_path / "later.tar.gz", "--config", file)
        assert no.returncode != 0
        assert too_new in no.stderr
        assert not folders.state.exists()
        yes = versions.run("restore", backup, "--config", file)
        assert yes.returncode == 0, yes.stderr
        node.start()
        node.wait_until_ready()
        with NodeClient(node.config.node.bind, timeout=60.0) as client:
            assert client.ping().version == NEW
            assert client.status(before).status == "queued"
        stop(node)


def test_a_ledger_of_the_first_format_is_carried_on(tmp_path: Path, session_cache: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with closing(sqlite3.connect(state / "ledger.sqlite3")) as database:
        database.executescript(FORMAT_1.read_text(encoding="utf-8"))
    with node_process(tmp_path, cache=session_cache) as node, node.ledger() as ledger:
        kinds = {job.story_id: job for job in ledger.jobs.page(limit=100)}
        assert set(kinds) == {"queued", "processing", "completed", "failed", "cancelled"}
        for name in ("queued", "processing"):
            wait_until(all_completed(ledger, [kinds[name].job_id]), what=name)
        after = {job.story_id: job.status for job in ledger.jobs.page(limit=100)}
        assert after == {
            "queued": "completed",
            "processing": "completed",
            "completed": "completed",
            "failed": "failed",
            "cancelled": "cancelled",
        }
        new = submit(ledger, tiny_story("new"))
        wait_until(all_completed(ledger, [new]), what="a new job")
        stop(node)
