"""Machines as Linux namespaces: each has its own network, processes, /tmp and /dev/shm, on one kernel and one clock.

A machine is held by its first process, which ends when the test's end of a pipe closes, even if the test is killed;
the kernel then ends all that ran in the machine, and the network with it. Nothing has a name outside, so tests may run
side by side.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.process_state import is_stopped
from tests.support.waiting import wait_until

SUBNET = "10.77.0"
START_SECONDS = 60.0
SHM_BYTES = 2 << 30
MOST_MACHINES = 99

# The first process of a machine: ends orphans' entries in the process table, and itself with its standard input.
INIT = """
import os, select, signal, sys
readable, writable = os.pipe()
os.set_blocking(writable, False)
signal.signal(signal.SIGCHLD, lambda *_: None)
signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
os.write(1, b"ready\\n")
while True:
    ready = select.select([0, readable], [], [])[0]
    if 0 in ready and not os.read(0, 1):
        break
    if readable in ready:
        os.read(readable, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
"""


def why_no_namespaces() -> str | None:
    """Return why machines cannot be made here, None if they can."""
    if sys.platform != "linux":
        return "machines of tests are Linux namespaces"
    for program in ("ip", "unshare", "nsenter", "mount", "taskset"):
        if shutil.which(program) is None:
            return f"machines of tests need the program {program}"
    if os.geteuid() != 0:
        return "machines of tests are namespaces, which need root"
    tried = subprocess.run(
        [
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--uts",
            "--fork",
            "ip",
            "link",
            "add",
            "br0",
            "type",
            "bridge",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"no namespaces or no bridge here: {tried.stderr.strip()}"


class Program:
    """A program that runs in a machine. `pid` is its id outside of the machine."""

    def __init__(self, entered: subprocess.Popen[bytes], log: Path) -> None:
        self._entered, self.log = entered, log
        self.pid = _only_child(entered)

    @property
    def status(self) -> int | None:
        """Its exit status (of a killed one 128 + the signal or the negative signal), None while it runs."""
        return self._entered.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, not its children. After SIGSTOP, wait until none of its threads runs."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if number == signal.SIGSTOP:
            wait_until(lambda: is_stopped(self.pid), what=f"process {self.pid} stopped")
        if number == signal.SIGCONT:
            self.wake_parent()

    def wake_parent(self) -> None:
        """Continue the process that waits for it and stopped itself when it was stopped."""
        if self.status is None:
            self._entered.send_signal(signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        """Wait for its end; return its exit status, or raise TimeoutExpired with nothing killed."""
        return self._entered.wait(seconds)

    def kill(self) -> None:
        """Kill it, but not what it started, and wait for its end."""
        self.signal(signal.SIGKILL)
        self._entered.wait(START_SECONDS)

    def output(self) -> str:
        """Return what it has written so far to its outputs."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, seconds: float) -> str:
        """Wait until it has written a text; return its output, or fail with it."""
        until = time.monotonic() + seconds
        while text not in (said := self.output()):
            assert self.status is None, f"it ended with {self.status} before it wrote {text!r}:\n{said}"
            assert time.monotonic() < until, f"it has not written {text!r} within {seconds:g} s:\n{said}"
            time.sleep(0.05)
        return said


class NamespacedMachine:
    """One machine. `tmp` is its /tmp, seen from outside."""

    def __init__(
        self, network: NamespacedNetwork, number: int, cores: Sequence[int], shared: Sequence[Path]
    ) -> None:
        self.name, self.address = f"m{number}", f"{SUBNET}.{number}"
        self.tmp = network.folder / self.name
        self._network, self._cores, self._shared = network, cores, shared
        self._logs = network.folder / f"{self.name}-logs"
        self._programs = 0
        self._started: list[Program] = []
        self._logs.mkdir()
        self.tmp.mkdir()
        self._on()

    @property
    def is_on(self) -> bool:
        """Whether the machine has not been killed."""
        return self._holder.poll() is None

    def start(self, *command: str | Path, environ: Mapping[str, str] | None = None) -> Program:
        """Start a program in the machine, with this process's environment and `environ`."""
        self._programs += 1
        log = self._logs / f"{self._programs:03}.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [
                    *self._enter("--pid", "--mount", "--uts", f"--wdns={ROOT}"),
                    *self._pinned(),
                    *map(str, command),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "TMPDIR": "/tmp", **(environ or {})},
            )
        program = Program(process, log)
        self._started.append(program)
        return program

    def run(
        self, *command: str | Path, environ: Mapping[str, str] | None = None, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the machine to its end."""
        return subprocess.run(
            [
                *self._enter("--pid", "--mount", "--uts", f"--wdns={ROOT}"),
                *self._pinned(),
                *map(str, command),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TMPDIR": "/tmp", **(environ or {})},
            timeout=seconds,
        )

    def pids(self) -> list[int]:
        """Return the processes in the machine but its first one, by their ids outside."""
        mine = Path(f"/proc/{self._init}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != self._init:
                with suppress(OSError):
                    if (entry / "ns" / "pid").readlink() == mine:
                        found.append(int(entry.name))
        return found

    def named(self, text: str) -> list[int]:
        """Return the processes in the machine whose command line has a text, by their ids outside."""
        found = []
        for pid in self.pids():
            with suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                if text.encode() in line:
                    found.append(pid)
        return found

    def freeze(self) -> None:
        """Stop every process in the machine (SIGSTOP), and wait until none runs."""

        def none_runs() -> bool:
            self._signal_all(signal.SIGSTOP)  # those too that were started meanwhile
            return all(is_stopped(pid) for pid in self.pids())

        wait_until(none_runs, what=f"{self.name} frozen")

    def thaw(self) -> None:
        """Let every process in the machine go on (SIGCONT)."""
        self._signal_all(signal.SIGCONT)
        self._wake_parents()

    def cut(self) -> None:
        """Take down the machine's link at the switch."""
        self._network.at_switch("ip", "link", "set", self.name, "down")

    def heal(self) -> None:
        """Put its link up again."""
        self._network.at_switch("ip", "link", "set", self.name, "up")

    def delay(self, milliseconds: float) -> None:
        """Delay what is sent to the machine; skip the test if the kernel has no netem."""
        self._shape("netem", "delay", f"{milliseconds:g}ms")

    def throttle(self, megabits: float) -> None:
        """Limit what is sent to the machine to so many megabits a second; skip the test if the kernel cannot."""
        self._shape("tbf", "rate", f"{megabits:g}mbit", "burst", "64kb", "latency", "200ms")

    def kill(self) -> None:
        """End the machine at once, as a cut of its power does; its /tmp stays."""
        self._wake_parents()
        _end(self._holder, self._init)
        for program in self._started:
            program.wait(START_SECONDS)
        self._started.clear()
        self._network.try_at_switch("ip", "link", "delete", self.name)  # the kernel does it later

    def power_on(self) -> None:
        """Start the machine again after `kill`, with its address and its /tmp; no program runs in it."""
        assert not self.is_on
        self._on()

    def _on(self) -> None:
        script = ["set -e", f"hostname {self.name}", f"mount -t tmpfs -o size={SHM_BYTES} none /dev/shm"]
        script.append(f"mount --bind '{self._network.hosts}' /etc/hosts")
        for folder in self._visible():
            inside = self.tmp / folder.relative_to("/tmp")
            inside.mkdir(parents=True, exist_ok=True)
            script.append(f"mount --rbind '{folder}' '{inside}'")
        script += [f"mount --rbind '{self.tmp}' /tmp", "ip link set lo up"]
        script.append(f"exec '{sys.executable}' -S -c \"$INIT\"")
        self._holder = _hold(["--pid", "--mount", "--uts", "--mount-proc"], "\n".join(script))
        self._init = _only_child(self._holder)
        switch, me = self._network.at_switch, self._enter()
        switch(
            "ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(self._init)
        )
        switch("ip", "link", "set", self.name, "master", "switch", "up")
        _check([*me, "ip", "addr", "add", f"{self.address}/24", "dev", "eth0"])
        _check([*me, "ip", "link", "set", "eth0", "up"])

    def _visible(self) -> list[Path]:
        """The folders below /tmp that stand in the machine too: the checkout, the environment, what is shared."""
        folders = {ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), *self._shared}
        inner = sorted(folder for folder in folders if folder.is_relative_to("/tmp"))
        return [each for each in inner if not any(each != of and each.is_relative_to(of) for of in inner)]

    def _enter(self, *more: str) -> list[str]:
        return ["nsenter", f"--target={self._init}", "--net", *more, "--"]

    def _pinned(self) -> list[str]:
        return ["taskset", "--cpu-list", ",".join(map(str, self._cores))] if self._cores else []

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wake_parents(self) -> None:
        """Continue the programs that wait for those in the machine: they stop when theirs is stopped."""
        for program in self._started:
            program.wake_parent()

    def _shape(self, *how: str) -> None:
        command = ["tc", "qdisc", "replace", "dev", self.name, "root", *how]
        done = self._network.try_at_switch(*command)
        if done.returncode != 0:
            pytest.skip(f"this kernel has no {how[0]}: {done.stderr.strip()}")


class NamespacedNetwork:
    """Machines on one switch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines: list[NamespacedMachine] = []
        self.hosts = folder / "hosts"
        numbers = range(1, MOST_MACHINES + 1)
        lines = ["127.0.0.1 localhost", *(f"{SUBNET}.{number} m{number}" for number in numbers)]
        self.hosts.write_text("\n".join([*lines, ""]), encoding="ascii")
        self._holder = _hold([], f"exec '{sys.executable}' -S -c \"$INIT\"")
        self.at_switch("ip", "link", "add", "switch", "type", "bridge")
        self.at_switch("ip", "link", "set", "switch", "up")

    def machine(self, *, cores: Sequence[int] = (), shared: Sequence[Path] = ()) -> NamespacedMachine:
        """Add a machine; `cores` pins its programs, and `shared` are folders below /tmp that it has in common."""
        machine = NamespacedMachine(self, len(self.machines) + 1, cores, shared)
        self.machines.append(machine)
        return machine

    def at_switch(self, *command: str) -> None:
        """Run a command where the switch is."""
        done = self.try_at_switch(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def try_at_switch(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the switch is; return what became of it."""
        enter = ["nsenter", f"--target={_only_child(self._holder)}", "--net", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=False)

    def close(self) -> None:
        """End all machines and the switch."""
        for machine in self.machines:
            if machine.is_on:
                machine.kill()
        _end(self._holder, _only_child(self._holder))


@contextmanager
def network(folder: Path) -> Iterator[NamespacedNetwork]:
    """Give a network without machines, whose files are in `folder`; skip the test if there can be none."""
    why = why_no_namespaces()
    if why is not None:
        pytest.skip(why)
    with ExitStack() as opened:
        made = NamespacedNetwork(Path(tempfile.mkdtemp(prefix="net-", dir=folder)))
        opened.callback(made.close)
        yield made


def _hold(unshared: Sequence[str], script: str) -> subprocess.Popen[bytes]:
    """Start the first process of new namespaces; return its parent, with which it ends."""
    process = subprocess.Popen(
        ["unshare", "--net", *unshared, "--fork", "--kill-child", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # some versions of unshare complain at the end
        env={**os.environ, "INIT": INIT},
        start_new_session=True,
        bufsize=0,
    )
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    if not ready or process.stdout.readline() != b"ready\n":
        process.kill()
        raise AssertionError(f"no namespace was made; unshare ended with {process.wait()}")
    return process


def _end(holder: subprocess.Popen[bytes], init: int) -> None:
    """Kill the first process of namespaces, and with it all in them; its parent takes note and ends."""
    with suppress(ProcessLookupError):
        os.kill(init, signal.SIGKILL)
    holder.communicate(timeout=START_SECONDS)


def _only_child(parent: subprocess.Popen[bytes]) -> int:
    """Return the only child of a process that starts one and waits for it; of one that has ended, its own id."""
    until = time.monotonic() + START_SECONDS
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while time.monotonic() < until:
        with suppress(OSError):
            if found := children.read_text(encoding="ascii").split():
                return int(found[0])
        if parent.poll() is not None:
            return parent.pid
        time.sleep(0.005)
    raise AssertionError(f"process {parent.pid} starts nothing")


def _check(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
