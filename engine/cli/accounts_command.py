"""`video-pipeline accounts`: connect the accounts that videos are published on."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing
from video_pipeline.engine.common.publishers import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.publish.accounts import AccountFiles

PLATFORMS: Final = ("tiktok", "youtube")
"""Platforms whose accounts are connected by a person, as in `publish.connecting`, which imports more."""


def _add_account_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Connect accounts of platforms, list, check and remove them. Their tokens are in files below the state folder "
        "that only their owner can read."
    )
    parser.epilog = (
        "examples:\n  video-pipeline accounts add youtube --client client_secret.json\n"
        "  video-pipeline accounts add tiktok studio --client tiktok.json --config node.yaml\n"
        "  video-pipeline accounts check youtube studio --config node.yaml"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="{add,list,check,remove}", required=True)
    add = verbs.add_parser(
        "add",
        help="connect an account",
        description="Print an address; a person opens it in a browser on this machine and allows the access.",
    )
    add.add_argument(
        "--client",
        metavar="FILE",
        type=Path,
        required=True,
        help="youtube: JSON of an OAuth client of the type Desktop app, from Google's console; tiktok: JSON with "
        "client_key and client_secret of the app",
    )
    listing = verbs.add_parser(
        "list",
        help="list the connected accounts",
        description="List the connected accounts; ask no platform.",
    )
    check = verbs.add_parser(
        "check",
        help="ask the platform whether an account works",
        description="Refresh the token of an account if needed, and ask the platform whose it is.",
    )
    remove = verbs.add_parser(
        "remove",
        help="end the access and delete its file",
        description="Revoke the access and delete its file.",
    )
    for verb in (add, listing, check, remove):
        verb.add_argument(
            "platform",
            metavar="PLATFORM",
            choices=PLATFORMS,
            nargs="?" if verb is listing else None,
            help=" or ".join(PLATFORMS),
        )
        if verb is not listing:
            verb.add_argument(
                "name", metavar="NAME", nargs="?", default=DEFAULT_ACCOUNT, help="default: default"
            )
        verb.add_argument(
            "--config", metavar="FILE", type=Path, help="configuration file (YAML), as the node's"
        )
        verb.add_argument("--json", action="store_true", help="print JSON")


def _accounts(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.publish.accounts import AccountFiles

    config = load_config(arguments.config)
    files = AccountFiles.of(config)
    if arguments.verb == "list":
        platforms = (arguments.platform,) if arguments.platform else PLATFORMS
        found = [
            _account_view(files, platform, name) for platform in platforms for name in files.names(platform)
        ]
        lines = [_account_line(each) for each in found] or ["no account is connected"]
        print(json.dumps(found) if arguments.json else "\n".join(lines))
        return 0
    done = {"add": _connect_by_browser, "check": _check_account, "remove": _disconnect}[arguments.verb](
        arguments, config, files
    )
    print(json.dumps(done) if arguments.json else _account_line(done))
    return 0


def _connect_by_browser(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    from video_pipeline.engine.publish.accounts import StoredAccount
    from video_pipeline.engine.publish.connecting import CONNECTED
    from video_pipeline.engine.publish.oauth import ask_for_grant, read_app

    files.path(arguments.platform, arguments.name)
    platform = CONNECTED[arguments.platform]
    app = read_app(arguments.client, platform.oauth)

    def show(address: str) -> None:
        print(
            f"open this address in a browser on this machine and allow the access:\n{address}",
            file=sys.stderr,
        )

    grant = ask_for_grant(app, platform.scopes(config, arguments.name), show=show)
    now = time.time()
    account = StoredAccount(app=app, grant=grant, added_at=now).with_grant(grant, now=now)
    files.save(arguments.platform, arguments.name, account)
    return _account_view(files, arguments.platform, arguments.name) | {"done": "is connected"}


def _check_account(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    from video_pipeline.engine.publish.connecting import CONNECTED

    holder = CONNECTED[arguments.platform].holder(config, arguments.name)
    return _account_view(files, arguments.platform, arguments.name) | {"done": f"works: {holder}"}


def _disconnect(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    ended_at = files.load(arguments.platform, arguments.name).app.rules.ended_at
    problem = files.remove(arguments.platform, arguments.name)
    told = f"is removed; end the access at {ended_at} ({problem})" if problem else "is removed"
    return {"platform": arguments.platform, "name": arguments.name, "done": told}


def _account_view(files: AccountFiles, platform: str, name: str) -> dict[str, Any]:
    from video_pipeline.engine.errors import ConfigError

    view: dict[str, Any] = {"platform": platform, "name": name}
    try:
        account = files.load(platform, name)
    except ConfigError as error:
        return view | {"error": str(error)}
    left = None if account.ends_at is None else account.ends_at - time.time()
    return view | {"ends_at": account.ends_at, "lasts": account.end_words} | _warning(left)


def _warning(left: float | None) -> dict[str, str]:
    from video_pipeline.engine.publish.accounts import WARNED_SECONDS

    if left is None or left > WARNED_SECONDS:
        return {}
    return {"warning": "connect it again: it has ended" if left <= 0 else "connect it again soon"}


def _account_line(view: dict[str, Any]) -> str:
    lasts = f"connected {view['lasts']}" if "lasts" in view else ""
    told = (view.get("done", ""), lasts, view.get("warning", ""), view.get("error", ""))
    return f"{view['platform']}/{view['name']}  " + "; ".join(filter(None, told))


COMMANDS: dict[str, Command] = {"accounts": (_add_account_options, _accounts)}
