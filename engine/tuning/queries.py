"""What can be asked of a run: a goal, and limits that the settings have to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.samples import Floats

Goal = Literal["fastest", "smallest", "best"]
GOALS: Final[tuple[Goal, ...]] = get_args(Goal)

Values = Callable[[str], Floats]
"""Returns a field of `Summary` for B rows of T trials, measured or resampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A bound on a field of `Summary`: an option of a query.

    With `beside`, it is on the loss from the reference trial, or on the ratio to it, on the same clips. The bound is from
    `least` (above it with `above`) to `most`.
    """

    name: str
    field: str
    words: str
    digits: int = 2
    at_least: bool = True
    beside: Literal["loss", "ratio"] | None = None
    least: float = 0.0
    above: bool = True
    most: float = math.inf

    def read(self, values: Values, reference: int | None) -> Floats:
        """Return what the bound is on, of shape (B, T); `reference` is the position of the reference trial.

        Raises InputError if the limit needs a reference and there is none.
        """
        own = values(self.field)
        if self.beside is None:
            return own
        if reference is None:
            raise InputError(
                f"{self.name}: needs a reference trial, and the run has none of x264's medium at 8000k; name one"
            )
        base = own[:, [reference]]
        return base - own if self.beside == "loss" else own / base

    def holds(self, values: Floats, bound: float) -> npt.NDArray[np.bool_]:
        """Return which values are within a bound; NaN is not."""
        return values >= bound if self.at_least else values <= bound + ROUNDING

    def check(self, bound: float) -> None:
        """Raise InputError for a bound that makes no sense."""
        low_enough = bound > self.least if self.above else bound >= self.least
        if math.isfinite(bound) and low_enough and bound <= self.most:
            return
        if math.isinf(self.most):
            allowed = f"a number above {self.least:g}" if self.above else f"{self.least:g} or more"
        else:
            allowed = f"above {self.least:g}, to {self.most:g}"
        raise InputError(f"{self.name}: got {bound:g}; allowed: {allowed}")


ROUNDING: Final = 1e-9
"""Of a ratio or difference that is meant to be equal to its bound."""

LIMITS: Final = (
    Limit(name="min_vmaf", field="vmaf", words="VMAF", most=100),
    Limit(name="min_p1", field="vmaf_p1", words="1st percentile of VMAF", most=100),
    Limit(name="min_phone", field="vmaf_phone", words="VMAF on a phone", most=100),
    Limit(name="min_xpsnr", field="xpsnr_y", words="XPSNR of luma in dB"),
    Limit(name="min_ssim", field="ssim", words="SSIM", digits=4, most=1),
    Limit(name="max_mbit", field="mbit_s", words="Mbit/s", at_least=False),
    Limit(name="min_fps", field="fps", words="frames a second of one encode", digits=1),
    *(
        Limit(
            name=f"max_{name}_loss",
            field=of,
            words=f"loss of {words} from the reference",
            at_least=False,
            beside="loss",
            above=False,
        )
        for name, of, words in (
            ("vmaf", "vmaf", "VMAF"),
            ("p1", "vmaf_p1", "the 1st percentile"),
            ("xpsnr", "xpsnr_y", "XPSNR in dB"),
        )
    ),
    Limit(
        name="max_bytes",
        field="mbit_s",
        words="times the reference's bytes",
        digits=3,
        at_least=False,
        beside="ratio",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked of a run: the fastest, smallest or best settings within limits by name."""

    goal: Goal = "fastest"
    limits: Mapping[str, float] = field(default_factory=dict)
    encoder: str | None = None

    def bounds(self) -> tuple[tuple[Limit, float], ...]:
        """Return the limits that are set; raise InputError if one makes no sense."""
        for name, bound in self.limits.items():
            limit = next((each for each in LIMITS if each.name == name), None)
            if limit is None:
                raise InputError(f"limits: got {name!r}; allowed: {', '.join(each.name for each in LIMITS)}")
            limit.check(bound)
        return tuple((limit, self.limits[limit.name]) for limit in LIMITS if limit.name in self.limits)
