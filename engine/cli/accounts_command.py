"""`video-pipeline accounts`: connect the accounts that videos are published on."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing
from video_pipeline.engine.common.publishers import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.net.secret import Secret
    from video_pipeline.engine.publish.accounts import AccountFiles

PLATFORMS: Final = ("instagram", "tiktok", "youtube")
"""Platforms whose accounts are connected by a person, as in `publish.connecting`, which imports more."""


def _add_account_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Connect accounts of platforms, list, check and remove them. Their tokens are in files below the state folder "
        "that only their owner can read."
    )
    parser.epilog = (
        "examples:\n  video-pipeline accounts add youtube --client client_secret.json\n"
        "  video-pipeline accounts add instagram studio --app-id 1234567890 --config node.yaml\n"
        "  video-pipeline accounts add tiktok studio --client tiktok.json --config node.yaml\n"
        "  video-pipeline accounts check youtube studio --config node.yaml"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="{add,list,check,remove}", required=True)
    add = verbs.add_parser(
        "add",
        help="connect an account",
        description="youtube, tiktok: print an address, which a person opens in a browser on this machine and allows the access. "
        "instagram: take a user's access token of an app with Facebook Login for Business, and keep one that lives for 60 days.",
    )
    add.add_argument(
        "--client",
        metavar="FILE",
        type=Path,
        help="youtube: JSON of an OAuth client of the type Desktop app, from Google's console; tiktok: JSON with "
        "client_key and client_secret of the app",
    )
    add.add_argument("--app-id", metavar="ID", help="instagram: the app's id, from Meta's dashboard")
    add.add_argument(
        "--secret-file",
        metavar="FILE",
        type=Path,
        help="instagram: file with the app's secret; default: asked for",
    )
    add.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="instagram: file with the user's token; default: asked for",
    )
    add.add_argument(
        "--user", metavar="NAME", help="instagram: the account's name, if the token leads to several"
    )
    listing = verbs.add_parser(
        "list",
        help="list the accounts that are set up or connected",
        description="List the accounts that are set up or connected, and until when; ask no platform.",
    )
    check = verbs.add_parser(
        "check",
        help="ask the platform whether an account works",
        description="Refresh the token of an account if needed, and ask the platform whose it is and how much of its limit of "
        "posts is used.",
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
        connected = {(each["platform"], each["name"]) for each in found}
        found += [
            each
            for each in _configured_views(config, arguments.platform)
            if (each["platform"], each["name"]) not in connected
        ]
        lines = [_account_line(each) for each in found] or [
            "no account is set up (publishing.accounts) or connected"
        ]
        print(json.dumps(found) if arguments.json else "\n".join(lines))
        return 0
    verbs = {"add": CONNECTED_BY[arguments.platform], "check": _check_account, "remove": _disconnect}
    done = verbs[arguments.verb](arguments, config, files)
    print(json.dumps(done) if arguments.json else _account_line(done))
    return 0


def _connect_by_browser(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    from video_pipeline.engine.publish.accounts import StoredAccount
    from video_pipeline.engine.publish.connecting import CONNECTED
    from video_pipeline.engine.publish.oauth import ask_for_grant, read_app

    files.path(arguments.platform, arguments.name)
    platform = CONNECTED[arguments.platform]
    assert platform.oauth is not None
    app = read_app(_needed(arguments, "client"), platform.oauth)

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


def _connect_by_token(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    from video_pipeline.engine.publish.instagram import account_graph
    from video_pipeline.engine.publish.meta_login import connect_by_token

    files.path(arguments.platform, arguments.name)
    app_id = str(_needed(arguments, "app_id"))
    account = connect_by_token(
        account_graph(config, arguments.name),
        app_id=app_id,
        app_secret=_asked_secret("--secret-file", arguments.secret_file, "the app's secret"),
        token=_asked_secret("--token-file", arguments.token_file, "the user's access token"),
        username=arguments.user,
        now=time.time(),
    )
    files.save(arguments.platform, arguments.name, account)
    view = _account_view(files, arguments.platform, arguments.name)
    return view | {"done": f"is connected: {account.username}"}


CONNECTED_BY: Final = {
    "instagram": _connect_by_token,
    "tiktok": _connect_by_browser,
    "youtube": _connect_by_browser,
}
"""How the accounts of each platform are connected."""


def _needed(arguments: argparse.Namespace, option: str) -> Any:
    from video_pipeline.engine.errors import InputError

    given = getattr(arguments, option)
    if given is None:
        raise InputError(
            f"--{option.replace('_', '-')}: is needed to connect an account of {arguments.platform}"
        )
    return given


def _asked_secret(option: str, file: Path | None, what: str) -> Secret:
    """Return a secret from its file, or as a person types it without an echo."""
    from video_pipeline.engine.errors import InputError
    from video_pipeline.engine.net.secret import find_secret, typed_secret

    found = find_secret(option, file=file, variables=())
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise InputError(f"{option}: is needed: there is no terminal to type {what}")
    return typed_secret(getpass.getpass(f"{what}: "), what)


def _check_account(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    from video_pipeline.engine.publish.connecting import CONNECTED

    calls = CONNECTED[arguments.platform].calls(config, arguments.name)
    owner, quota = calls.owner(), calls.quota()
    told: dict[str, Any] = {"done": f"works: {owner}"}
    if quota is not None:
        told |= {"quota": asdict(quota), "used": quota.words}
    return _account_view(files, arguments.platform, arguments.name) | told


def _disconnect(arguments: argparse.Namespace, config: Config, files: AccountFiles) -> dict[str, Any]:
    from video_pipeline.engine.publish.accounts import StoredAccount
    from video_pipeline.engine.publish.instagram import account_graph
    from video_pipeline.engine.publish.meta_login import disconnect_account

    if arguments.platform == "instagram":
        problem = disconnect_account(files, arguments.name, account_graph(config, arguments.name))
        place = "Facebook's settings, Business integrations"
    else:
        stored = files.load(arguments.platform, arguments.name, StoredAccount)
        problem = files.remove(arguments.platform, arguments.name)
        place = stored.app.rules.ended_at
    told = f"is removed; end the access at {place} ({problem})" if problem else "is removed"
    return {"platform": arguments.platform, "name": arguments.name, "done": told}


def _account_view(files: AccountFiles, platform: str, name: str) -> dict[str, Any]:
    from video_pipeline.engine.errors import ConfigError
    from video_pipeline.engine.publish.accounts import ConnectedAccount, warning_of

    view: dict[str, Any] = {"platform": platform, "name": name}
    try:
        account = files.load(platform, name, ConnectedAccount)
    except ConfigError as error:
        return view | {"error": str(error)}
    warning = warning_of(account, now=time.time())
    return (
        view
        | {"ends_at": account.ends_at, "lasts": account.end_words}
        | ({"warning": warning} if warning else {})
    )


def _configured_views(config: Config, platform: str | None) -> list[dict[str, Any]]:
    """Return the accounts of the configuration, as if none was connected."""
    from video_pipeline.engine.config.families import PUBLISHERS

    return [
        {"platform": each, "name": name}
        | (
            {"warning": f"is not connected: `video-pipeline accounts add {each} {name}`"}
            if each in PLATFORMS
            else {"done": "is set up; it needs no connection"}
        )
        for each in ((platform,) if platform else PUBLISHERS.names)
        for name in sorted(getattr(config.publishing.accounts, each))
    ]


def _account_line(view: dict[str, Any]) -> str:
    lasts = f"connected {view['lasts']}" if "lasts" in view else ""
    told = (view.get("done", ""), view.get("used", ""), lasts, view.get("warning", ""), view.get("error", ""))
    return f"{view['platform']}/{view['name']}  " + "; ".join(filter(None, told))


COMMANDS: dict[str, Command] = {"accounts": (_add_account_options, _accounts)}
