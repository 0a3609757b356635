"""The two ways to hash and decode a picture find the same bytes."""

from __future__ import annotations

from benchmarks.reading import MEDIA, WAYS, measure_reading
from video_pipeline.engine.common.cache import file_sha256


def test_both_ways_return_the_hash_of_the_file_and_are_measured() -> None:
    path = MEDIA / "ridges.jpg"
    assert {read(path) for read in WAYS.values()} == {file_sha256(path)}
    found = measure_reading(path, repeats=3)
    assert {*found} == {*WAYS, "ratio"}
    assert found["ratio"] > 0
