"""Search encoder settings: encode clips with many settings, measure speed and quality, and store each as it is made.

Trials are encoded in rounds, in a new order in each, so that what else the machine does falls on all of them alike. A
search that ended in any way goes on from what its file has.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Literal

import numpy as np

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.profiles import NO_PROFILE
from video_pipeline.engine.config.rate_control import cap_by_size
from video_pipeline.engine.errors import (
    CancelledError,
    ConfigError,
    EncoderError,
    InputError,
    RenderingError,
    UnavailableError,
)
from video_pipeline.engine.machine.cores import usable_cores
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.render.compositors.native import MAX_SEGMENT_SECONDS
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.tuning.fronts import pareto_front
from video_pipeline.engine.tuning.guided import Guide, Reached
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.metrics import Quality, measure_quality
from video_pipeline.engine.tuning.objective import Objective, is_hopeless, misses, reach
from video_pipeline.engine.tuning.records import Measurement, Part, Status, Value
from video_pipeline.engine.tuning.space import ENCODER, OWN_KEYS, Settings, Space, settings_key
from video_pipeline.engine.tuning.store import RunStore
from video_pipeline.engine.tuning.trial import EncodedClip, TrialTask, run_trial

logger = logging.getLogger(__name__)

TRAINING_SHARE: Final = 0.8
"""Share of the time that the search gets; the rest is for the held-out clips."""

AT_ONCE: Final = 4
"""Encodings of each core before their quality is measured, which takes all cores, if several jobs run."""

ASKED_AT_ONCE: Final = 8
"""Trials that a guided search measures before it chooses the next ones, so that their repeats are interleaved too."""

Ended = Literal["complete", "time"]


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """Encodings done, and to do as far as known, and the seconds left; None if not known."""

    done: int
    total: int
    seconds_left: float | None


OnProgress = Callable[[SearchProgress], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """One encoding: a trial, a clip and a repeat."""

    trial: int
    clip: str
    repeat: int


class _TimeIsUpError(Exception):
    """The time that the search was given is over."""


def encoder_settings_of(settings: Settings, clip: RawClip) -> EncoderSettings:
    """Return the encoder's settings for a clip; raise ConfigError for a key or value that the encoder does not take.

    A crf has the cap by size that it has as a profile's, unless there is a `max_bitrate`.
    """
    encoder = load_encoder(str(settings[ENCODER]))
    keys: dict[str, Any] = {
        key: value for key, value in settings.items() if key != ENCODER and key not in OWN_KEYS
    }
    if "preset" not in keys:
        raise ConfigError("preset: is missing; each trial names its preset")
    keys |= {"profile": NO_PROFILE, "codec": encoder.name}
    if "crf" in keys and "max_bitrate" not in keys:
        keys["max_bitrate"] = str(cap_by_size((clip.width_px, clip.height_px), clip.fps))
    keys |= {"size": (clip.width_px, clip.height_px), "fps": clip.fps}
    return encoder_settings(encoder, load_config({}, environ=False).override("video", **keys).video)


def check_jobs(jobs: int, space: Space) -> int:
    """Return the number of encodings at once; raise InputError if there are too few cores, or several for each."""
    cores = len(usable_cores())
    if not 1 <= jobs <= cores:
        raise InputError(f"jobs: got {jobs}; allowed: 1 to {cores}, each on a core of its own")
    threaded = {"threads", "workers"} & {*space.fixed, *(each.key for each in space.parameters)}
    if jobs > 1 and threaded:
        raise InputError(
            f"jobs: got {jobs}; the space searches {', '.join(sorted(threaded))}, which need every core: run one job"
        )
    return jobs


class Search:
    """A search that adds to a run's file until it is complete, out of time, or stopped."""

    def __init__(
        self,
        store: RunStore,
        clips: Sequence[RawClip],
        space: Space,
        objective: Objective,
        *,
        ffmpeg: FfmpegProgram | None,
        scratch: Path,
        jobs: int = 1,
        progress: OnProgress | None = None,
        stop: threading.Event | None = None,
        afresh: bool = False,
    ) -> None:
        """Prepare a search. With `afresh` the minutes of the objective are this session's alone."""
        self._store, self._space, self._objective = store, space, objective
        self._clips = {clip.name: clip for clip in clips}
        self._ffmpeg, self._scratch, self._jobs = ffmpeg, scratch, check_jobs(jobs, space)
        self._progress, self._stop = progress, stop or threading.Event()
        self._trials = store.trials()
        self._measured = {(each.trial, each.clip, each.repeat): each for each in store.measurements()}
        self._spent, self._begun = 0.0 if afresh else store.seconds(), time.monotonic()
        self._stored_at = self._begun
        self._share = 1.0
        self._planned: dict[Part, int] = {}
        self._done_before = len(self._measured)
        self._unavailable: dict[str, str] = {}
        self._always: set[int] = set()

    def run(self) -> Ended:
        """Search until every trial is done or the time is up; return which.

        Raises CancelledError when `stop` is set, UnavailableError if no encoder of the space works here, and
        RenderingError if nothing can be stored or measured.
        """
        held_out = bool(self._names("held_out"))
        self._settle()
        self._find_encoders()
        self._warm_up()
        ended: Ended = "complete"
        try:
            self._share = TRAINING_SHARE if held_out else 1.0
            try:
                self._grid() if self._objective.strategy == "grid" else self._guided()
            except _TimeIsUpError:
                ended = "time"
            self._share = 1.0
            if held_out:
                self._measure("held_out", self._add("held_out", self._worth_checking()))
        except _TimeIsUpError:
            ended = "time"
        return ended

    def _names(self, part: Part) -> list[str]:
        return [clip.name for clip in self._clips.values() if clip.part == part]

    def _settle(self) -> None:
        """End trials that a file has complete but unfinished, as earlier versions could leave them."""
        for number in self._trials:
            if self._is_complete(number):
                self._end(number, "done")

    def _is_complete(self, number: int) -> bool:
        """Return whether a trial has a first measurement of every clip of its part."""
        return all((number, name, 0) in self._measured for name in self._names(self._trials[number][0]))

    def _find_encoders(self) -> None:
        """Note which encoders of the space do not work here; raise UnavailableError if none does."""
        for name in self._space.encoders():
            try:
                choose_encoding(load_config({}, environ=False).override("video", codec=name).video)
            except UnavailableError as error:
                self._unavailable[name] = str(error)
                logger.warning("%s", error)
        if len(self._unavailable) == len(self._space.encoders()):
            raise UnavailableError("\n".join(self._unavailable.values()))

    def _warm_up(self) -> None:
        """Encode once without counting it, so that files and compiled code are in memory."""
        clip = min(self._clips.values(), key=lambda each: each.frames * each.width_px * each.height_px)
        settings = encoder_settings_of({ENCODER: "libx264", "preset": "ultrafast"}, clip)
        output = self._scratch / "warm-up.mp4"
        run_trial(
            TrialTask(frames=clip.path, segments=clip.segments()[:1], settings=settings, output=output),
            stop=self._stop,
        )
        output.unlink(missing_ok=True)

    def _grid(self) -> None:
        grid = list(self._space.grid())
        if self._objective.trials is not None and self._objective.trials < len(grid):
            # One order whatever the number, so that more trials go on with those of fewer.
            grid = random.Random(self._objective.seed).sample(grid, len(grid))[: self._objective.trials]
        self._measure("training", self._add("training", [*self._space.always_complete(), *grid]))

    def _guided(self) -> None:
        """Measure what is always tried, then what the guide asks for, until there is enough or nothing new."""
        self._always = set(self._add("training", self._space.always_complete()))
        before = [number for number, (part, _, _) in self._trials.items() if part == "training"]
        self._measure("training", before)
        guide = Guide(self._space, self._objective)
        searched = [number for number in before if number not in self._always]
        for number in searched:
            guide.tell(self._trials[number][1], self._reached(number))
        most = self._objective.trials
        while most is None or len(searched) < most:
            count = ASKED_AT_ONCE if most is None else min(ASKED_AT_ONCE, most - len(searched))
            asked = guide.ask(count)
            if not asked:
                return
            numbers = self._add("training", asked)
            searched += numbers
            self._measure("training", numbers)
            for number in numbers:
                guide.tell(self._trials[number][1], self._reached(number))

    def _first_measured(self, number: int) -> dict[str, Measurement]:
        """Return a trial's first measurement of each clip."""
        return {
            name: each
            for (trial, name, repeat), each in self._measured.items()
            if trial == number and repeat == 0
        }

    def _reached(self, number: int) -> Reached | None:
        """Return how far a trial comes; None if it failed. One that was given up comes as far as is likely."""
        status = self._trials[number][2]
        measured = [each for each in self._measured.values() if each.trial == number]
        if status == "done":
            return Reached(reach(self._objective.goals, measured), misses(self._objective, measured))
        better = self._clearly_better(number) if status == "pruned" else None
        if better is None:
            return None
        own, goals = self._first_measured(number), self._objective.goals
        theirs = self._first_measured(better)
        behind = [
            mine - other
            for mine, other in zip(
                reach(goals, own.values()), reach(goals, [theirs[name] for name in own]), strict=True
            )
        ]
        whole = reach(goals, theirs.values())
        values = tuple(value + more for value, more in zip(whole, behind, strict=True))
        return Reached(values, misses(self._objective, list(own.values())))

    def _clearly_better(self, number: int) -> int | None:
        """Return a finished trial that is clearly better in every goal on the clips that a trial has so far."""
        own, goals = self._first_measured(number), self._objective.goals
        reached = reach(goals, own.values())
        for other, (part, _, status) in self._trials.items():
            if part == "training" and status == "done" and other != number:
                theirs = self._first_measured(other)
                if is_hopeless(goals, reached, reach(goals, [theirs[name] for name in own])):
                    return other
        return None

    def _became(self, number: int) -> tuple[Status | None, str | None]:
        """Return what became of a trial and why, after a first measurement; None if it is not at its end.

        A trial of a guided search that is clearly behind another one is given up.
        """
        part, _, status = self._trials[number]
        if status is not None:
            return None, None
        if self._is_complete(number):
            return "done", None
        if part != "training":
            return None, None
        names = self._names("training")
        measured = len(self._first_measured(number))
        searched = self._objective.strategy == "guided" and number not in self._always
        if searched and max(2, len(names) // 3) <= measured < len(names):
            better = self._clearly_better(number)
            if better is not None:
                what = f"trial {better} is better in {', '.join(self._objective.goals)} on {count_text(measured, 'clip')}"
                return "pruned", what
        return None, None

    def _worth_checking(self) -> list[dict[str, Value]]:
        """Return the settings to check on the held-out clips: the front of the training clips, and what is always tried."""
        reached = {
            number: found.values
            for number, (part, _, status) in self._trials.items()
            if part == "training" and status == "done" and (found := self._reached(number))
        }
        numbers = list(reached)
        best = pareto_front(np.array(list(reached.values()))) if reached else ()
        return [*self._space.always_complete(), *(self._trials[numbers[place]][1] for place in best)]

    def _add(self, part: Part, wanted: Iterable[Settings]) -> list[int]:
        """Store the trials that are not yet there; return the numbers of all, each once."""
        known = {
            settings_key(settings): number for number, (of, settings, _) in self._trials.items() if of == part
        }
        unique = {settings_key(settings): dict(settings) for settings in wanted}
        new = {key: settings for key, settings in unique.items() if key not in known}
        for number, (key, settings) in zip(
            self._store.add_trials(part, list(new.values())), new.items(), strict=True
        ):
            known[key] = number
            self._trials[number] = part, settings, None
        return [known[key] for key in unique]

    def _measure(self, part: Part, numbers: Sequence[int]) -> None:
        """Encode clips with trials, as often as asked for, in another order each time."""
        objective, names = self._objective, self._names(part)
        limited = objective.strategy == "guided" and part == "training" and objective.trials is not None
        trials = (objective.trials or 0) + len(self._space.always) if limited else len(numbers)
        self._planned[part] = trials * len(names) * objective.repeats
        for repeat in range(objective.repeats):
            shuffled = random.Random(f"{objective.seed} {part} {repeat}")
            order = shuffled.sample(numbers, len(numbers))
            self._encode_all(
                [
                    _Job(number, name, repeat)
                    for number in order
                    for name in shuffled.sample(names, len(names))
                    if (number, name, repeat) not in self._measured
                ]
            )

    def _encode_all(self, jobs: Sequence[_Job]) -> None:
        step = 1 if self._jobs == 1 else self._jobs * AT_ONCE
        for at in range(0, len(jobs), step):
            self._check_time()
            group = [job for job in jobs[at : at + step] if self._trials[job.trial][2] in (None, "done")]
            for job, encoded in zip(group, self._encode_group(group), strict=True):
                self._finish(job, encoded)
        self._report()

    def _check_time(self) -> None:
        if self._stop.is_set():
            raise CancelledError("the search was stopped")
        minutes = self._objective.minutes
        if minutes is not None and self._elapsed() >= minutes * 60 * self._share:
            raise _TimeIsUpError

    def _elapsed(self) -> float:
        return self._spent + time.monotonic() - self._begun

    def _encode_group(self, group: Sequence[_Job]) -> list[EncodedClip | EncoderError | ConfigError]:
        if self._jobs == 1:
            return [self._encode(job, None) for job in group]
        cores: SimpleQueue[int] = SimpleQueue()
        for core in usable_cores()[: self._jobs]:
            cores.put(core)

        def encode(job: _Job) -> EncodedClip | EncoderError | ConfigError:
            core = cores.get()
            try:
                return self._encode(job, core)
            finally:
                cores.put(core)

        with ThreadPoolExecutor(self._jobs, "trial") as pool:
            try:
                return list(pool.map(encode, group))
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _output(self, job: _Job) -> Path:
        return self._scratch / f"{job.trial}-{list(self._clips).index(job.clip)}.mp4"

    def _encode(self, job: _Job, core: int | None) -> EncodedClip | EncoderError | ConfigError:
        """Return what an encoding took, or why its settings do not work; raise RenderingError for all other faults."""
        clip, settings = self._clips[job.clip], self._trials[job.trial][1]
        encoder = str(settings[ENCODER])
        if encoder in self._unavailable:
            return ConfigError(self._unavailable[encoder])
        try:
            task = TrialTask(
                frames=clip.path,
                segments=clip.segments(float(settings.get("segment_seconds") or MAX_SEGMENT_SECONDS)),
                settings=encoder_settings_of(settings, clip),
                output=self._output(job),
                threads=int(settings.get("threads") or 1),
                workers=int(settings.get("workers") or 1),
                core=core,
            )
            ContentCache.touch(clip.path)
            return run_trial(task, stop=self._stop)
        except FileNotFoundError as error:
            raise RenderingError(
                f"clip {clip.name!r}: its frames are gone from the cache; `tune resume` draws them again"
            ) from error
        except ConfigError as error:
            return error
        except EncoderError as error:
            if error.machine:
                raise
            return error

    def _finish(self, job: _Job, encoded: EncodedClip | EncoderError | ConfigError) -> None:
        """Measure the quality of an encoding and store it, or store that its settings do not work."""
        if not isinstance(encoded, EncodedClip):
            self._end(job.trial, "failed", str(encoded))
            return
        clip, output = self._clips[job.clip], self._output(job)
        known = self._measured.get((job.trial, job.clip, 0))
        quality: Quality | Measurement = known or Quality()
        if known is None and self._ffmpeg is not None:
            quality = measure_quality(
                self._ffmpeg,
                output,
                clip,
                metrics=self._objective.metrics,
                every=self._objective.every,
            )
        output.unlink(missing_ok=True)
        measured = Measurement(
            trial=job.trial,
            clip=job.clip,
            repeat=job.repeat,
            cpu_s=encoded.cpu_s,
            wall_s=encoded.wall_s,
            peak_mb=encoded.peak_mb,
            frames=clip.frames,
            fps=clip.frames / encoded.wall_s,
            bytes=encoded.bytes,
            mbit_s=float(encoded.bytes * 8 / 1_000_000 / clip.seconds),
            **{name: getattr(quality, name) for name in Quality.__dataclass_fields__},
        )
        now = time.monotonic()
        self._measured[job.trial, job.clip, job.repeat] = measured
        status, error = self._became(job.trial) if job.repeat == 0 else (None, None)
        self._store.add_measurement(measured, seconds=now - self._stored_at, status=status, error=error)
        self._stored_at = now
        if status is not None:
            part, settings, _ = self._trials[job.trial]
            self._trials[job.trial] = part, settings, status
        self._report()

    def _end(self, number: int, status: Status, error: str | None = None) -> None:
        part, settings, before = self._trials[number]
        if before is None:
            self._store.end_trial(number, status, error)
            self._trials[number] = part, settings, status

    def _report(self) -> None:
        if self._progress is None:
            return
        ended = {number for number, (_, _, status) in self._trials.items() if status in ("failed", "pruned")}
        done = len([key for key in self._measured if key[0] not in ended])
        without = sum(len(self._names(self._trials[number][0])) * self._objective.repeats for number in ended)
        total = max(done, sum(self._planned.values()) - without)
        made = len(self._measured) - self._done_before
        left = (total - done) * (time.monotonic() - self._begun) / made if made else None
        if self._objective.minutes is not None:
            budget = max(0.0, self._objective.minutes * 60 - self._elapsed())
            left = budget if left is None else min(left, budget)
        self._progress(SearchProgress(done, total, left))
