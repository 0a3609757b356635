"""Kill a client with SIGKILL while it fetches a large video, again and again, until the video is there.

    python -m tests.engine.jobs.client.soak_fetch --megabytes 1000 --kills 10        also: make soak

Each new client goes on where the last one was killed: together they transfer little more than the video.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.fetch import grow_video
from tests.support.jobs import node_process, tiny_story
from tests.support.paths import ROOT
from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.jobs.client.client import NodeClient

CLIENT = """
import sys
from pathlib import Path
from video_pipeline.engine.jobs.client.client import NodeClient

def show(progress):
    print(progress.done_bytes, flush=True)
    sys.stdin.readline()

with NodeClient(sys.argv[1], timeout=60) as client:
    client.fetch(sys.argv[2], sys.argv[3], files=["video"], on_progress=show)
print("peak", int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""
"""Fetches a video; prints how many bytes are there after each part, and then waits for a line or the end of its input."""


def start_client(url: str, job_id: str, folder: Path) -> subprocess.Popen[str]:
    """Start a client that fetches a video into a folder."""
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, url, job_id, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def run(
    folder: Path,
    *,
    megabytes: float,
    kills: int,
    seed: int = 1,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Fetch a video with clients that are killed; return what was transferred, and whether it is right."""
    chance = random.Random(seed)
    size = int(megabytes * 1_000_000)
    starts: list[int] = []
    transferred = 0
    section = {"bind": "tcp://127.0.0.1:*"}
    with node_process(folder, cache=cache, node=section) as node:
        node.wait_until_ready()
        url = re.findall(r"tcp://127\.0\.0\.1:\d+", node.log.read_text())[0]
        with NodeClient(url, timeout=60) as client:
            job_id = client.submit(tiny_story("film")).job_id
            result = client.wait(job_id, 120).result
        assert result is not None
        video = grow_video(result, size)
        for _ in range(kills):
            fetching = start_client(url, job_id, folder / "got")
            assert fetching.stdin is not None
            assert fetching.stdout is not None
            start = int(fetching.stdout.readline())
            starts.append(start)
            until = start + chance.randrange(1, max(2, 2 * (size - start) // (kills + 2)))
            done = start
            while done < until:
                fetching.stdin.write("\n")
                fetching.stdin.flush()
                done = int(fetching.stdout.readline())
            fetching.stdin.write("\n")
            fetching.stdin.flush()
            time.sleep(chance.random() * 0.02)  # it is killed within the next part
            fetching.send_signal(signal.SIGKILL)
            done = max([done, *(int(line) for line in fetching.stdout if line.endswith("\n"))])
            fetching.wait()
            fetching.stdin.close()
            fetching.stdout.close()
            transferred += done - start
            assert not (folder / "got" / video.name).exists()
        last = start_client(url, job_id, folder / "got")
        lines = last.communicate(timeout=600)[0].splitlines()
        starts.append(int(lines[0]))
        transferred += int(lines[-2]) - starts[-1]
        return {
            "bytes": size,
            "kills": kills,
            "starts": starts,
            "transferred": transferred,
            "status": last.returncode,
            "right": file_sha256(folder / "got" / video.name) == file_sha256(video),
            "left": sorted(path.name for path in (folder / "got").iterdir()),
            "client_peak_bytes": int(lines[-1].split()[1]),
        }


def main() -> int:
    """Run, print the figures, and return 1 if the video is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.engine.jobs.client.soak_fetch", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-fetch-") as temporary:
        found = run(Path(temporary), megabytes=options.megabytes, kills=options.kills, seed=options.seed)
    print(found)
    return 0 if found["right"] and found["status"] == 0 and len(found["left"]) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
