"""Pictures of motifs: repeatable, all different, of any shape, dark enough for captions, chosen from the words."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.likeness import likeness
from tests.support.paths import ROOT
from video_pipeline.engine.assets.backgrounds import STYLES, draw_depiction
from video_pipeline.engine.assets.backgrounds.composition import PLACES
from video_pipeline.engine.assets.backgrounds.outlines import OUTLINES
from video_pipeline.engine.common.pictures import PictureStyle
from video_pipeline.engine.story.motifs import (
    MOTIF_NAMES,
    MOTIFS,
    Depiction,
    choose_depiction,
    depict_motifs,
    find_motifs,
)

SMALL = (108, 192)
NAMES = [motif.name for motif in MOTIFS]


def drawn(
    name: str, size_px: tuple[int, int] = SMALL, genre: str = "adventure", seed: int = 3
) -> Image.Image:
    """Draw one motif as a scene would that names it."""
    shown = depict_motifs([name])
    assert shown is not None
    return draw_depiction(shown, genre=genre, seed=seed, size_px=size_px)


def test_another_process_draws_the_same_bytes() -> None:
    code = (
        "import hashlib, sys\n"
        "from video_pipeline.engine.assets.backgrounds import draw_depiction\n"
        "from video_pipeline.engine.story.motifs import depict_motifs\n"
        "for name in sys.argv[1:]:\n"
        "    image = draw_depiction(depict_motifs([name]), genre='adventure', seed=3, size_px=(108, 192))\n"
        "    print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    names = ["lighthouse", "village", "library", "map", "storm", "snow", "fire"]
    run = subprocess.run(
        [sys.executable, "-c", code, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout.split() == [hashlib.sha256(drawn(name).tobytes()).hexdigest() for name in names]


def test_every_motif_is_a_picture_of_its_own() -> None:
    # A table carries a book, and fields under a palette of the day are a day's.
    others = {"table", "day", "dawn"}
    pictures = {name: np.asarray(drawn(name)).astype(np.float32) for name in NAMES if name not in others}
    names = list(pictures)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            worst = float(np.abs(pictures[first] - pictures[second]).max())
            assert worst > 20, f"{first} and {second}"


@pytest.mark.parametrize("size_px", [(192, 108), (128, 128), (16, 16), (16, 400)])
def test_every_place_and_subject_is_drawn_in_any_shape(size_px: tuple[int, int]) -> None:
    for name in NAMES:
        assert drawn(name, size_px).size == size_px, name


@pytest.mark.parametrize("genre", ["children", "comedy"])
def test_white_captions_are_legible_on_every_motif(genre: str) -> None:
    for name in NAMES:
        rgb = np.asarray(drawn(name, genre=genre)).astype(np.float64)[int(SMALL[1] * 0.65) :] / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert np.percentile(linear @ (0.2126, 0.7152, 0.0722), 60) < 0.30, name


@pytest.mark.parametrize(
    "shown",
    [
        Depiction(place="sea", subject="lighthouse"),
        Depiction(place="field"),
        Depiction(place="forest", people="person"),
        Depiction(place="table", subject="map"),
    ],
)
def test_a_second_view_is_another_picture_in_the_same_colours(shown: Depiction) -> None:
    images = [draw_depiction(shown, genre="mystery", seed=1, size_px=SMALL, view=view) for view in (0, 1)]
    first, second = (np.asarray(image).astype(float) for image in images)
    assert np.abs(first.mean(axis=(0, 1)) - second.mean(axis=(0, 1))).max() < 20
    assert likeness(*images) < 0.95


def test_a_side_outside_the_limits_is_an_error() -> None:
    with pytest.raises(ValueError, match="size_px: got 8x8"):
        drawn("sea", (8, 8))


def test_everything_that_can_be_named_can_be_drawn() -> None:
    places = {motif.name for motif in MOTIFS if motif.kind == "place"}
    assert places == set(PLACES) | {"table"}
    on_table = {"map", "letter", "book", "candle", "clock", "key", "flower", "fire"}
    drawable = OUTLINES.keys() | on_table
    assert {motif.name for motif in MOTIFS if motif.kind in {"subject", "people"}} <= drawable


def test_the_names_of_styles_are_those_that_a_story_may_use() -> None:
    assert set(PictureStyle.__args__) == {style.name for style in STYLES}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "genre", "expected"),
    [
        ("He kept the lighthouse.", "general", Depiction(place="sea", subject="lighthouse", people="person")),
        ("A boat on the lake at dawn.", "general", Depiction(place="lake", subject="boat", time="dawn")),
        ("A castle, far from the sea.", "general", Depiction(place="field", subject="castle")),
        ("In the city she dreamt of a boat.", "general", Depiction(place="city", people="person")),
        ("She was afraid.", "horror", Depiction(place="forest", people="person")),
        ("Forest or desert?", "western", Depiction(place="desert")),
        ("It had been decided.", "general", None),
    ],
)
def test_words_become_a_picture(text: str, genre: str, expected: Depiction | None) -> None:
    assert choose_depiction(find_motifs(text, language="en"), genre=genre) == expected


def test_a_scene_without_a_place_stays_where_the_last_one_was() -> None:
    before = Depiction(place="harbour", subject="ship")
    assert choose_depiction({"person": 1.0}, previous=before) == Depiction(place="harbour", people="person")
    assert choose_depiction({"bird": 1.0}, previous=before) == Depiction(place="harbour", subject="bird")
    assert all(MOTIF_NAMES[name].kind == "place" for name in PLACES)
