"""Videos that are too long and stories of too many scenes: refused by what is certain before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import node_config, submit, turn_until_ended
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.jobs.inputs.length import check_length
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.story import parse_story


def checked(
    story: dict[str, Any],
    *,
    most: float = 60,
    scenes: int = 2000,
    service: str = "hibari",
) -> None:
    node = {"max_video_seconds": most, "max_scenes": scenes}
    config = load_config({"node": node, "tts": {"service": service}}, environ=False)
    check_length(parse_story({"title": "T", **story}), config=config, node=config.node)


def of_scenes(*scenes: dict[str, Any]) -> dict[str, Any]:
    return {"scenes": [{"scene_id": f"s{number}", **scene} for number, scene in enumerate(scenes)]}


CUT = {"name": "cut"}
LONG_WORDS = "word " * 900


@pytest.mark.parametrize(
    ("story", "options", "seconds"),
    [
        (of_scenes({"duration": 61}), {}, 61),
        (of_scenes({"duration": 31, "transition": CUT}, {"duration": 30}), {}, 61),
        (of_scenes({"duration": 31, "transition": {"name": "fade", "duration": 0.1}}, {"duration": 31}), {}, 62),
        (of_scenes({"text": LONG_WORDS}), {}, 112),
        (of_scenes({"text": "", "narration": LONG_WORDS}), {}, 112),
        (of_scenes({"text": LONG_WORDS, "narration": ""}), {}, 112),
        (of_scenes({"text": "A"}, {"text": LONG_WORDS}), {"service": "none"}, 117),
        ({"content": LONG_WORDS}, {}, 112),
    ],
)  # fmt: skip
def test_a_video_that_must_be_too_long_is_refused(
    story: dict[str, Any], options: dict[str, Any], seconds: int
) -> None:
    with pytest.raises(StoryError, match=rf"lasts at least {seconds} s; node\.max_video_seconds allows 60"):
        checked(story, **options)


@pytest.mark.parametrize(
    "story",
    [
        of_scenes({"duration": 60}),
        of_scenes({"duration": 30.2}, {"duration": 30.2}),  # half a second is a transition
        of_scenes({"video": "clip.mp4", "narration": ""}),  # the clip's length is not known yet
        {"content": "Words. " * 50},
    ],
)
def test_what_may_be_short_enough_is_accepted(story: dict[str, Any]) -> None:
    checked(story)


def test_more_scenes_than_allowed_are_refused_also_those_of_a_text() -> None:
    two = of_scenes({"duration": 1}, {"duration": 1})
    checked(two, scenes=2)
    with pytest.raises(StoryError, match=r"'scenes': has 2 scenes; node\.max_scenes allows 1"):
        checked(two, scenes=1)
    text = {"content": "The lamp was lit at the old house by the sea. " * 10}
    checked(text, scenes=10)
    with pytest.raises(StoryError, match=r"'content': has 10 scenes; node\.max_scenes allows 9"):
        checked(text, scenes=9)


def test_a_length_that_only_the_render_knows_fails_the_job_at_once(
    tmp_path: Path, session_cache: Path
) -> None:
    story = {
        "id": "s",
        "title": "T",
        "scenes": [{"scene_id": "a", "text": "Words that take three seconds to be read.", "narration": ""}],
    }
    config = node_config(
        tmp_path,
        cache=session_cache,
        node={"max_video_seconds": 2},
        scenes={"default_duration": 1},
    )
    check_length(parse_story(story), config=config, node=config.node)
    with RunningNode(config) as node:
        job = turn_until_ended(node, submit(node.ledger, story))
        assert (job.status, job.error_type, job.attempts) == ("failed", "StoryError", 1)
        assert "would last 4.2 s; node.max_video_seconds allows 2" in (job.error_message or "")
        many = submit(node.ledger, {**story, "scenes": [{"scene_id": "a", "duration": 3}]})
        job = turn_until_ended(node, many)
        assert "lasts at least 3 s" in (job.error_message or "")
        assert job.attempts == 1
