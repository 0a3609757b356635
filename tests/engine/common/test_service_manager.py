"""What a program reports to a service manager, on a real datagram socket."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.notices import notices
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.common import service_manager
from video_pipeline.engine.common.service_manager import EXTEND_EVERY_SECONDS, ServiceManager


class SteppedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


def test_start_status_and_stop_are_reported_once_each(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with notices(path) as heard, closing(ServiceManager({"NOTIFY_SOCKET": str(path)})) as manager:
        manager.ready("1 of 2 slots in use")
        manager.ready("1 of 2 slots in use")
        manager.ready("2 of 2 slots\nin use")
        manager.beat()
        assert heard.lines() == ["READY=1", "STATUS=1 of 2 slots in use", "STATUS=2 of 2 slots in use"]
        manager.stopping("bye")
        assert heard.lines()[3:] == ["STOPPING=1", "STATUS=bye", "EXTEND_TIMEOUT_USEC=30000000"]


def test_a_watchdog_gets_three_beats_in_its_interval_while_the_loop_runs(tmp_path: Path) -> None:
    path, clock = tmp_path / "notify", SteppedClock()
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    with notices(path) as heard, closing(ServiceManager(environ, clock=clock)) as manager:
        for _ in range(300):
            manager.beat()
            clock.now += 0.1
        assert heard.lines() == ["WATCHDOG=1"] * 3
    assert environ == {}


@pytest.mark.parametrize(
    "watchdog", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}], ids=str
)
def test_a_watchdog_of_another_process_or_of_no_time_gets_no_beat(
    tmp_path: Path, watchdog: dict[str, str]
) -> None:
    path = tmp_path / "notify"
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1", **watchdog}
    with notices(path) as heard, closing(ServiceManager(environ)) as manager:
        manager.beat()
        assert heard.lines() == []


def test_a_program_that_stops_asks_for_more_time_until_it_has_ended(tmp_path: Path) -> None:
    path, clock = tmp_path / "notify", SteppedClock()
    with (
        notices(path) as heard,
        closing(ServiceManager({"NOTIFY_SOCKET": str(path)}, clock=clock)) as manager,
    ):
        manager.stopping("draining")
        for _ in range(3):
            clock.now += EXTEND_EVERY_SECONDS
            manager.beat()
        assert heard.lines().count("EXTEND_TIMEOUT_USEC=30000000") == 4


def test_a_name_in_the_abstract_namespace_is_reached() -> None:
    name = f"video-pipeline-test-{os.getpid()}"
    with notices(f"\0{name}") as heard, closing(ServiceManager({"NOTIFY_SOCKET": f"@{name}"})) as manager:
        manager.ready("up")
        assert heard.lines() == ["READY=1", "STATUS=up"]


def test_without_a_manager_nothing_is_sent_and_one_that_has_gone_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), closing(ServiceManager({})) as manager:
        manager.ready("alone")
    assert not caplog.records
    with closing(ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")})) as manager:
        manager.ready("up")
        manager.stopping("down")
    assert [record.message for record in caplog.records] == [
        "cannot notify the service manager: [Errno 2] No such file or directory"
    ]


def test_the_start_waits_for_a_manager_that_is_behind_and_a_beat_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_manager, "WAIT_SECONDS", FAST_SECONDS)
    path, clock = tmp_path / "notify", SteppedClock()
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "3000000"}
    with notices(path) as heard, closing(ServiceManager(environ, clock=clock)) as manager:
        most = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 5
        for _ in range(most):  # more than the socket holds
            manager.beat()
            clock.now += 1.0
        reader = threading.Timer(0.3, heard.lines)
        reader.start()
        manager.ready("up")
        reader.join()
        assert heard.lines()[-2:] == ["READY=1", "STATUS=up"]
        assert 0 < heard.lines().count("WATCHDOG=1") < most


def test_an_address_of_another_kind_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with closing(ServiceManager({"NOTIFY_SOCKET": "vsock:2:1"})) as manager:
        manager.ready("up")
    assert "NOTIFY_SOCKET: got 'vsock:2:1'" in caplog.text
