"""Clips of the corpus are drawn again from what a run's JSON says of them, and must be the same frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support.tuning_runs import make_run
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.records import RunData
from video_pipeline.engine.tuning.redraw import redraw_clips, redraw_corpus
from video_pipeline.engine.tuning.runs import run_as_json
from video_pipeline.engine.tuning.sources import CORPUS, Sources, gather_clips

SECONDS = 0.5


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    cache = tmp_path_factory.mktemp("cache")
    return load_config({"storage": {"cache_path": str(cache)}}, environ=False).override(
        "video", size=(96, 160), fps=Fraction(30)
    )


@pytest.fixture(scope="module")
def corpus_run(config: Config) -> RunData:
    """A run that was made on the corpus; only its material counts here."""
    clips = gather_clips(
        Sources(training=(CORPUS,), held_out=(CORPUS,), seconds=SECONDS),
        config=config,
        cache=open_asset_cache(config),
    )
    data = make_run()
    return replace(data, run=replace(data.run, material={"clips": [clip.describe() for clip in clips]}))


def test_clips_of_both_parts_are_drawn_again_as_they_were(
    corpus_run: RunData, config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    path.write_text(run_as_json(corpus_run), encoding="utf-8")
    empty = config.override("storage", cache_path=tmp_path / "cache")
    other_size = empty.override("video", size=(64, 64), fps=Fraction(24))
    found = redraw_clips(path, corpus_run, ["still", "slow_zoom_held_out"], config=other_size)
    described = {clip["name"]: clip for clip in corpus_run.run.material["clips"]}
    assert list(found) == ["still", "slow_zoom_held_out"]
    for name, clip in found.items():
        assert clip.describe() == described[name]


def change(of: str, **fields: Any) -> Callable[[RunData], RunData]:
    def changed(data: RunData) -> RunData:
        clips = [{**clip, **(fields if clip["name"] == of else {})} for clip in data.run.material["clips"]]
        return replace(data, run=replace(data.run, material={"clips": clips}))

    return changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            change("still", sha256="0" * 64),
            "run a: still: the corpus of this version, or .* draws other frames",
        ),
        (change("still", source="story.json"), "run a: still: not of the corpus"),
        (change("still", name="other"), "run a: still: not of the corpus"),
    ],
)
def test_other_frames_and_other_material_are_errors(
    corpus_run: RunData, config: Config, changed: Callable[[RunData], RunData], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        redraw_corpus(changed(corpus_run), ["still"], config=config)
