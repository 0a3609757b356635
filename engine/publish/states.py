"""The states of a publication, and which may follow which.

scheduled ─▶ prepared ─▶ saved ─▶ committed ─▶ confirmed
                │          │          └─▶ unknown ─▶ confirmed or prepared, as a person decides
                └──────────┴─▶ failed, held, cancelled ─▶ prepared again, since nothing was published
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from video_pipeline.engine.errors import InputError


class PublicationState(StrEnum):
    """How far a publication has come.

    prepared: taken up; the platform may be asked for a handle. saved: the handle is stored. committed: the step that
    publishes may have been done. unknown: whether it was done is for a person to find out. held: it waits for a person.
    """

    SCHEDULED = "scheduled"
    PREPARED = "prepared"
    SAVED = "saved"
    COMMITTED = "committed"
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"


def parse_state(name: str | None) -> PublicationState | None:
    """Return a state by its name, None for None; raise InputError for another word."""
    if name is None:
        return None
    try:
        return PublicationState(name)
    except ValueError:
        raise InputError(f"state: got {name!r}; allowed: {', '.join(PublicationState)}") from None


_S = PublicationState

ACTIVE: Final = frozenset({_S.SCHEDULED, _S.PREPARED, _S.SAVED, _S.COMMITTED})
"""States that are carried on without a person."""

CHANGEABLE: Final = frozenset({_S.SCHEDULED, _S.PREPARED, _S.SAVED, _S.HELD})
"""States in which nothing was published and a publication may be cancelled or changed."""

REOPENED: Final = frozenset({_S.FAILED, _S.CANCELLED, _S.HELD})
"""States from which the same video may be published after all."""

FOLLOWING: Final[Mapping[PublicationState, frozenset[PublicationState]]] = MappingProxyType(
    {
        _S.SCHEDULED: frozenset({_S.PREPARED, _S.HELD, _S.CANCELLED, _S.FAILED}),
        _S.PREPARED: frozenset({_S.SAVED, _S.SCHEDULED, _S.HELD, _S.FAILED, _S.CANCELLED}),
        _S.SAVED: frozenset(
            {_S.COMMITTED, _S.PREPARED, _S.CONFIRMED, _S.UNKNOWN, _S.HELD, _S.FAILED, _S.CANCELLED}
        ),
        _S.COMMITTED: frozenset({_S.CONFIRMED, _S.SAVED, _S.UNKNOWN}),
        _S.CONFIRMED: frozenset(),
        _S.UNKNOWN: frozenset({_S.CONFIRMED, _S.PREPARED}),
        _S.HELD: frozenset({_S.PREPARED, _S.SCHEDULED, _S.CANCELLED}),
        _S.FAILED: frozenset({_S.PREPARED, _S.SCHEDULED}),
        _S.CANCELLED: frozenset({_S.PREPARED, _S.SCHEDULED}),
    }
)
