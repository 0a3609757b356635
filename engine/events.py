"""Progress events of a render, and a stopwatch for its stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Event:
    """Progress of a render: `done` of `total` units of a stage (frames, in the stage `render`).

    `cached` of the `done` frames were not drawn in this stage but came from the cache.
    """

    stage: str
    done: int
    total: int
    cached: int = 0


OnEvent = Callable[[Event], None]


StageName = Literal["check", "assets", "compose", "captions", "sound", "render", "outputs"]
FIRST_SEGMENT: Final = "first_segment"
"""Not a stage: the seconds from the beginning until the first segment was ready."""


@dataclass(slots=True)
class Stopwatch:
    """Measures the wall seconds of each stage. `began` is on the clock of `time.perf_counter`."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
