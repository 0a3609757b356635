"""Guided search: what it asks for is in the space, is new, and gets better."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from video_pipeline.engine.tuning.fronts import front_share
from video_pipeline.engine.tuning.guided import STARTUP_TRIALS, Guide, Reached
from video_pipeline.engine.tuning.objective import Objective
from video_pipeline.engine.tuning.space import Space, load_space, parse_space

AIM = Objective(strategy="guided", trials=10)
DATA: dict[str, Any] = {
    "search": {
        "preset": ["ultrafast", "superfast", "veryfast", "faster"],
        "crf": {"from": 16.0, "to": 27.0, "step": 1},
        "bf": [0, 1, 2],
        "b_adapt": {"values": [0, 1], "when": {"bf": [1, 2]}},
        "psy": [False, True],
    }
}


def _space(data: dict[str, Any] = DATA) -> Space:
    return parse_space(data, where="space")


def _values(settings: dict[str, Any]) -> tuple[float, ...]:
    """Return times, sizes and qualities as x264 has them, roughly."""
    preset = DATA["search"]["preset"].index(settings["preset"])
    crf, bf = float(settings["crf"]), settings["bf"]
    cpu = 1 + 0.5 * preset + 0.1 * bf + 0.2 * settings.get("b_adapt", 0) + (24 - crf) * 0.03
    size = 8 * 0.88 ** (crf - 16) * (1 - 0.08 * preset) * (1 - 0.05 * bf) * (1.03 if settings["psy"] else 1)
    vmaf = 98.5 - 0.04 * (crf - 14) ** 2 + 0.4 * preset - 0.1 * abs(bf - 2)
    return math.log(cpu), math.log(size), -vmaf


def test_what_is_asked_for_is_in_the_space_and_new() -> None:
    space = _space()
    grid = [dict(each) for each in space.grid()]
    guide = Guide(space, AIM)
    asked: list[dict[str, Any]] = []
    for _ in range(5):
        for settings in guide.ask(8):
            assert settings in grid
            assert settings not in asked
            asked.append(settings)
            guide.tell(settings, Reached(_values(settings)))
    assert len(asked) == 40


def test_a_guided_search_reaches_the_front_of_a_real_grid_with_a_quarter_of_its_trials() -> None:
    recorded = json.loads(Path(__file__).with_name("recorded_grid.json").read_text(encoding="utf-8"))
    space = _space(recorded["space"])
    values = {
        str(settings): (math.log(cpu), math.log(size), -vmaf)
        for settings, (cpu, size, vmaf) in zip(space.grid(), recorded["measured"], strict=True)
    }
    whole = np.array(list(values.values()))
    quarter = len(values) // 4

    def share(seed: int) -> float:
        guide = Guide(space, Objective(strategy="guided", trials=quarter, seed=seed))
        found: list[tuple[float, ...]] = []
        while len(found) < quarter:
            for settings in guide.ask(min(8, quarter - len(found))):
                found.append(values[str(settings)])
                guide.tell(settings, Reached(found[-1]))
        return front_share(np.array(found), whole)

    chance = random.Random(1).sample(list(values.values()), quarter)
    assert front_share(np.array(chance), whole) < 0.96
    assert min(share(seed) for seed in (1, 2, 3)) >= 0.98


def test_a_space_that_is_all_tried_ends_the_search() -> None:
    guide = Guide(_space({"search": {"preset": ["fast", "slow"], "crf": [20, 21]}}), AIM)
    asked = guide.ask(8)
    assert len(asked) == 4
    for number, settings in enumerate(asked):
        guide.tell(settings, Reached((float(number), 1.0, 1.0)))
    assert guide.ask(8) == []


def test_trials_of_an_earlier_process_are_not_asked_for_again() -> None:
    space = _space({"search": {"preset": ["fast", "slow"], "crf": [20, 21], "psy": [True]}})
    guide = Guide(space, AIM)
    known = [dict(each) for each in space.grid()][:3]
    for settings in known:
        guide.tell(settings, Reached((1.0, 1.0, 1.0)))
    assert guide.ask(8) == [dict(each) for each in space.grid()][3:]


def test_settings_that_failed_are_not_asked_for_again() -> None:
    space = _space({"search": {"preset": ["fast", "slow"], "crf": [20]}})
    guide = Guide(space, AIM)
    first, second = guide.ask(2)
    guide.tell(first, None)
    guide.tell(second, Reached((1.0, 1.0, 1.0)))
    assert guide.ask(2) == []


def test_null_beside_a_profile_is_searched_and_told() -> None:
    null = {"qcomp": [None, 0.7], "trellis": [None, 0], "crf": [20, 22, 24, 26]}
    space = _space({"fixed": {"profile": "social"}, "search": null})
    guide, seen = Guide(space, AIM), set()
    for _ in range(3):
        for settings in guide.ask(8):
            seen.add((settings.get("qcomp"), settings.get("trellis"), settings["crf"]))
            guide.tell(settings, Reached((float(settings["crf"]), 1.0, len(seen) / 9)))  # type: ignore[arg-type]
    assert len(seen) == 16


@pytest.mark.parametrize("name", ["x264", "nvenc", "presets"])
def test_the_spaces_of_the_package_can_be_searched(name: str) -> None:
    space = load_space(name)
    guide = Guide(space, AIM)
    for settings in guide.ask(24):
        guide.tell(settings, Reached((random.Random(1).random(), 1.0, 1.0)))
        for parameter in space.parameters:
            assert (parameter.key in settings) <= parameter.applies(settings)


def test_what_keeps_to_the_limits_is_preferred() -> None:
    space = _space()
    aim = Objective(strategy="guided", trials=10, min_vmaf=97)

    def asked(objective: Objective) -> list[float]:
        guide = Guide(space, objective)
        found: list[float] = []
        for _ in range(8):
            for settings in guide.ask(8):
                values = _values(settings)
                found.append(-values[2])
                misses = (97 - found[-1],) if objective.min_vmaf else ()
                guide.tell(settings, Reached(values, misses))
        return found[STARTUP_TRIALS:]

    def share(found: list[float]) -> float:
        return sum(vmaf >= 97 for vmaf in found) / len(found)

    assert share(asked(aim)) > share(asked(AIM)) + 0.1
