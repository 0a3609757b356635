"""How many posts an account begins in a day."""

from __future__ import annotations

from pathlib import Path

from tests.engine.publish.test_carry_on import S, Scripted, Stage, a_post
from video_pipeline.engine.publish.carry_on import (
    CarryOn,
)
from video_pipeline.engine.publish.records import Publications


def test_an_account_begins_no_more_posts_in_a_day_than_it_may_and_the_others_wait_their_turn(
    tmp_path: Path,
) -> None:
    clock = [1_800_000_000.0]
    records = Publications(tmp_path / "publications.sqlite3", clock=lambda: clock[0])
    for number in range(5):
        content = b"video %d" % number
        records.add(a_post(tmp_path, content), platform="folder", account="default")
        clock[0] += 3600
    records.add(a_post(tmp_path, b"another"), platform="folder", account="other")
    platforms = {number: Scripted(clock) for number in range(1, 7)}
    began: dict[int, float] = {}

    def carry_on() -> None:
        for publication in records.due(now=clock[0]):
            platform = platforms[publication.number]
            if CarryOn(records=records, per_day=2).run(publication.number, platform).state is S.CONFIRMED:
                began.setdefault(publication.number, clock[0])

    first = clock[0]
    carry_on()
    assert set(began) == {1, 2, 6}
    waiting = records.get(3)
    assert (waiting.state, waiting.due_at, waiting.failures) == (S.PREPARED, first + 86_400, 0)
    assert waiting.error == "waits: the account has begun 2 in the last 24 hours (posts_per_day)"
    for _ in range(6 * 24):
        clock[0] += 600 * 6
        carry_on()
    times = sorted(time for number, time in began.items() if number != 6)
    assert len(times) == 5
    assert all(later - earlier >= 86_400 for earlier, later in zip(times, times[2:], strict=False))
    assert [platform.shown for platform in platforms.values()] == [1] * 6
    assert records.get(5).error is None


def test_a_post_that_begins_again_within_a_day_counts_once(tmp_path: Path) -> None:
    clock = [1_800_000_000.0]
    records = Publications(tmp_path / "publications.sqlite3", clock=lambda: clock[0])
    records.add(a_post(tmp_path), platform="folder", account="default")
    stage = Stage(records, Scripted(clock), clock)
    stage.platform.answers["ask"] = ["gone", "gone"]
    for _ in range(50):
        found = CarryOn(records=stage.records, per_day=1).run(1, stage.platform)
        if found.state is S.CONFIRMED:
            break
        stage.clock[0] = found.due_at
    assert found.state is S.CONFIRMED
    assert stage.platform.calls.count("prepare") == 3
    assert stage.clock[0] < 1_800_000_000 + 3600
