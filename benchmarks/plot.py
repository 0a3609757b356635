"""Draw the speed of whole renders as an SVG bar chart for light and dark pages.

python -m benchmarks.plot                                        benchmarks/results/pipeline.json to speed.svg
python -m benchmarks.plot build/bench/results/pipeline.json -o build/bench/results/speed.svg
python -m benchmarks.plot benchmarks/results/equal-quality.json     to equal-quality.svg, each bar with its VMAF
"""

from __future__ import annotations

import argparse
import json
import statistics
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.report import ENCODE_ONLY

RESULTS = Path(__file__).resolve().parent / "results"
OWN = ("video-pipeline", "video-pipeline, profile social")
LEFT_OUT = ("segments encoded only",)
"""Contender without a bar, because it draws nothing and so is no whole render."""

WIDTH_PX, LABEL_PX, NUMBER_PX, VMAF_PX = 760, 236, 70, 80
BAR_PX, STEP_PX, TOP_PX, BOTTOM_PX = 20, 32, 70, 40

STYLE = """
.page { fill: #ffffff; }
text { font: 13px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.small { font-size: 11.5px; fill: #59636e; }
.own text { font-weight: 600; }
.bar { fill: #9aa4af; } .own .bar { fill: #1a7f5a; }
.limit { stroke: #b35900; stroke-width: 1.5; stroke-dasharray: 5 4; } text.limit { stroke: none; fill: #b35900; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; } text { fill: #e6edf3; } .small { fill: #9198a1; }
  .bar { fill: #6e7781; } .own .bar { fill: #3fb98b; }
  .limit { stroke: #f0a04b; } text.limit { fill: #f0a04b; }
}
"""


def speeds(speed: dict[str, Any]) -> dict[str, float]:
    """Return the frames per second (from the median wall time) of each contender that writes a video."""
    return {
        name: result["frames"] / statistics.median(result["wall_s"])
        for name, result in speed.items()
        if result["encodes"] and name not in LEFT_OUT
    }


def draw(results: dict[str, Any]) -> str:
    """Return the chart as SVG; raise ValueError if the results have no section `speed`."""
    if "speed" not in results:
        raise ValueError(
            f"results {results.get('name')!r} has no section 'speed'; run benchmarks.pipeline with it first"
        )
    found = speeds(results["speed"])
    limit = found.pop(ENCODE_ONLY, None)
    bars = sorted(found.items(), key=lambda item: -item[1])
    longest = max([*found.values(), *([limit] if limit else [])])
    vmaf = {name: result["vmaf"] for name, result in results["speed"].items() if "vmaf" in result}
    scale = (WIDTH_PX - LABEL_PX - NUMBER_PX - (VMAF_PX if vmaf else 0)) / longest
    bottom = TOP_PX + STEP_PX * len(bars)
    work, machine = results["workload"], results["machine"]
    size = f"{work['size_px'][0]}x{work['size_px'][1]}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {bottom + BOTTOM_PX}" role="img"'
        f' width="{WIDTH_PX}" height="{bottom + BOTTOM_PX}">',
        f"<title>{escape(_title(bars, limit))}</title>",
        f"<style>{STYLE}</style>",
        '<rect class="page" width="100%" height="100%" rx="6"/>',
        '<text class="title" x="12" y="24">Whole renders, frames per second</text>',
    ]
    for number, (name, fps) in enumerate(bars):
        top = TOP_PX + STEP_PX * number
        middle = top + BAR_PX / 2 + 4.5
        parts += [
            f'<g class="{"own" if name in OWN else "other"}">',
            f'<text x="{LABEL_PX - 10}" y="{middle}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="bar" x="{LABEL_PX}" y="{top}" width="{fps * scale:.1f}" height="{BAR_PX}" rx="2"/>',
            f'<text x="{LABEL_PX + fps * scale + 8:.1f}" y="{middle}">{fps:.1f}</text></g>',
        ]
        if name in vmaf:
            parts.append(
                f'<text class="small" x="{LABEL_PX + fps * scale + 48:.1f}" y="{middle}">VMAF {vmaf[name]:.2f}</text>'
            )
    if limit:
        x = LABEL_PX + limit * scale
        parts += [
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP_PX - 10}" y2="{bottom - 6}"/>',
            f'<text class="small limit" x="{x:.1f}" y="{TOP_PX - 16}" text-anchor="end">'
            f"ffmpeg encoding ready frames, one stream: {limit:.1f}</text>",
        ]
    parts += [
        f'<text class="small" x="12" y="{bottom + 22}">{escape(size)}, {work["frames"]} frames, '
        f"{escape(results['settings'])}; {escape(machine['cpu'])}, {machine['cores']} cores; "
        f"{escape(results['date'])}</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(bars: list[tuple[str, float]], limit: float | None) -> str:
    listed = ", ".join(f"{name} {fps:.1f}" for name, fps in bars)
    return f"Frames per second of whole renders: {listed}" + (f"; encode only {limit:.1f}" if limit else "")


def main() -> int:
    """Draw the chart of a results file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results", nargs="?", type=Path, default=RESULTS / "pipeline.json", metavar="RESULTS.json"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT.svg",
        help="default: beside the results, with their name (speed.svg for pipeline.json)",
    )
    options = parser.parse_args()
    beside = options.results.with_suffix(".svg")
    target = options.output or (beside.with_stem("speed") if beside.stem == "pipeline" else beside)
    target.write_text(draw(json.loads(options.results.read_text())))
    print(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
