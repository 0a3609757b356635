"""Choose the settings that are worth trying next, with several goals (Optuna)."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.tuning.objective import Objective
from video_pipeline.engine.tuning.records import Value
from video_pipeline.engine.tuning.space import Settings, Space, Span

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS: Final = 16
"""Trials that are chosen at random before others are chosen from their results."""

ORDERED: Final = frozenset(["preset", "me"])
"""Keys whose values are words in an order, from fast to slow."""

TRIES: Final = 200
"""Choices in a row that were tried before, after which nothing new is left to try."""


MISSES: Final = "misses"


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a trial came towards each goal, lower is better, and by how much it misses each limit."""

    values: tuple[float, ...]
    misses: tuple[float, ...] = ()


def _misses_of(trial: optuna.trial.FrozenTrial) -> tuple[float, ...]:
    return tuple(trial.user_attrs[MISSES])


class Guide:
    """A chooser of settings, which is told what became of each. Raises UnavailableError without Optuna."""

    def __init__(self, space: Space, objective: Objective) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UnavailableError(
                "guided search needs Optuna: pip install 'video-pipeline[tune]'"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        limited = objective.min_vmaf is not None or objective.max_mbit_s is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP_TRIALS,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=objective.seed,
                constraints_func=_misses_of if limited else None,
            )
        self._study = optuna.create_study(directions=["minimize"] * len(objective.goals), sampler=sampler)
        self._asked: dict[str, list[optuna.trial.Trial]] = {}
        self._known: dict[str, Reached | None] = {}

    def ask(self, count: int) -> list[dict[str, Value]]:
        """Return up to `count` settings that were not tried yet; none if nothing new is found."""
        found: dict[str, dict[str, Value]] = {}
        for _ in range(TRIES):
            if len(found) == count:
                break
            trial = self._study.ask()
            settings = self._suggest(trial)
            key = json.dumps(settings, sort_keys=True)
            if key in self._known:
                self._end(trial, self._known[key])
                continue
            self._asked.setdefault(key, []).append(trial)
            found.setdefault(key, settings)
        return list(found.values())

    def _suggest(self, trial: optuna.trial.Trial) -> dict[str, Value]:
        chosen: dict[str, Value] = {}
        for parameter in self._space.parameters:
            if not parameter.applies({**self._space.fixed, **chosen}):
                continue
            values = parameter.values
            if not isinstance(values, Span):
                chosen[parameter.key] = values[self._suggest_place(trial, parameter.key, values)]
            elif values.is_whole():
                step, low, high = int(values.step or 1), int(values.low), int(values.high)
                chosen[parameter.key] = trial.suggest_int(parameter.key, low, high, step=step)
            else:
                number = trial.suggest_float(parameter.key, values.low, values.high, step=values.step)
                chosen[parameter.key] = round(number, 9)
        return self._space.complete(chosen)

    @staticmethod
    def _suggest_place(trial: optuna.trial.Trial, key: str, values: tuple[Value, ...]) -> int:
        """Return the place of a value: values in an order, such as numbers and presets, lie beside each other."""
        places = range(len(values))
        if len(values) > 2 and (key in ORDERED or all(_is_number(value) for value in values)):
            return trial.suggest_int(key, 0, len(values) - 1)
        return int(trial.suggest_categorical(key, list(places)))

    def tell(self, settings: Settings, reached: Reached | None) -> None:
        """Note how far settings came towards the goals; None if they failed."""
        key = json.dumps(dict(settings), sort_keys=True)
        self._known[key] = reached
        trials = self._asked.pop(key, [])
        if not trials:  # tried by an earlier process
            self._study.enqueue_trial(self._as_suggested(settings))
            trials = [self._study.ask()]
            self._suggest(trials[0])
        for trial in trials:
            self._end(trial, reached)

    def _as_suggested(self, settings: Settings) -> dict[str, Any]:
        """Return what Optuna would have to choose for these settings."""
        suggested: dict[str, Any] = {}
        for parameter in self._space.parameters:
            if parameter.applies(settings):
                value = settings.get(parameter.key)
                values = parameter.values
                suggested[parameter.key] = value if isinstance(values, Span) else values.index(value)
        return suggested

    def _end(self, trial: optuna.trial.Trial, reached: Reached | None) -> None:
        from optuna.trial import TrialState

        if reached is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr(MISSES, list(reached.misses))
            self._study.tell(trial, list(reached.values))


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
