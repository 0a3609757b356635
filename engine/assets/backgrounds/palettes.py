"""Palettes: the few colours from which every style derives the others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as `#rrggbb`: the sky from its top to the horizon, the light in it, the darkest foreground.

    `accents` are three colours that look well glowing on the dark ones. `night` asks for stars and a moon.
    """

    name: str
    zenith: str
    middle: str
    horizon: str
    light: str
    near: str
    accents: tuple[str, str, str]
    night: bool = False


MIDNIGHT = Palette(
    "midnight", "#050a1c", "#112748", "#41688f", "#eaf2ff", "#03060f", ("#5f97e8", "#8f7be0", "#e0be7c"), True
)
TEAL_NOIR = Palette(
    "teal_noir",
    "#04121a",
    "#0f3844",
    "#5f9696",
    "#e6f4e4",
    "#02090c",
    ("#3fa7a3", "#d9a45b", "#2f6f9c"),
    True,
)
SLATE = Palette(
    "slate", "#121a28", "#35475c", "#9fb0b6", "#fff1d6", "#070b12", ("#7f9bb8", "#d8b98a", "#5d7f8f")
)
INDIGO_FOG = Palette(
    "indigo_fog",
    "#0d0c26",
    "#2c2c5e",
    "#8583b4",
    "#f6e9ff",
    "#06061a",
    ("#7b78d8", "#c78fd0", "#5aa0d6"),
    True,
)
BLOOD = Palette(
    "blood", "#0b0406", "#360c13", "#a2352a", "#ffbf94", "#060203", ("#c8322c", "#ff8a4a", "#7a1f3c"), True
)
SICKLY = Palette(
    "sickly", "#040a08", "#12281f", "#64855a", "#e2efb8", "#020604", ("#86b04c", "#3f8a74", "#c9b65a"), True
)
ASH = Palette(
    "ash", "#0a0b0e", "#25282e", "#777c80", "#f0ece2", "#040506", ("#8f969c", "#b5483a", "#5b6a78"), True
)
VIOLET = Palette(
    "violet", "#120a33", "#4a2b8c", "#e493cb", "#ffe9d2", "#0a0520", ("#b06af0", "#ff86c0", "#56c7f0"), True
)
EMERALD = Palette(
    "emerald", "#06202b", "#1a6668", "#a8dfb4", "#fff6cf", "#03120f", ("#3fd09a", "#f2d46b", "#3fa0d8")
)
ENCHANTED = Palette(
    "enchanted",
    "#0a1138",
    "#234a94",
    "#7fd6dc",
    "#fdf3c8",
    "#050a20",
    ("#4fd0e0", "#c08af8", "#ffd97a"),
    True,
)
EMBER = Palette(
    "ember", "#1d1336", "#7a2f55", "#f7955a", "#ffe0a8", "#12070f", ("#ff9a4a", "#e8526a", "#ffd27a")
)
SAVANNA = Palette(
    "savanna", "#3a2036", "#b5523f", "#ffb070", "#fff0c0", "#1c0c0c", ("#f7a945", "#d8573a", "#ffe08a")
)
OCEAN = Palette(
    "ocean", "#06264a", "#1f6a9c", "#a9d9df", "#fff8e0", "#03131f", ("#36b0d8", "#5fe0c6", "#ffd78a")
)
ALPINE = Palette(
    "alpine", "#173d70", "#5c94c4", "#f3dcc4", "#fff6df", "#0a1a26", ("#5fa8dd", "#f0b98a", "#7fc7b0")
)
ROSE = Palette(
    "rose", "#3a2358", "#b45f8f", "#ffc6a8", "#fff0dc", "#1e0d24", ("#ff8fa8", "#ffc28a", "#c58af0")
)
BLUSH = Palette(
    "blush", "#4c3a72", "#d88aa4", "#ffe0c4", "#fff7ea", "#271433", ("#ff9cb4", "#ffd0a0", "#b79af5")
)
WINE = Palette(
    "wine", "#1c0a1e", "#641c42", "#e0706a", "#ffd9b8", "#10040f", ("#e0486a", "#ffa86a", "#a04ac0")
)
NEON = Palette(
    "neon", "#070420", "#2a1568", "#d043b0", "#ffe2f6", "#04020f", ("#22d3ee", "#f043c0", "#7a5cff"), True
)
CYAN_VOID = Palette(
    "cyan_void",
    "#020b18",
    "#07345a",
    "#3fb8d8",
    "#e8fcff",
    "#01050c",
    ("#2fd0f0", "#4a7cff", "#9af0d0"),
    True,
)
MARS = Palette(
    "mars", "#1a0d12", "#6a2e26", "#e39a68", "#fff0d8", "#0d0506", ("#ff8a50", "#4fb8c8", "#ffd08a"), True
)
PARCHMENT = Palette(
    "parchment", "#3d2a20", "#94653c", "#f0cf92", "#fff3d2", "#190f09", ("#e0a850", "#b86a3a", "#f5dca0")
)
BRONZE = Palette(
    "bronze", "#14181f", "#5a4a3c", "#e0ab68", "#ffe9bd", "#0a0807", ("#d8a04c", "#6a9aa0", "#f0cf8a")
)
LAPIS = Palette(
    "lapis", "#0a1440", "#24488e", "#e8bd7e", "#fff0cc", "#060a20", ("#e8b450", "#4a86e0", "#f5d9a0"), True
)
FOREST = Palette(
    "forest", "#0c2a2c", "#357058", "#d4e4a8", "#fffbdc", "#05140f", ("#8fcf6a", "#f0d070", "#4fb09a")
)
MEADOW = Palette(
    "meadow", "#1f6fb4", "#74bfe4", "#fdf0c8", "#fffbe6", "#0d3a33", ("#6fd08a", "#ffd45f", "#ff9a7a")
)
CANDY = Palette(
    "candy", "#4a52c0", "#a68ae8", "#ffd0d8", "#fff8d8", "#2a1f66", ("#ff8fb8", "#ffd45f", "#5fd8e0")
)
LULLABY = Palette(
    "lullaby", "#101a4c", "#3a4fa0", "#c9a8e0", "#fff6cf", "#0a1036", ("#ffd97a", "#8fb4ff", "#f5a8d0"), True
)
SUNNY = Palette(
    "sunny", "#1a7aa8", "#5fc4c8", "#ffe39a", "#fffbe0", "#0d3648", ("#ffc845", "#ff8a5f", "#5fd8c0")
)
AUTUMN = Palette(
    "autumn", "#2b2438", "#8a4a3c", "#f2b066", "#ffeac0", "#160b0b", ("#e8833a", "#c8492f", "#f5c860")
)
STORM = Palette(
    "storm", "#0b1119", "#2a3c4c", "#8aa0a2", "#f4efdc", "#05080c", ("#6f9cb8", "#c8b07a", "#4a6f86")
)
STEEL = Palette(
    "steel", "#070d16", "#1d3a52", "#d08a58", "#ffe0b8", "#03060a", ("#e8904a", "#4a9ac8", "#ffd08a"), True
)
