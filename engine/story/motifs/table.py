"""The table of motifs: places, subjects that stand in them, weather, times of the day, and people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["place", "subject", "weather", "time", "people"]


@dataclass(frozen=True, slots=True)
class Motif:
    """One motif. `emoji` are those whose names and keywords in Unicode's CLDR stand for it.

    A subject stands in one of the places `at`; the first is taken if the words name none of them.
    """

    name: str
    kind: Kind
    description: str
    emoji: str = ""
    at: tuple[str, ...] = ()


_LAND = ("field", "mountain", "village", "road", "desert", "river", "lake", "forest", "garden", "island")
_WATER = ("sea", "lake", "river", "harbour", "island", "beach")

MOTIFS: Final[tuple[Motif, ...]] = (
    Motif("sea", "place", "open sea with the light's path on it", "🌊"),
    Motif("beach", "place", "a beach with surf", "🏖"),
    Motif("harbour", "place", "a harbour with a pier and masts", "⚓"),
    Motif("river", "place", "a river winding through hills", "🏞"),
    Motif("lake", "place", "a still lake that mirrors mountains"),
    Motif("island", "place", "an island in the sea", "🏝"),
    Motif("forest", "place", "a forest in fog", "🌲🌳"),
    Motif("mountain", "place", "mountain ridges in mist", "⛰🏔🗻"),
    Motif("desert", "place", "desert dunes", "🏜🐪"),
    Motif("field", "place", "fields and grass", "🌾"),
    Motif("garden", "place", "a garden in flower"),
    Motif("cave", "place", "the mouth of a cave"),
    Motif("city", "place", "a skyline with lit windows", "🏙🌆"),
    Motif("village", "place", "a village with lit windows among hills", "🏘"),
    Motif("road", "place", "a road toward the horizon", "🛣"),
    Motif("bridge", "place", "a bridge over water", "🌉"),
    Motif("railway", "place", "a train crossing the land", "🚂🚆"),
    Motif("room", "place", "a room with a lit window", "🛋🛏"),
    Motif("stairs", "place", "stairs rising to a light", "🪜"),
    Motif("window", "place", "a window, seen from within", "🪟"),
    Motif("door", "place", "a door ajar with light behind it", "🚪"),
    Motif("hall", "place", "a hall of arches"),
    Motif("library", "place", "shelves of books", "📚"),
    Motif("ruins", "place", "columns of a ruin", "🏛"),
    Motif("cemetery", "place", "graves in mist", "🪦"),
    Motif("space", "place", "a nebula among stars", "🌌"),
    Motif("planet", "place", "the limb of a planet", "🪐"),
    Motif("clouds", "place", "a sea of clouds", "☁"),
    Motif("lighthouse", "subject", "a lighthouse with its beam", "", ("sea", "island", "beach", "harbour")),
    Motif("boat", "subject", "a small boat", "⛵🚣🛶", _WATER),
    Motif("ship", "subject", "a ship with masts", "🚢", ("sea", "harbour", "beach", "island")),
    Motif("castle", "subject", "a castle on a height", "🏰🏯", _LAND),
    Motif("house", "subject", "a house with lit windows", "🏠🏡", (*_LAND, "beach")),
    Motif("church", "subject", "a church with a steeple", "⛪", ("village", *_LAND)),
    Motif("tower", "subject", "a tower on a height", "🗼", _LAND),
    Motif("mill", "subject", "a windmill", "", _LAND),
    Motif("tree", "subject", "a single tree", "", (*_LAND, "cemetery", "beach")),
    Motif("tent", "subject", "a lit tent", "⛺🏕", (*_LAND, "beach")),
    Motif("rocket", "subject", "a rocket", "🚀", ("desert", "field", "planet")),
    Motif("plane", "subject", "an aeroplane", "✈", ("clouds", "sea", "mountain", *_LAND)),
    Motif("balloon", "subject", "a hot-air balloon", "", ("clouds", "mountain", "sea", *_LAND)),
    Motif("car", "subject", "a car", "🚗", ("road",)),
    Motif(
        "bird", "subject", "birds in flight", "🐦🕊", ("sea", "clouds", "beach", "harbour", *_LAND, "cemetery")
    ),
    Motif("horse", "subject", "a horse", "🐎🐴", _LAND),
    Motif("dog", "subject", "a dog", "🐕🐶", (*_LAND, "beach")),
    Motif("cat", "subject", "a cat", "🐈🐱", ("window", "room", *_LAND)),
    Motif("wolf", "subject", "a wolf", "🐺", ("forest", "mountain", *_LAND)),
    Motif("whale", "subject", "a whale's fluke", "🐋🐳", ("sea", "island")),
    Motif("map", "subject", "a map on a table", "🗺", ("table",)),
    Motif("letter", "subject", "a letter on a table", "✉💌", ("table",)),
    Motif("book", "subject", "an open book on a table", "📖", ("table", "library")),
    Motif("candle", "subject", "a burning candle", "🕯", ("table", "window", "room")),
    Motif("clock", "subject", "a clock", "🕰", ("table", "window", "room")),
    Motif("key", "subject", "a key on a table", "🗝", ("table",)),
    Motif("flower", "subject", "flowers", "🌹🌸", ("table", "garden", "window", "room")),
    Motif("fire", "subject", "a fire", "🔥", (*_LAND, "beach")),
    Motif("table", "place", "a table in lamplight"),
    Motif("storm", "weather", "a storm with lightning", "⛈🌩"),
    Motif("rain", "weather", "rain", "🌧☔"),
    Motif("snow", "weather", "snow", "❄☃🌨"),
    Motif("fog", "weather", "fog", "🌫"),
    Motif("night", "time", "night", "🌃🌕🌙"),
    Motif("dawn", "time", "a low sun", "🌅🌄"),
    Motif("day", "time", "day", "☀"),
    Motif("person", "people", "a person", "🧑👨👩"),
    Motif("child", "people", "a child", "🧒👧👦"),
    Motif("couple", "people", "two people", "👫"),
    Motif("crowd", "people", "many people", "👥"),
)
MOTIF_NAMES: Final[dict[str, Motif]] = {motif.name: motif for motif in MOTIFS}
