"""The guard kills the processes that a dead node has left, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.jobs import ROOT
from tests.support.waiting import wait_until
from video_pipeline.engine.jobs.dispatch import guard as guard_module
from video_pipeline.engine.jobs.dispatch.guard import Guard, kill_sessions, sweep
from video_pipeline.engine.jobs.dispatch.lease import machine_seconds
from video_pipeline.engine.jobs.processes import NODE_VARIABLE, read_process, session_members, started_for

SILENT_SECONDS = 2.0
"""How long a guard may be silent in these tests, while the others of the computer run."""


@contextmanager
def family(**environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """A session with a shell and two children, one of them in another process group."""
    script = (
        "import subprocess, time; subprocess.Popen(['sleep', '600'], process_group=0); "
        "subprocess.Popen(['sleep', '600']); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, env={**os.environ, **environ}
    )
    try:
        wait_until(lambda: len(session_members(process.pid)[process.pid]) == 3, what="three processes")
        yield process
    finally:
        for member in session_members(process.pid)[process.pid]:
            os.kill(member.pid, signal.SIGKILL)
        process.wait()


def started(pid: int) -> int:
    process = read_process(pid)
    assert process is not None
    return process.started


def test_at_the_end_of_its_pipe_the_guard_kills_a_session_with_every_group_in_it(tmp_path: Path) -> None:
    with family() as process, family() as spared, family() as removed:
        guard = Guard(tmp_path)
        guard.add(process.pid)
        guard.add(removed.pid)
        guard.remove(removed.pid)
        guard.close()
        wait_until(lambda: not session_members(process.pid)[process.pid], what="its end")
        for other in (spared, removed):
            assert len(session_members(other.pid)[other.pid]) == 3


def test_a_killed_guard_is_restarted_with_the_processes_to_guard(tmp_path: Path) -> None:
    with family() as process:
        guard = Guard(tmp_path)
        guard.add(process.pid)
        first = guard.pid
        assert not guard.restart_if_dead()
        os.kill(first, signal.SIGKILL)
        wait_until(guard.restart_if_dead, what="another guard")
        assert guard.pid != first
        guard.close()
        wait_until(lambda: not session_members(process.pid)[process.pid], what="its end")


def test_a_guard_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with family() as process:
        guard = Guard(tmp_path)
        guard.add(process.pid)
        started_at = guard._answered_at

        def answers() -> bool:
            return not guard.restart_if_dead() and guard._answered_at > started_at

        wait_until(answers, what="a guard that answers")
        monkeypatch.setattr(guard_module, "SILENT_SECONDS", SILENT_SECONDS)
        until = time.monotonic() + 1.5 * SILENT_SECONDS
        while time.monotonic() < until:
            assert not guard.restart_if_dead()
            time.sleep(0.05)
        first = guard.pid
        os.kill(first, signal.SIGSTOP)
        seconds = wait_until(guard.restart_if_dead, what="another guard")
        assert seconds > SILENT_SECONDS / 2
        assert guard.pid != first
        assert read_process(first) is None
        assert len(session_members(process.pid)[process.pid]) == 3
        guard.close()
        wait_until(lambda: not session_members(process.pid)[process.pid], what="its end")


def test_the_guard_outlives_a_node_that_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    with family() as process:
        node = subprocess.Popen(
            [
                sys.executable,
                "-c",
                textwrap.dedent(f"""
                    import pathlib, time
                    from video_pipeline.engine.jobs.dispatch.guard import Guard
                    guard = Guard(pathlib.Path({str(tmp_path)!r}))
                    guard.add({process.pid})
                    print("there", flush=True)
                    time.sleep(600)
                """),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert node.stdout is not None
        assert node.stdout.readline() == b"there\n"
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        node.stdout.close()
        wait_until(lambda: not session_members(process.pid)[process.pid], what="its end")
        wait_until(lambda: not started_for(tmp_path), what="the guard gone")


def test_a_number_that_belongs_to_another_by_now_is_spared() -> None:
    with family() as process:
        assert kill_sessions({process.pid: started(process.pid) - 1})
        assert len(session_members(process.pid)[process.pid]) == 3
        assert kill_sessions({process.pid: started(process.pid)})
        assert session_members(process.pid)[process.pid] == []


def test_the_sweep_kills_what_is_marked_with_the_state_folder_only(tmp_path: Path) -> None:
    mine, other = tmp_path / "state", tmp_path / "state2"
    with family(**{NODE_VARIABLE: str(mine)}) as process, family(**{NODE_VARIABLE: str(other)}) as spared:
        assert sweep(mine) == 3
        assert session_members(process.pid)[process.pid] == []
        assert len(session_members(spared.pid)[spared.pid]) == 3


def test_the_guard_kills_all_sessions_when_their_lease_ends_though_the_node_is_stopped(
    tmp_path: Path,
) -> None:
    script = textwrap.dedent(f"""
        import pathlib, sys
        from video_pipeline.engine.jobs.dispatch.guard import Guard
        from video_pipeline.engine.jobs.dispatch.lease import machine_seconds
        guard = Guard(pathlib.Path({str(tmp_path)!r}))
        guard.add(int(sys.argv[1]))
        for seconds in sys.argv[2:]:
            until = machine_seconds() + float(seconds)
            guard.set_lease(until)
        print(until, flush=True)
        sys.stdin.read()
    """)
    with (
        family() as process,
        subprocess.Popen(
            [sys.executable, "-c", script, str(process.pid), "2", "6"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node,
    ):
        assert node.stdout is not None
        try:
            until = float(node.stdout.readline())
            node.send_signal(signal.SIGSTOP)
            time.sleep(2.5)  # longer than the first lease
            left = len(session_members(process.pid)[process.pid])
            assert left == 3 or machine_seconds() >= until, "the lease was renewed"
            wait_until(lambda: not session_members(process.pid)[process.pid], what="its end")
        finally:
            node.kill()


def test_without_a_lease_a_session_is_not_killed_after_one_has_ended(tmp_path: Path) -> None:
    with family() as process:
        guard = Guard(tmp_path)
        guard.set_lease(machine_seconds() + 0.2)
        guard.set_lease(None)
        guard.add(process.pid)
        time.sleep(0.7)
        assert len(session_members(process.pid)[process.pid]) == 3
        guard.set_lease(machine_seconds() - 1)
        wait_until(lambda: not session_members(process.pid)[process.pid], what="its end")
        guard.close()
