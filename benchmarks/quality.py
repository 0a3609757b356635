"""Measure how well `video.quality` is hit on the held-out part of the corpus, and what its probes cost.

    python -m benchmarks.quality [-o RESULT.json] [--folder DIR] [--mate DIR] [--targets 90 93 95] [--settings social]
                                 [--only NAME ...]

Each story is drawn once; each segment is encoded with the crf that the engine chooses, and measured with libvmaf against
the frames before encoding. A story's error is the mean VMAF of its measured frames minus the target. CPU seconds of
probes and of encoding are those of this process and its children, one thread.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.quality_corpus import Material, make_corpus
from benchmarks.quality_fit import SETTINGS, plan_of, settings_of
from benchmarks.vmaf import ffmpeg_with_libvmaf, measure_vmaf

TOLERANCE = 0.5


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure_story(
    material: Material, targets: list[float], *, settings_name: str, folder: Path, every: int, limit: int
) -> list[dict[str, Any]]:
    """Return one result for each target."""
    from video_pipeline.engine.render.compositors.raw_frames import Children
    from video_pipeline.engine.render.encoders.encode import encode_segment
    from video_pipeline.engine.render.quality.model import choose_crf
    from video_pipeline.engine.render.quality.probe import measure_run, opening_of, probe_segment, see_opening
    from video_pipeline.engine.render.quality.rates import with_crf

    plan = plan_of(material, folder / "cache")
    compositor = plan.frames.compositor
    width, height = material.size_px
    settings = settings_of(settings_name, material, quality=95)  # each target replaces it
    segments = compositor.segments()[:limit]
    found: dict[float, list[dict[str, Any]]] = {target: [] for target in targets}
    with tempfile.TemporaryDirectory(prefix="quality-") as made:
        raw, video = Path(made, "raw.yuv"), Path(made, "encoded.mp4")
        for frames in segments:
            with raw.open("wb") as file:
                for frame in compositor.frames(frames, threads=1, children=Children()):
                    file.write(frame.data)
            drawn = np.memmap(raw, np.uint8, "r", shape=(len(frames), height * 3 // 2, width))
            started = cpu_seconds()
            probe, opening = probe_segment(compositor, frames, settings, Children())
            probing = cpu_seconds() - started
            if opening:
                # The frames that it has seen need not be drawn again, so only what was done with them counts.
                fade, _ = opening_of(compositor.timeline, frames)
                started = cpu_seconds()
                measure_run(see_opening(opening.held[fade:]), settings)
                probing = cpu_seconds() - started
                opening.close()
            for target in targets:
                crf, predicted = choose_crf(probe, target)
                started = cpu_seconds()
                data = encode_segment(iter(drawn), with_crf(settings, crf))
                encoding = cpu_seconds() - started
                video.write_bytes(data)
                log = measure_vmaf(
                    video, raw, size_px=material.size_px, fps=Fraction(material.fps), every=every
                )
                found[target].append(
                    {
                        "frames": [frames.start, frames.stop],
                        "crf": crf,
                        "predicted": round(predicted, 2),
                        "vmaf": round(float(np.mean([each["vmaf"] for each in log])), 2),
                        "kbit_s": round(len(data) * 8 * material.fps / len(frames) / 1000),
                        "probe_cpu_s": round(probing, 3),
                        "encode_cpu_s": round(encoding, 3),
                    }
                )
    return [_story_result(material, target, settings_name, parts) for target, parts in found.items()]


def _story_result(
    material: Material, target: float, settings_name: str, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    lengths = np.array([stop - start for start, stop in (part["frames"] for part in parts)])

    def mean(key: str) -> float:
        return float(np.average([part[key] for part in parts], weights=lengths))

    probing, encoding = (sum(part[key] for part in parts) for key in ("probe_cpu_s", "encode_cpu_s"))
    return {
        "story": material.name,
        "size": list(material.size_px),
        "settings": settings_name,
        "target": target,
        "predicted": round(mean("predicted"), 2),
        "vmaf": round(mean("vmaf"), 2),
        "error": round(mean("vmaf") - target, 2),
        "reachable": mean("predicted") >= target - 0.3,
        "kbit_s": round(mean("kbit_s")),
        "probe_share": round(probing / encoding, 4),
        "probe_cpu_s": round(probing, 3),
        "encode_cpu_s": round(encoding, 3),
        "segments": parts,
    }


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the errors over all stories whose target is within reach, and the share of the encoder's time."""
    reached = [result for result in results if result["reachable"]]
    errors = np.array([result["error"] for result in reached])
    return {
        "results": len(results),
        "within_reach": len(reached),
        "hit": int((np.abs(errors) <= TOLERANCE).sum()),
        "tolerance": TOLERANCE,
        "mean_error": round(float(errors.mean()), 3),
        "rms_error": round(float(np.sqrt(np.mean(errors**2))), 3),
        "largest_error": round(float(np.abs(errors).max()), 2),
        "probe_share": round(
            sum(result["probe_cpu_s"] for result in results)
            / sum(result["encode_cpu_s"] for result in results),
            4,
        ),
    }


def main() -> int:
    """Measure the held-out stories and write the result."""
    from benchmarks.photographs import MATE_FOLDER

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, metavar="RESULT.json")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/quality"), help="corpus and cache (build/quality)"
    )
    parser.add_argument("--mate", type=Path, default=MATE_FOLDER, help="an unpacked mate-backgrounds")
    parser.add_argument("--targets", type=float, nargs="+", default=[90.0, 93.0, 95.0])
    parser.add_argument("--settings", choices=tuple(SETTINGS), default="social")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only stories of these names")
    parser.add_argument("--every", type=int, default=4, help="measure every n-th frame (4)")
    parser.add_argument(
        "--segments", type=int, default=10, help="measure the first n segments of a story (10)"
    )
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for material in make_corpus(options.folder, mate=options.mate):
        if material.part != "held_out" or (options.only and material.name not in options.only):
            continue
        for result in measure_story(
            material,
            options.targets,
            settings_name=options.settings,
            folder=options.folder,
            every=options.every,
            limit=options.segments,
        ):
            results.append(result)
            print(
                f"{result['story']:<12} target {result['target']:g}  VMAF {result['vmaf']:.2f}  error {result['error']:+.2f}  "
                f"predicted {result['predicted']:.2f}  {result['kbit_s'] / 1000:.1f} Mbit/s  "
                f"probes {result['probe_share']:.1%} of encoding",
                flush=True,
            )
            if options.output:
                report = {
                    "machine": describe_machine(str(ffmpeg_with_libvmaf())),
                    "summary": summary(results),
                    "stories": results,
                }
                options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(summary(results), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
