"""Results as tables: for a terminal and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

ENCODE_ONLY, PLAIN_COMMAND = "encode only", "plain ffmpeg command"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its cells padded so that it reads as text too; all but the first stand right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (max(width, 2) - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def ratio(results: dict[str, Any], name: str, base: str) -> float | None:
    """Return how many times as fast as `base` a contender is: the median over the rounds that both ran in."""
    if base not in results or name not in results:
        return None
    own, other = results[name], results[base]
    pairs = zip(own["wall_s"], other["wall_s"], strict=False)  # a slow contender has fewer rounds
    ratios: list[float] = [(own["frames"] / mine) / (other["frames"] / theirs) for mine, theirs in pairs]
    return statistics.median(ratios)


def spread(walls: Sequence[float]) -> float:
    """Return (longest - shortest) / median of the wall times."""
    return (max(walls) - min(walls)) / statistics.median(walls)


def speed_table(results: dict[str, Any]) -> str:
    """Return the table of whole renders."""
    rows = []
    for name, result in results.items():
        walls = result["wall_s"]
        ratios = [ratio(results, name, base) for base in (ENCODE_ONLY, PLAIN_COMMAND)]
        rows.append(
            [
                name,
                f"{result['frames'] / statistics.median(walls):.1f}",
                *("" if value is None else f"{value:.2f}" for value in ratios),
                f"{statistics.median(walls):.2f}",
                f"{100 * spread(walls):.1f} %" if len(walls) > 1 else "",
                str(len(walls)),
                f"{statistics.median(result['cpu_s']):.1f}",
                f"{max(result['peak_rss_mib']):.0f}",
            ]
        )
    header = ("", "fps", "x encode only", "x plain", "wall s", "spread", "runs", "cpu s", "peak MiB")
    return markdown_table(header, rows)


def stage_table(stages: dict[str, Any]) -> str:
    """Return the table of the engine's stages: median seconds, and share of the whole command's wall time."""
    rows = [
        [name, f"{stage['seconds']:.2f}", f"{100 * stage['share']:.1f} %"] for name, stage in stages.items()
    ]
    return markdown_table(("stage", "seconds", "share"), rows)


def memory_table(memory: Sequence[dict[str, Any]]) -> str:
    """Return the table of peak memory by length."""
    rows = [
        [
            str(row["scenes"]),
            str(row["frames"]),
            f"{row['peak_rss_mib']:.0f}",
            f"{row['wall_s']:.1f}",
            f"{row['frames'] / row['wall_s']:.1f}",
        ]
        for row in memory
    ]
    return markdown_table(("scenes", "frames", "peak MiB", "wall s", "fps"), rows)


def jitter_table(jitter: dict[str, Any]) -> str:
    """Return the table of jitter."""
    rows = [
        [name, f"{row['rms_px']:.4f}", str(row["backward_steps"]), str(row["steps"])]
        for name, row in jitter.items()
    ]
    return markdown_table(("", "jitter px/frame²", "backward steps", "of"), rows)


def machine_lines(machine: dict[str, Any]) -> str:
    """Return the machine as a list."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return "\n".join(
        [
            f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
            f"- {machine['system']}",
            f"- Python {machine['python']}; ffmpeg {machine['ffmpeg']}",
            f"- {packages}",
            f"- load average before: {machine['load_average_before']}",
        ]
    )


def markdown(results: dict[str, Any]) -> str:
    """Return the whole report."""
    work = results["workload"]
    parts = [
        f"# Benchmark: {results['name']}",
        f"Measured on {results['date']} by `{results['command']}`.",
        machine_lines(results["machine"]),
    ]
    if "speed" in results:
        differs = "\n".join(
            f"- {name}: {result['differs']}" for name, result in results["speed"].items() if result["differs"]
        )
        parts += [
            f"## Whole renders\n\n{work['scenes']} scenes of {work['scene_seconds']:g} s, pictures "
            f"{work['picture_px'][0]}x{work['picture_px'][1]} ({work['source']}), zoom {work['zoom_percent']:g} %/s, "
            f"fades of {work['fade_seconds']:g} s, a caption each; {work['size_px'][0]}x{work['size_px'][1]} at "
            f"{work['fps']} fps, {work['frames']} frames; {results['settings']}. Contenders take turns; the time of "
            "a whole command counts, from start to finished file. Ratios are medians of the rounds' own ratios; "
            "peak memory is the sum over the process tree.",
            speed_table(results["speed"]),
            f"What differs:\n\n{differs}",
        ]
    if "stages" in results:
        parts += [
            "## Stages of video-pipeline\n\nWhat stands as `beside` runs during `render`, and adds up the time of "
            "all workers.",
            stage_table(results["stages"]),
        ]
    if "memory" in results:
        width, height = results["memory_picture_px"]
        parts += [
            f"## Memory of video-pipeline by length\n\nScenes of {results['memory_scene_seconds']:g} s, each with "
            f"its own photograph of {width}x{height}.",
            memory_table(results["memory"]),
        ]
    if "jitter" in results:
        parts += [
            f"## Jitter of a zoom of {results['jitter_percent']:g} %/s over {results['jitter_frames']} frames\n\n"
            "Blobs of light followed through the decoded frames: RMS of the second difference of their "
            "centroids, and steps of more than 0.02 px against their way.",
            jitter_table(results["jitter"]),
        ]
    return "\n\n".join(parts) + "\n"
