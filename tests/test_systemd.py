"""The systemd units: systemd reads them, they start what exists, and a node in them can reach little."""

from __future__ import annotations

import errno
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from video_pipeline.engine.cli.main import COMMANDS, build_parser
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, PipelineError, UnavailableError, UnreachableError
from video_pipeline.engine.jobs.dispatch.transfer import TransferError
from video_pipeline.engine.jobs.ledger.errors import LedgerFull, LedgerTooNew, corrupt_error

UNITS = sorted(path for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".timer"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
INSTALLED = "/opt/video-pipeline/bin"
LARGEST_EXPOSURE = 2.0
"""Of 10, as `systemd-analyze security` counts; a unit without any setting has 9.6."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (package systemd)"
)


def keys_of(unit: Path, section: str) -> dict[str, list[str]]:
    """Return the values of each key in a section of a unit."""
    found: dict[str, list[str]] = {}
    here = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            here = line.strip("[]")
        elif "=" in line and not line.startswith("#") and here == section:
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def commands_of(unit: Path) -> list[str]:
    """Return the arguments of a service's command, without its program."""
    (line,) = keys_of(unit, "Service")["ExecStart"]
    program, *arguments = line.split()
    assert program == f"{INSTALLED}/video-pipeline"
    return arguments


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """The units with a program that is there."""
    program = tmp_path / "bin/video-pipeline"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace(INSTALLED, str(program.parent))
        (tmp_path / unit.name).write_text(text)
    return [tmp_path / unit.name for unit in UNITS]


@needs_systemd
def test_systemd_reads_every_unit_without_a_word(installed: list[Path]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *installed],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_exposed_little(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < LARGEST_EXPOSURE


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_starts_a_command_that_exists_with_options_that_it_has(unit: Path) -> None:
    command = commands_of(unit)
    if command[0] == "worker" and "worker" not in COMMANDS:
        pytest.skip("this version has no command `worker`")
    build_parser().parse_args(command)


def test_every_timer_has_its_service() -> None:
    timers = [path for path in UNITS if path.suffix == ".timer"]
    assert timers
    assert all(path.with_suffix(".service") in UNITS for path in timers)


def test_the_node_is_stopped_as_it_drains_and_keeps_its_gpus() -> None:
    keys = keys_of(ROOT / "systemd/video-pipeline.service", "Service")
    assert (keys["Type"], keys["KillMode"], keys["OOMPolicy"]) == (["notify"], ["mixed"], ["continue"])
    assert keys["RestartPreventExitStatus"] == ["2"]
    assert "char-nvidia* rw" in keys["DeviceAllow"]
    assert "PrivateDevices" not in keys
    assert "MemoryDenyWriteExecute" not in keys


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_only_a_person_can_mend_is_not_started_again_for_ever(unit: Path) -> None:
    keys = keys_of(unit, "Service")
    if "Restart" not in keys:
        assert keys["Type"] == ["oneshot"]
        return
    (status,) = keys["RestartPreventExitStatus"]
    wrong: list[PipelineError] = [
        ConfigError("a key"),
        UnavailableError("ray"),
        LedgerTooNew("it"),
        corrupt_error("it", Path("l")),
    ]
    assert {str(error.exit_status) for error in wrong} == {status}
    passing: list[PipelineError] = [LedgerFull("disk"), UnreachableError("server"), TransferError("storage")]
    for number in (errno.ENOSPC, errno.EADDRNOTAVAIL, socket.EAI_AGAIN):
        error = ConfigError("a folder or an address")
        error.__cause__ = OSError(number, "")
        passing.append(error)
    assert {str(error.exit_status) for error in passing}.isdisjoint({status})


def test_the_worker_gets_longer_than_jobs_get_to_finish() -> None:
    keys = keys_of(ROOT / "systemd/video-pipeline-worker.service", "Service")
    assert float(keys["TimeoutStopSec"][0]) > load_config({}, environ=False).node.drain_timeout


def test_what_the_units_write_is_made_by_systemd_or_by_the_tmpfiles() -> None:
    made = (ROOT / "systemd/video-pipeline.tmpfiles.conf").read_text(encoding="utf-8")
    of_systemd = {"/var/lib/video-pipeline"}
    for unit in SERVICES:
        for line in keys_of(unit, "Service").get("ReadWritePaths", []):
            for path in line.split():
                assert path in of_systemd or f"d {path} " in made, path


def test_the_users_of_the_units_are_those_of_sysusers() -> None:
    lines = (ROOT / "systemd/video-pipeline.sysusers.conf").read_text(encoding="utf-8").splitlines()
    users = {line.split()[1] for line in lines if line.startswith("u ")}
    assert {keys_of(unit, "Service")["User"][0] for unit in SERVICES} == users
