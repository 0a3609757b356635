"""What a story says of where and when its video is published."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.jobs import tiny_story
from video_pipeline.engine.errors import StoryError
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.story.publish import PublishSpec


def spec(**fields: Any) -> PublishSpec:
    story = parse_story({**tiny_story(), "publish": [{"platform": "folder", **fields}]})
    return story.publish[0]


@pytest.mark.parametrize(
    ("fields", "utc"),
    [
        ({"at": "2027-01-31T18:00+01:00"}, datetime(2027, 1, 31, 17, tzinfo=UTC)),
        ({"at": "2027-01-31T18:00Z"}, datetime(2027, 1, 31, 18, tzinfo=UTC)),
        ({"at": "2027-07-31T18:00", "zone": "Europe/Berlin"}, datetime(2027, 7, 31, 16, tzinfo=UTC)),
        ({"at": "2027-01-31T18:00", "zone": "Asia/Kolkata"}, datetime(2027, 1, 31, 12, 30, tzinfo=UTC)),
        # Clocks go back at 03:00 to 02:00: the hour comes twice, and the first one counts.
        ({"at": "2027-10-31T02:30", "zone": "Europe/Berlin"}, datetime(2027, 10, 31, 0, 30, tzinfo=UTC)),
        ({}, None),
    ],
)
def test_a_time_is_that_of_its_zone(fields: dict[str, Any], utc: datetime | None) -> None:
    assert spec(**fields).moment == utc


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"at": "2027-01-31T18:00"}, "neither an offset nor a `zone`"),
        ({"at": "2027-01-31T18:00Z", "zone": "Europe/Berlin"}, "has an offset already"),
        ({"zone": "Europe/Berlin"}, "of no use without `at`"),
        ({"at": "tomorrow"}, "allowed: a time such as"),
        ({"at": "2027-01-31T18:00", "zone": "Berlin"}, "the name of a time zone"),
        ({"platform": "myspace"}, "allowed: 'folder', 'instagram', 's3', 'tiktok', 'webhook' or 'youtube'"),
        ({"account": "../secret"}, "account"),
        ({"accounts": "default"}, "unknown key (did you mean 'account'?)"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(StoryError, match="publish") as told:
        spec(**fields)
    assert words in str(told.value)
