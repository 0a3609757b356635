"""Times as options give them: a moment, or how long from now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FROM_NOW: Final = "+90s, +30m, +2h, +1d"
"""Examples of times from now, for help and errors."""

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_from_now(text: str) -> datetime:
    """Return the time, with this machine's offset, of a text such as +2h; raise ValueError if it is none or too far away."""
    unit = _UNITS.get(text[-1:])
    try:
        if unit is None or not text.startswith("+"):
            raise ValueError("no time from now")
        return datetime.now().astimezone() + timedelta(**{unit: float(text[1:-1])})
    except (ValueError, OverflowError) as error:
        raise ValueError(f"got {text!r}; allowed: {FROM_NOW}") from error
