"""The processor time of a render node that has nothing to do.

python -m benchmarks.idle              percent of a core for each process, over 20 s after 12 s of rest
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

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


def main() -> int:
    """Run a node, measure its processes at rest, and print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.idle", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure (default 20)")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="idle-") as temporary:
        folder = Path(temporary)
        node = {"state_path": str(folder / "state"), "bind": f"ipc://{folder}/node.sock", "http_bind": None}
        storage = {"output_path": str(folder / "out"), "cache_path": str(folder / "cache")}
        settings = folder / "node.yaml"
        settings.write_text(yaml.safe_dump({"video_pipeline": {"node": node, "storage": storage}}))
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
    total = 0.0
    for pid in sorted(before.keys() & after.keys()):
        percent = 100 * (after[pid][1] - before[pid][1]) / TICKS_A_SECOND / seconds
        total += percent
        print(f"{percent:6.2f} %  {after[pid][0][:90]}")
    print(f"{total:6.2f} %  of a core in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
