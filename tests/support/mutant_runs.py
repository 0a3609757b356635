"""Run the tests of a module against its mutants, each in a process of its own."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Final

from tests.support.mutants import Mutant
from tests.support.paths import ROOT

LEAST_SECONDS: Final = 8.0
SLOWER: Final = 4.0
"""A test of a mutant may take this many times its normal seconds, plus LEAST_SECONDS."""
MEMORY_BYTES: Final = 8 << 30
KILLED: Final = "killed"
TIMED_OUT: Final = "timed out"
SURVIVED: Final = "survived"


@dataclass(frozen=True, slots=True)
class Target:
    """A module, and the test files or folders that are to notice its faults."""

    name: str
    module: str
    tests: tuple[str, ...]


class _Finder:
    """Imports one module from given code; other imports are not affected."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        """Return the module's own specification, with a loader that has the code."""
        if name != self._module:
            return None
        code = self._code

        class Loader(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return code

        origin = str(source_path(name))
        return importlib.util.spec_from_file_location(name, origin, loader=Loader(name, origin))


def source_path(module: str) -> Path:
    """Return the file of a module of this project."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


class _Watch:
    """A pytest plugin that notes which tests enter which function of a file, how long each takes, and failures."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._at = ""
        self.entered: dict[str, set[int]] = defaultdict(set)
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename == self._path:
            self.entered[self._at].add(frame.f_code.co_firstlineno)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record functions that fixtures enter before the test, for all tests of its file."""
        self._at = nodeid.partition("::")[0]
        if self._path is not None:
            threading.setprofile(self._profile)
            sys.setprofile(self._profile)

    def pytest_runtest_call(self, item: Any) -> None:
        """Record functions entered from now on for this test."""
        self._at = item.nodeid

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how long a part of a test took, and whether it failed."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(f"{report.nodeid}\n{report.longreprtext}")


class _Child:
    """A forked process in its own session, with a folder for its files."""

    def __init__(self, work: Callable[[Path], int], seconds: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mutate-"))
        self._until = time.monotonic() + seconds
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            status = 70
            try:
                os.setsid()
                log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.chdir(ROOT)
                os.environ["PYTEST_DEBUG_TEMPROOT"] = str(self.folder)
                status = work(self.folder)
                sys.stdout.flush()
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)

    def end(self) -> int | str | None:
        """Return the exit status, TIMED_OUT if its time is over, or None while it runs."""
        over = time.monotonic() >= self._until
        # Its number stays taken, and so its session is what is killed, until it has been waited for.
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if not ended and not over:
            return None
        self._kill()
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status) if ended else TIMED_OUT

    def wait(self) -> int | str:
        """Wait for the end and return the exit status or TIMED_OUT."""
        while (end := self.end()) is None:
            time.sleep(0.02)
        return end

    def log(self) -> str:
        """Return what it printed, and delete its files."""
        text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        self.forget()
        return text

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)

    def forget(self) -> None:
        """Delete its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _run_pytest(files: Sequence[str], *plugins: object) -> int:
    import hypothesis
    import pytest

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    hypothesis.settings.register_profile("mutate", database=None, derandomize=True)
    hypothesis.settings.load_profile("mutate")
    options = ["-x", "-q", "-p", "no:cacheprovider", "--capture=sys"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *files], plugins=list(plugins)))


class _Limits:
    """A pytest plugin that ends the process, by SIGALRM, if a test takes much longer than it does without a mutant."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Start the test's timer."""
        signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + SLOWER * self._seconds[nodeid])


class _Order:
    """A pytest plugin that runs tests in a given order, and no others."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep only the wanted tests."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place), key=lambda item: self._place[item.nodeid]
        )


class _Server:
    """A pytest plugin that collects tests once, and runs them in forks: first unchanged, then with each mutant.

    A mutant replaces the code of a function that is in memory already. Mutants outside of functions are left.
    """

    def __init__(self, target: Target, outcomes: Sequence[Outcome], processes: int, answer: Path) -> None:
        self._target, self._outcomes, self._processes, self._answer = target, outcomes, processes, answer

    def pytest_runtestloop(self, session: Any) -> bool:
        """Do everything in place of running the tests; write what was found to a file."""
        items = {item.nodeid: item for item in session.items}
        path = source_path(self._target.module)

        def unchanged(folder: Path) -> int:
            watch = _Watch(str(path))
            failed = _run_items(session, list(items.values()), watch)
            sys.setprofile(None)
            print(*watch.failed)
            entered = {name: sorted(lines) for name, lines in watch.entered.items()}
            modules = [name for name in sys.modules if not name.startswith(("tests", "conftest", "__"))]
            (folder / "baseline").write_text(json.dumps([entered, watch.seconds, modules]), encoding="utf-8")
            return failed

        child = _Child(unchanged, 900)
        if child.wait() != 0:
            raise RuntimeError(
                f"{self._target.name}: its tests fail before anything is changed\n{child.log()}"
            )
        entered, seconds, modules = json.loads((child.folder / "baseline").read_text(encoding="utf-8"))
        child.forget()
        baseline = Baseline({name: set(lines) for name, lines in entered.items()}, seconds)

        def begin(mutant: Mutant, tests: list[str]) -> _Child:
            def changed(folder: Path) -> int:
                mutant.put_in_place()
                return _run_items(session, [items[name] for name in tests], _Watch(), _Limits(seconds))

            return _Child(changed, baseline.limit(tests))

        within = [outcome for outcome in self._outcomes if outcome.mutant.functions()]
        _judge(within, baseline, begin, self._processes)
        ends = [outcome.end if outcome in within else None for outcome in self._outcomes]
        self._answer.write_text(json.dumps([entered, seconds, modules, ends]), encoding="utf-8")
        return True


def _run_items(session: Any, items: Sequence[Any], watch: _Watch, *others: object) -> int:
    """Run tests until one fails; return 1 if one did."""
    for plugin in (watch, *others):
        session.config.pluginmanager.register(plugin)
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.failed:
            return 1
    return 0


@dataclass(slots=True, eq=False)
class Outcome:
    """A mutant and the outcome of its tests."""

    mutant: Mutant
    end: str = SURVIVED


@dataclass(frozen=True, slots=True)
class Baseline:
    """The tests of a module when nothing is changed."""

    entered: dict[str, set[int]]
    seconds: dict[str, float]

    def covering(self, mutant: Mutant) -> list[str]:
        """Return the tests to run first: those that enter the function, or all if the mutant is outside of any."""
        if mutant.first_line is None:
            return self.all()
        hit = {name for name, lines in self.entered.items() if mutant.first_line in lines}
        return [name for name in self.all() if name in hit or name.partition("::")[0] in hit]

    def all(self) -> list[str]:
        """Return all tests, quick ones first."""
        return sorted(self.seconds, key=self.seconds.__getitem__)

    def limit(self, tests: Sequence[str]) -> float:
        """Return the seconds that tests may take."""
        return sum(LEAST_SECONDS + SLOWER * self.seconds[name] for name in tests)


def judge(target: Target, mutants: Sequence[Mutant], *, processes: int) -> list[Outcome]:
    """Run the tests of a module against each mutant."""
    outcomes = [Outcome(mutant) for mutant in mutants]

    def serve(folder: Path) -> int:
        return _run_pytest(target.tests, _Server(target, outcomes, processes, folder / "answer"))

    server = _Child(serve, 24 * 3600)
    if server.wait() != 0 or not (server.folder / "answer").exists():
        sys.exit(server.log())
    entered, seconds, modules, ends = json.loads((server.folder / "answer").read_text(encoding="utf-8"))
    server.forget()
    baseline = Baseline({name: set(lines) for name, lines in entered.items()}, seconds)
    for outcome, end in zip(outcomes, ends, strict=True):
        outcome.end = end or SURVIVED
    outside = [outcome for outcome, end in zip(outcomes, ends, strict=True) if end is None]

    def begin(mutant: Mutant, tests: list[str]) -> _Child:
        files = sorted({name.partition("::")[0] for name in tests})

        def work(folder: Path) -> int:
            sys.meta_path.insert(0, _Finder(target.module, mutant.code))
            return _run_pytest(files, _Order(tests), _Limits(seconds))

        return _Child(work, baseline.limit(tests))

    def serve_outside(folder: Path) -> int:
        _import_all_but(target.module, modules)
        _judge(outside, baseline, begin, processes)
        (folder / "answer").write_text(json.dumps([outcome.end for outcome in outside]), encoding="utf-8")
        return 0

    server = _Child(serve_outside, 24 * 3600)
    if server.wait() != 0:
        sys.exit(server.log())
    ends = json.loads((server.folder / "answer").read_text(encoding="utf-8"))
    server.forget()
    for outcome, end in zip(outside, ends, strict=True):
        outcome.end = end
    return outcomes


def _import_all_but(module: str, names: Sequence[str]) -> None:
    """Import the modules that do not need a module once, so that not every mutant's process imports them."""

    class Barrier:
        def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> None:
            if name == module:
                raise ImportError(name)

    barrier: Any = Barrier()
    sys.meta_path.insert(0, barrier)
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)
    sys.meta_path.remove(barrier)


def _judge(
    outcomes: Sequence[Outcome],
    baseline: Baseline,
    begin: Callable[[Mutant, list[str]], _Child],
    processes: int,
) -> None:
    """Judge mutants, several at once: first by the tests that cover them, then by the others."""
    waiting: list[tuple[Outcome, list[str]]] = []
    for outcome in outcomes:
        first = baseline.covering(outcome.mutant)
        rest = [name for name in baseline.all() if name not in set(first)]
        waiting.append((outcome, first or rest))
        if first and rest:
            waiting.append((outcome, rest))
    waiting.reverse()
    running: list[tuple[Outcome, _Child]] = []
    while waiting or running:
        busy = {outcome for outcome, _ in running}
        at = next((at for at in reversed(range(len(waiting))) if waiting[at][0] not in busy), None)
        if at is not None and len(running) < processes:
            outcome, tests = waiting.pop(at)
            if outcome.end == SURVIVED:
                running.append((outcome, begin(outcome.mutant, tests)))
            continue
        time.sleep(0.005)
        for outcome, child in list(running):
            if (end := child.end()) is not None:
                running.remove((outcome, child))
                child.forget()
                timed_out = end in (TIMED_OUT, -signal.SIGALRM)
                outcome.end = TIMED_OUT if timed_out else KILLED if end != 0 else SURVIVED
