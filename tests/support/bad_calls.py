"""Calls of the public API with one argument that it cannot take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import video_pipeline
from video_pipeline.engine.jobs.client.connect import ConnectOptions
from video_pipeline.engine.jobs.client.steps import JobOptions, SubmitOptions

PREFIX: Final = "video_pipeline.engine."


class Thing:
    """An object that nothing here knows."""


WRONG: Final[tuple[Any, ...]] = (
    7,
    -1.5,
    float("nan"),
    True,
    b"bytes",
    "\0",
    Thing(),
    [None],
    {"key": Thing()},
    {1: 2},
    lambda: None,
    None,
)


@dataclass(frozen=True, slots=True)
class Callee:
    """A public function, constructor or method; `owner` is the public class that has it."""

    name: str
    function: Callable[..., Any]
    owner: type | None = None

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """What a caller passes."""
        found = list(inspect.signature(self.function).parameters.values())
        return found[1:] if self.owner is not None else found

    @property
    def required(self) -> list[str]:
        """The names of the parameters without a default."""
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return [
            each.name for each in self.parameters if each.default is each.empty and each.kind not in variadic
        ]


def callees() -> Iterator[Callee]:
    """Yield every public function, and the constructor and the public methods of every public class."""
    for name in video_pipeline.__all__:
        value = getattr(video_pipeline, name)
        if inspect.isfunction(value):
            yield Callee(name, value)
        elif inspect.isclass(value):
            for member, found in inspect.getmembers(value):
                function = getattr(found, "__func__", found)
                if not inspect.isfunction(function) or not function.__module__.startswith(PREFIX):
                    generated = member == "__init__" and getattr(value, "__dataclass_fields__", None)
                    if not (generated and inspect.isfunction(function)):
                        continue
                if member == "__init__" or not member.startswith("_"):
                    yield Callee(f"{name}.{member}", function, value)


def option_names(parameter: inspect.Parameter) -> list[str]:
    """Return the names of keyword options from the annotation `Unpack[...]`."""
    options = {"ConnectOptions": ConnectOptions, "JobOptions": JobOptions, "SubmitOptions": SubmitOptions}
    found = options.get(str(parameter.annotation).removeprefix("Unpack[").removesuffix("]"))
    return [*found.__annotations__, "unheard_of"] if found else []


def wrong_calls(callee: Callee) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield wrong arguments of calls: the name of one, its value, and both as a dictionary.

    In the last ones, named `all`, every required argument is wrong.
    """
    names: list[str] = []
    for parameter in callee.parameters:
        is_options = parameter.kind is parameter.VAR_KEYWORD
        names += option_names(parameter) if is_options else [parameter.name]
    for name in names:
        for value in WRONG:
            yield name, value, {name: value}
    for value in WRONG:
        yield "all", value, dict.fromkeys(callee.required, value)
