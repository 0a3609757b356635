"""What a child process on an emulated machine with two cards does: draw a timeline while cards are lost.

python -m tests.support.lost_gpus FOLDER     prints the outcomes as JSON
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.cuda_frames import noisy
from tests.support.video import clip_of, timeline_of
from video_pipeline.engine.config import load_config
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.compositors.cuda import open_cuda
from video_pipeline.engine.render.compositors.native import NativeCompositor, open_native
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.encoders.watched import limit_calls
from video_pipeline.engine.timeline import Timeline, Transition
from video_pipeline.engine.timing import FrameRange

LIMIT_SECONDS = 1.5
"""How long a call may take: more than a healthy one ever takes beside other work."""

CASES = (
    ("cuLaunchKernel@0=hang:4", 1),
    ("cuLaunchKernel@0=719:4", 1),
    ("cuStreamSynchronize@0=hang:9", 1),
    ("cuMemcpyAsync@0=hang:12", 1),
    ("cuMemcpyAsync@0=700:9", 1),
    ("cuMemAlloc_v2@0=hang:4", 1),
    ("cuMemHostAlloc@0=hang:4", 1),
    ("cuStreamCreate@0=hang:2", 1),
    ("cuLaunchKernel=hang:5", 2),
)
"""A fault after some calls, and how many cards it takes."""


def story(folder: Path) -> Timeline:
    """Return a timeline of two pictures and a transition."""
    pictures = [noisy(folder / f"{number}.png", number, (240, 427)) for number in range(2)]
    clips = [clip_of(pictures[0], 0, 60), clip_of(pictures[1], 50, 120)]
    return timeline_of(clips, transitions=[Transition("fade", 0, FrameRange(50, 60))], size_px=(64, 34))


def hashes(compositor: NativeCompositor, frames: FrameRange) -> Iterator[str]:
    """Yield the hash of each frame of a range."""
    for frame in compositor.frames(frames, threads=1, children=Children()):
        yield hashlib.sha256(frame.tobytes()).hexdigest()


def main(folder: Path) -> list[dict[str, Any]]:
    """Draw the timeline with each fault."""
    timeline, config, ffmpeg = story(folder), load_config({}, environ=False), find_ffmpeg()
    ranges = [FrameRange(start, start + 40) for start in range(0, 120, 40)]
    native = open_native(timeline, ffmpeg=ffmpeg, config=config)
    expected = [list(hashes(native, frames)) for frames in ranges]
    limit_calls(LIMIT_SECONDS)
    found = []
    for fault, cards in CASES:
        cuda = open_cuda(timeline, ffmpeg=ffmpeg, config=config)
        # The calls of a fault are counted from here on.
        os.environ["EMULATOR_FAULTS"] = fault.replace("", "")
        started = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            drawn = list(pool.map(lambda frames, cuda=cuda: list(hashes(cuda, frames)), ranges))
        found.append(
            {
                "fault": os.environ.pop("EMULATOR_FAULTS"),
                "wrong": sum(one != other for one, other in zip(drawn, expected, strict=True)),
                "cards": cards,
                "lost": len(cuda.lost_gpus()),
                "reasons": cuda.lost_gpus(),
                "seconds": time.monotonic() - started,
            }
        )
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))), flush=True)
    os._exit(0)  # threads are in calls that hang
