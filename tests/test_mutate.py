"""The mutation tests, on a module of a few lines with a good and a bad test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutate
from tests.support.mutant_runs import source_path
from tests.support.mutants import mutants_of, sample
from tests.support.paths import ROOT

SAMPLE = """
import os
LIMIT = 3

def clamp(value, *, low=0):
    if value < low or value > LIMIT:
        raise ValueError(value)
    os.getpid()
    return [each for each in reversed([value, low]) if not each == 9]

class Kept:
    def read(self, table):
        try:
            return min(table["a"], table["b"])
        except (KeyError, TypeError):
            return None
"""
GOOD = """
import os
import pytest
from {package} import sample

def test_everything(monkeypatch):
    called = []
    monkeypatch.setattr(os, "getpid", lambda: called.append(1))
    assert sample.clamp(0) == [0, 0]
    assert sample.clamp(3) == [0, 3]
    assert sample.clamp(9, low=3) if sample.LIMIT == 9 else called == [1, 1]
    for wrong in (-1, 4, 3.5, -0.5):
        with pytest.raises(ValueError):
            sample.clamp(wrong)
    monkeypatch.setattr(sample, "LIMIT", 9)
    assert sample.clamp(9, low=3) == [3]

def test_read():
    kept = sample.Kept()
    assert kept.read({{"a": 1, "b": 2}}) == kept.read({{"a": 2, "b": 1}}) == 1
    assert kept.read({{}}) is None
    assert kept.read(None) is None

def test_limit():
    assert sample.LIMIT == 3
"""
RUN = """
import sys
from tests.mutate import main
from tests.support.mutant_runs import Target

targets = (
    Target("good", "package.sample", ("test_good.py",)),
    Target("bad", "package.sample", ("test_bad.py",)),
)
sys.exit(main(sys.argv[1:], targets=targets))
"""
BAD = """
from {package} import sample

def test_it_runs():
    sample.clamp(1)
"""


def mutants(source: str) -> set[tuple[str, str]]:
    return {(mutant.old, mutant.new) for mutant in mutants_of(source, "sample.py")}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = a < b", {"x = a <= b", "x = a > b"}),
        ("x = a is None", {"x = a is not None"}),
        ("x = a and b", {"x = a or b", "x = a", "x = b"}),
        ("x = not a", {"x = a"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = reversed(a)", {"x = a"}),
        ("x = 7", {"x = 8", "x = 6"}),
        ("x = True", {"x = False"}),
        ("x['key']", {"x['keyX']"}),
        ("os.fsync(a)", {"pass"}),
        ("raise a", {"pass"}),
        ("x = f(a, deep=b)", {"x = f(a)"}),
        ("x = a + b", {"x = a - b"}),
        ("x = b if a else c", {"x = b if not a else c"}),
        ("x = [a for a in b if c(a)]", {"x = [a for a in b]"}),
        ("x = 'SELECT a WHERE b <= 1'", {"x = 'SELECT a WHERE b < 1'", "x = 'SELECT a WHERE b <= 0'"}),
        ("logger.info('words')", set()),
        ("x: Literal['a'] = y", set()),
        ("'a docstring'", set()),
    ],
)  # fmt: skip
def test_every_kind_of_change_is_made(line: str, expected: set[str]) -> None:
    assert {new for _, new in mutants(line)} == expected


def test_types_of_an_except_are_dropped_one_by_one() -> None:
    source = "try:\n    f()\nexcept (A, B):\n    g()"
    assert {new for _, new in mutants(source)} == {"except (B,):", "except (A,):", "pass"}


def test_defaults_of_parameters_are_changed_and_the_function_is_named() -> None:
    (one, two) = mutants_of("class A:\n    def f(self, *, at=1): return self", "sample.py")[:2]
    assert {one.new, two.new} == {"def f(self, *, at=2):", "def f(self, *, at=0):"}
    assert {one.function, two.function} == {"A.f"}
    assert one.first_line is None, "defaults are set when the module is imported"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that the tool takes for its project, with one package."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "sample.py").write_text(SAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
    for name, text in (("good", GOOD), ("bad", BAD)):
        (tmp_path / f"test_{name}.py").write_text(text.format(package="package"))
    (tmp_path / "tests" / "support").mkdir(parents=True)
    for name in ("mutate", "support/__init__", "support/mutants", "support/mutant_runs", "support/paths"):
        shutil.copy(ROOT / "tests" / f"{name}.py", tmp_path / "tests" / f"{name}.py")
    (tmp_path / "tests" / "mutate_allowed.yaml").write_text(
        "bad:\n- {in: '', old: LIMIT = 3, new: LIMIT = 4, why: it is a test}\n"
        "- {in: clamp, old: gone, new: too, why: it was}\n"
    )
    (tmp_path / "run.py").write_text(RUN)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *arguments],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def rows(output: str) -> dict[str, list[int]]:
    found = {}
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 7 and cells[1].isdecimal():
            found[cells[0]] = [int(cell.removesuffix(" %")) for cell in cells[1:]]
    return found


def test_a_mutant_survives_a_weak_test_and_not_a_strong_one(project: Path) -> None:
    good, bad = run(project, "good"), run(project, "bad")
    made = len(mutants_of(SAMPLE, "sample.py"))
    assert rows(good.stdout) == {"good": [made, made, 0, 0, 0, 100]}, good.stdout + good.stderr
    assert good.returncode == 0
    ((mutants_made, killed, timed_out, allowed, survived, share),) = rows(bad.stdout).values()
    assert mutants_made == made
    assert killed + allowed + survived == made
    assert (timed_out, allowed) == (0, 1)
    assert share < 50
    assert bad.returncode == 1
    assert bad.stdout.count("bad:") == survived + 1
    assert "bad:7 in clamp (statement removed)\n  - raise ValueError(value)\n  + pass\n" in bad.stdout
    assert "LIMIT = 4" not in bad.stdout, "it is allowed"
    assert "bad: 'gone' → 'too' in clamp is allowed and no longer made" in bad.stdout
    assert (project / "package" / "sample.py").read_text() == SAMPLE


def test_a_sample_is_the_same_for_the_same_seed_and_in_order() -> None:
    made = mutants_of(SAMPLE, "sample.py")
    one, same, other = (sample(made, 6, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert one == sorted(one, key=made.index)
    assert len(one) == len(set(one)) == 6
    assert sample(made, 0, seed=1) == sample(made, 9999, seed=1) == made


def test_tests_that_fail_without_a_mutation_are_reported(project: Path) -> None:
    (project / "test_good.py").write_text("def test_it():\n    assert False\n")
    done = run(project, "good")
    assert done.returncode != 0
    assert "its tests fail before anything is changed" in done.stdout + done.stderr


def test_an_unknown_module_is_refused_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutate", "nothing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "modules: got nothing; allowed: attempts, queue, timing" in done.stderr


def test_every_target_has_its_module_and_its_tests() -> None:
    for target in mutate.TARGETS:
        assert source_path(target.module).is_file(), target
        assert all((ROOT / path).exists() for path in target.tests), target
