"""`video-pipeline webhooks` and `alerts`: what a node tells others, on the node's machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.notify.outbox import Note, Outbox

STATES = ("waiting", "delivered", "dead")


def _add_webhook_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "See the notifications of a node (webhooks, commands and alerts), send them again, and try them out. It works on the "
        "node's state folder: give it the configuration of the node, which may be running."
    )
    parser.epilog = (
        "examples:\n  video-pipeline webhooks list --state dead --config node.yaml\n"
        "  video-pipeline webhooks resend 7 9 --config node.yaml\n"
        "  video-pipeline webhooks test --config node.yaml"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="{list,show,resend,test,run}", required=True)
    listing = verbs.add_parser("list", help="list them", description="List the latest notifications.")
    listing.add_argument("--state", choices=STATES, help="only those in this state")
    listing.add_argument("--limit", metavar="N", type=int, default=100, help="at most N (default 100)")
    show = verbs.add_parser("show", help="show one", description="Show one with its body.")
    show.add_argument("number", metavar="NUMBER", type=int, help="as `webhooks list` shows it")
    resend = verbs.add_parser(
        "resend",
        help="deliver dead or delivered ones again",
        description="Make notifications due again, with the same ids. A running node delivers them, or `webhooks run`.",
    )
    resend.add_argument(
        "numbers", metavar="NUMBER", type=int, nargs="*", help="as `webhooks list` shows them"
    )
    resend.add_argument("--dead", action="store_true", help="all dead letters")
    test = verbs.add_parser(
        "test", help="send a notification of the type test", description="Send a test to webhooks at once."
    )
    test.add_argument("name", metavar="NAME", nargs="?", help="one of notifications.webhooks; default: all")
    run = verbs.add_parser(
        "run", help="deliver what is due", description="Deliver what is due, as a node does by itself."
    )
    _add_notification_options((listing, show, resend, test, run))


def _add_alert_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "See which causes of alerts stand on a node, and send an alert to try the targets out."
    )
    parser.epilog = "example:\n  video-pipeline alerts test --config node.yaml"
    verbs = parser.add_subparsers(dest="verb", metavar="{list,test}", required=True)
    listing = verbs.add_parser("list", help="list causes", description="List the causes that were told.")
    test = verbs.add_parser(
        "test", help="send one to each target", description="Send an alert to each target at once."
    )
    _add_notification_options((listing, test))


def _add_notification_options(parsers: Sequence[argparse.ArgumentParser]) -> None:
    for verb in parsers:
        verb.add_argument(
            "--config", metavar="FILE", type=Path, help="configuration file (YAML), as the node's"
        )
        verb.add_argument("--json", action="store_true", help="print JSON")


def _open_outbox(config: Config) -> Outbox:
    from video_pipeline.engine.errors import ConfigError
    from video_pipeline.engine.notify.outbox import Outbox, outbox_path

    path = outbox_path(config)
    if not path.exists():
        raise ConfigError(
            f"node.state_path: {path.parent} has no notifications; name the state folder of a node"
        )
    return Outbox(path)


def _webhooks(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.errors import InputError
        from video_pipeline.engine.notify.targets import event_targets

    config = load_config(arguments.config)
    if arguments.verb == "test":
        known = [name for name in event_targets(config) if name.startswith("webhook/")]
        wanted = [f"webhook/{arguments.name}"] if arguments.name else known
        if not wanted or set(wanted) - set(known):
            shown = (
                ", ".join(name.removeprefix("webhook/") for name in known)
                or "none; set notifications.webhooks"
            )
            raise InputError(f"NAME: got {arguments.name!r}; allowed: {shown}")
        return _try_out(arguments, config, wanted)
    outbox = _open_outbox(config)
    try:
        found = _carry_out_verb(arguments, config, outbox)
    finally:
        outbox.close()
    if arguments.json:
        with_body = arguments.verb == "show"
        print(json.dumps([note.as_dict(with_body=with_body) for note in found], ensure_ascii=False, indent=2))
    elif arguments.verb == "show":
        for key, value in found[0].as_dict(with_body=True).items():
            print(f"{key}: {value}")
    else:
        for note in found:
            print(_note_line(note))
        if not found:
            print("no notifications")
    return 1 if arguments.verb == "run" and any(note.state != "delivered" for note in found) else 0


def _carry_out_verb(arguments: argparse.Namespace, config: Config, outbox: Outbox) -> list[Note]:
    from video_pipeline.engine.errors import InputError
    from video_pipeline.engine.notify.deliver import deliver_to_target, delivering

    if arguments.verb == "list":
        return outbox.listed(state=arguments.state, limit=arguments.limit)
    if arguments.verb == "show":
        return [outbox.get(arguments.number)]
    if arguments.verb == "resend":
        numbers = list(arguments.numbers)
        if arguments.dead:
            numbers += [note.number for note in outbox.listed(state="dead", limit=-1)]
        elif not numbers:
            raise InputError("resend: name notifications by their NUMBER, or give --dead")
        return [outbox.resend(number) for number in dict.fromkeys(numbers)]
    with delivering(outbox):
        due = {
            note.number for note in outbox.listed(state="waiting", limit=-1) if note.due_at <= outbox.clock()
        }
        for name in sorted(outbox.due_targets()):
            deliver_to_target(outbox, name, config)
        return [outbox.get(number) for number in sorted(due)]


NO_TARGET = "there is no target: set notifications.alerts, and leave error_handling.alert_on_failure on"


def _alerts(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.errors import InputError
        from video_pipeline.engine.notify.targets import alert_targets

    config = load_config(arguments.config)
    if arguments.verb == "test":
        targets = alert_targets(config)
        if not targets:
            raise InputError(NO_TARGET)
        return _try_out(arguments, config, targets)
    outbox = _open_outbox(config)
    try:
        causes = [
            dict(row)
            for row in outbox.rows("SELECT cause, active, told_at, suppressed FROM causes ORDER BY cause")
        ]
    finally:
        outbox.close()
    if arguments.json:
        print(json.dumps(causes))
        return 0
    for cause in causes:
        more = f"; {cause['suppressed']} more were not sent" if cause["suppressed"] else ""
        print(f"{'stands' if cause['active'] else 'over  '}  {cause['cause']}{more}")
    if not causes:
        print("no alerts" if alert_targets(config) else f"no alerts are noted: {NO_TARGET}")
    return 0


def _try_out(arguments: argparse.Namespace, config: Config, targets: Sequence[str]) -> int:
    """Send a test to targets, past the outbox, and print what became of each."""
    import time

    from video_pipeline.engine.errors import ConfigError
    from video_pipeline.engine.notify.alerts import alert_notes, note_of
    from video_pipeline.engine.notify.targets import connect_target

    title, detail = "test", "This is a test; nothing is wrong."
    results: list[dict[str, Any]] = []
    now = time.time()
    for new in alert_notes(targets, cause="test", title=title, detail=detail, now=now, kind="test"):
        try:
            failure = connect_target(config, new.target).send(note_of(new, now=now))
            error = failure.error if failure else None
        except ConfigError as problem:
            error = str(problem)
        results.append({"target": new.target, "id": new.message_id, "error": error})
    if arguments.json:
        print(json.dumps(results))
    else:
        for result in results:
            print(f"{result['target']}  {result['error'] or 'accepted'}")
    return 1 if any(result["error"] for result in results) else 0


def _note_line(note: Note) -> str:
    told = f"  {note.error}" if note.error else ""
    return f"{note.number:>5}  {note.state:<9}  {note.target}  {note.type}  {note.subject}{told}"


COMMANDS: dict[str, Command] = {
    "webhooks": (_add_webhook_options, _webhooks),
    "alerts": (_add_alert_options, _alerts),
}
