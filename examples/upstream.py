"""An upstream story generator that feeds a render node: it writes stories by rule, hands them in and collects videos.

    video-pipeline serve --bind tcp://127.0.0.1:5570 &
    python examples/upstream.py --connect tcp://127.0.0.1:5570 --count 3

Run it again, or kill it in the middle and run it again: each story has a key, so no video is made twice.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from typing import Any

from video_pipeline import AsyncNodeClient, JobStatus

WHO = ("A lighthouse keeper", "The last cartographer", "A clockmaker's daughter", "An old ferryman")
FOUND = ("a door in the sea wall", "a map of a street that was not there", "a letter with tomorrow's date")
AND_THEN = ("and nobody asked what was behind it.", "and followed it until morning.", "and put it back.")
GENRES = ("mystery", "adventure", "science fiction", "romance")


def write_story(number: int) -> dict[str, Any]:
    """Return story number N, the same one each time: what comes from a language model in a real pipeline."""
    dice = random.Random(number)
    who, found = dice.choice(WHO), dice.choice(FOUND)
    return {
        "id": f"found-{number:04d}",
        "title": f"{who.removeprefix('A ').removeprefix('An ').removeprefix('The ').capitalize()} No. {number}",
        "metadata": {"genre": dice.choice(GENRES), "language": "en"},
        "scenes": [
            {"scene_id": "who", "text": f"{who} found {found},"},
            {"scene_id": "then", "text": dice.choice(AND_THEN)},
        ],
    }


async def main() -> int:
    """Submit stories, watch the node, print each video; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connect", default="", metavar="URL", help="where the render node is")
    parser.add_argument("--count", type=int, default=3, metavar="N", help="how many stories")
    parser.add_argument("--silent", action="store_true", help="without narration, which takes a while")
    arguments = parser.parse_args()
    config = {"tts": {"service": "none"}} if arguments.silent else {}

    async with AsyncNodeClient(arguments.connect) as node:
        start = (await node.ping()).last_event
        stories = [write_story(number) for number in range(1, arguments.count + 1)]
        # All at once: the node makes its acknowledgements durable in groups.
        submitted = await asyncio.gather(
            *(node.submit(story, config, key=f"upstream/{story['id']}") for story in stories)
        )
        left = set()
        for story, made in zip(stories, submitted, strict=True):
            print(
                f"{story['id']}: {made.job_id} {'submitted' if made.created else 'had been submitted before'}"
            )
            if not made.status.is_terminal:
                left.add(made.job_id)
        if left:
            async for event in node.watch(after=start):
                if event.job_id in left and event.kind != "progress":
                    print(f"  {event.job_id} {event.kind}")
                    if event.status.is_terminal:
                        left.remove(event.job_id)
                if not left:
                    break
        failed = 0
        for story, made in zip(stories, submitted, strict=True):
            job = await node.status(made.job_id)
            if job.status is JobStatus.COMPLETED and job.result:
                print(f"{story['id']}: {job.result['video_path']}")
            else:
                print(f"{story['id']}: {job.status}: {job.error_message}")
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
