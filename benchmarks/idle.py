"""The processor time of a render node that has nothing to do.

python -m benchmarks.idle              percent of a core for each process, over 20 s after 12 s of rest
python -m benchmarks.idle --posts 1000 the same of a node with so many scheduled posts, beside one without, in turn
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from video_pipeline.engine.config import load_config
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.records import Publications, publications_path

REST_SECONDS = 12.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def processes_in(folder: Path) -> dict[int, tuple[str, int]]:
    """Return command and clock ticks of each process that names a folder in its command or environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            times = (entry / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
            if str(folder) in command or bytes(folder) in (entry / "environ").read_bytes():
                found[int(entry.name)] = command, sum(map(int, times))
        except OSError:
            continue
    return found


def _schedule(records: Publications, video: Path, count: int) -> None:
    """Store posts of a year from now on."""
    for number in range(count):
        post = Post(
            video=video, sha256=f"{number:064x}", size=1, duration=1.0, title=f"Story {number}", language="en"
        )
        due_at = time.time() + 365 * 86_400 + number
        records.add(post, platform="folder", account="default", due_at=due_at)


def measure(seconds: float, *, posts: int) -> dict[str, float]:
    """Run a node and return the percent of a core that each of its processes takes at rest, by its command."""
    with tempfile.TemporaryDirectory(prefix="idle-") as temporary:
        folder = Path(temporary)
        node = {"state_path": str(folder / "state"), "bind": f"ipc://{folder}/node.sock", "http_bind": None}
        storage = {"output_path": str(folder / "out"), "cache_path": str(folder / "cache")}
        settings = folder / "node.yaml"
        settings.write_text(yaml.safe_dump({"video_pipeline": {"node": node, "storage": storage}}))
        if posts:
            records = Publications(publications_path(load_config(settings)))
            _schedule(records, folder / "v.mp4", posts)
            records.close()
        command = [sys.executable, "-m", "video_pipeline", "serve", "--config", str(settings)]
        serving = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(REST_SECONDS)
            before = processes_in(folder)
            time.sleep(seconds)
            after = processes_in(folder)
        finally:
            serving.send_signal(signal.SIGTERM)
            serving.wait(30)
    return {
        f"{pid} {after[pid][0]}": 100 * (after[pid][1] - before[pid][1]) / TICKS_A_SECOND / seconds
        for pid in sorted(before.keys() & after.keys())
    }


def main() -> int:
    """Run nodes, measure their processes at rest, and print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.idle", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure (default 20)")
    parser.add_argument(
        "--posts", type=int, default=0, help="scheduled posts of a second node (default: none)"
    )
    parser.add_argument("--turns", type=int, default=3, help="runs of each with --posts (default 3)")
    given = parser.parse_args()
    if not given.posts:
        found = measure(given.seconds, posts=0)
        for name, percent in found.items():
            print(f"{percent:6.2f} %  {name.partition(' ')[2][:90]}")
        print(f"{sum(found.values()):6.2f} %  of a core in all")
        return 0
    sums: dict[int, list[float]] = {0: [], given.posts: []}
    for _ in range(given.turns):
        for posts, percents in sums.items():
            percents.append(sum(measure(given.seconds, posts=posts).values()))
    for posts, percents in sums.items():
        spread = f"{min(percents):.2f} to {max(percents):.2f}"
        print(f"{posts:6} scheduled posts: {statistics.median(percents):.2f} % of a core ({spread})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
