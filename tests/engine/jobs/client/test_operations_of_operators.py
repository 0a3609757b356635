"""Both clients and the commands: priorities, logs, machines, drains, publications, dead letters, on a real node."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.jobs import NodeProcess, endless_story, node_process, tiny_story
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.errors import InputError, JobConflictError, NodeError
from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.machines import machine_name


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with node_process(tmp_path_factory.mktemp("node")) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(node: NodeProcess) -> Iterator[NodeClient]:
    with NodeClient(node.config.node.bind, timeout=2 * FAST_SECONDS) as connected:
        # The report of the machine is up to a second old, and a worker that was stopped is replaced.
        wait_until(
            lambda: [machine.state for machine in connected.machines().machines] == ["ready"],
            what="a machine that is ready",
        )
        yield connected


def command(node: NodeProcess, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "video_pipeline", *arguments, "--connect", node.config.node.bind],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * FAST_SECONDS,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_job_is_looked_after(node: NodeProcess, client: NodeClient) -> None:
    running = client.submit(endless_story()).job_id
    wait_until(lambda: client.log(running, lines=5).lines, what="a log of a running job")
    queued = client.submit(tiny_story("queued")).job_id
    assert client.priority(queued, "high").priority == "high"
    status, out, _ = command(node, "priority", "low", queued)
    assert (status, out) == (0, f"{queued}  low\n")
    with pytest.raises(JobConflictError):
        client.priority(running, "low")
    wait_until(lambda: client.machines().machines[0].jobs == (running,), what="a machine that renders")
    status, out, _ = command(node, "machines")
    assert status == 0
    assert f"renders {running}" in out
    assert "state: " in out
    assert "cache: " in out
    assert client.log(queued).lines == ()
    status, out, _ = command(node, "log", running, "-n", "3", "--json")
    assert json.loads(out)["job_id"] == running
    client.cancel(running)
    client.cancel(queued)
    client.wait(running, 2 * FAST_SECONDS)


def test_a_drained_node_starts_nothing_until_it_works_again(node: NodeProcess, client: NodeClient) -> None:
    job_id = client.submit(tiny_story("waits"), scheduled_for=None, priority="low").job_id
    client.wait(job_id, 4 * FAST_SECONDS)
    (machine,) = client.drain().machines
    assert (machine.name, machine.state) == (machine_name(), "draining")
    assert client.stats().draining
    with (
        NodeClient(node.config.node.bind, timeout=3) as impatient,
        pytest.raises(NodeError, match="DRAINING"),
    ):
        impatient.submit(tiny_story("refused"))
    client.cancel(job_id) if not client.status(job_id).status.is_terminal else None
    status, out, _ = command(node, "drain", "--off")
    assert (status, out) == (0, f"{machine_name()}: ready\n")
    assert not client.stats().draining
    done = client.submit(tiny_story("works")).job_id
    assert client.wait(done, 4 * FAST_SECONDS).status == "completed"
    status, _, err = command(node, "drain", "elsewhere")
    assert status == 1
    assert f"machine: got 'elsewhere'; allowed: {machine_name()}" in err


def test_retry_takes_jobs_or_all_failed_ones(node: NodeProcess, client: NodeClient, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    noise = Image.frombytes("RGB", (64, 64), random.Random(1).randbytes(3 * 64 * 64))
    noise.save(broken)
    broken.write_bytes(broken.read_bytes()[:3000])
    scene = {"scene_id": "torn", "narration": "", "duration": 0.5, "image": str(broken)}
    story = {**tiny_story("broken"), "scenes": [scene]}
    job_id = client.submit(story, max_attempts=1, send_assets=True).job_id
    assert client.wait(job_id, 4 * FAST_SECONDS).status == "failed"
    assert command(node, "retry")[0] == 2
    assert command(node, "retry", job_id, "--failed")[0] == 2
    status, out, _ = command(node, "retry", "--failed")
    assert status == 0
    assert out.startswith(job_id)
    assert client.wait(job_id, 4 * FAST_SECONDS).status == "failed"


def test_what_is_not_there_is_said(node: NodeProcess, client: NodeClient) -> None:
    assert client.publications(state="unknown").publications == ()
    assert client.letters().letters == ()
    with pytest.raises(NodeError, match="no publication 7"):
        client.resolve(7, post_id="x")
    with pytest.raises(NodeError, match="no notification 7"):
        client.resend(7)
    with pytest.raises(InputError, match="state"):
        client.publications(state="lost")
    assert command(node, "publications", "--resolve", "7")[0] == 2
    assert command(node, "publications", "--resolve", "7", "--missing")[0] == 1
    assert command(node, "letters")[:2] == (0, "no dead letters\n")
    assert command(node, "publications", "--state", "unknown")[:2] == (0, "no publications\n")
    assert command(node, "letters", "--json")[:2] == (0, "")


@pytest.mark.usefixtures("client")  # which waits until the machine is ready
def test_the_asyncio_client_does_the_same(node: NodeProcess) -> None:
    async def run() -> None:
        async with AsyncNodeClient(node.config.node.bind, timeout=2 * FAST_SECONDS) as client:
            (machine,) = (await client.machines()).machines
            assert machine.name == machine_name()
            assert (await client.drain(machine.name)).machines[0].state == "draining"
            assert (await client.drain(machine.name, on=False)).machines[0].state == "ready"
            assert (await client.letters()).letters == ()
            assert (await client.publications(limit=1)).publications == ()
            for call in (client.resolve(1), client.resend(1)):
                with pytest.raises(NodeError):
                    await call
            job_id = (await client.submit(endless_story("one"))).job_id
            second = (await client.submit(tiny_story("two"))).job_id
            assert (await client.priority(second, "high")).priority == "high"
            assert (await client.log(second)).lines == ()
            for each in (second, job_id):
                await client.cancel(each)

    asyncio.run(run())
