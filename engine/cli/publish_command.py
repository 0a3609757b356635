"""`video-pipeline publish`: publish a finished video, and see to publications that wait."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.times import FROM_NOW, time_from_now
from video_pipeline.engine.common.process import importing
from video_pipeline.engine.common.publishers import DEFAULT_ACCOUNT, POST_FORMATS, PostKind, Privacy

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.publish.publication import Publication
    from video_pipeline.engine.publish.records import Publications


def _add_publish_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Publish finished videos on accounts (publishing.accounts of the configuration), each once: a video that an account "
        "has, or may have, is not sent again. Publications are kept in the state folder, which a node shares."
    )
    parser.epilog = (
        "examples:\n  video-pipeline publish out/story.mp4 --platform folder --config node.yaml\n"
        "  video-pipeline publish out/story.mp4 --platform webhook --at 2027-01-31T18:00 --zone Europe/Berlin "
        "--config node.yaml\n"
        "  video-pipeline publish list --scheduled --config node.yaml\n"
        "  video-pipeline publish resolve 7 --found POST_ID --config node.yaml"
    )
    verbs = parser.add_subparsers(
        dest="verb", metavar="{video,list,show,change,cancel,resume,resolve,run}", required=True
    )
    video = verbs.add_parser(
        "video",
        help="publish a finished video, at once or at a time",
        description="Publish a finished video. Files beside it are used: metadata, thumbnail, subtitles.",
    )
    video.add_argument("video", metavar="VIDEO", type=Path, help="an MP4, as `render` or a node wrote it")
    video.add_argument(
        "--platform",
        metavar="NAME",
        required=True,
        help="folder, instagram, s3, tiktok, webhook or youtube; also reels or stories (instagram), shorts (youtube)",
    )
    video.add_argument("--account", metavar="NAME", default=DEFAULT_ACCOUNT, help="default: default")
    _add_moment(video)
    video.add_argument("--title", metavar="TEXT", help="in place of the metadata's")
    video.add_argument("--description", metavar="TEXT", help="in place of the metadata's")
    video.add_argument(
        "--privacy",
        choices=get_args(Privacy),
        help="who may see it (youtube; tiktok with mode direct has no unlisted)",
    )
    video.add_argument(
        "--made-for-kids", action="store_true", default=None, help="it is for children (youtube)"
    )
    video.add_argument(
        "--kind",
        choices=get_args(PostKind),
        help="a Reel or a story (instagram); default: as the account says",
    )
    video.add_argument(
        "--dry-run", action="store_true", help="print every request that would be sent, and send nothing"
    )
    listing = verbs.add_parser(
        "list", help="list publications", description="List publications, next ones first."
    )
    listing.add_argument("--scheduled", action="store_true", help="only those that wait for their time")
    listing.add_argument("--state", metavar="NAME", help="only those in this state")
    show = verbs.add_parser("show", help="show a publication", description="Show all that is known of one.")
    change = verbs.add_parser(
        "change",
        help="give a publication another time",
        description="Give a publication that has not begun another time.",
    )
    _add_moment(change, required=True)
    cancel = verbs.add_parser(
        "cancel", help="cancel one", description="Cancel one that is not published yet."
    )
    resume = verbs.add_parser(
        "resume",
        help="carry on one that is held, failed or cancelled",
        description="Carry on one that is held, failed or cancelled. One that was cancelled before its time waits for it again.",
    )
    resolve = verbs.add_parser(
        "resolve",
        help="say what became of an unknown one",
        description="Say what became of one whose platform could not tell: it was found there, or it is not there and is "
        "published anew.",
    )
    outcome = resolve.add_mutually_exclusive_group(required=True)
    outcome.add_argument("--found", metavar="POST_ID", help="the post is on the platform and has this id")
    outcome.add_argument("--missing", action="store_true", help="it is not there: publish it again")
    resolve.add_argument("--url", metavar="URL", help="where the post that was found is seen")
    run = verbs.add_parser(
        "run",
        help="carry on all that are due",
        description="Carry on all publications that are due, as a node does by itself.",
    )
    for verb in (show, change, cancel, resume, resolve):
        verb.add_argument("number", metavar="NUMBER", type=int, help="as `publish list` shows it")
    for verb in (video, listing, show, change, cancel, resume, resolve, run):
        verb.add_argument(
            "--config", metavar="FILE", type=Path, help="configuration file (YAML), as the node's"
        )
        verb.add_argument("--json", action="store_true", help="print JSON")


def _add_moment(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    parser.add_argument(
        "--at",
        metavar="TIME",
        required=required,
        help=f"not before this time, such as 2027-01-31T18:00+01:00, or {FROM_NOW}",
    )
    parser.add_argument(
        "--zone", metavar="NAME", help="time zone of a time without an offset, such as Europe/Berlin"
    )


def _publish(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.errors import InputError
        from video_pipeline.engine.publish.records import Publications, publications_path
        from video_pipeline.engine.publish.states import parse_state

    config = load_config(arguments.config)
    if arguments.verb == "video" and arguments.dry_run:
        return _dry_run(arguments, config)
    path = publications_path(config)
    if arguments.verb == "video" or path.exists():
        records = Publications(path)
        try:
            found = _carry_out(arguments, config, records)
        finally:
            records.close()
    elif arguments.verb in ("list", "run"):
        parse_state(getattr(arguments, "state", None))
        found = []
    else:
        raise InputError(f"publication: got {arguments.number}; there is none of this number")
    if arguments.json:
        print(json.dumps([each.as_dict() for each in found], ensure_ascii=False, indent=2))
    elif arguments.verb == "show":
        for key, value in found[0].as_dict().items():
            if value is None or value == {}:
                continue
            text = str(value)
            print(f"{key}: {text if text.isprintable() else repr(text)}")
    else:
        for each in found:
            print(_publication_line(each))
        if not found:
            print("no publications")
    return 1 if arguments.verb in ("video", "resume", "run") and any(map(_needs_a_person, found)) else 0


def _dry_run(arguments: argparse.Namespace, config: Config) -> int:
    from video_pipeline.engine.publish.posts import FinishedVideo, post_of, post_reasons
    from video_pipeline.engine.publish.specs import check_specs, connect_account

    spec = _spec_from(arguments)
    check_specs([spec], config)
    video = FinishedVideo.of(arguments.video)
    post = post_of(video, spec, config)
    calls = connect_account(config, platform=spec.platform, account=spec.account)
    lines, reasons = calls.plan(post), post_reasons(video, spec, config)
    if arguments.json:
        print(
            json.dumps(
                {
                    "post": post.model_dump(mode="json"),
                    "requests": lines,
                    "reasons": [reason.as_dict() for reason in reasons],
                },
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        for line in (*lines, *map(str, reasons)):
            print(line)
    return 1 if any(reason.severity == "error" for reason in reasons) else 0


def _spec_from(arguments: argparse.Namespace) -> Any:
    from pydantic import ValidationError

    from video_pipeline.engine.common.validation import explain
    from video_pipeline.engine.config.families import PUBLISHERS
    from video_pipeline.engine.errors import InputError
    from video_pipeline.engine.story.publish import PublishSpec

    platform, kind = POST_FORMATS.get(arguments.platform, (arguments.platform, None))
    if platform not in PUBLISHERS.names:
        raise InputError(
            f"--platform: got {platform!r}; allowed: {', '.join((*PUBLISHERS.names, *POST_FORMATS))}"
        )
    if kind is not None and arguments.kind not in (None, kind):
        raise InputError(
            f"--kind: got {arguments.kind!r}, with --platform {arguments.platform}; leave --kind out"
        )
    given = {
        key: getattr(arguments, key)
        for key in ("title", "description", "privacy", "made_for_kids", "kind")
        if getattr(arguments, key) is not None
    }
    if kind is not None:
        given["kind"] = kind
    if arguments.at is None and arguments.zone is not None:
        raise InputError(f"--zone: got {arguments.zone!r}; it is of no use without --at")
    if arguments.at is not None:
        given["at"] = _moment(arguments)
    if platform == "youtube" and "at" in given and given.get("privacy") not in (None, "public"):
        raise InputError("--privacy: a video is public from the time --at on; leave one of the two out")
    try:
        return PublishSpec.model_validate({"platform": platform, "account": arguments.account, **given})
    except ValidationError as error:
        raise InputError("\n".join(explain(error, PublishSpec, where="", place=_option_of))) from error


def _moment(arguments: argparse.Namespace) -> datetime:
    """Return the time of --at in UTC; raise InputError that says what is allowed."""
    from video_pipeline.engine.errors import InputError
    from video_pipeline.engine.publish.posts import parse_moment

    text: str = arguments.at
    if not text.startswith("+"):
        return parse_moment(text, arguments.zone)
    if arguments.zone is not None:
        raise InputError(f"--zone: got {arguments.zone!r}; it is of no use with --at {text}, a time from now")
    try:
        return parse_moment(time_from_now(text).isoformat(), None)
    except ValueError as error:
        raise InputError(f"--at: {error}") from error


def _option_of(detail: Mapping[str, Any]) -> str:
    """Return the option that gave a key of a post."""
    return "".join(f"--{str(step).replace('_', '-')}" for step in detail["loc"][:1])


def _carry_out(arguments: argparse.Namespace, config: Config, records: Publications) -> list[Publication]:
    from video_pipeline.engine.publish.base import Published
    from video_pipeline.engine.publish.due import carry_on_due, carry_on_unless_held
    from video_pipeline.engine.publish.specs import publisher
    from video_pipeline.engine.publish.states import PublicationState, parse_state

    if arguments.verb == "video":
        return [_publish_video(arguments, config, records)]
    if arguments.verb == "list":
        state = PublicationState.SCHEDULED if arguments.scheduled else parse_state(arguments.state)
        return records.listed(state=state)
    if arguments.verb == "run":
        return carry_on_due(records, config)
    if arguments.verb == "show":
        return [records.get(arguments.number)]
    if arguments.verb == "cancel":
        return [records.cancel(arguments.number)]
    if arguments.verb == "change":
        moment = _moment(arguments)
        changed = records.get(arguments.number)
        if not publisher(changed.platform).schedules:
            return [records.change(arguments.number, due_at=moment.timestamp())]
        post = changed.post.model_copy(update={"publish_at": moment})
        return [records.change(arguments.number, post=post)]
    if arguments.verb == "resume":
        resumed = records.resume(arguments.number)
        if resumed.state is PublicationState.SCHEDULED:
            return [resumed]
        return [carry_on_unless_held(records, resumed, config)]
    found = Published(remote_id=arguments.found, url=arguments.url) if arguments.found else None
    return [records.resolve(arguments.number, found)]


def _publish_video(arguments: argparse.Namespace, config: Config, records: Publications) -> Publication:
    from video_pipeline.engine.errors import InputError
    from video_pipeline.engine.publish.due import carry_on_unless_held
    from video_pipeline.engine.publish.posts import FinishedVideo, add_posts, refusals
    from video_pipeline.engine.publish.specs import check_specs
    from video_pipeline.engine.publish.states import PublicationState

    spec = _spec_from(arguments)
    check_specs([spec], config)
    video = FinishedVideo.of(arguments.video)
    if reasons := refusals(video, spec, config):
        raise InputError(
            f"{arguments.video}: does not fit {spec.platform}:\n  " + "\n  ".join(map(str, reasons))
        )
    (added,) = add_posts(records, video, [spec], config)
    if added.state is PublicationState.SCHEDULED:
        return added
    return carry_on_unless_held(records, added, config)


def _needs_a_person(publication: Publication) -> bool:
    return publication.state in ("unknown", "held", "failed")


def _publication_line(publication: Publication) -> str:
    from datetime import UTC, datetime

    where = publication.published.url or publication.published.remote_id if publication.published else ""
    when = datetime.fromtimestamp(publication.due_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    due = f"at {when}" if publication.state in ("scheduled", "prepared", "saved", "committed") else ""
    parts = (where, due, publication.error or "")
    told = "  ".join(part for part in parts if part)
    line = (
        f"{publication.number:>5}  {publication.state:<10} {publication.platform}/{publication.account}  "
        f"{publication.post.title}  {told}"
    ).rstrip()
    return "".join(letter if letter.isprintable() else " " for letter in line)  # titles come from others


COMMANDS: dict[str, Command] = {"publish": (_add_publish_options, _publish)}
