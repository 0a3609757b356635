"""What each platform allows, as a table with sources, and the reasons why a video does not fit.

The tables are YAML files in the folder `rules`: a fact, its bounds, where the rule is stated and when it was read there.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from video_pipeline.engine.common.documents import read_document
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import between
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.facts import Fact, Facts

RULES_FOLDER: Final = Path(__file__).resolve().with_name("rules")
PLATFORM_RULES: Final = ("reels", "shorts", "stories", "tiktok", "youtube")
RULES_OF: Final = {"instagram": "reels"}
"""Publishers whose posts have the rules of another name, unless they are of another kind."""

Severity = Literal["error", "warning"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleSource(_Table):
    """Where a rule is stated, and when it was read there; without a date it is as commonly known, and was not read."""

    url: str
    date: datetime.date | None = None


class PlatformRule(_Table):
    """One rule: the bounds of a fact. A fact that is not known breaks none."""

    fact: str
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[Fact, ...] | None = None
    unit: str = ""
    severity: Severity = "error"
    source: str
    remedy: str

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.one_of is None) == (self.at_least is None and self.at_most is None):
            raise ValueError("a rule has either `one_of`, or `at_least` and `at_most`")
        return self

    def allows(self, value: Fact) -> bool:
        """Return whether a value is within the bounds."""
        if self.one_of is not None:
            return value in self.one_of
        number = float(value)
        return (self.at_least is None or number >= self.at_least) and (
            self.at_most is None or number <= self.at_most
        )

    @property
    def limit(self) -> str:
        """The bounds in words."""
        if self.one_of is not None:
            return " or ".join(_fact_words(value) for value in self.one_of)
        low, high = (
            None if bound is None else _bound_words(bound) for bound in (self.at_least, self.at_most)
        )
        return between(low, high, unit=self.unit)


class PlatformTable(_Table):
    """A platform's rules, the publisher that posts there, and the configuration with which a render fits the rules."""

    platform: str
    publisher: str
    title: str
    inherits: str | None = None
    sources: dict[str, RuleSource]
    render: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rules: Annotated[tuple[PlatformRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sourced(self) -> Self:
        if missing := {rule.source for rule in self.rules} - set(self.sources):
            raise ValueError(f"no source is named {', '.join(sorted(missing))}")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a video does not fit a platform. With `severity` warning it is accepted, or shown worse."""

    platform: str
    rule: str
    value: Fact
    limit: str
    severity: Severity
    remedy: str
    source: str
    date: datetime.date | None

    def __str__(self) -> str:
        words = self.rule.replace("_", " ")
        return (
            f"{self.severity}: {words}: got {_fact_words(self.value)}; allowed: {self.limit}: {self.remedy}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "platform": self.platform,
            "rule": self.rule,
            "value": self.value,
            "limit": self.limit,
            "severity": self.severity,
            "remedy": self.remedy,
            "source": self.source,
            "date": self.date.isoformat() if self.date else None,
        }


@cache
def platform_table(platform: str) -> PlatformTable:
    """Return a platform's table with the rules that it inherits; raise InputError for an unknown platform."""
    platform = RULES_OF.get(platform, platform)
    if platform not in PLATFORM_RULES:
        allowed = sorted((*PLATFORM_RULES, *RULES_OF))
        none = "; it takes any video" if platform in PUBLISHERS.names else closest(platform, allowed)
        raise InputError(f"platform: got {platform!r}{none}; allowed: {', '.join(allowed)}")
    table = PlatformTable.model_validate(read_document(RULES_FOLDER / f"{platform}.yaml", "yaml"))
    if table.inherits is None:
        return table
    above = platform_table(table.inherits)
    return table.model_copy(
        update={"rules": (*above.rules, *table.rules), "sources": {**above.sources, **table.sources}}
    )


def check_facts(platform: str, facts: Facts) -> list[Reason]:
    """Return the reasons why facts do not fit a platform, errors first; empty if they fit."""
    table = platform_table(platform)
    reasons = [
        Reason(
            platform=platform,
            rule=rule.fact,
            value=facts[rule.fact],
            limit=rule.limit,
            severity=rule.severity,
            remedy=rule.remedy,
            source=table.sources[rule.source].url,
            date=table.sources[rule.source].date,
        )
        for rule in table.rules
        if rule.fact in facts and not rule.allows(facts[rule.fact])
    ]
    return sorted(reasons, key=lambda reason: reason.severity)


def render_settings(platform: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the configuration with which a render fits a platform."""
    return platform_table(platform).render


def _bound_words(value: float) -> str:
    return f"{value:,.6g}" if value < 10_000 else f"{value:,.0f}"


def _fact_words(value: Fact) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _bound_words(value) if isinstance(value, int | float) else str(value)
