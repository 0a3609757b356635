"""Services that are asked in order, until one of them answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from video_pipeline.engine.common.registry import Family
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.errors import AssetError, PipelineError, ServiceError, UnavailableError

Opened = TypeVar("Opened")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOrder(Generic[Opened]):
    """Services, preferred ones first, each opened when it is first needed. Thread-safe.

    A service that fails for more than one request is not asked again in this render, so that each scene does not wait for
    it anew. Besides ServiceError and UnavailableError those of `closing` say so. One of `refusals` is about a single
    request: the next service is asked. One of `passed_on` ends the asking, as any other error does.

    `open_service` opens a service by its name; `failure` is the error if none can.
    """

    names: tuple[str, ...]
    open_service: Callable[[str], Opened]
    failure: type[AssetError]
    closing: tuple[type[AssetError], ...] = ()
    refusals: tuple[type[AssetError], ...] = ()
    passed_on: tuple[type[AssetError], ...] = ()
    _open: dict[str, Opened] = field(default_factory=dict)
    _closed: dict[str, str] = field(default_factory=dict)
    _passing: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def closed(self) -> Mapping[str, str]:
        """The services that are not asked again, and why."""
        with self._lock:
            return dict(self._closed)

    @property
    def usable(self) -> tuple[str, ...]:
        """The services that are still asked."""
        closed = self.closed
        return tuple(name for name in self.names if name not in closed)

    @property
    def _ending(self) -> tuple[type[PipelineError], ...]:
        """The errors after which a service is not asked again, unless one is about a single request."""
        return (UnavailableError, ServiceError, *self.closing)

    def opened(self, name: str) -> Opened:
        """Return a service; raise ServiceError if it is not asked again, or what `open_service` raises."""
        with self._lock:
            if name in self._closed:
                raise ServiceError(self._closed[name], kind="denied")
            if name not in self._open:
                self._open[name] = self.open_service(name)
            return self._open[name]

    def already_open(self, name: str) -> Opened | None:
        """Return a service, or None if it has not been needed."""
        with self._lock:
            return self._open.get(name)

    def close(self, name: str, reason: str) -> bool:
        """Do not ask a service again; return False if another scene has found that out."""
        with self._lock:
            is_new = name not in self._closed
            self._closed.setdefault(name, reason)
            return is_new

    def first_open(self, names: Iterable[str]) -> str | None:
        """Return the first service that could be asked here, as far as that is known without asking it."""
        for name in names:
            try:
                self.opened(name)
            except self._ending:
                continue
            return name
        return None

    def first_answer(self, ask: Callable[[str], Made]) -> tuple[Made, tuple[str, ...]]:
        """Return what the first service that can makes, and why those before it did not.

        Raises `failure` with every reason if none can. It is not permanent if a service was only unreachable or busy, so
        that a node tries the job again.
        """
        skipped: list[str] = []
        reasons: list[str] = []
        for name in self.names:
            if name in self.closed:
                skipped.append(self.closed[name])
                continue
            try:
                return ask(name), tuple(reasons)
            except self.passed_on:
                raise
            except self._ending as error:
                reason = f"{name}: {error}" if isinstance(error, UnavailableError) else str(error)
                kind = getattr(error, "kind", "")
                if kind == "busy":
                    self._passing.add(name)
                is_known = kind != "rejected" and not self.close(name, reason)
                (skipped if is_known else reasons).append(reason)
            except self.refusals as error:
                reasons.append(str(error))
        raise self.failure("; ".join([*skipped, *reasons]), permanent=not self._passing)

    def why_unusable(self, name: str, *, family: Family) -> str | None:
        """Return why a service that the configuration names is not usable here, or None if it is.

        Raises an error of `closing`, and ConfigError for a wrong key.
        """
        if name not in family.names:
            return (
                f"{family.key}: got {name!r}{closest(name, family.names)}, "
                f"which is not part of this version; allowed: {', '.join(family.names)}"
            )
        try:
            self.opened(name)
        except UnavailableError as error:
            return f"{family.key}: {name!r} is not usable here: {error}"
        except ServiceError as error:
            return f"{family.key}: {error}"
        return None


def importable_services(family: Family, load: Callable[[str], Made]) -> tuple[Made, ...]:
    """Return the records of a family's services that can be imported here."""
    found = []
    for member in family.members:
        try:
            found.append(load(member.name))
        except UnavailableError:
            continue
    return tuple(found)
