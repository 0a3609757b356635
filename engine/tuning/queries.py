"""What can be asked of a run: a goal, and limits that the settings have to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.samples import Floats

Goal = Literal["fastest", "smallest", "best"]
GOALS: Final[tuple[Goal, ...]] = get_args(Goal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound on a field of `Summary`: an option of a query. `most` is the largest value that it may take."""

    name: str
    field: str
    words: str
    digits: int
    at_least: bool
    most: float = math.inf

    def holds(self, values: Floats, bound: float) -> npt.NDArray[np.bool_]:
        """Return which values are within a bound; NaN is not."""
        return values >= bound if self.at_least else values <= bound


LIMITS: Final = (
    Limit(name="min_vmaf", field="vmaf", words="VMAF", digits=2, at_least=True, most=100),
    Limit(
        name="min_p1",
        field="vmaf_p1",
        words="1st percentile of VMAF",
        digits=2,
        at_least=True,
        most=100,
    ),
    Limit(name="min_phone", field="vmaf_phone", words="VMAF on a phone", digits=2, at_least=True, most=100),
    Limit(name="min_xpsnr", field="xpsnr_y", words="XPSNR of luma in dB", digits=2, at_least=True),
    Limit(name="min_ssim", field="ssim", words="SSIM", digits=4, at_least=True, most=1),
    Limit(name="max_mbit", field="mbit_s", words="Mbit/s", digits=2, at_least=False),
    Limit(name="min_fps", field="fps", words="frames a second of one encode", digits=1, at_least=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of a run: the fastest, smallest or best settings within limits by name."""

    goal: Goal = "fastest"
    limits: Mapping[str, float] = field(default_factory=dict)
    encoder: str | None = None

    def bounds(self) -> tuple[tuple[Limit, float], ...]:
        """Return the limits that are set; raise InputError if one cannot be met."""
        for name, bound in self.limits.items():
            limit = next((each for each in LIMITS if each.name == name), None)
            if limit is None:
                raise InputError(f"limits: got {name!r}; allowed: {', '.join(each.name for each in LIMITS)}")
            if not math.isfinite(bound) or not 0 < bound <= limit.most:
                above = "a number above 0" if math.isinf(limit.most) else f"above 0, to {limit.most:g}"
                raise InputError(f"{name}: got {bound:g}; allowed: {above}")
        return tuple((limit, self.limits[limit.name]) for limit in LIMITS if limit.name in self.limits)
