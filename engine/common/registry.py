"""Families of interchangeable parts: compositors, encoders, speech and image services.

A family is a table of constant records. Its names feed the configuration, the schema and `--help`; each record
names the module that implements it, so that listing a family imports none of its members. The records are tuples, not
dataclasses, whose module would take a tenth of the time of `--help`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.errors import UnavailableError

PACKAGE = "video_pipeline.engine"

LOG_LINES = 12


class Member(NamedTuple):
    """One member of a family: its name in the configuration, what it does, and what it needs to work.

    `record` is the object that implements it, as `module:NAME` below `video_pipeline.engine`; None for a
    name that is reserved and not implemented in this version. One that is `by_name_only` is never taken by `auto`.
    """

    name: str
    summary: str
    needs: str
    record: str | None
    by_name_only: bool = False


class Probe(NamedTuple):
    """Whether a member works on this machine, and the reason. `log` holds program output that explains it.

    With `machine` it may work later, for example when another program has ended.
    """

    name: str
    works: bool
    reason: str
    log: str = ""
    machine: bool = False


class Selection(NamedTuple):
    """The member that a render uses, and the reason. The selection is made once, before rendering.

    `log` has the program output of preferred members that do not work here.
    """

    name: str
    reason: str
    log: tuple[str, ...] = ()


def last_lines(log: str) -> list[str]:
    """Return the last lines of a program's output that say anything."""
    return [line.strip() for line in log.splitlines() if line.strip()][-LOG_LINES:]


class Family(NamedTuple):
    """The members of one kind, preferred ones first.

    `kind` names it in errors, `key` is the configuration key that chooses a member, and `words` are the
    values of that key that name no member, such as `auto`.
    """

    kind: str
    key: str
    members: tuple[Member, ...]
    words: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every value of the key, words first."""
        return (*self.words, *(member.name for member in self.members))

    def summary(self) -> str:
        """Return one sentence on the members, for help texts."""
        parts = [f"{member.name} ({member.summary})" for member in self.members]
        return ", ".join([*self.words, *parts])

    def member(self, name: str) -> Member:
        """Return a member by its name; raise UnavailableError for a name that the family lacks."""
        for member in self.members:
            if member.name == name:
                return member
        raise UnavailableError(
            f"{self.key}: got {name!r}{closest(name, self.names)}; allowed: {', '.join(self.names)}"
        )

    def load(self, name: str) -> Any:
        """Import and return the record of a member.

        Raises UnavailableError if this version does not implement it or a package that it needs is missing.
        """
        member = self.member(name)
        if member.record is None:
            raise UnavailableError("it is not part of this version")
        module, _, attribute = member.record.partition(":")
        try:
            return getattr(import_module(f"{PACKAGE}.{module}"), attribute)
        except ImportError as error:
            raise UnavailableError(f"it needs {member.needs}") from error

    def select(self, wanted: str, probe: Callable[[str], Probe]) -> Selection:
        """Return the member to use: the one asked for by name, or with `auto` the first that works.

        Raises UnavailableError if the one asked for, or with `auto` every one, does not work here.
        """
        if wanted == "auto":
            skipped: list[str] = []
            log: list[str] = []
            for member in self.members:
                if member.by_name_only:
                    continue
                found = probe(member.name)
                if found.works:
                    return Selection(found.name, "; ".join(skipped) or found.reason, tuple(log))
                if member.record is not None:
                    skipped.append(f"{member.name} is not usable: {found.reason}")
                    log += [f"{member.name}: {line}" for line in last_lines(found.log)]
            raise UnavailableError(f"no {self.kind} is usable here: {'; '.join(skipped)}")
        self.member(wanted)
        found = probe(wanted)
        if found.works:
            return Selection(wanted, "asked for by name")
        usable = [
            member.name
            for member in self.members
            if member.name != wanted and not member.by_name_only and probe(member.name).works
        ]
        lines = last_lines(found.log)
        raise UnavailableError(
            "\n  ".join(
                [
                    f"{self.key}: got {wanted!r}, which is not usable here: {found.reason}; "
                    f"allowed on this machine: {', '.join(['auto', *usable])}",
                    *lines,
                ]
            ),
            log=lines,
            machine=found.machine,
        )
