"""`video-pipeline serve` as a process: killed in the middle of renders, drained, stopped twice."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.audit import assert_sound, processes_of
from tests.support.jobs import NodeProcess, is_rendering, job_of, long_story, node_process, submit, tiny_story
from tests.support.process_state import stop
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine.cli.doctor import examine
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger

pytestmark = pytest.mark.slow


def folders_of(node: NodeProcess) -> Folders:
    return Folders.of(node.config)


def wait_for_end(ledger: Ledger, job_id: str) -> float:
    return wait_until(
        lambda: job_of(ledger, job_id).status.is_terminal, seconds=4 * FAST_SECONDS, what=f"{job_id} ended"
    )


def test_a_node_killed_in_the_middle_of_a_render_finishes_the_job_when_it_is_started_again(
    tmp_path: Path, session_cache: Path
) -> None:
    with node_process(tmp_path, cache=session_cache) as node, node.ledger() as ledger:
        job_id = submit(ledger, long_story(seconds=25), config={"video": {"compositor": "ffmpeg"}})
        wait_until(lambda: is_rendering(ledger, job_id), what="frames")
        node.kill()
        gone = wait_until(lambda: not processes_of(folders_of(node).state), what="no process left")
        assert gone < PROMPT_SECONDS
        job = job_of(ledger, job_id)
        assert job.status == "processing"
        assert not folders_of(node).published(job_id).exists()
        node.start()
        wait_for_end(ledger, job_id)
        job = job_of(ledger, job_id)
        assert (job.status, job.attempts, job.interruptions, job.fence) == ("completed", 1, 1, 2)
        kinds = [event.kind for event in ledger.events.page(after=0, limit=1000, job_id=job_id)]
        assert kinds == ["queued", "processing", "requeued", "processing", "completed"]
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
        assert_sound(folders_of(node), [job_id])


@pytest.mark.parametrize("seed", range(3))
def test_a_node_killed_at_random_moments_loses_nothing(
    tmp_path: Path, session_cache: Path, seed: int
) -> None:
    rng = random.Random(seed)
    with node_process(tmp_path, cache=session_cache) as node, node.ledger() as ledger:
        jobs = [submit(ledger, tiny_story(f"job{number}", text=os.urandom(3).hex())) for number in range(4)]
        for _ in range(2):
            wait = rng.uniform(1.0, 2.5)
            print(f"seed {seed}: killed after {wait:.3f} s")
            time.sleep(wait)
            node.kill()
            node.start()
        for job_id in jobs:
            wait_for_end(ledger, job_id)
            assert job_of(ledger, job_id).status == "completed"
        node.wait_until_ready()
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
        assert_sound(folders_of(node), jobs)


def test_sigterm_lets_the_running_job_finish_and_leaves_the_others_queued(
    tmp_path: Path, session_cache: Path
) -> None:
    with node_process(tmp_path, cache=session_cache) as node, node.ledger() as ledger:
        first, second = submit(ledger, long_story("first")), submit(ledger, tiny_story("second"))
        wait_until(lambda: is_rendering(ledger, first), what="frames")
        node.signal(signal.SIGTERM)
        assert node.wait(seconds=4 * FAST_SECONDS) == 0
        assert job_of(ledger, first).status == "completed"
        assert job_of(ledger, second).status == "queued"
        assert processes_of(folders_of(node).state) == {}


def test_a_job_that_outlasts_the_drain_is_queued_again_uncharged(tmp_path: Path, session_cache: Path) -> None:
    with (
        node_process(tmp_path, cache=session_cache, node={"drain_timeout": 0.2}) as node,
        node.ledger() as ledger,
    ):
        job_id = submit(ledger, long_story())
        wait_until(lambda: is_rendering(ledger, job_id), what="frames")
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
        job = job_of(ledger, job_id)
        assert (job.status, job.attempts, job.interruptions) == ("queued", 0, 1)
        assert list(folders_of(node).stagings.iterdir()) == []
        assert processes_of(folders_of(node).state) == {}


def test_a_second_sigterm_stops_at_once_and_queues_the_job_again(tmp_path: Path, session_cache: Path) -> None:
    with (
        node_process(tmp_path, cache=session_cache, node={"drain_timeout": 12 * PROMPT_SECONDS}) as node,
        node.ledger() as ledger,
    ):
        job_id = submit(ledger, long_story(seconds=600), config={"video": {"compositor": "ffmpeg"}})
        wait_until(lambda: is_rendering(ledger, job_id), what="frames")
        node.signal(signal.SIGTERM)
        wait_until(lambda: "the node is shutting down" in node.log.read_text(), what="the first")
        began = time.monotonic()
        node.signal(signal.SIGTERM)
        assert node.wait() == 143
        assert time.monotonic() - began < PROMPT_SECONDS
        assert job_of(ledger, job_id).status == "queued"
        assert processes_of(folders_of(node).state) == {}


def test_a_worker_outlives_neither_the_node_nor_a_guard_that_was_killed_with_it(
    tmp_path: Path, session_cache: Path
) -> None:
    with node_process(tmp_path, cache=session_cache) as node, node.ledger() as ledger:
        job_id = submit(ledger, long_story(seconds=25), config={"video": {"compositor": "ffmpeg"}})
        wait_until(lambda: is_rendering(ledger, job_id), what="frames")
        state = folders_of(node).state
        guards = [
            pid
            for pid, command in processes_of(state).items()
            if "video_pipeline.engine.jobs.dispatch.guard" in command
        ]
        assert len(guards) == 1
        stop(guards[0])
        node.kill()
        os.kill(guards[0], signal.SIGKILL)
        wait_until(
            lambda: (
                not [
                    command
                    for command in processes_of(state).values()
                    if "video_pipeline.engine.jobs.dispatch.worker" in command
                ]
            ),
            what="no worker left",
        )
        node.start()
        wait_for_end(ledger, job_id)
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
        assert_sound(folders_of(node), [job_id])


def test_a_ready_node_names_its_addresses_and_its_own_process(tmp_path: Path, session_cache: Path) -> None:
    with node_process(tmp_path, cache=session_cache) as node:
        node.wait_until_ready()
        assert node.process is not None
        line = next(line for line in node.log.read_text().splitlines() if "the node is ready" in line)
        assert f"requests at {node.config.node.bind}, events at " in line
        assert line.endswith(f"; process {node.process.pid}")
        assert "{" not in line


def test_a_folder_of_assets_that_is_not_there_is_told_and_used_once_it_is(
    tmp_path: Path, session_cache: Path
) -> None:
    folder = tmp_path / "mounted later"
    told = f"node.asset_roots: {folder}: is not a folder; jobs that name a file in it are refused"
    with (
        node_process(tmp_path, cache=session_cache, node={"asset_roots": [str(folder)]}) as node,
        NodeClient(node.config.node.bind, timeout=60) as client,
    ):
        node.wait_until_ready()
        wait_until(lambda: told in node.log.read_text(), what="a warning")
        assert any(problem.startswith(told) for problem in examine(node.config)["problems"])
        folder.mkdir()
        Image.new("RGB", (64, 64), "teal").save(folder / "one.png")
        scene = {"scene_id": "one", "narration": "", "duration": 0.5, "image": str(folder / "one.png")}
        job_id = client.submit({**tiny_story(), "scenes": [scene]}).job_id
        assert client.wait(job_id, 60).status == "completed"
        assert not any(told in problem for problem in examine(node.config)["problems"])


@pytest.mark.parametrize(
    ("sections", "words", "status"),
    [
        ({"node": {"bind": "tcp://192.0.2.1:5570", "curve": "off"}}, "is not an address of this machine", 1),
        ({"node": {"bind": "tcp://no-such-host.invalid:5570", "curve": "off"}}, "cannot resolve", 1),
        ({"web": {"enabled": True, "host": "192.0.2.1"}}, "cannot listen on 192.0.2.1", 1),
        ({"node": {"http_bind": "192.0.2.1:9000"}}, "cannot listen on 192.0.2.1:9000", 1),
        ({"node": {"bind": "tcp://127.0.0.1:65535", "curve": "off"}}, "no next port", 2),
    ],
)
def test_an_address_that_may_come_up_ends_with_1_after_which_systemd_starts_it_again(
    tmp_path: Path, sections: dict[str, dict[str, object]], words: str, status: int
) -> None:
    with node_process(tmp_path, **sections) as node:
        assert node.wait() == status
        assert words in node.log.read_text()
