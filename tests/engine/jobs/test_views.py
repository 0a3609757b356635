"""The paths and logs that clients on other machines do not see."""

from __future__ import annotations

import pytest

from video_pipeline.engine.jobs.views import without_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("scene 'a': /srv/state/inbox/ab.png: is cut short", "scene 'a': …/ab.png: is cut short"),
        ("/srv/out/job-1: exists; see '/srv/state/logs/job-1.1.log'", "…/job-1: exists; see '…/job-1.1.log'"),
        ("https://example.com/a/b.jpg: 404", "https://example.com/a/b.jpg: 404"),
        ("30000/1001 fps and 9:16, 1/2", "30000/1001 fps and 9:16, 1/2"),
        ("media/a/b.jpg is missing", "media/a/b.jpg is missing"),
    ],
)
def test_only_the_last_part_of_an_absolute_path_is_shown(text: str, shown: str) -> None:
    assert without_paths(text) == shown
