"""Compositions: a place, a subject in it, the weather over it, the time of the day, and people, as one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from video_pipeline.engine.story.motifs.depiction import Depiction

from . import indoors, land, shore, tabletop, weather
from .chambers import arches, cave
from .city import city_dusk
from .desert import dunes
from .heavens import nebula, planet
from .land import Ground
from .outlines import OUTLINES
from .paint import colour, lighten, mix
from .palettes import Palette
from .ridges import cloud_sea, misty_ridges
from .shapes import fill_polygons
from .silhouettes import Stand, beam, box, glow, set_outline, soft_shadow
from .sky import place_light
from .stage import Array, Stage
from .woods import foggy_forest

AIRBORNE: Final = frozenset({"plane", "balloon", "bird"})
AFLOAT: Final = frozenset({"boat", "ship", "whale"})
ON_TABLE: Final = frozenset({"map", "letter", "book", "candle", "clock", "key"})
INDOORS: Final = frozenset({"room", "window"})
"""Places whose subject stands on the window sill, in its own height."""
HEIGHTS: Final[Mapping[str, float]] = {
    "tree": 1.05, "castle": 1.0, "tower": 0.95, "mill": 0.95, "house": 0.42, "church": 0.80, "tent": 0.32, "rocket": 1.2,
    "lighthouse": 1.0,
}  # fmt: skip
"""Height of a subject as a part of the height that its place allows."""
ANIMALS: Final[Mapping[str, float]] = {"horse": 1.25, "dog": 0.62, "wolf": 0.85, "cat": 0.42}
"""Height of an animal as a part of a person's, whose place it takes or beside whom it stands."""

SNOW_COVER: Final = 0.85
TALL_MAX: Final = 0.60
"""Height in units that nothing passes because a view is closer."""


def _styled(draw: Callable[[Stage], Array], *, at: float, tall: float) -> Callable[[Stage], Ground]:
    """Return a place that a style draws, with people `tall` units at the part `at` of its height."""

    def place(stage: Stage) -> Ground:
        near = colour(stage.palette.near)
        stand = Stand(x=stage.width * 0.5, foot=stage.height * at, tall=tall, tint=near)
        light = place_light(stage, low=0.2, high=0.36)
        return Ground(canvas=draw(stage), light=light, subject=stand, people=stand)

    return place


def _railway(stage: Stage) -> Ground:
    """Draw a lit train that crosses a viaduct."""
    ground = shore.bridge(stage)
    deck, tint = ground.people.foot - 0.006, mix(ground.people.tint, colour(stage.palette.near), 0.4)
    bodies, lit = [], []
    cars = int(stage.width / 0.225) + 1
    for k in range(cars):
        left = -0.06 + 0.225 * k
        bodies.append(box(left, deck - 0.062, left + 0.21, deck - 0.008))
        bodies += [box(left + 0.21, deck - 0.03, left + 0.225, deck - 0.015)]
        lit += [
            box(left + 0.018 + 0.03 * w, deck - 0.050, left + 0.038 + 0.03 * w, deck - 0.030)
            for w in range(6)
        ]
    fill_polygons(ground.canvas, stage, bodies, tint)
    fill_polygons(ground.canvas, stage, lit, colour("#ffd690"))
    for k in range(cars):
        glow(ground.canvas, stage, x=0.05 + 0.225 * k, y=deck - 0.04, reach=0.03, power=0.35)
    return ground


PLACES: Final[Mapping[str, Callable[[Stage], Ground]]] = {
    "sea": lambda stage: shore.sea(stage, rock=False),
    "beach": shore.beach,
    "harbour": shore.harbour,
    "river": land.river,
    "lake": shore.still_water,
    "island": shore.island,
    "forest": _styled(foggy_forest, at=0.79, tall=0.26),
    "mountain": _styled(misty_ridges, at=0.86, tall=0.16),
    "desert": _styled(dunes, at=0.76, tall=0.17),
    "field": land.open_land,
    "garden": land.garden,
    "cave": _styled(cave, at=0.645, tall=0.17),
    "city": _styled(city_dusk, at=0.80, tall=0.20),
    "village": land.village,
    "road": land.road,
    "bridge": shore.bridge,
    "railway": _railway,
    "room": indoors.room,
    "stairs": indoors.stairs,
    "window": indoors.window,
    "door": indoors.door,
    "hall": _styled(arches, at=0.675, tall=0.19),
    "library": indoors.library,
    "ruins": land.ruins,
    "cemetery": land.cemetery,
    "space": _styled(nebula, at=0.55, tall=0.30),
    "planet": _styled(planet, at=0.55, tall=0.30),
    "clouds": _styled(cloud_sea, at=0.36, tall=0.24),
}
OUTDOORS: Final = frozenset(PLACES) - {
    "room",
    "stairs",
    "window",
    "door",
    "hall",
    "library",
    "cave",
    "space",
    "planet",
}


def at_time(palette: Palette, time: str | None, sky: str | None) -> Palette:
    """Return a palette at night, dawn or day, or under a covered sky; the hues stay those of the story."""

    def hexed(value: Array) -> str:
        return "#" + "".join(f"{round(float(np.clip(part, 0, 1)) * 255):02x}" for part in value)

    def toward(name: str, other: str, amount: float, bright: float = 1.0) -> str:
        return hexed(lighten(mix(colour(name), colour(other), amount), bright))

    if time == "night" and not palette.night:
        palette = replace(
            palette, night=True, zenith=toward(palette.zenith, "#050a1c", 0.6, 0.75), middle=toward(palette.middle, "#10203f", 0.55, 0.7),
            horizon=toward(palette.horizon, "#2c4a70", 0.5, 0.72), light=toward(palette.light, "#eaf2ff", 0.6), near=toward(palette.near, "#03060f", 0.6),
        )  # fmt: skip
    elif time in {"day", "dawn"} and palette.night:
        warm = "#f2a878" if time == "dawn" else "#cfdfe4"
        palette = replace(
            palette, night=False, zenith=toward(palette.zenith, "#2a4a78", 0.45), middle=toward(palette.middle, "#7a8fb0", 0.35),
            horizon=toward(palette.horizon, warm, 0.6), light=toward(palette.light, "#fff3d8", 0.6),
        )  # fmt: skip
    elif time == "dawn":
        palette = replace(
            palette,
            horizon=toward(palette.horizon, "#f7a06a", 0.35),
            light=toward(palette.light, "#ffe2b0", 0.4),
        )
    if sky in {"storm", "rain", "fog", "snow"}:
        grey = {"storm": "#18222c", "rain": "#3c4a56", "fog": "#8a949a", "snow": "#aab6c4"}[sky]
        share = 0.55 if sky == "storm" else 0.4
        palette = replace(
            palette, zenith=toward(palette.zenith, grey, share, 0.9), middle=toward(palette.middle, grey, share, 0.9), horizon=toward(palette.horizon, grey, share * 0.7)
        )  # fmt: skip
    return palette


def _closer(ground: Ground, times: float) -> Ground:
    """Enlarge what stands or floats at a place, up to `TALL_MAX`."""

    def larger(stand: Stand) -> Stand:
        return replace(stand, tall=min(stand.tall * times, max(stand.tall, TALL_MAX)))

    return replace(
        ground,
        subject=larger(ground.subject),
        people=larger(ground.people),
        afloat=larger(ground.afloat) if ground.afloat is not None else None,
    )


def depict(stage: Stage, composition: Depiction, *, closer: float = 1.0) -> Array:
    """Draw a composition on a stage whose palette is the story's; return planes of the stage's size.

    `closer` enlarges subject and people.
    """
    sky = composition.weather if composition.place in OUTDOORS else None
    cover = {"storm": 1.0, "rain": 0.8, "snow": 0.6, "fog": 0.5}.get(sky or "", 0.0)
    stage = replace(
        stage,
        palette=at_time(stage.palette, composition.time, sky),
        overcast=cover,
        snow=SNOW_COVER if sky == "snow" else 0.0,
    )
    subject = composition.subject
    if composition.place == "table":
        things = frozenset({subject} if subject else ()) & (ON_TABLE | {"flower"})
        return tabletop.table(stage, things).canvas
    if composition.place == "sea" and subject in OUTLINES.keys() - AFLOAT - AIRBORNE:
        ground = shore.sea(stage, rock=True)
    elif composition.place == "forest" and sky == "snow":
        ground = land.winter_wood(stage)
    elif composition.place == "mountain" and sky == "snow":
        ground = land.open_land(stage, hills=2.1)
    elif (
        composition.place in {"mountain", "forest"} and subject in OUTLINES.keys() - AIRBORNE - ANIMALS.keys()
    ):
        ground = land.open_land(stage, hills=2.1 if composition.place == "mountain" else 1.2)
    else:
        ground = PLACES[composition.place](stage)
    ground = _closer(ground, closer)
    _place_subject(stage, ground, composition)
    if composition.place in {"lake", "bridge", "railway"}:
        shore.bank(stage, ground)
    elif composition.place == "harbour":
        shore.pier(stage, ground)
    if subject in AFLOAT and ground.afloat is not None:
        _float_subject(stage, ground, subject or "", composition.place)
    if subject in ANIMALS and composition.place not in INDOORS:
        _place_animal(stage, ground, composition)
    if composition.people is not None and composition.place not in {"space", "planet", "clouds"}:
        small = {"child": 0.70, "crowd": 0.92}.get(composition.people, 1.0)
        set_outline(
            ground.canvas,
            stage,
            OUTLINES[composition.people],
            replace(ground.people, tall=ground.people.tall * small),
            light=ground.light,
        )
    _lay_weather(stage, ground, sky)
    return ground.canvas


def _place_subject(stage: Stage, ground: Ground, composition: Depiction) -> None:
    """Set the subject into its place, with what belongs to it: a beam, smoke, a fire's glow."""
    name, canvas, spot = composition.subject, ground.canvas, ground.subject
    if name == "car" and ground.driven is not None:
        spot = ground.driven
    if name is None or name in AFLOAT or (name, composition.place) == ("flower", "garden"):
        return
    if name in ANIMALS and composition.place not in INDOORS:
        return
    if name in AIRBORNE:
        side = 1.0 if ground.light.x < stage.width / 2 else -1.0
        tall = {"balloon": 0.26, "plane": 0.16, "bird": 0.22}[name]
        tint = mix(land.land_tint(stage, 0.75), colour(stage.palette.near), 0.3)
        stand = Stand(
            x=stage.width * (0.5 + side * 0.16), foot=stage.height * 0.34, tall=tall, tint=tint, flip=side > 0
        )
        set_outline(canvas, stage, OUTLINES[name], stand, light=ground.light)
    elif name == "fire":
        _fire(stage, ground)
    elif name in OUTLINES:
        tall = spot.tall if composition.place in INDOORS else spot.tall * HEIGHTS.get(name, 1.0)
        stand = replace(spot, tall=tall)
        soft_shadow(canvas, stage, x=stand.x, y=stand.foot, across=tall * 0.4)
        set_outline(canvas, stage, OUTLINES[name], stand, light=ground.light)
        if name == "car":
            glow(canvas, stage, x=stand.x, y=stand.foot + 0.3 * tall, reach=tall * 0.55, power=0.3)
        if name == "lighthouse":
            lamp = stand.foot - 0.82 * stand.tall
            for angle, power in ((3.28, 0.55), (-0.13, 0.65)):
                beam(canvas, stage, x=stand.x, y=lamp, angle=angle, spread=0.055, power=power)


def _place_animal(stage: Stage, ground: Ground, composition: Depiction) -> None:
    """Set an animal where people stand, or beside them."""
    name, spot = composition.subject or "", ground.people
    person = max(spot.tall, 0.12)
    aside = {None: 0.0, "crowd": 1.5}.get(composition.people, 0.65) * person
    side = 1.0 if spot.x < stage.width / 2 else -1.0
    stand = replace(
        spot, x=spot.x + side * aside, foot=spot.foot + 0.008, tall=person * ANIMALS[name], flip=side < 0
    )
    soft_shadow(ground.canvas, stage, x=stand.x, y=stand.foot, across=stand.tall * 0.6)
    set_outline(ground.canvas, stage, OUTLINES[name], stand, light=ground.light)


def _float_subject(stage: Stage, ground: Ground, name: str, place: str) -> None:
    """Set a vessel or a whale onto the water, with its dark reflection below."""
    spot = ground.afloat
    assert spot is not None
    tall = spot.tall * {"ship": 1.15, "whale": 0.6}.get(name, 1.0)
    if place == "harbour":
        tall *= 1.3
    stand = replace(spot, tall=tall)
    set_outline(ground.canvas, stage, OUTLINES[name], stand, light=ground.light)
    soft_shadow(ground.canvas, stage, x=stand.x, y=stand.foot + 0.012, across=tall * 0.42)


def _fire(stage: Stage, ground: Ground) -> None:
    """Draw a campfire: logs, flames, sparks and the glow on the ground."""
    rng, spot, canvas = stage.rng("fire"), ground.people, ground.canvas
    x, foot = spot.x - 0.16 if spot.x > stage.width / 2 else spot.x + 0.16, spot.foot + 0.03
    ember = colour("#ff8a3a")
    glow(canvas, stage, x=x, y=foot - 0.05, reach=0.07, power=0.9, tint=ember)
    glow(canvas, stage, x=x, y=foot - 0.02, reach=0.26, power=0.42, tint=ember)
    logs = [
        [(x - 0.075, foot), (x + 0.06, foot - 0.035), (x + 0.065, foot - 0.022), (x - 0.07, foot + 0.014)],
        [(x + 0.075, foot), (x - 0.06, foot - 0.035), (x - 0.065, foot - 0.022), (x + 0.07, foot + 0.014)],
    ]
    fill_polygons(canvas, stage, logs, mix(colour(stage.palette.near), ember, 0.10))
    for tint, count, tall, wide in (
        ("#ff7a2a", 9, 0.125, 0.020),
        ("#ffb24a", 7, 0.095, 0.015),
        ("#fff0b8", 4, 0.06, 0.010),
    ):
        tongues = []
        for _ in range(count):
            at = x + rng.normal() * 0.022
            high, bend = tall * rng.uniform(0.55, 1.1), rng.normal() * 0.014
            side = [
                (wide * (1 - t) ** 0.7 * (0.55 + 1.2 * t * (1 - t) * 2), t) for t in np.linspace(0, 1, 12)
            ]
            tongues.append(
                [(at + w + bend * t * t, foot - 0.012 - high * t) for w, t in side]
                + [(at - w + bend * t * t, foot - 0.012 - high * t) for w, t in reversed(side)]
            )
        fill_polygons(canvas, stage, tongues, colour(tint))
    for sx, sy, size in rng.random((26, 3)):
        glow(
            canvas,
            stage,
            x=x + (sx - 0.5) * 0.24 * (0.3 + sy),
            y=foot - 0.10 - 0.34 * sy,
            reach=0.0014 + 0.0016 * size,
            power=0.9,
            tint=ember,
        )


def _lay_weather(stage: Stage, ground: Ground, sky: str | None) -> None:
    if sky == "storm":
        weather.lightning(ground.canvas, stage, foot=stage.height * 0.43, away_from=ground.subject.x)
        weather.rain(ground.canvas, stage)
    elif sky == "rain":
        weather.rain(ground.canvas, stage)
    elif sky == "snow":
        weather.snow(ground.canvas, stage)
    elif sky == "fog":
        weather.fog(ground.canvas, stage, low=stage.height * 0.47)
