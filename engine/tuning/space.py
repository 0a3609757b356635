"""A search space: which values of the keys of `video` to try together, declared in YAML or in Python."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.encoder_keys import RATE_KEYS
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.profiles import profile_of, read_choice
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.render.encoders.options import OPTIONS
from video_pipeline.engine.tuning.records import Value

SPACES: Final = Path(__file__).parent / "spaces"

ENCODER: Final = "encoder"
DEFAULT_ENCODER: Final = "libx264"
PROFILE: Final = "profile"

OWN_KEYS: Final[Mapping[str, tuple[float, float]]] = {
    "segment_seconds": (0.1, 60),
    "threads": (1, 64),
    "workers": (1, 64),
}
"""Keys that are not of `video`, with their bounds: length of a segment, threads of its encoder, segments at once."""

MOST_GRID: Final = 100_000

QUALITY: Final = "quality"
"""The key of `video` that is no setting of an encoder: a render chooses a crf of each segment for it."""

NOT_SEARCHED: Final = "a render chooses the crf of each segment for a quality; search crf instead"

NEVER_NULL: Final = frozenset([ENCODER, "preset", "gop"])
"""Keys that have no value of the preset's own, which null would mean."""

Settings = Mapping[str, Value]


def settings_key(settings: Settings) -> str:
    """Return the same text for the same settings."""
    return json.dumps(dict(settings), sort_keys=True)


def space_keys() -> tuple[str, ...]:
    """Return the keys that a space may search."""
    return (ENCODER, *(row.key for row in OPTIONS if row.key != QUALITY), *OWN_KEYS)


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `low` to `high`, both included; with `step` only those, and a grid needs it."""

    low: float
    high: float
    step: float | None = None

    def count(self) -> int:
        """Return how many numbers a span with a step has."""
        assert self.step is not None
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def numbers(self) -> tuple[float, ...]:
        """Return the numbers of a span with a step."""
        return tuple(map(self.number_at, range(self.count())))

    def number_at(self, place: int) -> float:
        """Return a number of a span with a step by its place, as it is written in settings: whole, or to nine places."""
        assert self.step is not None
        number = round(self.low + place * self.step, 9)
        return int(number) if self.is_whole() else number

    def nearest(self, number: float) -> float:
        """Return the number of the span that is nearest, as it is written in settings."""
        if self.step is not None:
            place = math.ceil((number - self.low) / self.step - 0.5)
            return self.number_at(min(max(place, 0), self.count() - 1))
        return round(number) if self.is_whole() else round(number, 9)

    def is_whole(self) -> bool:
        """Return whether all numbers are whole: those of a span with bounds and step that are written so."""
        return all(
            isinstance(part, int) for part in (self.low, self.high, 1 if self.step is None else self.step)
        )


@dataclass(frozen=True, slots=True)
class Parameter:
    """A key and its values. It is only set if, for each key of `when`, that key has one of the values there."""

    key: str
    values: tuple[Value, ...] | Span
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def applies(self, chosen: Settings) -> bool:
        """Return whether the parameter is set beside the values chosen before it."""
        return all(chosen.get(key) in values for key, values in self.when.items())

    def each(self) -> tuple[Value, ...]:
        """Return every value; a span has a step."""
        return self.values.numbers() if isinstance(self.values, Span) else self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Parameters in the order in which they are chosen, and settings that are tried in every run.

    `fixed` holds for all trials but those of `always`.
    """

    name: str
    parameters: tuple[Parameter, ...]
    always: tuple[Settings, ...] = ()
    fixed: Settings = field(default_factory=dict)

    def grid(self) -> tuple[dict[str, Value], ...]:
        """Return every combination once; raise ConfigError for a span without a step, or if they are too many."""
        for parameter in self.parameters:
            if isinstance(parameter.values, Span) and parameter.values.step is None:
                raise ConfigError(
                    f"space {self.name}: {parameter.key}: from and to without step; a grid needs `step`, or a list"
                )
        found = tuple(itertools.islice(self.combinations(), MOST_GRID + 1))
        if len(found) > MOST_GRID:
            raise ConfigError(
                f"space {self.name}: has more than {MOST_GRID} combinations; search it guided, or with fewer values"
            )
        return found if self.parameters else ()

    def combinations(self) -> Iterator[dict[str, Value]]:
        """Yield every combination; spans have a step."""
        return self._combined({}, self.parameters)

    def _combined(self, chosen: dict[str, Value], rest: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
        if not rest:
            yield self.complete(chosen)
            return
        first, *others = rest
        if not first.applies({**self.fixed, **chosen}):
            yield from self._combined(chosen, others)
            return
        for value in first.each():
            yield from self._combined({**chosen, first.key: value}, others)

    def complete(self, chosen: Settings) -> dict[str, Value]:
        """Return the settings of a trial: with its encoder, without keys that are null, which leave the preset's value."""
        return _settled({**self.fixed, **chosen})

    def always_complete(self) -> tuple[dict[str, Value], ...]:
        """Return the settings that are tried in every run."""
        return tuple(map(_settled, self.always))

    def encoders(self) -> tuple[str, ...]:
        """Return the encoders that trials can have, each once."""
        searched = [value for each in self.parameters if each.key == ENCODER for value in each.each()]
        fixed = () if searched or not self.parameters else (_settled(self.fixed)[ENCODER],)
        named = (*searched, *fixed, *(_settled(settings)[ENCODER] for settings in self.always))
        return tuple(dict.fromkeys(str(name or DEFAULT_ENCODER) for name in named))

    def describe(self) -> dict[str, Any]:
        """Return the space as plain values, in the form of its file."""

        def values(parameter: Parameter) -> Any:
            if isinstance(parameter.values, Span):
                span = parameter.values
                plain: Any = {"from": span.low, "to": span.high}
                plain |= {} if span.step is None else {"step": span.step}
            elif not parameter.when:
                return list(parameter.values)
            else:
                plain = {"values": list(parameter.values)}
            conditions = {key: list(allowed) for key, allowed in parameter.when.items()}
            return plain | ({"when": conditions} if conditions else {})

        return {
            "name": self.name,
            "fixed": dict(self.fixed),
            "search": {parameter.key: values(parameter) for parameter in self.parameters},
            "always": [dict(settings) for settings in self.always],
        }


def _settled(settings: Settings) -> dict[str, Value]:
    """Return settings with their encoder, without keys that are null, and with a profile's keys in its place.

    A key that is given has its own value, null as well, and not the profile's.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    choice = given.pop(PROFILE, None)
    profile = None if choice is None else profile_of(read_choice(choice))
    if profile is not None:
        rated = any(key in given for key in RATE_KEYS)
        keys = {
            key: value
            for key, value in profile.keys().items()
            if value is not None and key not in settings and not (rated and key in RATE_KEYS)
        }
        given = {**keys, **given}
    return {ENCODER: DEFAULT_ENCODER, **given}


def space_names() -> tuple[str, ...]:
    """Return the names of the spaces that the package has."""
    return tuple(sorted(path.stem for path in SPACES.glob("*.yaml")))


def load_space(source: str | Path | Mapping[str, Any]) -> Space:
    """Return a space by its name, from its YAML file, or from such data; raise ConfigError."""
    if isinstance(source, Mapping):
        return parse_space(source, where="space")
    names = space_names()
    path = SPACES / f"{source}.yaml" if str(source) in names else Path(source)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    if not is_yaml or not path.is_file():
        missing = ", which is no file" if is_yaml else closest(str(source), names)
        raise ConfigError(
            f"space: got {str(source)!r}{missing}; allowed: {', '.join(names)}, or a file that ends in .yaml"
        )
    try:
        data = read_document(path, "yaml")
    except DocumentError as error:
        raise ConfigError(f"space {error}") from error
    if not isinstance(data, Mapping):
        raise ConfigError(f"space {path}: got {type(data).__name__}; allowed: a mapping with `search`")
    return parse_space({"name": path.stem, **data}, where=f"space {path}")


def parse_space(data: Mapping[str, Any], *, where: str) -> Space:
    """Return a space from plain data; raise ConfigError naming the place."""
    known = ("name", "description", "fixed", "search", "always")
    for key in data:
        if key not in known:
            raise ConfigError(
                f"{where}: {key}: unknown key{closest(str(key), known)}; known keys: {', '.join(known)}"
            )
    search, fixed, always = data.get("search") or {}, data.get("fixed") or {}, data.get("always") or []
    if not isinstance(search, Mapping) or not isinstance(fixed, Mapping):
        raise ConfigError(f"{where}: search, fixed: allowed: mappings of keys")
    if not isinstance(always, list) or not all(isinstance(each, Mapping) for each in always):
        raise ConfigError(f"{where}: always: got {show(always)}; allowed: a list of mappings")
    if not search and not always:
        raise ConfigError(f"{where}: search: is missing; it names the keys to search")
    parameters: list[Parameter] = []
    for key, written in search.items():
        place = f"{where}: search.{key}"
        _check_space_key(key, place)
        if key in fixed:
            raise ConfigError(f"{place}: is in `fixed` too; give it once")
        parameters.append(_parameter(str(key), written, place, (*fixed, *(each.key for each in parameters))))
    named = [("fixed", fixed), *((f"always[{number}]", settings) for number, settings in enumerate(always))]
    for place, settings in named:
        for key, value in settings.items():
            _check_space_key(key, f"{where}: {place}.{key}", PROFILE)
            check_value(str(key), value, f"{where}: {place}.{key}")
    whole = [*named[1:], *([("search", {**fixed, **search})] if search else [])]
    for place, settings in whole:
        if settings.get("preset") is None and settings.get(PROFILE) is None:
            raise ConfigError(
                f"{where}: {place}: preset is missing; each trial names its preset, or a profile"
            )
        _check_profile_rate(settings, f"{where}: {place}")
    space = Space(
        name=str(data.get("name", "unnamed")),
        parameters=tuple(parameters),
        always=tuple({**each} for each in always),
        fixed=MappingProxyType(dict(fixed)),
    )
    for place, settings in named[1:]:
        _check_one_rate(settings, f"{where}: {place}")
    for settings in _chosen_rates(space):
        _check_one_rate(settings, f"{where}: search")
    return space


def _check_profile_rate(settings: Mapping[str, Any], place: str) -> None:
    """Raise ConfigError if the rate of some settings is the quality of their profile."""
    choice = settings.get(PROFILE)
    profile = None if choice is None else profile_of(read_choice(choice))
    if profile is None or profile.keys()[QUALITY] is None:
        return
    if all(key not in settings or None in _as_values(settings[key]) for key in RATE_KEYS):
        raise ConfigError(
            f"{place}.profile: got {profile.name!r}, which has a quality; {NOT_SEARCHED}, or give it beside the profile"
        )


def _check_one_rate(settings: Settings, place: str) -> None:
    crf, bitrate = settings.get("crf"), settings.get("bitrate")
    if crf is not None and bitrate is not None:
        raise ConfigError(f"{place}: crf: got {crf!r} and bitrate: {bitrate!r}; give one of them")


def _chosen_rates(space: Space) -> Iterator[Settings]:
    """Yield the combinations of crf and bit rate that a space has, with one number of a span."""
    wanted = {"crf", "bitrate"}
    chosen: list[Parameter] = []
    for parameter in reversed(space.parameters):
        if parameter.key in wanted:
            wanted |= parameter.when.keys()
            values = parameter.values
            chosen.insert(
                0, replace(parameter, values=(values.low,)) if isinstance(values, Span) else parameter
            )
    rates = replace(space, parameters=tuple(chosen), fixed={**space.fixed, PROFILE: None})
    return itertools.islice(rates.combinations(), MOST_GRID)


def _check_space_key(key: Any, place: str, *others: str) -> None:
    if key == QUALITY:
        raise ConfigError(f"{place}: is no key of a space: {NOT_SEARCHED}")
    known = (*space_keys(), *others)
    if key not in known:
        raise ConfigError(f"{place}: unknown key{closest(str(key), known)}; known keys: {', '.join(known)}")


def _parameter(key: str, written: Any, place: str, before: Sequence[str]) -> Parameter:
    fields = dict(written) if isinstance(written, Mapping) else {"values": written}
    when = fields.pop("when", {})
    if not isinstance(when, Mapping):
        raise ConfigError(f"{place}.when: got {show(when)}; allowed: a mapping from keys to their values")
    for other in when:
        if other not in before:
            raise ConfigError(
                f"{place}.when: got {other!r}{closest(str(other), before)}; allowed: keys before it: "
                f"{', '.join(before) or 'none'}"
            )
    conditions = {str(other): _as_values(values) for other, values in when.items()}
    if set(fields) == {"values"}:
        values = _as_values(fields["values"])
        if not values or len(set(map(repr, values))) < len(values):
            raise ConfigError(
                f"{place}: got {show(fields['values'])}; allowed: at least one value, each once"
            )
        for value in values:
            check_value(key, value, place)
        return Parameter(key, values, conditions)
    if not {"from", "to"} <= set(fields) <= {"from", "to", "step"}:
        raise ConfigError(f"{place}: got {show(written)}; allowed: a list, values, or from, to and step")
    numbers = [fields["from"], fields["to"], fields.get("step")]
    for number in numbers[: 2 if numbers[2] is None else 3]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise ConfigError(f"{place}: got {show(number)}; allowed: a number")
    low, high, step = numbers
    if high < low or (step is not None and step <= 0):
        raise ConfigError(f"{place}: got {show(written)}; allowed: from up to `to`, with a step above 0")
    if step is not None and (high - low) / step > MOST_GRID:
        raise ConfigError(f"{place}: has more than {MOST_GRID} combinations; give a larger step")
    for number in (low, high):
        check_value(key, number, place)
    return Parameter(key, Span(low, high, step), conditions)


def _as_values(written: Any) -> tuple[Value, ...]:
    return tuple(written) if isinstance(written, list | tuple) else (written,)


def check_value(key: str, value: Any, place: str) -> None:
    """Raise ConfigError for a value that no encoder has; whether one refuses it is known when it is tried."""
    if value is not None and not isinstance(value, str | int | float | bool):
        raise ConfigError(f"{place}: got {show(value)}; allowed: text, numbers, true, false, null")
    if value is None:
        if key in NEVER_NULL:
            raise ConfigError(f"{place}: got null; a trial has one, and no preset has it")
        return
    if key == ENCODER:
        names = tuple(member.name for member in ENCODERS.members)
        if value not in names:
            raise ConfigError(
                f"{place}: got {value!r}{closest(str(value), names)}; allowed: {', '.join(names)}"
            )
    elif key in OWN_KEYS:
        low, high = OWN_KEYS[key]
        whole = key != "segment_seconds"
        wrong = isinstance(value, bool) or not isinstance(value, int if whole else int | float)
        if wrong or not low <= value <= high:  # type: ignore[operator]
            raise ConfigError(f"{place}: got {value!r}; allowed: {low:g} to {high:g}")
    else:
        given: dict[str, Any] = {key: value}
        try:
            load_config({}, environ=False).override("video", **given)
        except ConfigError as error:
            message = str(error).removeprefix(f"option: video.{key}: ")
            raise ConfigError(f"{place}: {message}") from error
