"""A pace that the processes of a machine keep together: at most so many requests in so many seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.net.one_at_a_time import one_at_a_time


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPace:
    """At most `most` requests within `seconds`, remembered in `folder` under `name`; `clock` is in seconds since 1970.

    A folder that cannot be written keeps no pace: the service's own limit is then met.
    """

    folder: Path
    name: str
    most: int
    seconds: float
    clock: Callable[[], float] = time.time

    def take(self) -> float:
        """Count a request and return 0, or count none and return the seconds after which one may be sent."""
        with one_at_a_time(self.folder / ".locks", self.name):
            now = self.clock()
            # A time after now is of a clock that was set back.
            recent = sorted(moment for moment in self._moments() if now - self.seconds < moment <= now)
            if len(recent) >= self.most:
                return recent[-self.most] + self.seconds - now
            self._keep([*recent, now])
            return 0.0

    def _moments(self) -> list[float]:
        try:
            found = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return []
        return [each for each in found if isinstance(each, int | float)] if isinstance(found, list) else []

    def _keep(self, moments: list[float]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._file) as partial:
                partial.write_text(json.dumps(moments), encoding="utf-8")
        except OSError:
            return  # the service's own limit is met then

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}.json"
