"""Routes about a node besides its jobs, and those of a job that operators use: each makes a request of the protocol."""

from __future__ import annotations

from video_pipeline.engine.jobs.web.operations import RouteCall, query_fields


async def change_priority(call: RouteCall) -> None:
    """Give a queued job another priority."""
    await call.reply(await call.ask("priority", {**call.query, **call.values}))


async def get_log(call: RouteCall) -> None:
    """Get the last lines of the log of a job's latest attempt. For operators."""
    await call.reply(await call.ask("log", {**query_fields(call.query), **call.values}))


async def get_machines(call: RouteCall) -> None:
    """Get the machines that render."""
    await call.reply(await call.ask("machines", call.query))


async def drain_machine(call: RouteCall) -> None:
    """Let a machine start and accept no further jobs. For operators."""
    await call.reply(await call.ask("drain", {**call.query, **call.values, "on": True}))


async def resume_machine(call: RouteCall) -> None:
    """Let a drained machine work again. For operators."""
    await call.reply(await call.ask("drain", {**call.query, **call.values, "on": False}))


async def list_publications(call: RouteCall) -> None:
    """Get publications, the latest first."""
    await call.reply(await call.ask("publications", query_fields(call.query, {"limit", "before"})))


async def resolve_publication(call: RouteCall) -> None:
    """Say what became of a publication whose platform could not tell."""
    fields = {**call.query, **query_fields(call.values, {"number"})}
    await call.reply(await call.ask("resolve", fields))


async def list_letters(call: RouteCall) -> None:
    """Get notifications that could not be delivered, the latest first. For operators."""
    await call.reply(await call.ask("letters", query_fields(call.query)))


async def resend_letter(call: RouteCall) -> None:
    """Deliver a dead letter again. For operators."""
    await call.reply(await call.ask("resend", {**call.query, **query_fields(call.values, {"number"})}))
