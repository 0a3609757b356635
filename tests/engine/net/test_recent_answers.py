"""Answers that stay in memory."""

from __future__ import annotations

from video_pipeline.engine.net.recent_answers import RecentAnswers


def test_the_oldest_answer_makes_room_for_a_new_one() -> None:
    answers = RecentAnswers[str](2)
    for key in ("a", "b", "c"):
        answers.keep(key, key.upper())
    assert [answers.get(key) for key in ("a", "b", "c")] == [None, "B", "C"]
