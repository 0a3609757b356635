"""What narration costs: `python -m benchmarks.speech`.

Prints the CPU of a minute of English with a warm model and what word times add to it; how many scenes a preview speaks;
how far estimated lengths are from spoken ones; and, in a story of many scenes, when all are spoken and when the first
segment is encoded: beside the narration, and with an average bit rate, for which the video's length must be known.
`--languages` adds the CPU of a second of speech in each language that is installed.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.word_times import TEXTS
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.voices import offline_narrator, voices_by_language
from video_pipeline.engine.assets.speech.word_times import estimated_seconds, shown_times
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import CancelledError
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.plan import plan_timeline
from video_pipeline.engine.preview import FrameAt, preview_story
from video_pipeline.engine.story import Story, parse_story

SENTENCE: Final = "In room {number}, the old keeper found a lamp, a map and a letter that no one had read."


def _minute(folder: Path) -> None:
    narrator = offline_narrator(Tts(), language="en")
    for text in TEXTS:  # the dictionary loads parts of itself when it first needs them
        narrator.speak(spoken_text(text, language="en"), folder / "a.wav")
    seconds = speaking = timing = reading = estimated = 0.0
    errors = []
    for text in TEXTS:
        began = time.process_time()
        spoken = spoken_text(text, language="en")
        read = time.process_time()
        heard = narrator.speak(spoken, folder / "a.wav")
        spoke = time.process_time()
        shown_times(spoken, heard)
        timing += time.process_time() - spoke
        speaking += spoke - read
        reading += read - began
        lasts = _seconds(folder / "a.wav")
        seconds += lasts
        estimated += float(estimated_seconds(spoken))
        errors.append(abs(float(estimated_seconds(spoken)) / lasts - 1))
    scale = 60 / seconds
    print(
        f"60 s of English  {(reading + speaking) * scale:.2f} s of CPU ({reading * scale:.2f} s to read the text)"
    )
    print(f"word times       {timing * scale * 1000:.1f} ms more, {timing / (reading + speaking):.1%}")
    print(f"estimated length {estimated / seconds - 1:+.1%} in all, {max(errors):.0%} at most for a text")


def _seconds(path: Path) -> float:
    with wave.open(str(path), "rb") as sound:
        return sound.getnframes() / sound.getframerate()


def _languages(folder: Path) -> None:
    for each in voices_by_language():
        if not each.voices:
            print(f"{each.name:16} no voice (lacks {', '.join(each.missing)})")
            continue
        narrator = offline_narrator(Tts(), language=each.code)
        spoken = spoken_text(each.sample, language=each.code)
        narrator.speak(spoken, folder / "a.wav")
        began = time.process_time()
        narrator.speak(spoken, folder / "a.wav")
        cost = (time.process_time() - began) / _seconds(folder / "a.wav")
        print(f"{each.name:16} {cost:.3f} s of CPU a second ({each.service})")


def _long_story(folder: Path, scenes: int) -> None:
    parts = [{"scene_id": f"s{n}", "text": SENTENCE.format(number=n)} for n in range(scenes)]
    story = parse_story({"title": "Rooms", "metadata": {"language": "en"}, "scenes": parts})
    # Small, so that drawing the pictures of the scenes does not hide what narration takes.
    sections = {"storage": {"cache_path": str(folder / "cache")}, "video": {"size": [108, 192]}}
    config = load_config(sections, environ=False)
    began = time.perf_counter()
    preview_story(story, folder / "a.png", at=FrameAt(time=None, number=900), config=config)
    made = len(list((folder / "cache" / "narration").rglob("*.wav")))
    print(f"preview          speaks {made} of {scenes} scenes, {time.perf_counter() - began:.1f} s")
    for label, speak in (("without speaking", ()), ("every scene", None)):
        options: dict[str, Any] = {"speak": speak}
        began, cpu = time.perf_counter(), time.process_time()
        plan_timeline(story, config=config, **options)
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        print(f"plan, {label:16} {took:.1f} s, {spent:.1f} s of CPU")
    for label, video in (("beside narration", {}), ("average bit rate", {"bitrate": "500k"})):
        print(f"render, {label:16} first segment after {_first_segment(story, folder / label, video):.1f} s")


def _first_segment(story: Story, folder: Path, video: dict[str, Any]) -> float:
    """Return the seconds until the first segment of a render is encoded."""
    sections = {"storage": {"cache_path": str(folder)}, "video": {"size": [108, 192], **video}}
    config = load_config(sections, environ=False)
    stop, began = threading.Event(), time.perf_counter()
    seconds: list[float] = []

    def wait() -> None:
        while not any(folder.glob("segments/*/[!.]*.segment")):
            time.sleep(0.01)
        seconds.append(time.perf_counter() - began)
        stop.set()  # the other segments are not measured

    watching = threading.Thread(target=wait)
    watching.start()
    with suppress(CancelledError):
        render_story(story, folder / "video.mp4", config=config, stop=stop)
    watching.join()
    return seconds[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--languages", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _minute(Path(folder))
        if arguments.languages:
            _languages(Path(folder))
        _long_story(Path(folder), arguments.scenes)


if __name__ == "__main__":
    main()
