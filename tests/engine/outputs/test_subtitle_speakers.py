"""Subtitles say who speaks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests.engine.outputs.test_subtitles import LONG, demuxed, narrated, timeline
from video_pipeline.engine.outputs.ass import to_ass
from video_pipeline.engine.outputs.subtitles import Cue, cues, to_srt, to_vtt


def test_a_speaker_is_a_voice_span_in_webvtt_and_stands_before_each_turn_in_srt(tmp_path: Path) -> None:
    said = [
        ("Mary", "Where is it?"),
        ("Mary", "Here!"),
        ("A & B", "No."),
        (None, "Rain fell."),
        ("Mary", "Oh."),
    ]
    found = [
        Cue(Fraction(2 * n), Fraction(2 * n + 2), text, speaker=name) for n, (name, text) in enumerate(said)
    ]
    (tmp_path / "a.vtt").write_text(to_vtt(found))
    (tmp_path / "a.srt").write_text(to_srt(found))
    assert [text for _, _, text in demuxed(tmp_path / "a.vtt")] == [
        "<v Mary>Where is it?",
        "<v Mary>Here!",
        "<v A &amp; B>No.",
        "Rain fell.",
        "<v Mary>Oh.",
    ]
    assert [text for _, _, text in demuxed(tmp_path / "a.srt")] == [
        "Mary: Where is it?",
        "Here!",
        "A & B: No.",
        "Rain fell.",
        "Mary: Oh.",
    ]


def test_a_speakers_name_makes_no_line_of_srt_too_long() -> None:
    one = "He climbed all the stairs to the lamp room"
    two = f"{one}\n{one}"
    found = [Cue(Fraction(n), Fraction(n + 1), text, speaker=f"M{n}") for n, text in enumerate([one, two])]
    assert to_srt(found).split("\n")[2:4] == ["M0: He climbed all the", "stairs to the lamp room"]
    assert to_srt(found).split("\n")[7:10] == ["M1:", one, one]


def test_a_narrations_cues_have_its_speaker() -> None:
    line = timeline(audio=(replace(narrated(LONG), speaker="Mary"),))
    assert len(found := cues(line)) > 1
    assert {cue.speaker for cue in found} == {"Mary"}


def test_cues_without_speakers_name_none() -> None:
    line = timeline(audio=(replace(narrated(LONG), speaker="Mary"),))
    assert "Mary" in to_srt(cues(line))
    unnamed = cues(line, speakers=False)
    assert "Mary" not in to_srt(unnamed) + to_vtt(unnamed) + to_ass(unnamed, line)
