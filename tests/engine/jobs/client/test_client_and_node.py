"""The clients against a real node: its server process killed, its events cut off, the node gone and back."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import NodeProcess, endless_story, long_story, node_process, tiny_story
from tests.support.paths import ROOT
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline import (
    AsyncVideoGenerationPipeline,
    ContentGenerationOrchestrator,
    VideoGenerationPipeline,
)
from video_pipeline.engine.errors import (
    AccessError,
    ConfigError,
    JobConflictError,
    JobError,
    JobNotFoundError,
    StoryError,
    UnreachableError,
)
from video_pipeline.engine.jobs.client import zmq_transport as line
from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.curve import make_client_key, make_node_key
from video_pipeline.engine.jobs.messages import EventView
from video_pipeline.engine.jobs.model import JobStatus

pytestmark = pytest.mark.slow

PATIENT_SECONDS = 2 * FAST_SECONDS
"""Timeout of clients whose patience is not what a test is about."""


@pytest.fixture
def node(tmp_path: Path, session_cache: Path) -> Iterator[NodeProcess]:
    """A node with one slot, which answers."""
    with node_process(tmp_path, cache=session_cache) as running:
        running.wait_until_ready()
        yield running


def url_of(node: NodeProcess) -> str:
    return node.config.node.bind


def told_url_of(node: NodeProcess) -> str:
    """Return the URL of a node that has chosen its port, once it is ready."""
    node.wait_until_ready()
    return re.findall(r"tcp://127\.0\.0\.1:\d+", node.log.read_text())[0]


def server_pid_of(node: NodeProcess) -> int:
    """Return the process of a node's server, once it runs."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [
            pid
            for pid in map(int, filter(str.isdigit, os.listdir("/proc")))  # noqa: PTH208
            if is_server_of(pid, node)
        ]
        return bool(found)

    wait_until(look, what="a server process")
    return found[0]


def is_server_of(pid: int, node: NodeProcess) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return (
        b"video_pipeline.engine.jobs.server.main" in command
        and str(node.config.state_dir()).encode() in environment
    )


def kinds(events: list[EventView]) -> list[str]:
    """Return the kinds of events, progress left out."""
    return [event.kind for event in events if event.kind != "progress"]


def test_a_submit_whose_server_is_killed_before_the_reply_makes_one_job(node: NodeProcess) -> None:
    with NodeClient(url_of(node), timeout=PATIENT_SECONDS) as client:
        client.ping()
        for round_ in range(4):
            victim = server_pid_of(node)
            os.kill(victim, signal.SIGSTOP)  # it takes the request, or not, and never answers
            with ThreadPoolExecutor(1) as pool:
                asking = pool.submit(client.submit, tiny_story(f"s{round_}"), key=f"k{round_}")
                if round_ % 2:
                    time.sleep(0.1)
                    os.kill(victim, signal.SIGCONT)  # it may have answered by the time it dies
                    time.sleep(0.002 * round_)
                os.kill(victim, signal.SIGKILL)
                made = asking.result(2 * PATIENT_SECONDS)
            again = client.submit(tiny_story(f"s{round_}"), key=f"k{round_}")
            assert (again.job_id, again.created) == (made.job_id, False)
        assert len(list(client.jobs())) == 4
        with pytest.raises(JobConflictError, match="key"):
            client.submit(tiny_story("other"), key="k0")


def test_a_job_is_watched_to_its_end_although_the_server_dies(node: NodeProcess) -> None:
    with NodeClient(url_of(node), timeout=PATIENT_SECONDS) as client:
        job = client.submit(long_story()).job_id
        events: list[EventView] = []
        for event in client.watch(job):
            events.append(event)
            if event.details.get("stage") == "render" and event.details["percent"] > 20:
                break
        os.kill(server_pid_of(node), signal.SIGKILL)
        events += client.watch(job, after=events[-1].seq)
        assert kinds(events) == ["queued", "processing", "completed"]
        numbers = [event.seq for event in events]
        assert numbers == sorted(set(numbers))
        view = client.wait(job, FAST_SECONDS)
        assert view.status is JobStatus.COMPLETED
        assert view.result is not None
        assert Path(view.result["video_path"]).is_file()
        assert kinds(list(client.watch(job))) == ["queued", "processing", "completed"]
        assert list(client.watch(job, after=events[-1].seq)) == []


def test_a_wait_and_a_watch_outlast_the_node(node: NodeProcess) -> None:
    with (
        NodeClient(url_of(node), timeout=PATIENT_SECONDS) as patient,
        NodeClient(url_of(node), timeout=4) as client,
        NodeClient(url_of(node), timeout=1) as impatient,
    ):
        job = patient.submit(long_story(seconds=48), {"video": {"compositor": "ffmpeg"}}).job_id
        ended: list[JobStatus] = []
        seen: list[EventView] = []
        waiting = threading.Thread(target=lambda: ended.append(client.wait(job).status))
        watching = threading.Thread(target=lambda: seen.extend(client.watch(job)))
        waiting.start()
        watching.start()
        wait_until(lambda: seen and patient.status(job).stage == "render", what="frames, and an event")
        node.kill()
        with pytest.raises(UnreachableError):
            impatient.ping()
        time.sleep(3.5)  # longer than the client's patience, in all
        node.start()
        waiting.join(4 * FAST_SECONDS)
        watching.join(FAST_SECONDS)
        assert ended == [JobStatus.COMPLETED]
        assert kinds(seen) == ["queued", "processing", "requeued", "processing", "completed"]


def test_a_client_gets_the_outcome_if_all_events_are_lost(
    tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events' socket is connected to a silent server, so the outcome must come from the ledger."""
    with (
        node_process(tmp_path, cache=session_cache, node={"bind": "tcp://127.0.0.1:*"}) as node,
        socket.create_server(("127.0.0.1", 0)) as deaf,
        NodeClient(told_url_of(node), timeout=PATIENT_SECONDS) as client,
    ):
        nowhere = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        monkeypatch.setattr(line, "events_url", lambda url, events: nowhere)
        job = client.submit(tiny_story()).job_id
        assert kinds(list(client.watch(job))) == ["queued", "processing", "completed"]
        start = client.ping().last_event
        ids = {client.submit(tiny_story(f"n{number}")).job_id for number in range(3)}
        ended = (event for event in client.watch(after=start) if event.kind == "completed")
        assert {event.job_id for event in itertools.islice(ended, 3)} == ids


def test_cancelling_a_task_does_not_affect_the_replies_of_others(node: NodeProcess) -> None:
    async def run() -> None:
        async with AsyncNodeClient(url_of(node), timeout=PATIENT_SECONDS) as client:
            job = (await client.submit(endless_story())).job_id
            waits = [asyncio.create_task(client.wait(job)) for _ in range(12)]
            submits = [
                asyncio.create_task(client.submit(tiny_story(f"t{n}"), key=f"t{n}")) for n in range(40)
            ]
            for task in (*waits[::2], *submits[::4]):
                await asyncio.sleep(0)
                task.cancel()
            made = await asyncio.gather(*submits, return_exceptions=True)
            answered = [each for each in made if not isinstance(each, BaseException)]
            assert len(answered) >= 30
            # A cancelled submit may have made its job or not; submitting the key again never makes a second one.
            again = await asyncio.gather(
                *(client.submit(tiny_story(f"t{n}"), key=f"t{n}") for n in range(40))
            )
            assert {each.job_id for each in answered} <= {each.job_id for each in again}
            assert len({each.job_id for each in again}) == 40
            await client.cancel(job)
            views = await asyncio.gather(*waits[1::2])
            assert {view.status for view in views} == {JobStatus.CANCELLED}
            for each in again:
                await client.cancel(each.job_id)

    asyncio.run(run())


def test_keys_decide_who_gets_in(tmp_path: Path, session_cache: Path) -> None:
    keys = tmp_path / "keys"
    public = make_node_key(keys)
    ada = make_client_key(keys, "ada", into=tmp_path / "ada")
    bob = make_client_key(keys, "bob", into=tmp_path / "bob")
    stranger = make_client_key(tmp_path / "elsewhere", "eve", into=tmp_path / "eve")
    section = {"keys_path": str(keys), "curve": "on", "bind": f"ipc://{tmp_path}/n.sock"}
    with node_process(tmp_path, cache=session_cache, node=section) as node:
        node.wait_until_ready()
        url = url_of(node)
        with NodeClient(url, key_file=ada, node_key=public) as client:
            assert client.ping().user == "ada"
            job = client.submit(tiny_story()).job_id
            assert kinds(list(client.watch(job))) == ["queued", "processing", "completed"]
            with NodeClient(
                url, key_file=bob, node_key=public.read_text().split('public-key = "')[1][:40]
            ) as other:
                with pytest.raises(JobNotFoundError):
                    other.status(job)
                start = other.ping().last_event
                own = other.submit(tiny_story("bobs")).job_id
                seen = []
                for event in other.watch(after=0):
                    seen.append(event)
                    if event.status.is_terminal:
                        break
                assert {event.job_id for event in seen} == {own}
                assert start > 0
        for wrong, timeout, error, words in (
            ({"key_file": stranger, "node_key": public}, 30, AccessError, "does not know this client's key"),
            ({}, 60, AccessError, "requires keys"),  # only one of several connections gets the reason
            (
                *({"key_file": ada, "node_key": keys / "clients/bob.key"}, 3),
                *(UnreachableError, "check the node.s public key"),
            ),
        ):
            wrong_client = NodeClient(url, timeout=timeout, **wrong)  # type: ignore[arg-type]
            with wrong_client, pytest.raises(error, match=words):
                wrong_client.ping()
    with (
        node_process(tmp_path, cache=session_cache, node={"curve": "off"}) as node,
        NodeClient(url_of(node), timeout=PATIENT_SECONDS, key_file=ada, node_key=public) as client,
        pytest.raises(AccessError, match="does not use keys"),
    ):
        client.ping()


def test_every_client_reads_node_and_keys_from_the_environment_and_arguments_override_it(
    tmp_path: Path, session_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    public = make_node_key(keys)
    ada = make_client_key(keys, "ada", into=tmp_path / "ada")
    bob = make_client_key(keys, "bob", into=tmp_path / "bob")
    section = {"keys_path": str(keys), "curve": "on", "bind": f"ipc://{tmp_path}/n.sock"}
    with node_process(tmp_path, cache=session_cache, node=section) as node:
        node.wait_until_ready()
        monkeypatch.setenv("VIDEO_PIPELINE_CONNECT", url_of(node))
        monkeypatch.setenv("VIDEO_PIPELINE_KEY_FILE", str(ada))
        monkeypatch.setenv("VIDEO_PIPELINE_NODE_KEY", str(public))

        async def users() -> list[str]:
            async with AsyncNodeClient() as client, AsyncVideoGenerationPipeline(connect="") as pipeline:
                return [(await client.ping()).user, (await pipeline.client.ping()).user]

        with NodeClient() as client, VideoGenerationPipeline(connect="") as pipeline:
            found = [client.ping().user, pipeline.client.ping().user, *asyncio.run(users())]
        assert found == ["ada"] * 4
        command = [sys.executable, "-m", "video_pipeline.engine.cli.main", "stats"]
        for options, status in (((), 0), (("--key-file", "", "--node-key", ""), 1)):
            done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == status, done.stderr
        with NodeClient(key_file=bob) as client:
            assert client.ping().user == "bob"
        with (
            NodeClient(key_file="", node_key="") as client,
            pytest.raises(AccessError, match="requires keys"),
        ):
            client.ping()
        monkeypatch.setenv("VIDEO_PIPELINE_NODE_KEY", str(keys / "clients/bob.key"))
        monkeypatch.setenv("VIDEO_PIPELINE_CONNECT", "nonsense")
        with NodeClient(url_of(node), node_key=public) as client:
            assert client.ping().user == "ada"
    with pytest.raises(ConfigError, match="variable VIDEO_PIPELINE_CONNECT: got 'nonsense'"):
        NodeClient()


def test_an_upstream_generator_feeds_a_node(node: NodeProcess) -> None:
    def run() -> list[str]:
        command = [
            sys.executable,
            "examples/upstream.py",
            "--connect",
            url_of(node),
            "--count",
            "3",
            "--silent",
        ]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=4 * FAST_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    first, second = run(), run()
    videos = [line.partition(": ")[2] for line in first[-3:]]
    assert all(Path(video).is_file() for video in videos)
    assert len(set(videos)) == 3
    assert [line.partition(": ")[2] for line in second[-3:]] == videos
    assert all("before" in line for line in second[:3])
    with NodeClient(url_of(node)) as client:
        assert len(list(client.jobs(status="completed"))) == 3


def test_a_killed_client_changes_nothing_on_the_node(node: NodeProcess) -> None:
    script = (
        "import sys\nfrom video_pipeline.engine.jobs.client.client import NodeClient\n"
        "client = NodeClient(sys.argv[1])\nprint(client.ping().user, flush=True)\n"
        "list(client.watch())\n"
    )
    with NodeClient(url_of(node), timeout=PATIENT_SECONDS) as client:
        client.ping()
        watcher = subprocess.Popen(
            [sys.executable, "-c", script, url_of(node)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert watcher.stdout is not None
        watcher.stdout.readline()
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()
        job = client.submit(tiny_story()).job_id
        assert client.wait(job, 2 * FAST_SECONDS).status is JobStatus.COMPLETED
    assert processes_of(node.config.state_dir())


def test_the_high_level_pipelines_give_the_same_results_on_a_node(node: NodeProcess) -> None:
    # Sections of the operator are not sent; the others are sent with each job, which may override them.
    config = {"video": {"fps": 30, "crf": 33}, "storage": {"output_path": "/nowhere"}}
    with VideoGenerationPipeline(config, connect=url_of(node), timeout=PATIENT_SECONDS) as pipeline:
        job = pipeline.submit_job(tiny_story("first"), {"video": {"fps": 25}}, "high", key="guide-1")
        result = pipeline.wait_for_job(job.id, timeout=60)
        assert Path(result["video_path"]).is_relative_to(node.config.storage.output_path)
        assert result["video_info"]["fps"] == 25
        assert job.config == {"video": {"fps": 25, "crf": 33}, "error_handling": {"policy": "lenient"}}
        status = pipeline.get_job_status(job.id)
        assert status is not None
        assert (status["status"], status["priority"], job.status) == ("completed", "high", "completed")
        with pytest.raises(StoryError, match="duration"):
            pipeline.submit_job({"title": "T", "scenes": [{"scene_id": "a", "duration": 0}]})
    with pytest.raises(ConfigError, match="without `connect`"):
        VideoGenerationPipeline(connect=url_of(node), max_workers=2)
    with pytest.raises(ConfigError, match="with `connect`"):
        VideoGenerationPipeline(timeout=2)

    class Generator:
        async def generate(self, prompt: str, config: object) -> dict[str, object]:
            return {**tiny_story("written"), "title": prompt}

    async def run() -> None:
        async with AsyncVideoGenerationPipeline(connect=url_of(node), timeout=PATIENT_SECONDS) as pipeline:
            orchestrator = ContentGenerationOrchestrator(Generator(), pipeline)
            done = await orchestrator.generate_content("On a node", {"video": {"video": {"fps": 60}}})
            assert done["video"]["video_info"]["fps"] == 60
            assert orchestrator.job_tracker.counts()[JobStatus.COMPLETED] == 1
            long = await pipeline.submit_job(endless_story())
            assert (await pipeline.cancel_job(long.id))["status"] in ("queued", "processing", "cancelled")
            with pytest.raises(JobError, match="was cancelled"):
                await pipeline.wait_for_job(long.id, timeout=2 * FAST_SECONDS)

    asyncio.run(run())
