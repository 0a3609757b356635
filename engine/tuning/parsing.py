"""Check what the file of a run says, before anything is computed from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from video_pipeline.engine.common.validation import path_text, show
from video_pipeline.engine.errors import ConfigError, InputError
from video_pipeline.engine.tuning.records import Measurement, RunData
from video_pipeline.engine.tuning.space import OWN_KEYS, check_value

MEASURED: Final = ("cpu_s", "wall_s", "frames", "fps", "bytes", "mbit_s")
"""Fields of a measurement that are above zero."""

COMPUTED_WITH: Final = ("crf", "bitrate", *OWN_KEYS)
"""Settings whose values the answers compute with."""

_NAMES: Final = tuple(field.name for field in dataclasses.fields(Measurement))


def parse_run(fields: Mapping[str, Any], *, path: Path) -> RunData:
    """Return a run from the plain values of its file.

    Raises InputError naming the file and the place if they have the wrong form, contradict each other or cannot be true.
    """
    try:
        data = TypeAdapter(RunData).validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InputError(f"run {path}: {path_text(first['loc'])}: {first['msg']}") from error
    _check_clips(data, path)
    _check_trials(data, path)
    _check_measurements(data, path)
    return data


def _check_clips(data: RunData, path: Path) -> None:
    clips = data.run.material.get("clips", [])
    if not isinstance(clips, list | tuple):
        raise InputError(f"run {path}: material.clips: got {show(clips)}; a list is needed")
    for number, clip in enumerate(clips):
        if not isinstance(clip, Mapping) or not isinstance(clip.get("name"), str):
            raise InputError(
                f"run {path}: material.clips[{number}]: got {show(clip)}; a clip with its name is needed"
            )


def _check_trials(data: RunData, path: Path) -> None:
    if len({trial.number for trial in data.trials}) != len(data.trials):
        raise InputError(f"run {path}: trials: a number is given twice")
    for trial in data.trials:
        for key in COMPUTED_WITH:
            try:
                check_value(key, trial.settings.get(key), f"run {path}: trial {trial.number}: {key}")
            except ConfigError as error:
                raise InputError(str(error)) from error


def _check_measurements(data: RunData, path: Path) -> None:
    known = {trial.number for trial in data.trials}
    seen: set[tuple[int, str, int]] = set()
    for each in data.measurements:
        place = f"run {path}: measurement of trial {each.trial}, clip {each.clip!r}, repeat {each.repeat}"
        if each.trial not in known:
            raise InputError(f"{place}: the run has no such trial")
        if (each.trial, each.clip, each.repeat) in seen:
            raise InputError(f"{place}: is there twice")
        seen.add((each.trial, each.clip, each.repeat))
        for name in _NAMES:
            value = getattr(each, name)
            if isinstance(value, int | float) and not math.isfinite(value):
                raise InputError(f"{place}: {name}: got {value}; a finite number is needed")
            if name in MEASURED and value <= 0:
                raise InputError(f"{place}: {name}: got {value}; a number above 0 is needed")
