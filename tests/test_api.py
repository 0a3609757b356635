"""The public names of `video_pipeline`: complete, typed, and imported only when they are used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import video_pipeline
from tests.engine.test_startup import HEAVY
from tests.support.modules import Import, Module
from tests.support.paths import ROOT

PUBLIC = video_pipeline.__all__
PREFIX = "video_pipeline.engine."
TOP = ROOT / "video_pipeline/__init__.py"

NOT_CONSTRUCTED = {
    "ObjectStore": "`open_store` returns one",
    "Transport": "`link` is for the pipelines, which open one; callers give a URL",
}
"""Classes in public parameters that callers need not name, and why."""


def module_of_top() -> Module:
    """Return the module that exports the public names."""
    return Module("video_pipeline", TOP, ast.parse(TOP.read_text(encoding="utf-8")))


def for_the_type_checker(module: Module) -> list[Import]:
    """Return the names that a module imports under `if TYPE_CHECKING`."""
    tests = [node for node in module.tree.body if isinstance(node, ast.If)]
    bodies = [node.body for node in tests if ast.unparse(node.test) == "TYPE_CHECKING"]
    tree = ast.Module([statement for body in bodies for statement in body], [])
    return list(Module(module.name, module.path, tree).imports())


def test_the_public_names_are_sorted_and_each_is_there() -> None:
    assert sorted(PUBLIC) == PUBLIC
    for name in PUBLIC:
        assert getattr(video_pipeline, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = video_pipeline.Nothing


def test_a_star_import_brings_them() -> None:
    names: dict[str, Any] = {}
    exec("from video_pipeline import *", names)
    assert set(names) - {"__builtins__"} == set(PUBLIC)


def test_a_program_and_its_type_checker_find_them_in_the_same_modules() -> None:
    when_used = {
        (f"{PREFIX}{module}", name) for module, names in video_pipeline._WHERE.items() for name in names
    }
    for_types = {(each.module, each.name) for each in for_the_type_checker(module_of_top())}
    assert when_used == for_types
    assert {name for _, name in when_used} == set(PUBLIC) - {"__version__"}


def test_importing_the_package_imports_nothing_heavy_and_shows_every_name() -> None:
    script = (
        "import sys, video_pipeline\n"
        "assert set(video_pipeline.__all__) <= set(dir(video_pipeline))\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    imported = set(done.stdout.split())
    assert "video_pipeline" in imported
    assert imported.isdisjoint(HEAVY), sorted(imported.intersection(HEAVY))


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield public functions, and the constructors and public methods of public classes, with their names."""
    for name in PUBLIC:
        value = getattr(video_pipeline, name)
        members = inspect.getmembers(value) if inspect.isclass(value) else [("", value)]
        for member, found in members:
            if member == "__init__" or not member.startswith("_"):
                function = inspect.unwrap(getattr(found, "__func__", found))
                if inspect.isfunction(function) and function.__module__.startswith(PREFIX):
                    yield f"{name}.{member}" if member else name, function


def test_the_type_hints_of_every_public_callable_can_be_read() -> None:
    functions = dict(public_functions())
    assert {"NodeClient.submit", "AsyncNodeClient.submit", "render_story"} <= functions.keys()
    for name, function in functions.items():
        hints = typing.get_type_hints(function)
        assert hints.keys() <= {*inspect.signature(function).parameters, "return"}, name


def classes_in(hint: Any) -> Iterator[type]:
    """Yield the classes of the engine in an annotation; instead of keyword options those of each option."""
    if isinstance(hint, list):
        for each in hint:
            yield from classes_in(each)
    elif typing.is_typeddict(hint):
        for each in typing.get_type_hints(hint).values():
            yield from classes_in(each)
    elif typing.get_origin(hint) is not None:
        for each in typing.get_args(hint):
            yield from classes_in(each)
    elif isinstance(hint, type) and hint.__module__.startswith(PREFIX):
        yield hint


def test_every_class_that_a_caller_is_asked_for_is_public() -> None:
    asked = {
        (each.__name__, f"{where}: {parameter} is a {each.__name__} of {each.__module__}")
        for where, function in public_functions()
        for parameter, hint in typing.get_type_hints(function).items()
        if parameter != "return"
        for each in classes_in(hint)
    }
    names = {name for name, _ in asked}
    assert {"Config", "Sound", "Story", "JobStatus"} <= names
    assert set(NOT_CONSTRUCTED) <= names
    missing = [where for name, where in sorted(asked) if name not in {*PUBLIC, *NOT_CONSTRUCTED}]
    assert not missing, "\n".join(missing)
