"""Compositions: what one drawn picture shows, chosen from the motifs of a scene's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from .table import MOTIF_NAMES

SAME_SCORE: Final = 0.9
"""A subject needs this share of a place's score to be shown where it belongs instead of there."""
TIED: Final = 0.75
"""Places whose scores are closer than this share are tied, and the genre decides."""

_GENRE_PLACES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("mystery", "detective", "horror", "ghost", "fairy_tale"), "forest"),
    **dict.fromkeys(("crime", "thriller", "suspense", "comedy", "humor", "drama"), "city"),
    **dict.fromkeys(("sci_fi", "scifi", "science_fiction", "space", "technology"), "space"),
    **dict.fromkeys(
        ("fantasy", "mythology", "adventure", "action", "motivation", "inspirational"), "mountain"
    ),
    **dict.fromkeys(("romance", "love"), "beach"),
    **dict.fromkeys(("history", "historical", "ancient", "biography"), "ruins"),
    **dict.fromkeys(("children", "kids", "bedtime"), "village"),
    "western": "desert",
    "travel": "road",
    "nature": "lake",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depiction:
    """What one picture shows: one place, and at most one subject, kind of people, weather and time."""

    place: str
    subject: str | None = None
    people: str | None = None
    weather: str | None = None
    time: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The motifs, the place first."""
        return tuple(filter(None, (self.place, self.subject, self.people, self.weather, self.time)))


def genre_place(genre: str) -> str:
    """Return the place that suits a genre; an unknown one means open fields."""
    return _GENRE_PLACES.get(genre.strip().lower().replace("-", "_").replace(" ", "_"), "field")


def choose_depiction(
    motifs: Mapping[str, float], *, genre: str = "general", previous: Depiction | None = None
) -> Depiction | None:
    """Return the picture of motifs with scores, best first; None if there are none.

    The best subject and the best place go together if the one can stand in the other; otherwise the better of the
    two decides, and of tied places the genre's. Without either, weather, people and time go into the place of
    the `previous` picture, or into the genre's.
    """

    def best(kind: str) -> str | None:
        names = [name for name in motifs if MOTIF_NAMES[name].kind == kind]
        tied = [name for name in names if motifs[name] >= TIED * motifs[names[0]]]
        return usual if usual in tied else next(iter(names), None)

    usual = genre_place(genre)
    place, subject = best("place"), best("subject")
    people, weather, time = best("people"), best("weather"), best("time")
    if place is not None and subject is not None and place not in MOTIF_NAMES[subject].at:
        if motifs[subject] >= SAME_SCORE * motifs[place]:
            place = None
        else:
            subject = None
    if place is None and subject is not None:
        homes = MOTIF_NAMES[subject].at
        place = previous.place if previous is not None and previous.place in homes else homes[0]
    if place is None:
        if not (people or weather or time):
            return None
        place = previous.place if previous is not None and previous.place != "table" else usual
    return Depiction(place=place, subject=subject, people=people, weather=weather, time=time)


def depict_motifs(names: Iterable[str], *, genre: str = "general") -> Depiction | None:
    """Return the picture of motifs that a story names itself; the first place and subject count most."""
    return choose_depiction({name: 1.0 - 0.01 * i for i, name in enumerate(names)}, genre=genre)
