"""Show results as tables, for a terminal and as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

ENCODE_ONLY, PLAIN_COMMAND = "encode only", "plain ffmpeg command"
ZOOMPAN_GRAPH = "zoompan graph, no encoding"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with padded cells; all columns but the first are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (max(width, 2) - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, rows)])


def ratio(results: dict[str, Any], name: str, base: str, *, key: str = "wall_s") -> float | None:
    """Return the speed of a contender relative to `base`: the median over the rounds that both ran in.

    `key` names the contender's times to compare with the wall time of `base`; return None if it has none.
    """
    if base not in results or key not in results.get(name, {}):
        return None
    own, other = results[name], results[base]
    pairs = zip(own[key], other["wall_s"], strict=False)  # slow contenders run fewer rounds
    ratios: list[float] = [(own["frames"] / mine) / (other["frames"] / theirs) for mine, theirs in pairs]
    return statistics.median(ratios)


def spread(walls: Sequence[float]) -> float:
    """Return (longest - shortest) / median of the wall times."""
    return (max(walls) - min(walls)) / statistics.median(walls)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _fps(result: dict[str, Any], key: str = "wall_s") -> str:
    return f"{result['frames'] / statistics.median(result[key]):.1f}" if key in result else ""


def _costs(result: dict[str, Any]) -> list[str]:
    walls = result["wall_s"]
    return [
        f"{statistics.median(walls):.2f}",
        f"{100 * spread(walls):.1f} %" if len(walls) > 1 else "",
        str(len(walls)),
        f"{statistics.median(result['cpu_s']):.1f}",
        f"{max(result['peak_rss_mib']):.0f}",
    ]


COSTS = ("wall s", "spread", "runs", "cpu s", "peak MiB")


def speed_table(results: dict[str, Any]) -> str:
    """Return the table of whole renders, for all contenders that write a video."""
    rows = [
        [
            name,
            _fps(result),
            *(_shown(ratio(results, name, base)) for base in (ENCODE_ONLY, PLAIN_COMMAND)),
            *_costs(result),
        ]
        for name, result in results.items()
        if result["encodes"]
    ]
    return markdown_table(("", "fps", "x encode only", "x plain", *COSTS), rows)


def frames_table(results: dict[str, Any]) -> str:
    """Return the table of frames without encoding: times of whole commands and without start-up."""
    rows = [
        [
            name,
            _fps(result),
            _shown(ratio(results, name, ZOOMPAN_GRAPH)),
            _fps(result, "working_s"),
            _shown(ratio(results, name, ZOOMPAN_GRAPH, key="working_s")),
            *_costs(result),
        ]
        for name, result in results.items()
        if not result["encodes"]
    ]
    header = ("", "fps", "x zoompan graph", "fps, drawing alone", "x zoompan graph", *COSTS)
    return markdown_table(header, rows)


def edit_table(edit: dict[str, Any]) -> str:
    """Return the table of second renders."""
    rows = [
        [
            name,
            f"{statistics.median(row['wall_s']):.2f}",
            f"{100 * row['share']:.1f} %",
            f"{100 * spread(row['wall_s']):.1f} %" if len(row["wall_s"]) > 1 else "",
            str(len(row["wall_s"])),
        ]
        for name, row in edit["rows"].items()
    ]
    return markdown_table(("", "wall s", "of cold", "spread", "runs"), rows)


def stage_table(stages: dict[str, Any]) -> str:
    """Return the table of the engine's stages: median seconds and share of the command's wall time."""
    rows = [
        [name, f"{stage['seconds']:.2f}", f"{100 * stage['share']:.1f} %"] for name, stage in stages.items()
    ]
    return markdown_table(("stage", "seconds", "share"), rows)


def memory_table(memory: Sequence[dict[str, Any]]) -> str:
    """Return the table of peak memory by video length."""
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


def moves_table(moves: dict[str, dict[str, Any]]) -> str:
    """Return the table of many moves: px/frame² and (in parentheses) backward steps for each drawing function."""
    names = list(next(iter(moves.values())))
    rows = [
        [move, *(f"{row[name]['rms_px']:.4f} ({row[name]['backward_steps']})" for name in names)]
        for move, row in moves.items()
    ]
    return markdown_table(("px/frame² (backward steps)", *names), rows)


def machine_lines(machine: dict[str, Any]) -> str:
    """Return the description of the machine as a Markdown list."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return "\n".join(
        [
            f"- {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
            f"- {machine['system']}",
            f"- Python {machine['python']}; native rows: {machine['native'] or 'not built'}; ffmpeg {machine['ffmpeg']}",
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
            f"{work['fps']} fps, {work['frames']} frames; {results['settings']}. Contenders take turns; the "
            "times are of whole commands, from start to finished file. Ratios are medians of the ratios of each "
            "round; peak memory is the sum over the process tree. The encode-only contenders read frames drawn by "
            f"the {'native compositor' if results['ready_frames'] == 'native' else 'plain graph'}.",
            speed_table(results["speed"]),
            "## Frames without encoding\n\nFrames are drawn and discarded. `drawing alone` excludes the start-up and "
            "planning of this engine's commands; both ratios use the whole command's time for the graph.",
            frames_table(results["speed"]),
            f"What differs:\n\n{differs}",
        ]
    if "stages" in results:
        parts += [
            "## Stages of video-pipeline\n\nEntries marked `beside` run during `render`; they add up the time of all "
            "workers.",
            stage_table(results["stages"]),
        ]
    if "python" in results:
        python = results["python"]
        parts += [
            f"## Python's share\n\nAt most {100 * python['share']:.2f} % of the rendering stage's "
            f"{statistics.median(python['wall_s']):.2f} s: {python['python_us_a_frame']:g} µs a frame, the processor time "
            f"of all threads when the same frames have {python['small_px'][0]}x{python['small_px'][1]} pixels "
            f"({len(python['wall_s'])} rounds).",
        ]
    if "edit" in results:
        edit = results["edit"]
        parts += [
            f"## A story rendered again\n\n{edit['scenes']} scenes, {edit['seconds']:g} s, one cache folder for the "
            "three commands of a round; whole commands. Shares are medians of the rounds' own.",
            edit_table(edit),
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
    if "moves" in results:
        parts += [
            "## Jitter of other moves\n\nThe same measure on frames before any coding; zooms about the middle, pans "
            "to the right at a scale of 1.2.",
            moves_table(results["moves"]),
        ]
    return "\n\n".join(parts) + "\n"


def kernels_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table of kernels: one row for each instruction set, with the peers in the last columns."""
    lines = []
    for row in rows:
        peers = row["peers"] or {"": None}
        for number, (name, peer) in enumerate(peers.items()):
            own = [
                row["kernel"],
                row["target"],
                f"{row['median_ms']:.3f}",
                f"{row['best_ms']:.3f}",
                f"{row['memcpy']:.1f}",
            ]
            other = [name, f"{peer['median_ms']:.2f}", f"{peer['ratio']:.1f}"] if peer else ["", "", ""]
            lines.append([*(own if number == 0 else [""] * len(own)), *other])
    header = ("kernel", "target", "median ms", "best ms", "x memcpy", "peer", "its ms", "times as fast")
    return markdown_table(header, lines)


def kernels_markdown(results: dict[str, Any]) -> str:
    """Return the report of the kernels."""
    width, height = results["size_px"]
    listed = sorted(results["transitions_ms"].items(), key=lambda item: item[1])
    parts = [
        "# Benchmark: kernels",
        f"Measured on {results['date']} by `{results['command']}`.",
        machine_lines(results["machine"]),
        f"Milliseconds of one thread for a frame of {width}x{height}, 4:2:0; median and best of {results['calls']} "
        f"calls (of a third as many for a transition). A copy of a frame takes {results['memcpy_ms']:.3f} ms.",
        kernels_table(results["rows"]),
        "Every transition on the fastest instruction set, milliseconds a frame: "
        + ", ".join(f"{name} {taken:.2f}" for name, taken in listed)
        + ".",
    ]
    return "\n\n".join(parts) + "\n"
