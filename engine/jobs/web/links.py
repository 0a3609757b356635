"""Routes that make links to files, and that follow them."""

from __future__ import annotations

from pydantic import Field

from video_pipeline.engine.jobs.messages import JobFiles, Message
from video_pipeline.engine.jobs.web.downloads import send_file
from video_pipeline.engine.jobs.web.file_links import LINK_SECONDS, LINKS
from video_pipeline.engine.jobs.web.operations import RouteCall
from video_pipeline.engine.jobs.web.replies import HttpError


class FileLink(Message):
    """A link to a file of a job."""

    url: str = Field(description="A path of this server, which needs no token.")
    seconds: float = Field(description="How long it is good.")


async def make_link(call: RouteCall) -> None:
    """Make a link to a file of a completed job, which needs no token: for elements of a page."""
    job_id, name = call.values["job_id"], call.values["name"]
    listed = JobFiles.model_validate_json(await call.ask("files", {**call.query, "job_id": job_id}))
    if name not in [file.name for file in listed.files]:
        raise HttpError(404, "NOT_FOUND", f"name: is not a file of {job_id}", field="name")
    text = call.shared.links.make(call.caller, job_id, name)
    made = FileLink(url=f"/{LINKS}/{text}", seconds=LINK_SECONDS)
    await call.reply(made.model_dump_json().encode())


async def get_linked_file(call: RouteCall) -> None:
    """Get the file that a link is for, whole or a range of it."""
    link = call.shared.links.get(call.values["link"])
    if link is None or call.caller != link.caller:
        raise HttpError(404, "NOT_FOUND", "link: is not good, or no longer; make another", field="link")
    user = link.caller.user
    reply = await call.ask("files", {"job_id": link.job_id})
    with call.shared.held.downloads.taken(user):
        listed = JobFiles.model_validate_json(reply)
        await send_file(call.exchange, call.shared.client, user, listed, link.name)
