"""Commands for jobs that have ended, as real processes."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.support.process_state import has_ended
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.notify.alerts import note_of
from video_pipeline.engine.notify.command import NoteCommand
from video_pipeline.engine.notify.deliver import deliver_to_target
from video_pipeline.engine.notify.outbox import NewNote, Note, Outbox
from video_pipeline.engine.notify.targets import connect_target

BODY = json.dumps({"id": "msg_1", "data": {"text": "x" * 200_000}})


def a_note(message_id: str = "msg_1") -> Note:
    new = NewNote(
        message_id=message_id, target="command/on_completed", type="job.completed", subject="job-1", body=BODY
    )
    return note_of(new, now=time.time())


def run_python(
    code: str, *arguments: str, timeout: float = 6 * PROMPT_SECONDS, message_id: str = "msg_1"
) -> str | None:
    """Run Python code as a command; return its error."""
    command = NoteCommand(argv=[sys.executable, "-c", code, *arguments], timeout=timeout)
    failure = command(a_note(message_id))
    return failure.error if failure else None


def test_a_command_gets_the_body_and_a_clean_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    monkeypatch.setenv("NOTIFY_SMTP_PASSWORD", "a secret")
    out = tmp_path / "out"
    code = (
        "import sys, os, json; open(sys.argv[1], 'w').write(json.dumps([sys.stdin.read(), dict(os.environ)]))"
    )
    assert run_python(code, str(out)) is None
    body, environment = json.loads(out.read_text())
    assert body == BODY
    assert "a secret" not in environment.values()
    assert environment["VIDEO_PIPELINE_NOTIFICATION"] == "msg_1"
    assert environment["PATH"] == os.environ["PATH"]


def test_arguments_meet_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argument = "$(touch hacked); `id` && *"
    assert run_python("import sys; open(sys.argv[1], 'w').write(sys.argv[2])", str(out), argument) is None
    assert out.read_text() == argument


def test_a_command_that_fails_is_told_by_its_status_and_last_line() -> None:
    assert run_python("import sys; print('no room'); sys.exit(3)") == "exit status 3: no room"
    failure = NoteCommand(argv=["/no/such/program"], timeout=1)(a_note())
    assert failure is not None
    assert failure.error.startswith("/no/such/program: cannot be started")


def test_a_command_without_end_is_killed_with_children_that_left_its_session(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = 'sleep 600 & one=$!; setsid sleep 600 & echo $$ $one $! > "$0"; wait'
    command = NoteCommand(argv=["sh", "-c", script, str(pids)], timeout=2.0)
    began = time.monotonic()
    failure = command(a_note("msg_children"))
    assert failure is not None
    assert failure.error == "killed after 2 s (notifications.command_timeout)"
    assert time.monotonic() - began < FAST_SECONDS
    found = [int(pid) for pid in pids.read_text().split()]
    assert len(found) == 3
    wait_until(lambda: all(map(has_ended, found)), what="all killed")


def test_a_child_that_keeps_the_output_open_is_killed_when_its_command_has_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
    )
    began = time.monotonic()
    assert run_python(code, str(pid), message_id="msg_open") is None
    assert time.monotonic() - began < 2 * PROMPT_SECONDS
    wait_until(lambda: has_ended(int(pid.read_text())), what="killed")


def test_endless_output_is_read_in_bounded_memory() -> None:
    error = run_python("import sys\nwhile True: sys.stdout.write('x' * 100000)", timeout=1.0)
    assert error == "killed after 1 s (notifications.command_timeout)"


def test_a_command_that_fails_becomes_a_dead_letter_after_its_attempts(tmp_path: Path) -> None:
    now = [time.time()]
    outbox = Outbox(tmp_path / "notifications.sqlite3", clock=lambda: now[0])
    keys = {"on_failed": [sys.executable, "-c", "exit(1)"], "command_attempts": 3}
    config = load_config({"notifications": keys}, environ=False)
    new = NewNote(message_id="m", target="command/on_failed", type="job.failed", subject="j", body="{}")
    with outbox.writing() as db:
        outbox.add([new], db)
    for _ in range(5):
        deliver_to_target(outbox, "command/on_failed", config)
        now[0] += 3600
    (note,) = outbox.listed()
    assert (note.state, note.attempts, note.error) == ("dead", 3, "exit status 1")
    outbox.close()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = load_config({"notifications": {"on_completed": ["no-such-program -x"]}}, environ=False)
    with pytest.raises(ConfigError, match=r"notifications\.on_completed: 'no-such-program -x' is no program"):
        connect_target(config, "command/on_completed")
