"""Commands for those who look after a render node: priorities, logs, machines, publications, dead letters."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from video_pipeline.engine.cli.client_parsers import JOB_HELP, PRIORITIES, describe_client_command
from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.jobs.client.client import NodeClient
    from video_pipeline.engine.jobs.messages import Message
    from video_pipeline.engine.jobs.node_messages import DeadLetter, ListedPublication, MachineView


def _add_priority_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Give queued jobs another priority. They keep the time at which they joined the queue.",
        "  video-pipeline priority high job-0123456789abcdef01234567",
    )
    parser.add_argument("priority", choices=PRIORITIES, help="how urgent the jobs are from now on")
    parser.add_argument("job_ids", metavar="JOB", nargs="+", help=JOB_HELP)


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser, "Show the last lines of the log of a job's latest attempt, also while it runs. For operators."
    )
    parser.add_argument("job_id", metavar="JOB", help=JOB_HELP)
    parser.add_argument(
        "-n", "--lines", metavar="N", type=int, default=100, help="at most N lines (default 100, up to 1000)"
    )


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(parser, "Show the machines that render: slots, jobs, GPUs, disks, cache.")


def _add_drain_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "Let a machine start and accept no further jobs; what it renders goes on. It lasts until --off or until the "
        "node is started again. For operators.",
        "  video-pipeline drain\n  video-pipeline drain --off",
    )
    parser.add_argument(
        "machine", metavar="MACHINE", nargs="?", help="as `machines` shows it; default: the node's own"
    )
    parser.add_argument("--off", action="store_true", help="let it work again")


def _add_publication_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "List the publications of a node, the latest first, or say what became of an unknown one: it was found on the "
        "platform, or it is missing there and is published again.",
        "  video-pipeline publications --state unknown\n"
        "  video-pipeline publications --resolve 7 --found POST_ID\n"
        "  video-pipeline publications --resolve 7 --missing",
    )
    parser.add_argument("--state", metavar="NAME", help="only those in this state")
    parser.add_argument("--limit", metavar="N", type=int, default=100, help="at most N (default 100)")
    parser.add_argument("--resolve", metavar="NUMBER", type=int, help="an unknown one, by its number")
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument("--found", metavar="POST_ID", help="the post is on the platform and has this id")
    outcome.add_argument("--missing", action="store_true", help="it is not there: publish it again")
    parser.add_argument("--url", metavar="URL", help="where the post that was found is seen")


def _add_letter_options(parser: argparse.ArgumentParser) -> None:
    describe_client_command(
        parser,
        "List notifications that could not be delivered (dead letters), the latest first, or deliver some again. "
        "For operators.",
    )
    parser.add_argument("--limit", metavar="N", type=int, default=100, help="at most N (default 100)")
    parser.add_argument("--resend", metavar="NUMBER", type=int, nargs="+", help="deliver these again")


def _run_operator_command(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.jobs.client.client import NodeClient

    with NodeClient(
        arguments.connect or "",
        timeout=arguments.timeout,
        key_file=arguments.key_file,
        node_key=arguments.node_key,
    ) as client:
        answers = list(_OPERATIONS[arguments.command](client, arguments))
        if not answers and not arguments.json:
            print(_NOTHING[arguments.command])
        for message, line in answers:
            if arguments.json:
                print(json.dumps(message.model_dump(mode="json"), ensure_ascii=False), flush=True)
            elif line is not None:
                print("".join(letter if letter.isprintable() or letter == "\n" else " " for letter in line))
    return 0


Answers = Iterable[tuple["Message", str | None]]


def _priority(client: NodeClient, arguments: argparse.Namespace) -> Answers:
    for job_id in arguments.job_ids:
        job = client.priority(job_id, arguments.priority)
        yield job, f"{job.job_id}  {job.priority}"


def _log(client: NodeClient, arguments: argparse.Namespace) -> Answers:
    reply = client.log(arguments.job_id, lines=arguments.lines)
    yield reply, "\n".join(reply.lines) if reply.lines else "no log"


def _machines(client: NodeClient, arguments: argparse.Namespace) -> Answers:
    for machine in client.machines().machines:
        yield machine, _machine_lines(machine)


def _drain_machine(client: NodeClient, arguments: argparse.Namespace) -> Answers:
    reply = client.drain(arguments.machine, on=not arguments.off)
    yield reply, "\n".join(f"{machine.name}: {machine.state}" for machine in reply.machines)


def _machine_lines(machine: MachineView) -> str:
    lines = [
        f"{machine.name}: {machine.state}, version {machine.version}",
        f"  slots: {machine.running} of {machine.slots} rendering; {machine.cores} cores, "
        f"{machine.memory_bytes / 1e9:.1f} GB",
    ]
    lines += [f"  {reason}" for reason in machine.reasons]
    lines += [f"  renders {job_id}" for job_id in machine.jobs]
    lines += [f"  GPU: {gpu.name}, {gpu.memory_mib} MiB, driver {gpu.driver}" for gpu in machine.gpus]
    lines += [
        f"  {disk.folder}: {disk.free_bytes / 1e9:.1f} of {disk.total_bytes / 1e9:.1f} GB free"
        for disk in machine.disks
    ]
    if (cache := machine.cache) is not None:
        lines.append(
            f"  cache: {cache.bytes / 1e9:.2f} GB in {cache.files} files; segments from it: "
            f"{cache.segments_from_cache} of {cache.segments}"
        )
    return "\n".join(lines)


def _publications(client: NodeClient, arguments: argparse.Namespace) -> Answers:
    from video_pipeline.engine.errors import InputError

    is_decided = arguments.missing or arguments.found is not None
    if is_decided != (arguments.resolve is not None) or (arguments.url and arguments.found is None):
        raise InputError("publications: --resolve needs --found or --missing, and --url needs --found")
    if arguments.resolve is not None:
        resolved = client.resolve(arguments.resolve, post_id=arguments.found, url=arguments.url)
        yield resolved, _listed_line(resolved)
        return
    for publication in client.publications(state=arguments.state, limit=arguments.limit).publications:
        yield publication, _listed_line(publication)


def _listed_line(publication: ListedPublication) -> str:
    when = f"at {publication.due_at:%Y-%m-%d %H:%MZ}" if publication.state == "scheduled" else ""
    told = publication.url or publication.error or when
    where = f"{publication.platform}/{publication.account}"
    return f"{publication.number:>5}  {publication.state:<10} {where}  {publication.title}  {told}".rstrip()


def _letters(client: NodeClient, arguments: argparse.Namespace) -> Answers:
    if arguments.resend:
        for number in arguments.resend:
            letter = client.resend(number)
            yield letter, _letter_line(letter)
        return
    for letter in client.letters(limit=arguments.limit).letters:
        yield letter, _letter_line(letter)


def _letter_line(letter: DeadLetter) -> str:
    return f"{letter.number:>5}  {letter.state:<9} {letter.target}  {letter.type}  {letter.subject}  {letter.error or ''}".rstrip()


_OPERATIONS: dict[str, Callable[[NodeClient, argparse.Namespace], Answers]] = {
    "priority": _priority,
    "log": _log,
    "machines": _machines,
    "drain": _drain_machine,
    "publications": _publications,
    "letters": _letters,
}
_NOTHING = {
    "publications": "no publications",
    "letters": "no dead letters",
    "machines": "no machine has reported yet",
}
COMMANDS: dict[str, Command] = {
    "priority": (_add_priority_options, _run_operator_command),
    "log": (_add_log_options, _run_operator_command),
    "machines": (_add_machine_options, _run_operator_command),
    "drain": (_add_drain_options, _run_operator_command),
    "publications": (_add_publication_options, _run_operator_command),
    "letters": (_add_letter_options, _run_operator_command),
}
