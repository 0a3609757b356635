"""The corpus: every kind of picture that the engine's videos have, in two parts that share nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.video import as_frames, luma
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.corpus import CORPUS_CLIPS, TRANSITIONS
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.sources import CORPUS, Sources, gather_clips
from video_pipeline.filters.transitions import XFADE_NAMES

SIZE_PX = (90, 160)


@pytest.fixture(scope="module")
def clips(session_cache: Path) -> dict[str, RawClip]:
    config = load_config({"video": {"size": list(SIZE_PX), "fps": 24}}, environ=False)
    found = gather_clips(
        Sources(training=(CORPUS,), held_out=(CORPUS,), seconds=1.0),
        config=config,
        cache=ContentCache(session_cache),
    )
    return {clip.name: clip for clip in found}


def _luma(clip: RawClip) -> npt.NDArray[np.float64]:
    return luma(as_frames(clip.path.read_bytes(), SIZE_PX)).astype(float)


def _changes(clip: RawClip) -> float:
    """Return the mean difference of frames that follow each other."""
    return float(np.abs(np.diff(_luma(clip), axis=0)).mean())


def test_both_parts_have_every_kind(clips: dict[str, RawClip]) -> None:
    kinds = [record.name for record in CORPUS_CLIPS]
    assert [name for name, clip in clips.items() if clip.part == "training"] == kinds
    held_out = [name for name, clip in clips.items() if clip.part == "held_out"]
    assert held_out == [f"{kind}_held_out" for kind in kinds]
    assert len({clip.sha256 for clip in clips.values()}) == 2 * len(kinds)


def test_clips_last_as_long_as_asked_for(clips: dict[str, RawClip]) -> None:
    assert all(abs(float(clip.seconds) - 1.0) < 0.2 for clip in clips.values())


def test_some_clips_may_be_named(session_cache: Path) -> None:
    config = load_config({"video": {"size": list(SIZE_PX), "fps": 24}}, environ=False)

    def names(material: str) -> list[str]:
        given = Sources(training=(material,), held_out=(material,), seconds=1.0)
        return [clip.name for clip in gather_clips(given, config=config, cache=ContentCache(session_cache))]

    assert names("corpus:grain,still") == ["still", "grain", "still_held_out", "grain_held_out"]
    with pytest.raises(
        InputError,
        match=r"material: got 'corpus:stil', and the corpus has no clip 'stil' \(did you mean 'still'\?\); allowed: still,",
    ):
        names("corpus:stil")


@pytest.mark.parametrize("suffix", ["", "_held_out"])
def test_clips_show_what_their_names_say(clips: dict[str, RawClip], suffix: str) -> None:
    changes = {record.name: _changes(clips[record.name + suffix]) for record in CORPUS_CLIPS}
    assert changes["still"] == 0
    assert 0 < changes["slow_zoom"] < changes["fast_pan"]
    assert changes["grain"] > 2 * changes["slow_zoom"]
    assert changes["footage"] > changes["slow_zoom"]
    brightness = {record.name: _luma(clips[record.name + suffix]).mean() for record in CORPUS_CLIPS}
    assert brightness["dark"] < 40 < brightness["slow_zoom"]
    for kind in ("transitions_1", "transitions_2"):
        assert len(clips[kind + suffix].scenes) == 9
        assert len(clips[kind + suffix].segments()) == 9


def test_the_corpus_has_every_family_of_transitions_in_each_part() -> None:
    def family(name: str) -> str:
        for start in (
            "fade",
            "wipe",
            "slide",
            "smooth",
            "cover",
            "reveal",
            "circle",
            "rect",
            "vert",
            "horz",
            "diag",
        ):
            if name.startswith(start):
                return {"cover": "push", "reveal": "push", "rect": "circle", "horz": "vert"}.get(start, start)
        for end in ("slice", "wind"):
            if name.endswith(end):
                return end
        blurs = {"dissolve": "mix", "distance": "mix", "pixelize": "blur", "hblur": "blur"}
        return blurs.get(name, "squeeze" if name.startswith("squeeze") else name)

    families = {family(name) for name in XFADE_NAMES}
    for lists in TRANSITIONS.values():
        names = [name for names in lists for name in names]
        assert set(names) <= set(XFADE_NAMES)
        assert families - {family(name) for name in names} <= {"radial", "zoomin"}
    every = [name for lists in TRANSITIONS.values() for names in lists for name in names]
    assert len(set(every)) == len(every) == 32
    assert {family(name) for name in every} == families
