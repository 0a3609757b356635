"""ASS subtitles and the list of words: read back by pysubs2, and drawn by the libass of an ffmpeg program."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import manimgx_fonts
import numpy as np
import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_pipeline.engine.common.spoken_words import SpokenWord, shared_words, words_of
from video_pipeline.engine.outputs.ass import to_ass
from video_pipeline.engine.outputs.subtitles import Cue, cues, word_list
from video_pipeline.engine.render.captions.safe_areas import safe_area
from video_pipeline.engine.timeline import AudioTrack, Caption, Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.text import TextStyle

FPS = Fraction(30)
AREA = safe_area(540, 960)
FONTS = Path(manimgx_fonts.__file__).parent
TEXT = "Once upon a time, a keeper lit the lamp. It burned for $1,250 and nobody at all came to see it."
HOSTILE = r"{\b1}Bold{\r} \N new \h line, {a} \{ c:\new"
"""What ASS would read as tags and line breaks."""


def timeline(
    text: str = TEXT, *, words: tuple[SpokenWord, ...] | None = None, caption: Caption | None = None
) -> Timeline:
    if words is None:
        words = tuple(shared_words(words_of(text), Fraction(1, 10), Fraction(79, 10)))
    track = AudioTrack(
        "narration", Path("v.wav"), "", Fraction(1), Fraction(8), scene_id="s0", text=text, words=words
    )
    clip = Clip("s0", FrameRange(0, 300), Still(Path("a.png"), 9, 16, ""))
    captions = (caption,) if caption else ()
    return Timeline(540, 960, FPS, "A {title}", (clip,), captions=captions, audio=(track,) if text else ())


def silent(text: str) -> Caption:
    style = TextStyle(size_px=48, color=(10, 200, 30, 255), stroke_px=3, stroke_color=(1, 2, 3, 255))
    return Caption("s1", text, FrameRange(200, 290), style, "Noto Sans", position="top")


def read(line: Timeline) -> pysubs2.SSAFile:
    return pysubs2.SSAFile.from_string(to_ass(cues(line, language="en"), line))


def spoken_in(event: pysubs2.SSAEvent) -> list[tuple[int, int, str]]:
    """Return each tagged text of a cue with its start and end in hundredths of a second of the video."""
    found, at = [], event.start // 10
    for part in event.text.split("{\\k")[1:]:
        length, text = part.split("}", 1)
        found.append((at, at + int(length), text))
        at += int(length)
    assert at <= event.end // 10
    return found


def drawn(document: str, folder: Path, *, at: float) -> np.ndarray:
    """Return a frame of 540x960 with the subtitles that libass draws on grey."""
    (folder / "s.ass").write_text(document, encoding="utf-8")
    (folder / "fonts").mkdir(exist_ok=True)
    if not (folder / "fonts" / "a.ttf").exists():
        (folder / "fonts" / "a.ttf").symlink_to(FONTS / "NotoSans[wght].ttf")
    graph = f"color=0x404040:s=540x960:r=50:d=12,trim=start={at},ass=s.ass:fontsdir=fonts,format=rgb24"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", graph]
    done = subprocess.run(
        [*command, "-frames:v", "1", "-f", "rawvideo", "-"], cwd=folder, capture_output=True, check=True
    )
    return np.frombuffer(done.stdout, np.uint8).reshape(960, 540, 3).astype(int)


def test_each_word_has_its_own_time() -> None:
    line = timeline()
    (track,) = line.audio
    expected = {
        TEXT[word.start : word.stop]: (round(100 * (1 + word.begins)), round(100 * (1 + word.ends)))
        for word in track.words
    }
    found = {}
    for event in read(line).events:
        assert event.style == "Karaoke"
        for start, stop, text in spoken_in(event):
            if text.strip():
                found[text.replace("\\N", " ").strip()] = (start, stop)
    assert found.keys() == expected.keys()
    for word, times in expected.items():
        assert found[word] == pytest.approx(times, abs=1), word


def test_pauses_belong_to_no_word() -> None:
    words = (
        SpokenWord(0, 3, Fraction(1, 2), Fraction(1)),
        SpokenWord(4, 8, Fraction(3), Fraction(7, 2)),
    )
    (event,) = read(timeline("Two word", words=words)).events
    assert [(start, stop, text) for start, stop, text in spoken_in(event)] == [
        (100, 150, ""),
        (150, 200, "Two"),
        (200, 400, " "),
        (400, 450, "word"),
    ]


def test_words_whose_times_are_unknown_share_their_cue() -> None:
    for event in read(timeline(words=())).events:
        spoken = [text for _, _, text in spoken_in(event) if text.strip()]
        assert len(spoken) == len(event.plaintext.split())


def test_a_caption_that_is_not_spoken_has_no_tags_and_its_own_look() -> None:
    (event,) = read(timeline("", caption=silent("Quietly,\nhere."))).events
    assert (event.style, event.text) == ("Plain", "Quietly, here.")
    styles = read(timeline("", caption=silent("x"))).styles
    plain = styles["Plain"]
    assert plain.primarycolor == pysubs2.Color(10, 200, 30, 0)
    assert plain.outlinecolor == pysubs2.Color(1, 2, 3, 0)
    assert (plain.alignment, plain.marginv, plain.outline) == (8, round(960 * AREA.top), 3)
    assert styles["Karaoke"].secondarycolor == plain.primarycolor != styles["Karaoke"].primarycolor


def test_the_highlight_is_the_colour_of_heard_words() -> None:
    caption = replace(silent("x"), highlight=(1, 2, 3, 255))
    assert read(timeline(caption=caption)).styles["Karaoke"].primarycolor == pysubs2.Color(1, 2, 3, 0)


def test_the_words_of_another_speaker_have_the_speakers_colour(tmp_path: Path) -> None:
    line = timeline("One two.")
    first = replace(silent("First."), scene_id="first")
    own = replace(first, scene_id="s0", style=replace(first.style, color=(0, 0, 255, 255)))
    unheard = replace(own, scene_id="s1", text="Silent.", frames=FrameRange(260, 290))
    line = replace(line, captions=(first, own, unheard))
    events = [event.text for event in read(line)]
    assert [text.partition("}")[0] for text in events if "c&H" in text] == [
        "{\\2c&HFF0000&",
        "{\\1c&HFF0000&",
    ]
    document = to_ass(cues(line, language="en"), line)
    at = 1.05  # the first word is not heard yet
    blue = drawn(document, tmp_path, at=at)[..., 2] > 200
    assert blue[drawn(document.replace("{\\2c&HFF0000&}", ""), tmp_path, at=at)[..., 2] < 150].any()


def test_libass_draws_what_was_written_and_sweeps_it(tmp_path: Path) -> None:
    line = timeline("one two three four")
    document = to_ass(cues(line, language="en"), line)

    def yellow(at: float) -> int:
        frame = drawn(document, tmp_path, at=at)
        return int(((frame[..., 0] > 200) & (frame[..., 1] > 150) & (frame[..., 2] < 90)).sum())

    shares = [yellow(at) for at in (0.5, 1.05, 3.2, 5.2, 8.9)]
    assert shares[:2] == [0, 0]
    assert 0 < shares[2] < shares[3] < shares[4]
    frame = drawn(document, tmp_path, at=3.2)
    inked = np.flatnonzero((np.abs(frame - 64) > 40).any(axis=(1, 2)))
    bottom = 960 * (1 - AREA.bottom)
    assert bottom - 80 < inked.min() < inked.max() <= bottom + 2, "at the bottom of the safe area"


def test_libass_reads_no_tag_in_a_text(tmp_path: Path) -> None:
    """Escaped marks are as wide as the same text with marks that mean nothing to ASS."""
    plain = HOSTILE.replace("{", "(").replace("}", ")").replace("\\", "/")
    widths = []
    for text in (HOSTILE, plain):
        cue = Cue(Fraction(0), Fraction(5), text)
        frame = drawn(to_ass([cue], timeline("")), tmp_path, at=1)
        columns = np.flatnonzero((frame.max(axis=2) > 150).any(axis=0))
        rows = np.flatnonzero((frame.max(axis=2) > 150).any(axis=1))
        widths.append((columns.max() - columns.min(), rows.max() - rows.min()))
    assert widths[0] == pytest.approx(widths[1], abs=14)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_one_event_a_cue_and_nothing_else(text: str) -> None:
    cue = Cue(
        Fraction(1),
        Fraction(2),
        text,
        tuple(shared_words(words_of(text), Fraction(1), Fraction(2))) if words_of(text) else (),
    )
    document = to_ass([cue], timeline(""))
    assert len(pysubs2.SSAFile.from_string(document).events) == 1
    assert document.splitlines()[-1].startswith("Dialogue: 0,0:00:01.00,0:00:02.00,")
    body = document.splitlines()[-1].split(",,0,0,0,,", 1)[1]
    assert body.replace("\\{", "").count("{") == body.count("{\\k")


def test_the_list_of_words_has_times_and_scenes() -> None:
    line = timeline()
    found = word_list(cues(line, language="en"))["words"]
    assert [entry["word"] for entry in found] == TEXT.split()
    assert {entry["scene"] for entry in found} == {"s0"}
    (track,) = line.audio
    for entry, word in zip(found, track.words, strict=True):
        assert entry["start"] == pytest.approx(float(1 + word.begins), abs=0.001)
        assert entry["end"] == pytest.approx(float(1 + word.ends), abs=0.001)
    assert word_list(cues(timeline("", caption=silent("Quiet.")), language="en")) == {"words": []}


def test_the_field_name_has_the_speaker_without_a_comma() -> None:
    line = timeline()
    line = replace(line, audio=(replace(line.audio[0], speaker="Mary, Ann"),))
    events = read(line).events
    assert {event.name for event in events} == {"Mary  Ann"}
    assert events[0].text.startswith("{\\k")
