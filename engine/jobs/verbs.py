"""The verbs of the protocol: the model of each request and of its reply."""

from __future__ import annotations

from video_pipeline.engine.jobs import messages as m
from video_pipeline.engine.jobs import node_messages as n

Request = (
    m.Submit | m.Status | m.List | m.Cancel | m.Retry | m.Wait | m.Events | m.Files | m.Fetch | m.Stats | m.Ping
    | n.ChangePriority | n.ReadLog | n.ListMachines | n.Drain | n.ListPublications | n.Resolve | n.ListLetters
    | n.Resend
)  # fmt: skip
_VERBS: tuple[tuple[type[Request], type[m.Message]], ...] = (
    (m.Submit, m.Submitted),
    (m.Status, m.JobView),
    (m.List, m.Jobs),
    (m.Cancel, m.JobView),
    (m.Retry, m.JobView),
    (m.Wait, m.JobView),
    (m.Events, m.EventsReply),
    (m.Files, m.JobFiles),
    (m.Fetch, m.FileChunk),
    (m.Stats, m.StatsReply),
    (m.Ping, m.Pong),
    (n.ChangePriority, m.JobView),
    (n.ReadLog, n.LogReply),
    (n.ListMachines, n.Machines),
    (n.Drain, n.Machines),
    (n.ListPublications, n.PublicationsReply),
    (n.Resolve, n.ListedPublication),
    (n.ListLetters, n.DeadLetters),
    (n.Resend, n.DeadLetter),
)
REQUESTS: dict[str, type[Request]] = {request.VERB: request for request, _ in _VERBS}
REPLIES: dict[str, type[m.Message]] = {request.VERB: reply for request, reply in _VERBS}
