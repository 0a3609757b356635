"""What an operator sees: machines render one large job together, one of them is killed, and the bytes are those of a local render.

    python -m benchmarks.fleet_transcript [--machines 3] [--seconds 300]

Needs root: the machines are network namespaces on this computer, each with the programs of `serve --fleet` and
`worker --join`. Each machine has one slot and, if there are enough, a core of its own. The machine that is killed is the one
that has the job; the others draw segments of it. The exit status is 1 if the job fails or its video has other bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.support.cpu_share import on_a_core
from tests.support.jobs import node_settings, tiny_story
from tests.support.rendering_fleet import TestFleet, fleet

COMMAND_SECONDS = 900.0
PERCENT = 25.0
"""What has been done of the job when its machine is killed."""

VIDEO = {"size": [540, 960], "preset": "medium"}
SHOWN = re.compile(
    r"on m\d+$|draws segments of|is lost|slot on m\d+ is ready|MachineLost|attempt (begins|ended)|completed"
)


class Transcript:
    """Runs commands on the server of a fleet, in a folder of short names, and prints them with what they wrote."""

    def __init__(self, made: TestFleet) -> None:
        self._made, self._began, self._read = made, time.monotonic(), 0
        self.folder = made.shared / "operator"
        self.folder.mkdir()
        (self.folder / "node.yaml").symlink_to(made.shared / f"{made.door.name}.yaml")

    def run(self, program: str, *words: str, shown: bool = True) -> str:
        """Run a program on the server; return its standard output, or raise SystemExit with its errors."""
        command = [sys.executable, "-m", "video_pipeline"] if program == "video-pipeline" else [program]
        done = self._made.door.run(
            *("env", f"--chdir={self.folder}", *command, *words),
            environ={"VIDEO_PIPELINE_CONNECT": self._made.config.node.bind},
            seconds=COMMAND_SECONDS,
        )
        if done.returncode != 0:
            raise SystemExit(f"{program} {' '.join(words)}: {done.stderr}")
        if shown:
            print(f"\nserver$ {program} {' '.join(words)}\n{done.stdout.rstrip()}", flush=True)
        return done.stdout

    def note(self, what: str) -> None:
        """Print what happens outside of commands, with the seconds since the first one."""
        print(f"\n# {time.monotonic() - self._began:.0f} s: {what}", flush=True)

    def log(self) -> None:
        """Print what the server has said of jobs and machines since the last call."""
        text = self._made.programs["door"].output()
        lines, self._read = text[self._read :].splitlines(), len(text)
        print("\n".join(line[11:19] + line[24:] for line in lines if SHOWN.search(line)), flush=True)


def write_inputs(folder: Path, seconds: float) -> None:
    """Write the story, the job's configuration, and that of a render by this machine alone, which shares no cache."""
    story = tiny_story("film", seconds=seconds / 2, text=f"A film {os.urandom(4).hex()}")
    (folder / "film.json").write_text(json.dumps(story))
    (folder / "job.yaml").write_text(yaml.safe_dump({"video_pipeline": {"video": VIDEO}}))
    settings = node_settings(folder / "alone")
    alone = {name: settings[name] for name in ("video", "tts", "storage")}
    alone["video"] = {**alone["video"], **VIDEO}
    (folder / "alone.yaml").write_text(yaml.safe_dump({"video_pipeline": alone}))


def show(made: TestFleet, seconds: float) -> bool:
    """Print the transcript; return whether the bytes are the same."""
    shown = Transcript(made)
    write_inputs(shown.folder, seconds)
    shown.run("video-pipeline", "cluster", "status", "--config", "node.yaml")
    job_id = shown.run("video-pipeline", "submit", "film.json", "--config", "job.yaml").split()[0]
    made.acknowledged.append(job_id)
    door = made.programs["door"]
    made.wait_until(
        lambda: (
            len(set(re.findall(rf"(m\d+) draws segments of {job_id}", door.output())))
            == len(made.machines) - 1
        ),
        "segments on the other machines",
    )
    shown.run("video-pipeline", "cluster", "status", "--config", "node.yaml")
    made.wait_until(
        lambda: (made.job(job_id).percent or 0) >= PERCENT,
        f"{PERCENT:g} percent of the job",
        seconds=COMMAND_SECONDS,
    )
    (name,) = re.findall(rf"job_id={job_id} on (m\d+)", door.output())
    killed = next(machine for machine in made.machines if machine.name == name)
    shown.log()
    killed.kill()
    shown.note(f"the power of {killed.name} is cut")
    made.wait_until(lambda: made.job(job_id).fence == 2, "a second attempt", seconds=COMMAND_SECONDS)
    shown.run("video-pipeline", "cluster", "status", "--config", "node.yaml")
    made.wait_until(
        lambda: made.job(job_id).status.is_terminal, "the end of the job", seconds=COMMAND_SECONDS
    )
    job = made.job(job_id)
    shown.note(f"the job is {job.status}")
    shown.log()
    if job.result is None:
        print(job.error_message)
        return False
    told = {name: job.result[name] for name in ("segments", "segments_from_cache", "segments_from_shared")}
    print(", ".join(f"{name} {count}" for name, count in told.items()))
    shown.run("video-pipeline", "fetch", job_id, "-o", "fetched", "--files", "video")
    shown.run("video-pipeline", "render", "film.json", "--config", "alone.yaml", "-q", "-o", "alone/film.mp4")
    sums = shown.run("sha256sum", "fetched/film.mp4", "alone/film.mp4").split()
    made.audit()
    return sums[0] == sums[2]


def main() -> int:
    """Make a fleet and print the transcript."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet_transcript", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--machines", type=int, default=3, help="machines besides the server (default 3)")
    parser.add_argument("--seconds", type=float, default=300, help="length of the video (default 300)")
    given = parser.parse_args()
    cores = os.cpu_count() or 1
    pinned = cores >= given.machines
    where = "a core for each" if pinned else f"which share {cores} cores"
    print(f"# {given.machines} machines of one slot, {where}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="fleet-") as name,
        fleet(Path(name), machines=given.machines, begins=on_a_core if pinned else None) as made,
    ):
        return 0 if show(made, given.seconds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
