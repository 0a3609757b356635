"""The commands that talk to a render node: submit, submit-many, fetch, status, watch, list, cancel, retry, stats."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from video_pipeline.engine.cli.fetch_command import fetch_files
from video_pipeline.engine.cli.job_display import (
    Display,
    job_details,
    job_table,
    shown_end,
    state_of,
    stats_table,
    watch_display,
)
from video_pipeline.engine.cli.option_names import name_options
from video_pipeline.engine.cli.times import FROM_NOW, time_from_now
from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.errors import ConfigError, InputError
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.messages import EventView, JobView, Message, Submitted
from video_pipeline.engine.jobs.model import JobStatus
from video_pipeline.engine.story.reading import story_name

EXIT_STATUS = {JobStatus.COMPLETED: 0, JobStatus.FAILED: 1, JobStatus.CANCELLED: 130}


INTERRUPTED = {
    "fetch": "; the same command goes on where this one ended",
    "submit": "; submitted jobs continue",
    "submit-many": "; submitted jobs continue, and submitting again adds only the missing ones",
    "watch": "; submitted jobs continue",
    "cancel": "; some jobs may have been cancelled",
    "retry": "; some jobs may have been queued again",
}
"""What an interruption leaves, for commands that change jobs or wait for them."""


def run(arguments: argparse.Namespace) -> int:
    """Run a command and return its exit status; raises what NodeClient raises."""
    if arguments.command in ("submit", "submit-many") and arguments.output and not arguments.wait:
        raise InputError(
            f"--output: got {arguments.output} without --wait; give both, or fetch the jobs later"
        )
    with NodeClient(
        arguments.connect or "",
        timeout=arguments.timeout,
        key_file=arguments.key_file,
        node_key=arguments.node_key,
    ) as client:
        try:
            return _COMMANDS[arguments.command](client, arguments)
        except KeyboardInterrupt as error:
            print(f"interrupted{INTERRUPTED.get(arguments.command, '')}", file=sys.stderr)
            return 130 if type(error) is KeyboardInterrupt else 143  # the other is SIGTERM


def _submit(client: NodeClient, arguments: argparse.Namespace) -> int:
    if arguments.key is not None and len(arguments.stories) > 1:
        raise InputError(
            f"--key: got {len(arguments.stories)} stories; allowed: one, because a key names one job"
        )
    config = _job_config(arguments)
    when = _parse_time(arguments.schedule)
    before = client.ping().last_event if arguments.wait else 0
    jobs: dict[str, str] = {}
    for story in arguments.stories:
        try:
            made = client.submit(
                story,
                config,
                priority=arguments.priority,
                key=arguments.key,
                scheduled_for=when,
                max_attempts=arguments.max_attempts,
                send_assets=arguments.send_assets,
            )
        except InputError as error:
            hint = "INVALID_ASSET" in error.details.values() and not arguments.send_assets
            more = "; --send-assets sends the files" if hint else ""
            message = name_options(str(error), arguments)
            if message == str(error):  # it is about the story, not about an option
                message = f"{story}: {message.removeprefix(f'{story}: ')}{more}"
            raise type(error)(message, **error.details) from error
        jobs[made.job_id] = story_name(story)
        _show_submitted(made, arguments, when, story=str(story))
    single = len(jobs) == 1
    folders = {job_id: "" if single else job_id for job_id in jobs}
    return _follow(client, jobs, before, arguments, folders) if arguments.wait else 0


def _submit_many(client: NodeClient, arguments: argparse.Namespace) -> int:
    from video_pipeline.engine.story.batch import read_batch

    config = _job_config(arguments)
    when = _parse_time(arguments.schedule)
    rows = read_batch(arguments.table, arguments.story, name=arguments.name)
    before = client.ping().last_event if arguments.wait else 0
    jobs: dict[str, str] = {}
    for row in rows:
        try:
            made = client.submit(
                row.story,
                config,
                base=arguments.story.parent,
                priority=arguments.priority,
                key=f"{row.name}-{row.digest(config=config)}",
                scheduled_for=when,
                max_attempts=arguments.max_attempts,
                send_assets=arguments.send_assets,
            )
        except InputError as error:
            hint = "INVALID_ASSET" in error.details.values() and not arguments.send_assets
            more = "; --send-assets sends the files" if hint else ""
            message = name_options(str(error), arguments)
            done = f" ({len(jobs)} of {len(rows)} rows are submitted)" if jobs else ""
            raise type(error)(
                f"{arguments.table}, {row.row}: {message}{more}{done}", **error.details
            ) from error
        jobs[made.job_id] = row.name
        _show_submitted(made, arguments, when, row=row.row.number, name=row.name)
    return _follow(client, jobs, before, arguments, jobs) if arguments.wait else 0


def _show_submitted(
    made: Submitted, arguments: argparse.Namespace, when: datetime | None, **about: str | int
) -> None:
    if arguments.json:
        _print_json(made, **about)
    else:
        again = "" if made.created else "  (the same job as before)"
        state = "scheduled" if made.created and _is_future(when) else made.status.value
        print(f"{made.job_id}  {state}  {list(about.values())[-1]}{again}", flush=True)


def _status(client: NodeClient, arguments: argparse.Namespace) -> int:
    job = client.status(arguments.job_id)
    if arguments.json:
        _print_json(job)
    else:
        print(job_details(job))
    return 0


def _watch(client: NodeClient, arguments: argparse.Namespace) -> int:
    if arguments.all:
        with watch_display(as_json=arguments.json) as display:
            for event in client.watch():
                display.show(event)
        return 0
    job = client.status(arguments.job_id)
    with watch_display(as_json=arguments.json, names={job.job_id: job.story_id}) as display:
        _show_one(client, display, job.job_id, as_json=arguments.json)
    return _ends(client, [job.job_id], as_json=arguments.json)


def _follow(
    client: NodeClient,
    jobs: dict[str, str],
    after: int,
    arguments: argparse.Namespace,
    folders: dict[str, str],
) -> int:
    """Show the events of some jobs until all of them have ended; return the exit status.

    With --output the files of completed jobs are fetched into `folders` of it, by job.
    """
    as_json: bool = arguments.json
    with watch_display(as_json=as_json, names=jobs) as display:
        if len(jobs) == 1:
            _show_one(client, display, next(iter(jobs)), as_json=as_json)
        else:
            _show_until_ended(client, display, client.watch(after=after), set(jobs))
    return _ends(client, jobs, as_json=as_json, output=arguments.output, folders=folders)


def _show_one(client: NodeClient, display: Display, job_id: str, *, as_json: bool) -> None:
    """Show the events of a job; without the last one for people, since the outcome is printed next."""
    ended: EventView | None = None
    for event in client.watch(job_id):
        if ended is not None:  # the job was retried, so this was not the last one
            display.show(ended)
            ended = None
        if event.status.is_terminal and not as_json:
            ended = event
        else:
            display.show(event)


def _show_until_ended(
    client: NodeClient, display: Display, events: Iterator[EventView], left: set[str]
) -> None:
    # The key may belong to a job that ended earlier, which has no further events.
    left -= {job_id for job_id in left if client.status(job_id).status.is_terminal}
    mine = set(left)
    while left:
        event = next(events)
        if event.job_id in mine:
            display.show(event)
            if event.status.is_terminal:
                left.discard(event.job_id)


def _ends(
    client: NodeClient,
    job_ids: Iterable[str],
    *,
    as_json: bool,
    output: Path | None = None,
    folders: Mapping[str, str] = {},
) -> int:
    """Print the outcome of jobs, and fetch the files of completed ones; return the exit status of the worst."""
    worst = 0
    for job_id in job_ids:
        job = client.status(job_id)
        if as_json:
            _print_json(job)
        else:
            print(shown_end(job))
        if output is not None and job.status is JobStatus.COMPLETED:
            fetch_files(client, job_id, output / folders[job_id], as_json=as_json)
        worst = max(worst, EXIT_STATUS.get(job.status, 1))
    return worst


def _fetch_job(client: NodeClient, arguments: argparse.Namespace) -> int:
    fetch_files(client, arguments.job_id, arguments.output, files=arguments.files, as_json=arguments.json)
    return 0


def _list(client: NodeClient, arguments: argparse.Namespace) -> int:
    if arguments.limit < 0:
        raise InputError(f"--limit: got {arguments.limit}; allowed: at least 0")
    jobs: Iterable[JobView] = itertools.islice(client.jobs(status=arguments.status), arguments.limit or None)
    if arguments.json:
        for job in jobs:
            _print_json(job)
    else:
        print(job_table(list(jobs)))
    return 0


def _change(client: NodeClient, arguments: argparse.Namespace) -> int:
    change = client.cancel if arguments.command == "cancel" else client.retry
    job_ids: list[str] = arguments.job_ids
    if arguments.command == "retry" and arguments.failed == bool(job_ids):
        raise InputError("retry: give either jobs or --failed")
    if not job_ids:
        job_ids = [job.job_id for job in client.jobs(status=JobStatus.FAILED)]
    for job_id in job_ids:
        job = change(job_id)
        if arguments.json:
            _print_json(job)
        else:
            print(f"{job.job_id}  {state_of(job)}", flush=True)
    return 0


def _stats(client: NodeClient, arguments: argparse.Namespace) -> int:
    stats = client.stats()
    if arguments.json:
        _print_json(stats)
    else:
        print(stats_table(stats))
    return 0


_COMMANDS: dict[str, Callable[[NodeClient, argparse.Namespace], int]] = {
    "submit": _submit,
    "submit-many": _submit_many,
    "fetch": _fetch_job,
    "status": _status,
    "watch": _watch,
    "list": _list,
    "cancel": _change,
    "retry": _change,
    "stats": _stats,
}


def _print_json(message: Message, **more: Any) -> None:
    if isinstance(message, JobView):
        more["state"] = state_of(message)
    print(json.dumps({**message.model_dump(mode="json"), **more}, ensure_ascii=False), flush=True)


def _job_config(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the sections of a configuration file with the options; the node checks which a job may set."""
    path: Path | None = arguments.config
    policy: str | None = arguments.policy
    profile: str | None = arguments.profile
    sections = {} if path is None else _sections_of(path)
    if profile is not None:
        from video_pipeline.engine.config.profiles import layered

        video = sections.get("video")
        sections["video"] = layered(video if isinstance(video, dict) else {}, {"profile": profile})
    if arguments.look is not None:
        from video_pipeline.engine.config.looks import is_look_file, load_look

        if is_look_file(arguments.look):  # the node has no such file, so it gets the values
            sections.pop("look", None)
            for section, values in load_look(arguments.look, place="--look").sections.items():
                own = sections.get(section)
                sections[section] = {**values, **(own if isinstance(own, dict) else {})}
        else:
            sections["look"] = {"name": arguments.look}
    if arguments.lexicon is not None:
        from video_pipeline.engine.config.lexicon_files import read_lexicon
        from video_pipeline.engine.story.lexicon import merged

        tts = sections.get("tts")
        tts = tts if isinstance(tts, dict) else {}
        own = tts.get("lexicon")
        words = merged(own if isinstance(own, dict) else {}, read_lexicon(arguments.lexicon))
        sections["tts"] = {**tts, "lexicon": words}
    if policy is not None:
        handling = sections.get("error_handling")
        sections["error_handling"] = {**(handling if isinstance(handling, dict) else {}), "policy": policy}
    return sections


def _sections_of(path: Path) -> dict[str, Any]:
    try:
        data = read_document(path, "yaml")
    except DocumentError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(data, dict | None):
        raise ConfigError(f"{path}: got {type(data).__name__}; allowed: a mapping of sections")
    from video_pipeline.engine.config.load import by_sections

    return by_sections(data or {}, str(path))


def _is_future(when: datetime | None) -> bool:
    return when is not None and when.astimezone() > datetime.now().astimezone()


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return time_from_now(text) if text.startswith("+") else datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"--schedule: got {text!r}; allowed: ISO 8601 such as 2026-05-01T18:00, or {FROM_NOW}"
        ) from error
