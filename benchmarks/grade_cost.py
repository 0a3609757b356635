"""What a colour grade or a progress bar costs a render: processor time with and without it, in turns within one run.

python -m benchmarks.grade_cost                 the lighthouse story: drawn pictures, every cache empty of segments
python -m benchmarks.grade_cost --clip          a story of one video clip, which is graded frame by frame
python -m benchmarks.grade_cost --bar           a progress bar in place of the grade
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measure import measure

Sections = dict[str, dict[str, object]]
KINDS: dict[str, Sections] = {
    "none": {"grade": {"lut": "none"}},
    "faint": {"grade": {"lut": "teal_orange", "strength": 0.001}},
    "whole": {"grade": {"lut": "teal_orange"}},
}
"""The grades. A faint one costs the same, but leaves the encoder the same picture; a whole one may be harder to encode."""

BARS: dict[str, Sections] = {
    "none": {},
    "bar": {"progress_bar": {"show": True, "height": 14, "segmented": True}},
}

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Render in turns with and without a grade, and print the ratios of processor time."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grade_cost", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--clip", action="store_true", help="a video clip instead of the example")
    parser.add_argument("--bar", action="store_true", help="a progress bar instead of a grade")
    parser.add_argument("--compositor", default="native", help="which one draws (default native)")
    parser.add_argument("--turns", type=int, default=5, help="renders of each kind (default 5)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="grade-") as temporary:
        folder = Path(temporary)
        story = _clip_story(folder) if given.clip else ROOT / "examples" / "lighthouse.json"
        kinds = BARS if given.bar else KINDS
        times: dict[str, list[float]] = {name: [] for name in kinds}
        for turn in range(given.turns + 1):
            for name, found in times.items():
                settings = folder / f"{name}.yaml"
                sections = {
                    **kinds[name],
                    "video": {"compositor": given.compositor, "codec": "libx264"},
                    "storage": {"cache_path": str(folder / "cache")},
                }
                settings.write_text(yaml.safe_dump({"video_pipeline": sections}))
                command = [sys.executable, "-m", "video_pipeline", "render", str(story), "--no-cache"]
                command += ["--config", str(settings), "-o", str(folder / f"{name}.mp4")]
                used = measure(command).cpu_s
                if turn:  # the first render of each kind fills the cache of pictures and speech
                    found.append(used)
    for name, found in times.items():
        ratios = [one / plain for plain, one in zip(times["none"], found, strict=True)]
        print(
            f"{name:8s} {statistics.median(found):7.2f} s of CPU; ratio: median {statistics.median(ratios):.3f}, "
            f"{min(ratios):.3f} to {max(ratios):.3f}"
        )
    return 0


def _clip_story(folder: Path) -> Path:
    clip, story = folder / "clip.mp4", folder / "story.yaml"
    from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg

    source = "testsrc2=size=1080x1920:rate=30:duration=10"
    measure([str(find_ffmpeg().path), "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", str(clip)])
    scene = {"scene_id": "a", "video": str(clip), "narration": "", "duration": 10}
    story.write_text(yaml.safe_dump({"title": "Clip", "scenes": [scene]}))
    return story


if __name__ == "__main__":
    raise SystemExit(main())
