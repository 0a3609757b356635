"""Choose the settings that are worth trying next, with several goals.

Optuna proposes settings, and more are drawn at random and near the best ones. Of all these, the ones are tried that
would add most to the front by what was measured so far.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.tuning.fronts import pareto_front
from video_pipeline.engine.tuning.objective import Objective
from video_pipeline.engine.tuning.records import Value
from video_pipeline.engine.tuning.samples import Floats
from video_pipeline.engine.tuning.space import Parameter, Settings, Space, Span, settings_key
from video_pipeline.engine.tuning.surrogate import choose_by_gain, fit_surrogate

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS: Final = 16
"""Trials that are chosen at random before others are chosen from their results."""

PROPOSED: Final = 16
DRAWN: Final = 600
VARIED: Final = 600
"""Candidates for the next trials: proposed by Optuna, drawn at random, and varied from those of the front."""

TRIES: Final = 200
"""Choices in a row that were tried before, after which nothing new is left to try."""

ORDERED: Final = frozenset(["preset", "me"])
"""Keys whose values are words in an order, from fast to slow."""

ABSENT: Final = -0.7
"""The feature of a key that is not set beside the others' values."""

MISSES: Final = "misses"


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a trial came towards each goal, lower is better, and by how much it misses each limit."""

    values: tuple[float, ...]
    misses: tuple[float, ...] = ()


def _misses_of(trial: optuna.trial.FrozenTrial) -> tuple[float, ...]:
    return tuple(trial.user_attrs[MISSES])


class _Decks:
    """Values of each parameter in a random order, so that a few settings have all of them, each about as often."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._decks: dict[str, list[Value]] = {}

    def value(self, parameter: Parameter) -> Value:
        """Return the next value of a parameter."""
        deck = self._decks.setdefault(parameter.key, [])
        if not deck:
            values = parameter.values
            if isinstance(values, Span):
                parts = range(STARTUP_TRIALS)
                width = (values.high - values.low) / (STARTUP_TRIALS - 1)
                deck += [values.nearest(values.low + part * width) for part in parts]
            else:
                deck += values
            self._draw.shuffle(deck)
        return deck.pop()


class Guide:
    """A chooser of settings, which is told what became of each. Raises UnavailableError without Optuna."""

    def __init__(self, space: Space, objective: Objective) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UnavailableError(f"guided search needs {the_extra('tune')}") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._seed = space, objective.seed
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
        self._known: dict[str, tuple[Settings, Reached | None]] = {}

    def ask(self, count: int) -> list[dict[str, Value]]:
        """Return up to `count` settings that were not tried yet; none if nothing new is found."""
        worked = [reached for _, reached in self._known.values() if reached is not None]
        draw = random.Random(f"{self._seed} {len(self._known)}")
        if len(worked) < STARTUP_TRIALS:
            decks = _Decks(draw)
            return self._new((self._drawn(decks.value) for _ in range(TRIES)), count)
        candidates = self._candidates(draw)
        if not candidates:
            return []
        rows = np.array([self._features(settings) for settings in candidates])
        tried = np.array(
            [self._features(settings) for settings, reached in self._known.values() if reached is not None]
        )
        values = np.array([reached.values for reached in worked])
        missed = np.array([reached.misses for reached in worked])

        def predict(columns: Floats) -> Floats:
            found = [fit_surrogate(tried, column).predict(rows) for column in columns.T]
            return np.array(found).T if found else np.zeros((len(rows), 0))

        best = choose_by_gain(
            values, predict(values), predict(missed), count=count, seed=len(self._known) + self._seed
        )
        return [candidates[place] for place in best]

    def _candidates(self, draw: random.Random) -> list[dict[str, Value]]:
        """Return settings that were not tried yet, each once."""
        worked = [(settings, reached) for settings, reached in self._known.values() if reached is not None]
        best = [
            worked[place][0] for place in pareto_front(np.array([reached.values for _, reached in worked]))
        ]
        varied = (self._varied(draw, draw.choice(best)) for _ in range(VARIED))
        drawn = (self._drawn(lambda parameter: _draw_value(parameter, draw)) for _ in range(DRAWN))
        found = [*self._proposed(), *varied, *drawn]
        return self._new(found, len(found))

    def _new(self, settings: Iterable[dict[str, Value]], count: int) -> list[dict[str, Value]]:
        """Return the first settings that were not tried yet, each once."""
        found: dict[str, dict[str, Value]] = {}
        for each in settings:
            key = settings_key(each)
            if key not in self._known:
                found.setdefault(key, each)
                if len(found) == count:
                    break
        return list(found.values())

    def _drawn(self, value_of: Callable[[Parameter], Value]) -> dict[str, Value]:
        """Return settings with values that are drawn."""
        chosen: dict[str, Value] = {}
        for parameter in self._space.parameters:
            if parameter.applies({**self._space.fixed, **chosen}):
                chosen[parameter.key] = value_of(parameter)
        return self._space.complete(chosen)

    def _varied(self, draw: random.Random, settings: Settings) -> dict[str, Value]:
        """Return settings in which one to three values are others, at random."""
        changed = set(
            draw.sample(
                range(len(self._space.parameters)), min(draw.randint(1, 3), len(self._space.parameters))
            )
        )
        chosen: dict[str, Value] = {}
        for number, parameter in enumerate(self._space.parameters):
            if not parameter.applies({**self._space.fixed, **chosen}):
                continue
            kept = settings.get(parameter.key) if parameter.applies(settings) else None
            is_new = number in changed or not _has(parameter, kept)
            chosen[parameter.key] = _draw_value(parameter, draw) if is_new else kept
        return self._space.complete(chosen)

    def _proposed(self) -> list[dict[str, Value]]:
        """Return what Optuna would try next."""
        from optuna.trial import TrialState

        found = []
        for _ in range(PROPOSED):
            trial = self._study.ask()
            found.append(self._suggest(trial))
            self._study.tell(trial, state=TrialState.FAIL)  # it counts only if it is tried
        return found

    def _suggest(self, trial: optuna.trial.Trial) -> dict[str, Value]:
        chosen: dict[str, Value] = {}
        for parameter in self._space.parameters:
            if not parameter.applies({**self._space.fixed, **chosen}):
                continue
            values, key = parameter.values, parameter.key
            if isinstance(values, Span):
                number = trial.suggest_float(key, values.low, values.high, step=values.step)
                chosen[key] = values.nearest(number)
            elif _in_order(parameter):
                chosen[key] = values[trial.suggest_int(key, 0, len(values) - 1)]
            else:
                chosen[key] = values[int(trial.suggest_categorical(key, list(range(len(values)))))]
        return self._space.complete(chosen)

    def tell(self, settings: Settings, reached: Reached | None) -> None:
        """Note how far settings came towards the goals; None if they failed."""
        self._known[settings_key(settings)] = settings, reached
        if reached is None:
            return
        self._study.enqueue_trial(self._as_suggested(settings))
        trial = self._study.ask()
        self._suggest(trial)
        trial.set_user_attr(MISSES, list(reached.misses))
        self._study.tell(trial, list(reached.values))

    def _as_suggested(self, settings: Settings) -> dict[str, Any]:
        """Return what Optuna would have to choose for these settings."""
        return {
            parameter.key: value if isinstance(parameter.values, Span) else parameter.values.index(value)
            for parameter in self._space.parameters
            if parameter.applies(settings)
            for value in [settings.get(parameter.key)]
        }

    def _features(self, settings: Settings) -> list[float]:
        """Return settings as numbers from 0 to 1: one for a key whose values are in an order, else one for each value."""
        found: list[float] = []
        for parameter in self._space.parameters:
            values, value = parameter.values, settings.get(parameter.key)
            applies = parameter.applies(settings)
            if isinstance(values, Span):
                extent = values.high - values.low
                found.append((float(value) - values.low) / extent if applies and extent else ABSENT)  # type: ignore[arg-type]
            elif _in_order(parameter) or len(values) < 3:
                found.append(values.index(value) / max(1, len(values) - 1) if applies else ABSENT)
            else:
                found += [float(applies and each == value) for each in values]
        return found


def _in_order(parameter: Parameter) -> bool:
    """Return whether values that follow each other are alike: numbers, and words from fast to slow."""
    if isinstance(parameter.values, Span):
        return True
    values = parameter.values
    return len(values) > 2 and (parameter.key in ORDERED or all(_is_numeric(value) for value in values))


def _is_numeric(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has(parameter: Parameter, value: Value) -> bool:
    """Return whether a value is one of a parameter's."""
    if isinstance(parameter.values, Span):
        return _is_numeric(value)
    return value in parameter.values


def _draw_value(parameter: Parameter, draw: random.Random) -> Value:
    values = parameter.values
    if not isinstance(values, Span):
        return draw.choice(values)
    if values.step is not None:
        return values.number_at(draw.randrange(values.count()))
    return values.nearest(draw.uniform(values.low, values.high))
