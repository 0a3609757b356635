"""The routes of the HTTP interface, as one table: requests are dispatched by it, and OpenAPI is written from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel

from video_pipeline.engine.common.validation import show
from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs import node_messages as n
from video_pipeline.engine.jobs.web import links
from video_pipeline.engine.jobs.web import node_operations as node
from video_pipeline.engine.jobs.web import operations as do
from video_pipeline.engine.jobs.web.replies import HttpError

Method = Literal["GET", "POST", "DELETE"]
QUERY_FIELDS_MOST: Final = 16


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, what answers it, and what OpenAPI says about it.

    `query` is the request of the protocol whose other fields the query sets; `errors` are the statuses of this route
    besides those of all.
    """

    method: Method
    path: str
    answer: Callable[[do.RouteCall], Awaitable[None]]
    reply: type[BaseModel] | None
    query: type[m.Message] | None = None
    statuses: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path; `{name}` stands for any."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of values in the path."""
        return tuple(part[1:-1] for part in self.parts if part.startswith("{"))


ROUTES: Final = (
    Route("POST", "/jobs", do.submit_job, m.Submitted, statuses=(200, 201), errors=(408, 409, 413, 415)),
    Route("GET", "/jobs", do.list_jobs, m.Jobs, query=m.List, errors=(404,)),
    Route("GET", "/jobs/{job_id}", do.get_job, m.JobView, errors=(404,)),
    Route("DELETE", "/jobs/{job_id}", do.cancel_job, m.JobView, statuses=(200, 202), errors=(404, 409)),
    Route("POST", "/jobs/{job_id}/cancel", do.cancel_job, m.JobView, statuses=(200, 202), errors=(404, 409)),
    Route("POST", "/jobs/{job_id}/retry", do.retry_job, m.JobView, errors=(404, 409)),
    Route("GET", "/jobs/{job_id}/files", do.list_files, m.JobFiles, errors=(404, 409)),
    Route(
        "GET",
        "/jobs/{job_id}/files/{name}",
        do.get_file,
        None,
        statuses=(200, 206, 304),
        errors=(404, 409, 412, 416),
    ),
    Route("GET", "/jobs/{job_id}/events", do.get_job_events, m.EventsReply, query=m.Events, statuses=(200, 204), errors=(404,)),
    Route("GET", "/events", do.get_events, m.EventsReply, query=m.Events, errors=(404,)),
    Route("POST", "/jobs/{job_id}/priority", node.change_priority, m.JobView, query=n.ChangePriority, errors=(404, 409)),
    Route("GET", "/jobs/{job_id}/log", node.get_log, n.LogReply, query=n.ReadLog, errors=(404,)),
    Route("POST", "/jobs/{job_id}/files/{name}/link", links.make_link, links.FileLink, errors=(404, 409)),
    Route("GET", "/links/{link}", links.get_linked_file, None, statuses=(200, 206, 304), errors=(404, 409, 412, 416)),
    Route("GET", "/machines", node.get_machines, n.Machines),
    Route("POST", "/machines/{machine}/drain", node.drain_machine, n.Machines, errors=(404, 409)),
    Route("POST", "/machines/{machine}/resume", node.resume_machine, n.Machines, errors=(404, 409)),
    Route("GET", "/publications", node.list_publications, n.PublicationsReply, query=n.ListPublications),
    Route("POST", "/publications/{number}/resolve", node.resolve_publication, n.ListedPublication, query=n.Resolve, errors=(404, 409)),
    Route("GET", "/letters", node.list_letters, n.DeadLetters, query=n.ListLetters),
    Route("POST", "/letters/{number}/resend", node.resend_letter, n.DeadLetter, errors=(404, 409)),
    Route("GET", "/stats", do.get_stats, m.StatsReply),
    Route("GET", "/ping", do.get_ping, m.Pong, query=m.Ping),
)  # fmt: skip
OPENAPI_PATH: Final = "/openapi.json"


@dataclass(frozen=True, slots=True)
class RouteTarget:
    """The parts of a request's path, and its query."""

    parts: tuple[str, ...]
    query: Mapping[str, str]


def read_target(target: str) -> RouteTarget:
    """Return what a request's target names; raise HttpError (400) if it is malformed."""
    try:
        url = urlsplit(target)
        if target.startswith("//"):  # a path, not a host
            raise ValueError("the path begins with //")
        if not url.path.startswith("/"):
            raise ValueError("the path does not begin with /")
        path = url.path[1:-1] if url.path.endswith("/") and len(url.path) > 1 else url.path[1:]
        parts = tuple(unquote(part, errors="strict") for part in path.split("/"))
        pairs = parse_qsl(
            url.query,
            keep_blank_values=True,
            strict_parsing=bool(url.query),
            errors="strict",
            max_num_fields=QUERY_FIELDS_MOST,
        )
    except ValueError as error:
        raise HttpError(400, "BAD_REQUEST", f"path: {str(error)[:200]}", field="path") from error
    query = dict(pairs)
    if len(query) < len(pairs):
        raise HttpError(400, "BAD_REQUEST", "query: a name is given twice", field="query")
    return RouteTarget(parts, query)


def find_route(method: str, parts: tuple[str, ...]) -> tuple[Route, dict[str, str]]:
    """Return the route of a request and the values in its path; raise HttpError (404, 405) if there is none."""
    wanted = "GET" if method == "HEAD" else method
    allowed: set[str] = set()
    for route in ROUTES:
        values = _values(route.parts, parts)
        if values is None:
            continue
        if route.method == wanted:
            return route, values
        allowed |= {"GET", "HEAD"} if route.method == "GET" else {route.method}
    if not allowed:
        raise HttpError(
            404,
            "NOT_FOUND",
            f"path: got {show('/' + '/'.join(parts)[:100])}; see {OPENAPI_PATH}",
            field="path",
        )
    raise not_allowed(method, allowed)


def not_allowed(method: str, allowed: set[str]) -> HttpError:
    """Return the error of a path that has no such method."""
    listed = ", ".join(sorted(allowed))
    return HttpError(
        405,
        "METHOD_NOT_ALLOWED",
        f"method: got {show(method[:20])}; allowed: {listed}",
        field="method",
        headers=(("Allow", listed),),
    )


def _values(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    values = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            values[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return values
