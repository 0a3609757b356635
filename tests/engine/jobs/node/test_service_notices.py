"""A node under a service manager: it says when it is ready, that it lives, what stops it, and that it ends."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.support.audit import processes_of
from tests.support.jobs import long_story, node_process, submit
from tests.support.notices import notices
from tests.support.process_state import stop
from tests.support.waiting import wait_until

WATCHDOG_SECONDS = 1.5


def test_a_node_reports_its_life_to_the_service_manager_and_asks_for_time_while_a_job_finishes(
    tmp_path: Path, session_cache: Path
) -> None:
    path = tmp_path / "notify"
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": f"{WATCHDOG_SECONDS * 1e6:.0f}"}
    with (
        notices(path) as heard,
        node_process(tmp_path, cache=session_cache, environ=environ, node={"drain_timeout": 6}) as node,
        node.ledger() as ledger,
    ):
        wait_until(lambda: "STATUS=ready; 0 of 1 slots in use" in heard.lines(), what="ready")
        process, lines = node.process, heard.lines()
        assert process is not None
        assert lines.count("READY=1") == 1
        wait_until(lambda: "WATCHDOG=1" in heard.lines(), what="a beat")
        for pid in processes_of(node.config.state_dir()):
            if pid != process.pid:
                with suppress(OSError):  # one that has ended meanwhile
                    assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
        submit(ledger, long_story(seconds=600), config={"video": {"compositor": "ffmpeg"}})
        wait_until(lambda: "STATUS=ready; 1 of 1 slots in use" in heard.lines(), what="the slot")
        node.signal(signal.SIGTERM)
        wait_until(lambda: "STOPPING=1" in heard.lines(), what="the stop")
        wait_until(lambda: heard.lines() and process.poll() is not None, seconds=60, what="the end")
        assert node.wait() == 0
        lines = heard.lines()
        assert "STATUS=shutting down: 1 running jobs get 6 s" in lines
        assert lines.count("EXTEND_TIMEOUT_USEC=30000000") >= 2


def test_a_node_whose_loop_stands_still_sends_no_beat(tmp_path: Path, session_cache: Path) -> None:
    path = tmp_path / "notify"
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": f"{WATCHDOG_SECONDS * 1e6:.0f}"}
    with (
        notices(path) as heard,
        node_process(tmp_path, cache=session_cache, environ=environ) as node,
    ):
        node.wait_until_ready()
        assert node.process is not None
        stop(node.process.pid)
        try:
            beats = heard.lines().count("WATCHDOG=1")
            time.sleep(2 * WATCHDOG_SECONDS)
            assert heard.lines().count("WATCHDOG=1") == beats
        finally:
            os.kill(node.process.pid, signal.SIGCONT)
        wait_until(lambda: heard.lines().count("WATCHDOG=1") > beats, what="a beat")
