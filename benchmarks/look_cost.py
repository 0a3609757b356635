"""What a look costs a render: processor time for each frame with it, its parts and none, in turns within one run.

python -m benchmarks.look_cost                  every look of the package
python -m benchmarks.look_cost bold --words 30   one look, on a part of the story

The ratio of the least times is the one to trust on a machine with other work, which only adds to them.

All renders have the look's captions and music, so the ratio is that of the rest: grade, mood of the music, cards, progress bar, pace and transitions.
Segments are not cached; pictures, speech and music are after the first turn, which is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.measure import measure
from video_pipeline.engine.config.look_keys import SHIPPED_LOOKS
from video_pipeline.engine.config.looks import load_look

PARTS: Final = {
    "grade": ("grade",),
    "mood": ("audio",),
    "cards": ("title_card", "end_card"),
    "progress bar": ("progress_bar",),
    "pace": ("scenes",),
}
"""The sections of each part of a look."""

ROOT = Path(__file__).resolve().parent.parent


def kinds_of(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the looks to render: captions alone, with one part more each, and the whole one."""
    words = {key: value for key, value in sections["scenes"].items() if key.startswith("text_")}
    plain: dict[str, Any] = {"captions": sections["captions"], "scenes": words}
    kinds = {"captions": plain}
    for part, names in PARTS.items():
        added = {name: sections[name] for name in names if name in sections}
        if added:
            kinds[part] = {**plain, **added}
    return {**kinds, "whole": dict(sections)}


def main() -> int:
    """Render in turns with parts of looks, and print the ratios of processor time for a frame."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.look_cost", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "looks", nargs="*", default=SHIPPED_LOOKS, help="names of looks (default: the package's)"
    )
    parser.add_argument("--turns", type=int, default=3, help="renders of each kind (default 3)")
    parser.add_argument("--compositor", default="native", help="which one draws (default native)")
    parser.add_argument("--words", type=int, help="only the first words of the story")
    parser.add_argument("--only", choices=PARTS, help="only this part beside the whole look")
    parser.add_argument("--whole", action="store_true", help="the whole look only, without its parts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="look-") as temporary:
        for name in given.looks:
            kinds = kinds_of(load_look(name).sections)
            if given.whole:
                kinds = {kind: kinds[kind] for kind in ("captions", "whole")}
            if given.only:
                kinds = {kind: kinds[kind] for kind in ("captions", given.only, "whole")}
            times: dict[str, list[float]] = {kind: [] for kind in kinds}
            for turn in range(given.turns + 1):
                for kind, found in times.items():
                    used = _milliseconds(Path(temporary), kinds[kind], given.compositor, given.words)
                    if turn:
                        found.append(used)
            print(name)
            for kind, found in times.items():
                ratios = [one / plain for plain, one in zip(times["captions"], found, strict=True)]
                print(
                    f"  {kind:13s}{min(found):7.1f} ms of CPU a frame at least, {min(found) / min(times['captions']):.3f} "
                    f"of captions alone; ratio in turns: {statistics.median(ratios):.3f}, "
                    f"{min(ratios):.3f} to {max(ratios):.3f}",
                    flush=True,
                )
    return 0


def _milliseconds(folder: Path, sections: Mapping[str, Any], compositor: str, words: int | None) -> float:
    """Render the lighthouse story and return the milliseconds of processor time for each of its frames."""
    story = folder / "story.json"
    told = json.loads((ROOT / "examples" / "lighthouse.json").read_text(encoding="utf-8"))
    told["content"] = " ".join(told["content"].split(" ")[:words])
    story.write_text(json.dumps(told), encoding="utf-8")
    look, settings, video = folder / "look.yaml", folder / "settings.yaml", folder / "video.mp4"
    look.write_text(yaml.safe_dump(dict(sections)))
    own = {
        "video": {"compositor": compositor, "codec": "libx264"},
        "storage": {"cache_path": str(folder / "cache")},
        "end_card": {"text": "To be continued", "show": "end_card" in sections},
    }
    settings.write_text(yaml.safe_dump({"video_pipeline": own}))
    command = [sys.executable, "-m", "video_pipeline", "render", str(story)]
    command += ["--no-cache", "--config", str(settings), "--look", str(look), "-o", str(video)]
    used = measure(command).cpu_s
    frames = json.loads(video.with_suffix(".manifest.json").read_text())["frame_count"]
    return 1000 * used / int(frames)


if __name__ == "__main__":
    raise SystemExit(main())
