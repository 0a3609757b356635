"""Measure the training part of the corpus, and fit the constants of `engine/render/quality/coefficients.py` to it.

    python -m benchmarks.quality_fit collect ROWS.jsonl --folder DIR [--mate DIR] [--only NAME]
    python -m benchmarks.quality_fit fit ROWS.jsonl [-o coefficients.py]

`collect` goes on where it stopped. Rows are of three kinds: a segment's VMAF at a crf, what a probe of it found, and
single frames with the features and the VMAF that libvmaf gives them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.quality_corpus import Material, make_corpus
from benchmarks.vmaf import FEATURES, measure_vmaf
from video_pipeline.engine.render.quality.detail import Kept
from video_pipeline.engine.render.quality.model import (
    JOIN_GROUPS,
    LEAST_KEPT,
    MEANS,
    MOST_KEPT,
    MOTION_BEND,
    MOTION_MAX,
    SPREADS,
    circumstances,
    group_of,
    losses_of,
    score_terms,
)
from video_pipeline.engine.render.quality.probe import PROBE_CRF, SegmentProbe

if TYPE_CHECKING:
    from video_pipeline.engine.plan import VideoPlan
    from video_pipeline.engine.render.encoders.base import EncoderSettings
    from video_pipeline.engine.timing import FrameRange

Row = dict[str, Any]
Array = npt.NDArray[np.float64]

SETTINGS: Final[dict[str, tuple[dict[str, Any], tuple[int, ...]]]] = {
    "social": ({"profile": "social"}, (16, 22, 26, 31)),
    "veryfast": ({"profile": "none", "preset": "veryfast"}, (18, 24)),
}
"""Keys of `video`, and the crfs that are measured with them.

The rows of the recorded fit are of 133 segments: of the default profile's settings at these crfs or at 18, 24 and 30 (clips
at 12 and 19 too), of veryfast, and of two others that have mbtree at its usual strength.
"""

FRAME_CRFS: Final = (10, 17, 24, 31, 38)
SPEEDS: Final = (0, 2, 8, 24)
"""The crfs, and the speeds in pixels per frame, at which single frames are measured for the map from features to VMAF."""

EVERY: Final = 6
"""Every n-th frame of a segment is measured."""


def settings_of(
    name: str, material: Material, *, size_px: tuple[int, int] | None = None, **video: Any
) -> EncoderSettings:
    """Return the encoder's settings for a story, with further keys of `video`."""
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.render.encoders.base import encoder_settings, load_encoder

    size = list(size_px or material.size_px)
    keys = {**SETTINGS[name][0], "codec": "libx264", "size": size, "fps": material.fps, **video}
    config = load_config({"video": keys}, environ=False)
    return encoder_settings(load_encoder("libx264"), config.video)


def plan_of(material: Material, cache: Path) -> VideoPlan:
    """Return the plan of a story at its size."""
    from video_pipeline.engine.common.cache import ContentCache
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.plan import plan_video
    from video_pipeline.engine.story import load_story

    config = load_config(environ=False).override(
        "video", size=material.size_px, fps=material.fps, codec="libx264"
    )
    story = load_story(material.story)
    return plan_video(story, config=config, base=material.story.parent, cache=ContentCache(cache))


def _segment_rows(material: Material, plan: VideoPlan, frames: FrameRange, *, single: bool) -> Iterator[Row]:
    """Yield the rows of one segment, with those of `single` frames."""
    from video_pipeline.engine.render.compositors.raw_frames import Children
    from video_pipeline.engine.render.encoders.encode import encode_segment
    from video_pipeline.engine.render.quality.probe import (
        joins_of,
        measure_run,
        opening_of,
        run_of,
        see_opening,
        see_run,
        starts_program,
        tree_of,
    )

    width, height = material.size_px
    fps = Fraction(material.fps)
    timeline, compositor = plan.frames.timeline, plan.frames.compositor
    joined = {
        number - frames.start
        for seen, _, join in timeline.stretches(frames)
        if join
        for number in range(seen.start, seen.stop)
    }
    about = {"material": material.name, "start": frames.start, "joins": joins_of(timeline, frames)}
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        raw, video = Path(folder, "raw.yuv"), Path(folder, "encoded.mp4")
        with raw.open("wb") as file:
            for frame in compositor.frames(frames, threads=1, children=Children()):
                file.write(frame.data)
        drawn = np.memmap(raw, np.uint8, "r", shape=(len(frames), height * 3 // 2, width))
        if starts_program(compositor, frames):
            fade, held = opening_of(timeline, frames)
            run = see_opening(list(drawn[fade:held]))
        else:
            where = run_of(timeline, frames)
            run = see_run(iter(drawn[where.start - frames.start : where.stop - frames.start]), len(where))
        for name, (_, crfs) in SETTINGS.items():
            settings = settings_of(name, material, crf=PROBE_CRF)
            first, later, unpredicted = measure_run(run, settings)
            kept = [[each.detail, *each.information] for each in (first, later)]
            found = {"motion": run.motion, "pixels": run.frame_pixels, "first": kept[0], "later": kept[1]}
            yield about | {
                "kind": "probe",
                "settings": name,
                "tree": tree_of(settings),
                "unpredicted": unpredicted,
                **found,
            }
            for crf in crfs:
                video.write_bytes(encode_segment(iter(drawn), settings_of(name, material, crf=crf)))
                log = measure_vmaf(video, raw, size_px=material.size_px, fps=fps, every=EVERY)
                parts: dict[bool, list[float]] = {False: [], True: []}
                for each in log:
                    parts[each["frame"] in joined].append(each["vmaf"])
                means = {
                    key: float(np.mean(parts[part])) if parts[part] else None
                    for key, part in (("solo", False), ("join", True))
                }
                alone = [each for each in log if each["frame"] not in joined] or log
                features = [float(np.mean([each[key] for each in alone])) for key in FEATURES[:5]]
                yield about | {"kind": "segment", "settings": name, "crf": crf, "features": features, **means}
        if single:
            yield from _frame_rows(drawn[len(frames) // 2], material, Path(folder), about)


def _frame_rows(frame: npt.NDArray[np.uint8], material: Material, folder: Path, about: Row) -> Iterator[Row]:
    """Yield single frames with their features and VMAF, of a part of a picture that moves at several speeds."""
    from video_pipeline.engine.render.encoders.encode import encode_segment
    from video_pipeline.engine.render.planes import new_frame, planes_of

    width, height = material.size_px
    side = min(384, width, height) // 16 * 16
    raw, video = folder / "moving.yuv", folder / "moving.mp4"
    for speed in SPEEDS:
        moving = []
        for number in range(6):
            part = new_frame(side, side)
            for into, plane, half in zip(
                planes_of(part), planes_of(np.asarray(frame)), (1, 2, 2), strict=True
            ):
                left = min(number * speed, width - side) // 2 * 2 // half
                top = (height - side) // 4 * 2 // half
                into[:] = plane[top : top + side // half, left : left + side // half]
            moving.append(part)
        raw.write_bytes(b"".join(part.tobytes() for part in moving))
        for crf in FRAME_CRFS:
            settings = settings_of("social", material, size_px=(side, side), crf=crf)
            video.write_bytes(encode_segment(iter(moving), settings))
            log = measure_vmaf(video, raw, size_px=(side, side), fps=Fraction(material.fps))
            for each in log[1:5:2]:
                yield about | {
                    "kind": "frame",
                    "features": [each[key] for key in FEATURES],
                    "vmaf": each["vmaf"],
                }


def collect(rows: Path, *, folder: Path, mate: Path, only: str | None, single: bool) -> None:
    """Measure every segment of the training part that is not in the rows yet."""
    done = {(row["material"], row["start"]) for row in _read(rows) if row["kind"] == "segment"}
    for material in make_corpus(folder, mate=mate):
        if material.part != "training" or (only and material.name != only):
            continue
        plan = plan_of(material, folder / "cache")
        for frames in plan.frames.compositor.segments():
            if (material.name, frames.start) in done or len(frames) < 20:
                continue
            found = list(_segment_rows(material, plan, frames, single=single))
            with rows.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in found)
            print(f"{material.name} [{frames.start}, {frames.stop}): {len(found)} rows", flush=True)


def _read(rows: Path) -> list[Row]:
    return [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []


# The parameters that are fitted to VMAF, in the order of their vector: offsets of the five features, the first frame's
# part, growth and its own growth of the five features, what motion, the frame's size and stillness add to the offsets,
# what noise adds to the loss of detail; then what other lookahead and mbtree add to the offsets and to growth. Growth starts from what libvmaf's features say.
TRUST: Final = np.array(
    [0.3] * 5 + [0.3] + [0.03] * 5 + [0.002] * 5 + [0.3, 0.3, 0.3, 5.0] + [0.3, 0.3, 0.03, 0.03]
)
"""How far each parameter may be expected to be from where it starts: Gaussian priors."""

OF_SETTINGS: Final = 4
"""The last parameters, which only settings beside the default profile's have: they are fitted after the others."""

DEFAULT_SETTINGS: Final = "social"

LEAST_VMAF: Final = 78.0
"""Samples below it count little: they are far below every quality that can be asked for."""


def fit_score(rows: Sequence[Row], *, ridge: float = 1e-4) -> Array:
    """Return the coefficients of the map from features to VMAF."""
    frames = [row for row in rows if row["kind"] == "frame" and 45 < row["vmaf"] < 99.95]
    terms = np.array(
        [score_terms(row["features"][0], row["features"][1:5], row["features"][5]) for row in frames]
    )
    scores = np.array([row["vmaf"] for row in frames])
    penalty = np.eye(terms.shape[1]) * ridge * len(frames)
    penalty[0, 0] = 0
    found: Array = np.linalg.solve(terms.T @ terms + penalty, terms.T @ scores)
    print(f"score: {len(frames)} frames, rms {np.sqrt(np.mean((terms @ found - scores) ** 2)):.3f}")
    return found


def fit_growth(rows: Sequence[Row]) -> Array:
    """Return by how much each feature's loss grows with crf, and by how much that growth does, shape (2, features).

    Both are fitted to the features that libvmaf gives whole segments, of which each has its own level of loss.
    """
    levels: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        if row["kind"] == "segment":
            levels.setdefault((row["material"], row["start"], row["settings"]), []).append(row)
    steps, losses = [], []
    for same in levels.values():
        step = np.array([[row["crf"] - PROBE_CRF, (row["crf"] - PROBE_CRF) ** 2] for row in same])
        loss = np.log(-np.log(np.clip([row["features"][:5] for row in same], LEAST_KEPT, MOST_KEPT)))
        steps.append(step - step.mean(0))
        losses.append(loss - loss.mean(0))
    found: Array = np.linalg.lstsq(np.concatenate(steps), np.concatenate(losses), rcond=None)[0]
    return found


class Samples:
    """Segments with their probes, as arrays."""

    def __init__(self, rows: Sequence[Row]) -> None:
        probes = {
            (row["material"], row["start"], row["settings"]): probe_of(row)
            for row in rows
            if row["kind"] == "probe"
        }
        listed = [row for row in rows if row["kind"] == "segment" and row["solo"] is not None]
        found = [(row, probes.get((row["material"], row["start"], row["settings"]))) for row in listed]
        pairs = [(row, probe) for row, probe in found if probe is not None]
        self.stories = np.array([row["material"] for row, _ in pairs])
        self.default = np.array([row["settings"] == DEFAULT_SETTINGS for row, _ in pairs])
        self.steps = np.array([row["crf"] for row, _ in pairs], float)[:, None] - PROBE_CRF
        self.vmaf = np.array([row["solo"] for row, _ in pairs])
        self.first = np.array([losses_of(probe.first) for _, probe in pairs])
        self.later = np.array([losses_of(probe.later) for _, probe in pairs])
        self.motion = np.minimum([probe.motion for _, probe in pairs], MOTION_MAX)
        self.moving, self.size, self.ahead, self.still, self.tree, self.noise = np.array(
            [circumstances(probe) for _, probe in pairs]
        ).T

    def predict(self, vector: Array, score: Array, chosen: npt.NDArray[np.bool_]) -> Array:
        """Return the VMAF of the chosen samples by the model with a vector of parameters."""
        offsets, part, growth, curve, rest = vector[:5], vector[5], vector[6:11], vector[11:16], vector[16:]
        moving, size, still, ahead, tree = rest[[0, 1, 2, 4, 5]]
        steps = self.steps[chosen]
        shift = moving * self.moving[chosen] + size * self.size[chosen] + still * self.still[chosen]
        shift = shift + ahead * self.ahead[chosen] + tree * self.tree[chosen]
        faster = rest[6] * self.ahead[chosen] + rest[7] * self.tree[chosen]
        losses = part * self.first[chosen] + (1 - part) * self.later[chosen] + offsets + shift[:, None]
        losses[:, 0] += rest[3] * self.noise[chosen]
        kept = np.exp(-np.exp(losses + (growth + faster[:, None] + curve * steps) * steps))
        values = np.c_[kept, np.log1p(self.motion[chosen]), np.minimum(self.motion[chosen], MOTION_BEND)]
        scaled = (values - np.array(MEANS)) / np.array(SPREADS)
        products = [scaled[:, one] * scaled[:, other] for one in range(7) for other in range(one, 7)]
        found: Array = np.minimum(np.c_[np.ones(len(scaled)), scaled, np.stack(products, 1)] @ score, 100)
        return found


def probe_of(row: Row) -> SegmentProbe:
    """Return the probe that a row describes."""
    first, later = (Kept(row[key][0], tuple(row[key][1:])) for key in ("first", "later"))
    ahead, strength = row["tree"]
    return SegmentProbe(first, later, row["motion"], row["pixels"], ahead, strength, row["unpredicted"])


def fit_losses(samples: Samples, score: Array, growth: Array, chosen: npt.NDArray[np.bool_]) -> Array:
    """Return the vector of parameters with which the model is closest to the chosen samples.

    The default profile's samples decide everything but what other settings add.
    """
    start = np.zeros(len(TRUST))
    start[5], start[6:16] = 0.5, growth.ravel()
    whole = np.arange(len(TRUST))
    vector = _closest(samples, score, chosen & samples.default, start, free=whole[:-OF_SETTINGS])
    return _closest(samples, score, chosen & ~samples.default, vector, free=whole[-OF_SETTINGS:])


def _closest(
    samples: Samples,
    score: Array,
    chosen: npt.NDArray[np.bool_],
    start: Array,
    *,
    free: npt.NDArray[np.int_],
) -> Array:
    """Return the vector with the free parameters fitted to the chosen samples, by Levenberg and Marquardt."""
    if not chosen.any():
        return start
    truth = samples.vmaf[chosen]
    weights = np.clip((truth - LEAST_VMAF) / 12, 0.03, 1)
    trust, damping = TRUST[free], 1.0

    def errors_of(change: Array) -> Array:
        vector = start.copy()
        vector[free] += change
        errors: Array = (samples.predict(vector, score, chosen) - truth) * weights
        return errors

    def cost_of(change: Array, errors: Array) -> float:
        # Pseudo-Huber: quadratic for small errors, linear for large ones.
        robust = 2 * np.sum(np.sqrt(1 + errors**2) - 1)
        return float(robust + np.sum((change / trust) ** 2))

    vector = np.zeros(len(free))
    errors = errors_of(vector)
    cost = cost_of(vector, errors)
    for _ in range(60):
        slopes = [
            (errors_of(vector + at) - errors_of(vector - at)) / (2 * at.max()) for at in np.diag(trust * 1e-3)
        ]
        jacobian = np.array(slopes).T
        robust = 1 / np.sqrt(1 + errors**2)
        normal = jacobian.T @ (jacobian * robust[:, None]) + np.diag(1 / trust**2)
        gradient = jacobian.T @ (robust * errors) + vector / trust**2
        while damping < 1e6:
            tried = vector - np.linalg.solve(normal + damping * np.diag(np.diag(normal)), gradient)
            tried_errors = errors_of(tried)
            tried_cost = cost_of(tried, tried_errors)
            if tried_cost < cost:
                break
            damping *= 4
        else:
            break
        gain, vector, errors, cost = cost - tried_cost, tried, tried_errors, tried_cost
        damping = max(damping / 6, 1e-6)
        if gain < 1e-3:
            break
    found = start.copy()
    found[free] += vector
    return found


def fit_joins(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return, for each group of transitions, slope and offset from what the scene before lacks to a VMAF of 100."""
    lacking: list[list[tuple[float, float]]] = [[] for _ in JOIN_GROUPS]
    for row in rows:
        if row["kind"] != "segment" or not row["joins"] or None in (row["join"], row["solo"]):
            continue
        if row["solo"] > 80:
            lacking[group_of(row["joins"][0][0])].append((100 - row["solo"], 100 - row["join"]))
    lines = []
    for pairs in lacking:
        # As if each group had been seen without any difference a few times more.
        before, after = np.array([*pairs, *[(lack, lack) for lack in (2.0, 4.0, 6.0, 8.0)]]).T
        slope, offset = np.polyfit(before, after, 1)
        lines.append((float(slope), float(offset)))
    return lines


def fit(rows: Sequence[Row]) -> dict[str, Any]:
    """Fit everything; return the constants, and the errors on stories that were left out in turn."""
    score = fit_score(rows)
    growth = fit_growth([row for row in rows if row.get("settings") == DEFAULT_SETTINGS])
    samples = Samples(rows)
    everything = np.ones(len(samples.vmaf), bool)
    errors = np.zeros(len(samples.vmaf))
    for story in sorted(set(samples.stories.tolist())):
        left_out = samples.stories == story
        vector = fit_losses(samples, score, growth, ~left_out)
        errors[left_out] = samples.predict(vector, score, left_out) - samples.vmaf[left_out]
    shown, high = (samples.default & (samples.vmaf > least) for least in (88, 94))
    by_story = {
        story: round(float(errors[shown & (samples.stories == story)].mean()), 2)
        for story in sorted(set(samples.stories[shown].tolist()))
    }
    return {
        "score": score,
        "vector": fit_losses(samples, score, growth, everything),
        "joins": fit_joins(rows),
        "segments": len({(row["material"], row["start"]) for row in rows if row["kind"] == "segment"}),
        "left_out_rms": round(float(np.sqrt(np.mean(errors[high] ** 2))), 2),
        "left_out_median": round(float(np.median(np.abs(errors[high]))), 2),
        "left_out_rms_above_88": round(float(np.sqrt(np.mean(errors[shown] ** 2))), 2),
        "left_out_median_above_88": round(float(np.median(np.abs(errors[shown]))), 2),
        "left_out_story_means": by_story,
    }


def as_module(found: dict[str, Any]) -> str:
    """Return the source of `engine/render/quality/coefficients.py`."""

    def numbers(values: Sequence[float]) -> str:
        return "".join(f"    {value:.5g},\n" for value in values)

    vector = found["vector"].tolist()
    moving, size, still, noise, ahead, tree, ahead_growth, tree_growth = vector[16:]
    return (
        f'"""Constants of `model`, fitted by `python -m benchmarks.quality_fit` to {found["segments"]} segments.\n\n'
        f"On stories that were left out in turn, a segment's VMAF above 94 was missed by {found['left_out_median']} (median).\n"
        f'"""\n\nfrom __future__ import annotations\n\nfrom typing import Final\n\n'
        f"SCORE: Final = (\n{numbers(found['score'].tolist())})\n"
        f'"""Of the terms of the map from features to VMAF."""\n\n'
        f"OFFSETS: Final = (\n{numbers(vector[:5])})\nGROWTH: Final = (\n{numbers(vector[6:11])})\n"
        f"CURVE: Final = (\n{numbers(vector[11:16])})\n"
        f'"""Of each feature: what a whole segment loses beside a probe, its growth with a step of crf, and the growth\'s."""\n\n'
        f"FIRST: Final = {vector[5]:.5g}\n\n"
        f"MOVING: Final = {moving:.5g}\nSIZE: Final = {size:.5g}\nAHEAD: Final = {ahead:.5g}\n"
        f"STILLNESS: Final = {still:.5g}\nTREE: Final = {tree:.5g}\n"
        f"NOISE: Final = {noise:.5g}\n"
        f'"""What circumstances add to the loss; noise to that of detail alone."""\n\n'
        f"AHEAD_GROWTH: Final = {ahead_growth:.5g}\n"
        f"TREE_GROWTH: Final = {tree_growth:.5g}\n"
        f'"""What they add to its growth with a step of crf."""\n\n'
        f"JOINS: Final = (\n{''.join(f'    ({slope:.4g}, {offset:.4g}),{chr(10)}' for slope, offset in found['joins'])})\n"
        f'"""Slope and offset of each group of transitions."""\n'
    )


def main() -> int:
    """Collect rows, or fit the constants to them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality_fit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("collect", "fit"))
    parser.add_argument("rows", type=Path, metavar="ROWS.jsonl")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/quality"), help="corpus and cache (build/quality)"
    )
    parser.add_argument(
        "--mate", type=Path, default=None, help="an unpacked mate-backgrounds; default: the installed one"
    )
    parser.add_argument("--only", metavar="NAME", help="only the story of this name")
    parser.add_argument(
        "--segments-only", action="store_true", help="no single frames: the map from features to VMAF stays"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.py", help="where `fit` writes the constants"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="where `fit` writes its errors")
    options = parser.parse_args()
    if options.what == "collect":
        from benchmarks.photographs import MATE_FOLDER

        collect(
            options.rows,
            folder=options.folder,
            mate=options.mate or MATE_FOLDER,
            only=options.only,
            single=not options.segments_only,
        )
        return 0
    found = fit(_read(options.rows))
    module = as_module(found)
    report = {key: value for key, value in found.items() if key.startswith("left") or key == "segments"}
    if options.output:
        options.output.write_text(module)
    if options.report:
        options.report.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
