"""The order of dates, by configuration, region and language."""

from __future__ import annotations

import pytest

from video_pipeline.engine.assets.speech.normalisation.dates import date_order


@pytest.mark.parametrize(
    ("language", "region", "order"),
    [
        ("en", "", "mdy"),
        ("en", "US", "mdy"),
        ("en", "GB", "dmy"),
        ("de", "", "dmy"),
        ("ja", "", "ymd"),
        ("es", "US", "mdy"),
    ],
)
def test_the_order_is_that_of_the_region_or_the_language(language: str, region: str, order: str) -> None:
    assert date_order("auto", language=language, region=region) == order
    assert date_order("ymd", language=language, region=region) == "ymd"
