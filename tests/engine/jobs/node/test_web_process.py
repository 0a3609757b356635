"""`serve --web`: a whole node with HTTP; its HTTP process killed, stopped and restarted while jobs go on."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.audit import assert_sound, processes_of
from tests.support.jobs import NodeProcess, node_process, tiny_story
from tests.support.ports import free_port
from tests.support.server import STORY
from tests.support.waiting import FAST_SECONDS, wait_until
from tests.support.web import WebNode, get, web_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.node import web_process


def web_pid_of(node: NodeProcess) -> int:
    """Return the HTTP process of a node."""
    found: list[int] = []

    def is_it(pid: int) -> bool:
        try:
            return b"engine.jobs.web.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def look() -> bool:
        found[:] = [pid for pid in processes_of(Folders.of(node.config).state) if is_it(pid)]
        return bool(found)

    wait_until(look, what="an HTTP process")
    return found[0]


def get_when_up(url: str) -> httpx.Response:
    found: list[httpx.Response] = []

    def is_up() -> bool:
        with suppress(httpx.TransportError):
            found[:] = [get(url)]
        return bool(found) and found[0].status_code != 503

    wait_until(is_up, what=url)
    return found[0]


def test_a_story_becomes_a_video_over_http_while_the_http_process_is_killed(
    tmp_path: Path, session_cache: Path
) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    web = {"enabled": True, "port": port}
    with node_process(tmp_path, cache=session_cache, web=web) as node:
        node.wait_until_ready()
        get_when_up(f"{url}/ping")
        made = httpx.post(f"{url}/jobs", json={"story": tiny_story("a"), "key": "a"}, timeout=FAST_SECONDS)
        assert made.status_code == 201, made.text
        job_id = made.json()["job_id"]
        with NodeClient(node.config.node.bind) as zeromq:
            for _ in range(3):
                killed = web_pid_of(node)
                os.kill(killed, signal.SIGKILL)
                assert zeromq.status(job_id).job_id == job_id  # other clients notice nothing
                wait_until(lambda old=killed: web_pid_of(node) != old, what="another HTTP process")  # type: ignore[misc]
            wait_until(lambda: get_when_up(f"{url}/jobs/{job_id}?wait=9").json()["status"] == "completed")
            assert zeromq.status(job_id).status == "completed"
            assert zeromq.submit(tiny_story("a"), key="a").job_id == job_id
        listed = get(f"{url}/jobs/{job_id}/files").json()["files"]
        for file in listed:
            got = get(f"{url}/jobs/{job_id}/files/{file['name']}")
            assert len(got.content) == file["size"]
        node.signal(signal.SIGTERM)
        assert node.wait() == 0
        assert processes_of(Folders.of(node.config).state) == {}
        assert_sound(Folders.of(node.config), [job_id])


def test_a_node_that_is_killed_leaves_no_http_process(tmp_path: Path, session_cache: Path) -> None:
    with node_process(tmp_path, cache=session_cache, web={"enabled": True, "port": free_port()}) as node:
        node.wait_until_ready()
        web_pid_of(node)
        node.kill()
        wait_until(lambda: not processes_of(Folders.of(node.config).state), what="no process left")


def test_a_stuck_http_process_is_killed_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_process, "SILENT_SECONDS", 3.0)
    with WebNode(web_config(tmp_path, lease=1.0)) as node:
        stuck = node.web.pid
        assert stuck is not None
        os.kill(stuck, signal.SIGSTOP)
        wait_until(lambda: node.web.pid not in (None, stuck), what="another HTTP process")
        node.wait_until_ready()
        assert node.web.restarts == 1
        with node.client() as client:
            assert client.post("/jobs", json={"story": STORY}).status_code == 201


def test_a_port_that_is_taken_ends_the_start_with_its_name(tmp_path: Path) -> None:
    with (
        WebNode(web_config(tmp_path / "a")) as node,
        pytest.raises(
            ConfigError, match=rf"web.host, web.port: cannot listen on 127.0.0.1, port {node.port}"
        ),
    ):
        WebNode(web_config(tmp_path / "b", {"port": node.port})).__enter__()


def test_an_idle_http_process_costs_little(tmp_path: Path) -> None:
    with WebNode(web_config(tmp_path)) as node:
        time.sleep(2)

        def ticks() -> int:
            fields = Path(f"/proc/{node.web.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        def share_of_a_core() -> float:
            before, began = ticks(), time.monotonic()
            time.sleep(5)
            seconds = time.monotonic() - began
            share = (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds
            print(f"{share:.2%} of a core")
            return share

        wait_until(lambda: share_of_a_core() < 0.02, what="an HTTP process that rests")
