"""Genres: the palettes and styles that suit each kind of story."""

from __future__ import annotations

from dataclasses import dataclass

from . import palettes as p
from .palettes import Palette


@dataclass(frozen=True, slots=True)
class Genre:
    """The palettes and the names of the styles that suit a kind of story."""

    palettes: tuple[Palette, ...]
    styles: tuple[str, ...]


_MYSTERY = Genre(
    (p.MIDNIGHT, p.TEAL_NOIR, p.SLATE, p.INDIGO_FOG),
    ("foggy_forest", "moonlit_sea", "city_dusk", "misty_ridges", "arches", "cave"),
)
_HORROR = Genre(
    (p.BLOOD, p.SICKLY, p.ASH, p.TEAL_NOIR), ("foggy_forest", "cave", "misty_ridges", "arches", "moonlit_sea")
)
_FANTASY = Genre(
    (p.VIOLET, p.EMERALD, p.ENCHANTED, p.LAPIS),
    ("aurora", "misty_ridges", "foggy_forest", "cave", "nebula", "cloud_sea", "arches"),
)
_ADVENTURE = Genre(
    (p.EMBER, p.SAVANNA, p.OCEAN, p.ALPINE),
    ("misty_ridges", "dunes", "moonlit_sea", "cave", "cloud_sea", "paper_hills"),
)
_ROMANCE = Genre(
    (p.ROSE, p.BLUSH, p.WINE, p.EMBER),
    ("bokeh", "silk", "cloud_sea", "moonlit_sea", "city_dusk", "misty_ridges"),
)
_SCIENCE_FICTION = Genre(
    (p.NEON, p.CYAN_VOID, p.MARS, p.MIDNIGHT), ("planet", "nebula", "city_dusk", "aurora", "dunes")
)
_HISTORY = Genre(
    (p.PARCHMENT, p.BRONZE, p.LAPIS, p.SAVANNA), ("arches", "dunes", "misty_ridges", "moonlit_sea", "cave")
)
_NATURE = Genre(
    (p.FOREST, p.ALPINE, p.OCEAN, p.AUTUMN),
    ("misty_ridges", "foggy_forest", "moonlit_sea", "cloud_sea", "aurora", "dunes"),
)
_CHILDREN = Genre(
    (p.MEADOW, p.CANDY, p.LULLABY, p.SUNNY),
    ("paper_hills", "cloud_sea", "bokeh", "misty_ridges", "moonlit_sea"),
)
_DRAMA = Genre(
    (p.AUTUMN, p.STORM, p.WINE, p.SLATE),
    ("silk", "city_dusk", "moonlit_sea", "misty_ridges", "foggy_forest", "bokeh"),
)
_COMEDY = Genre(
    (p.SUNNY, p.CANDY, p.MEADOW, p.EMBER), ("paper_hills", "bokeh", "cloud_sea", "city_dusk", "moonlit_sea")
)
_THRILLER = Genre(
    (p.STEEL, p.ASH, p.TEAL_NOIR, p.STORM),
    ("city_dusk", "foggy_forest", "moonlit_sea", "misty_ridges", "bokeh"),
)
_GENERAL = Genre(
    (p.EMBER, p.MIDNIGHT, p.ALPINE, p.ROSE, p.TEAL_NOIR, p.AUTUMN),
    ("misty_ridges", "moonlit_sea", "cloud_sea", "paper_hills", "silk", "bokeh", "dunes"),
)

GENRES: dict[str, Genre] = {
    "general": _GENERAL,
    "mystery": _MYSTERY,
    "detective": _MYSTERY,
    "crime": _THRILLER,
    "thriller": _THRILLER,
    "suspense": _THRILLER,
    "horror": _HORROR,
    "ghost": _HORROR,
    "fantasy": _FANTASY,
    "fairy_tale": _FANTASY,
    "mythology": _FANTASY,
    "adventure": _ADVENTURE,
    "action": _ADVENTURE,
    "travel": _ADVENTURE,
    "western": Genre((p.SAVANNA, p.EMBER, p.BRONZE), ("dunes", "misty_ridges", "cave")),
    "romance": _ROMANCE,
    "love": _ROMANCE,
    "sci_fi": _SCIENCE_FICTION,
    "scifi": _SCIENCE_FICTION,
    "science_fiction": _SCIENCE_FICTION,
    "space": Genre((p.CYAN_VOID, p.VIOLET, p.MARS, p.MIDNIGHT), ("planet", "nebula", "aurora")),
    "technology": _SCIENCE_FICTION,
    "history": _HISTORY,
    "historical": _HISTORY,
    "ancient": _HISTORY,
    "biography": _HISTORY,
    "nature": _NATURE,
    "animals": _NATURE,
    "children": _CHILDREN,
    "kids": _CHILDREN,
    "bedtime": Genre(
        (p.LULLABY, p.MIDNIGHT, p.VIOLET), ("paper_hills", "cloud_sea", "moonlit_sea", "aurora")
    ),
    "drama": _DRAMA,
    "comedy": _COMEDY,
    "humor": _COMEDY,
    "motivation": Genre((p.EMBER, p.ALPINE, p.OCEAN), ("misty_ridges", "cloud_sea", "moonlit_sea", "dunes")),
    "inspirational": Genre(
        (p.EMBER, p.ALPINE, p.ROSE), ("misty_ridges", "cloud_sea", "moonlit_sea", "dunes")
    ),
}


def find_genre(name: str) -> Genre:
    """Return the genre with a name, ignoring case, spaces and hyphens; unknown names mean `general`."""
    return GENRES.get(name.strip().lower().replace("-", "_").replace(" ", "_"), _GENERAL)
