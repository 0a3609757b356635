"""Encode a few clips of a recorded tuning run again, and fail if the chosen settings became slower or worse.

    python -m benchmarks.check                              the run that the profile `social` was chosen from
    python -m benchmarks.check --profile archive --run benchmarks/results/tune.json

The profile's settings and references (x264's medium at 8000k, and its veryfast) take turns on the same clips. Their CPU
times are compared as a ratio within this run, and that with the recorded run's ratio, so that another load or clock does
not matter. Quality and size are compared with the recorded ones, since encoding is deterministic. Exit status: 0 no loss
beyond the spread, 1 a loss, 2 nothing to compare with.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.report import markdown_table
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.profiles import Profile, check_evidence, load_profile
from video_pipeline.engine.errors import InputError, PipelineError
from video_pipeline.engine.render.compositors.native import MAX_SEGMENT_SECONDS
from video_pipeline.engine.tuning.analysis import find_reference
from video_pipeline.engine.tuning.chosen_profile import NOT_A_PROFILE
from video_pipeline.engine.tuning.compare import MACHINE
from video_pipeline.engine.tuning.environment import describe_machine
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.metrics import Metric, find_measuring_ffmpeg, measure_quality
from video_pipeline.engine.tuning.records import Measurement, RunData, Trial
from video_pipeline.engine.tuning.redraw import redraw_corpus
from video_pipeline.engine.tuning.report.words import settings_text, signed
from video_pipeline.engine.tuning.runs import load_run
from video_pipeline.engine.tuning.samples import Samples, sample_run
from video_pipeline.engine.tuning.search import encoder_settings_of
from video_pipeline.engine.tuning.space import ENCODER
from video_pipeline.engine.tuning.trial import EncodedClip, TrialTask, run_trial

CPU_SECONDS: Final = 90.0
"""What the encodings may take together, by the recorded times."""

REPEATS: Final = 2
SAME_MACHINE: Final = 0.05
"""Loss of speed beside a reference that is never called real on the recorded run's kind of machine."""

OTHER_MACHINE: Final = 0.15
"""The same elsewhere: processors differ in how fast they are with each part of x264."""

VMAF_LOSS: Final = 0.1
XPSNR_LOSS: Final = 0.1
MORE_BYTES: Final = 0.01
PLAIN: Final = {"preset": "veryfast"}
"""The plain reference but for its crf."""

PLAIN_CRF: Final = 21.0
METRICS: Final[tuple[Metric, ...]] = ("vmaf", "xpsnr")


@dataclass(frozen=True, slots=True)
class Times:
    """CPU seconds of a trial on each clip, by repeat."""

    trial: Trial
    seconds: Mapping[str, Sequence[float]]

    def total(self, repeat: int, clips: Sequence[str]) -> float:
        """Return the seconds of a repeat on some clips."""
        return sum(self.seconds[clip][repeat] for clip in clips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One comparison: what, recorded and now, and how much is lost beside what may be."""

    what: str
    recorded: float
    now: float
    loss: float
    allowed: float

    @property
    def lost(self) -> bool:
        """Whether the loss is a real one."""
        return self.loss > self.allowed


def main() -> int:
    """Compare with the recorded run and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="social", metavar="NAME|FILE", help="default: social")
    parser.add_argument(
        "--run", type=Path, metavar="RUN", help="recorded run; default: the profile's evidence"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N", help=f"default: {REPEATS}")
    parser.add_argument(
        "--cpu-seconds", type=float, default=CPU_SECONDS, metavar="S", help=f"default: {CPU_SECONDS:g}"
    )
    options = parser.parse_args()
    if options.repeats < 1 or options.cpu_seconds <= 0:
        parser.error("--repeats and --cpu-seconds: allowed: above 0")
    started = time.monotonic()
    try:
        profile = load_profile(options.profile)
        data = load_run(options.run or _evidence(profile))
        verdicts = check(data, profile, repeats=options.repeats, cpu_seconds=options.cpu_seconds)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    print(verdict_table(verdicts))
    lost = [verdict.what for verdict in verdicts if verdict.lost]
    words = f"LOST: {'; '.join(lost)}" if lost else "no loss"
    print(f"\n{words} ({time.monotonic() - started:.0f} s)")
    return 1 if lost else 0


def _evidence(profile: Profile) -> Path:
    path = profile.evidence_file()
    if path is None or not check_evidence(profile):
        raise InputError(f"profile {profile.name}: its recorded run is not here; name one: --run RUN")
    return path


def check(
    data: RunData, profile: Profile, *, repeats: int = REPEATS, cpu_seconds: float = CPU_SECONDS
) -> tuple[Verdict, ...]:
    """Encode clips of a recorded run with a profile's settings and references; return what became of them.

    Raises InputError if the run does not have the settings, a reference or clips of the corpus, and EncoderError.
    """
    samples = sample_run(data)
    chosen = find_trial(samples, profile)
    references = find_references(samples, chosen)
    trials = [chosen, *references]
    names = choose_clips(data, samples, trials, repeats=repeats, cpu_seconds=cpu_seconds)
    clips = redraw_corpus(data, names, config=load_config())
    with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
        times, qualities = _encode(data, trials, clips, repeats, Path(folder))
    machine = describe_machine()
    same = all(machine[name] == data.run.machine.get(name) for name in MACHINE)
    recorded = {trial.number: recorded_times(data, trial, names) for trial in trials}
    return (
        *(
            speed_verdict(
                chosen=(recorded[chosen.number], times[chosen.number]),
                reference=(recorded[reference.number], times[reference.number]),
                clips=names,
                least=SAME_MACHINE if same else OTHER_MACHINE,
            )
            for reference in references
        ),
        *quality_verdicts(data, chosen, qualities),
    )


def find_trial(samples: Samples, profile: Profile) -> Trial:
    """Return the trial that has a profile's settings; raise InputError."""
    wanted = _given(profile)
    for trial in samples.trials:
        keys = {name: value for name, value in trial.settings.items() if value is not None}
        as_rendered = all(keys.pop(name, value) == value for name, value in NOT_A_PROFILE.items())
        if as_rendered and "preset" in keys:
            own = Profile.model_validate({"name": "own", "video": keys})
            if _given(own) == wanted:
                return trial
    words = ", ".join(f"{name} {value}" for name, value in wanted.items())
    raise InputError(f"profile {profile.name}: the recorded run has no trial with its settings ({words})")


def _given(profile: Profile) -> dict[str, object]:
    return {name: value for name, value in profile.keys().items() if value is not None}


def find_references(samples: Samples, chosen: Trial) -> tuple[Trial, ...]:
    """Return the trials to compare with: medium at 8000k, and veryfast with the crf nearest to 21; raise InputError."""
    guide = find_reference(samples)
    found = [] if guide is None else [samples.trials[samples.position(guide)]]
    plain = [
        trial
        for trial in samples.trials
        if trial.settings.keys() == {*PLAIN, "crf"} and trial.settings["preset"] == PLAIN["preset"]
    ]
    if plain:
        found.append(min(plain, key=lambda trial: abs(float(trial.settings["crf"] or 0) - PLAIN_CRF)))
    references = tuple(trial for trial in found if trial.number != chosen.number)
    if not references:
        raise InputError(
            "the recorded run has neither x264's medium at 8000k nor its veryfast with a crf alone"
        )
    return references


def choose_clips(
    data: RunData, samples: Samples, trials: Sequence[Trial], *, repeats: int, cpu_seconds: float
) -> list[str]:
    """Return clips whose encodings fit into the time by the recorded ones, spread over the run's; at least one."""
    costs = {
        clip: repeats
        * sum(statistics.median(recorded_times(data, trial, [clip]).seconds[clip]) for trial in trials)
        for clip in samples.clips
    }
    names: list[str] = []
    left = cpu_seconds
    for clip in random.Random(data.run.id).sample(sorted(costs), len(costs)):
        if costs[clip] <= left:
            names.append(clip)
            left -= costs[clip]
    return names or [min(costs, key=lambda clip: costs[clip])]


def recorded_times(data: RunData, trial: Trial, clips: Sequence[str]) -> Times:
    """Return the recorded CPU times of a trial."""
    found: dict[str, list[float]] = {clip: [] for clip in clips}
    for each in data.measurements:
        if each.trial == trial.number and each.clip in found:
            found[each.clip].append(each.cpu_s)
    return Times(trial, found)


def _encode(
    data: RunData, trials: Sequence[Trial], clips: Mapping[str, RawClip], repeats: int, folder: Path
) -> tuple[dict[int, Times], dict[str, tuple[EncodedClip, float | None, float | None]]]:
    """Encode every clip with every trial, in another order in each repeat; measure the first trial's quality."""
    ffmpeg = find_measuring_ffmpeg(METRICS)
    every = int(data.run.objective.get("every", 4))
    seconds: dict[int, dict[str, list[float]]] = {
        trial.number: {name: [] for name in clips} for trial in trials
    }
    qualities: dict[str, tuple[EncodedClip, float | None, float | None]] = {}
    for repeat in range(repeats):
        jobs = [(trial, clip) for trial in trials for clip in clips.values()]
        for trial, clip in random.Random(repeat).sample(jobs, len(jobs)):
            output = folder / "clip.mp4"
            settings = {**trial.settings, ENCODER: trial.encoder}
            encoded = run_trial(
                TrialTask(
                    frames=clip.path,
                    segments=clip.segments(
                        float(trial.settings.get("segment_seconds") or MAX_SEGMENT_SECONDS)
                    ),
                    settings=encoder_settings_of(settings, clip),
                    output=output,
                    threads=int(trial.settings.get("threads") or 1),
                    workers=int(trial.settings.get("workers") or 1),
                )
            )
            seconds[trial.number][clip.name].append(encoded.cpu_s)
            if trial is trials[0] and clip.name not in qualities:
                found = measure_quality(ffmpeg, output, clip, metrics=METRICS, every=every)
                qualities[clip.name] = encoded, found.vmaf, found.xpsnr_y
    return {trial.number: Times(trial, seconds[trial.number]) for trial in trials}, qualities


def speed_verdict(
    *, chosen: tuple[Times, Times], reference: tuple[Times, Times], clips: Sequence[str], least: float
) -> Verdict:
    """Compare the ratio of CPU times, recorded and now; what may be lost is the larger spread of both over repeats."""
    middle, spreads = [], []
    for mine, theirs in zip(chosen, reference, strict=True):
        count = min(len(each.seconds[clip]) for each in (mine, theirs) for clip in clips)
        ratios = [mine.total(repeat, clips) / theirs.total(repeat, clips) for repeat in range(count)]
        middle.append(statistics.median(ratios))
        spreads.append((max(ratios) - min(ratios)) / middle[-1])
    other = reference[0].trial
    return Verdict(
        what=f"CPU time beside {settings_text(other.encoder, other.settings)}",
        recorded=middle[0],
        now=middle[1],
        loss=middle[1] / middle[0] - 1,
        allowed=max(least, *spreads),
    )


def quality_verdicts(
    data: RunData, chosen: Trial, qualities: Mapping[str, tuple[EncodedClip, float | None, float | None]]
) -> tuple[Verdict, ...]:
    """Compare VMAF, XPSNR and bytes over the clips with the recorded ones."""
    before: dict[str, Measurement] = {
        each.clip: each for each in data.measurements if each.trial == chosen.number and each.repeat == 0
    }
    verdicts = []
    for what, field, place, allowed in (
        ("VMAF", "vmaf", 1, VMAF_LOSS),
        ("XPSNR of luma, dB", "xpsnr_y", 2, XPSNR_LOSS),
    ):
        pairs = [(getattr(before[clip], field), found[place]) for clip, found in qualities.items()]
        if all(old is not None and new is not None for old, new in pairs):
            old, new = (statistics.fmean(values) for values in zip(*pairs, strict=True))
            verdicts.append(Verdict(what=what, recorded=old, now=new, loss=old - new, allowed=allowed))
    old_mb = sum(before[clip].bytes for clip in qualities) / 1e6
    new_mb = sum(found[0].bytes for found in qualities.values()) / 1e6
    size = Verdict(what="MB", recorded=old_mb, now=new_mb, loss=new_mb / old_mb - 1, allowed=MORE_BYTES)
    return (*verdicts, size)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a table."""
    rows = []
    for verdict in verdicts:
        share = verdict.what == "MB" or verdict.what.startswith("CPU")
        loss, allowed = (
            f"{signed(100 * value, 1)} %" if share else signed(value, 3)
            for value in (verdict.loss, verdict.allowed)
        )
        rows.append([verdict.what, f"{verdict.recorded:.3f}", f"{verdict.now:.3f}", loss, allowed])
    return markdown_table(("", "recorded", "now", "loss", "real above"), rows)


if __name__ == "__main__":
    raise SystemExit(main())
