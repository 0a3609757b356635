"""`video-pipeline keys`: make, list and revoke the keys and tokens of clients."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make, list and revoke what clients on other machines need: CURVE keys for ZeroMQ, tokens for HTTP. A key and "
        "the tokens of one NAME are one user, with the same jobs. Run it on the node's machine, with the node's "
        "configuration; a running node sees a change within a second."
    )
    parser.epilog = (
        "examples:\n  video-pipeline keys node --config node.yaml\n"
        "  video-pipeline keys client studio --config node.yaml\n"
        "  video-pipeline keys token studio --config node.yaml\n"
        "  video-pipeline keys list --config node.yaml\n"
        "  video-pipeline keys revoke studio --config node.yaml"
    )
    verbs = parser.add_subparsers(
        dest="verb", metavar="{node,client,token,list,revoke,revoke-token}", required=True
    )
    node = verbs.add_parser(
        "node",
        help="show the node's own public key; make the key if there is none",
        description="Show the file and the text of the node's public key, which every client needs. The key is made "
        "if the node has none.",
    )
    client = verbs.add_parser(
        "client",
        help="make a client's key and allow it",
        description="Make the secret key of a client and allow it to connect. Move the file to the client's machine.",
    )
    client.add_argument(
        "name", metavar="NAME", help="the client's name; jobs submitted with the key belong to it"
    )
    client.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="folder for the secret key; default: keys/issued",
    )
    token = verbs.add_parser(
        "token",
        help="make a token of a client for the HTTP interface",
        description="Make a token with which a client uses the HTTP interface, and print it. The node keeps only its "
        "SHA-256: it cannot be shown again. A client may have several.",
    )
    token.add_argument(
        "name", metavar="NAME", help="the client's name; jobs submitted with the token belong to it"
    )
    listing = verbs.add_parser(
        "list",
        help="list the allowed clients",
        description="List the clients whose keys and tokens the node accepts, and the folder in which it looks for them.",
    )
    revoke = verbs.add_parser(
        "revoke",
        help="revoke a client's key and tokens, and end its connections",
        description="Revoke a client's key and tokens, and end its connections. Its public key is kept in revoked/.",
    )
    revoke.add_argument("name", metavar="NAME", help="the client's name, as `keys list` shows it")
    revoke_token = verbs.add_parser(
        "revoke-token",
        help="revoke one token",
        description="Revoke one token, and end the streams of events that use it. Others of the same client stay.",
    )
    revoke_token.add_argument("token_id", metavar="ID", help="the token's id, as `keys list` shows it")
    for verb in (node, client, token, listing, revoke, revoke_token):
        verb.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML) of the node")
        verb.add_argument("--json", action="store_true", help="print one JSON object")


def _run(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.config import load_config

    done, text = _done(load_config(arguments.config), arguments)
    print(json.dumps(done) if arguments.json else text)
    return 0


def _disown(config: Config, name: str) -> None:
    """Keep the jobs of an earlier client of this name from the new one; operators still see them, as NAME~TIME."""
    from video_pipeline.engine.jobs.folders import Folders
    from video_pipeline.engine.jobs.ledger.ledger import Ledger

    path = Folders.of(config).ledger
    if path.exists():
        with Ledger(path) as ledger:
            ledger.jobs.disown(name, new_owner=f"{name}~{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")


def _done(config: Config, arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Carry out a verb; return what it did, as data and as text."""
    from video_pipeline.engine.jobs import curve, tokens

    folder = curve.keys_dir(config)
    match arguments.verb:
        case "node":
            return _node_key(folder)
        case "client":
            return _client_key(config, folder, arguments.name, arguments.output)
        case "token":
            is_new = arguments.name not in _users(folder)
            made = tokens.make_token(folder, arguments.name)
            if is_new:
                _disown(config, arguments.name)
            shown = f"{made.text}\nThis is the token of {made.name}. It is not shown again; its id is {made.token_id}."
            return {"name": made.name, "token_id": made.token_id, "token": made.text}, shown
        case "list":
            return _listed_keys(folder)
        case "revoke-token":
            kept = tokens.remove_token(folder, arguments.token_id)
            shown = f"the token {arguments.token_id} of {kept.name} is revoked"
            return {"name": kept.name, "token_id": arguments.token_id}, shown
        case _:
            return _revoked(folder, arguments.name)


def _users(folder: Path) -> set[str]:
    from video_pipeline.engine.jobs import curve, tokens

    return {*curve.client_names(folder), *tokens.user_names(folder)}


def _node_key(folder: Path) -> tuple[dict[str, Any], str]:
    from video_pipeline.engine.jobs import curve

    made = folder / "node.key"
    if not made.exists():
        curve.make_node_key(folder)
    public = curve.read_key(made).public.decode()
    text = f"{made}: the node's public key, {public}; every client needs a copy of this file"
    return {"node_key": str(made), "public_key": public}, text


def _client_key(config: Config, folder: Path, name: str, output: Path | None) -> tuple[dict[str, Any], str]:
    from video_pipeline.engine.jobs import curve

    is_new = name not in _users(folder)
    secret = curve.make_client_key(folder, name, into=output)
    if is_new:
        _disown(config, name)
    node = folder / "node.key"
    text = (
        f"{secret}: the secret key of {name}; move it to the client's machine (mode 0600),\n"
        f"{node}: and copy this beside it. Start the client with\n"
        f"  --key-file {secret.name} --node-key {node.name}"
    )
    if not node.exists():
        text += "\nThe node has no key yet: video-pipeline keys node"
    return {"name": name, "secret_key": str(secret), "node_key": str(node)}, text


def _listed_keys(folder: Path) -> tuple[dict[str, Any], str]:
    from video_pipeline.engine.jobs import curve, tokens

    names = curve.client_names(folder)
    stored, wrong = tokens.stored_tokens(folder)
    faults = [*curve.AllowList(folder).faults, *wrong]
    read = folder / "clients"
    lines = [f"clients with a key in {read}:", *(names or ["no client is allowed"])]
    if stored:
        lines.append(f"tokens in {folder / 'tokens'}:")
        lines += [f"{token_id}  {each.name}, made {each.made}" for token_id, each in stored.items()]
    lines += [f"error: {fault}" for fault in faults]
    listed = [
        {"token_id": token_id, "name": each.name, "made": each.made} for token_id, each in stored.items()
    ]
    return {"folder": str(read), "clients": names, "tokens": listed, "faults": faults}, "\n".join(lines)


def _revoked(folder: Path, name: str) -> tuple[dict[str, Any], str]:
    from video_pipeline.engine.jobs import curve, tokens

    curve.check_name(name)
    removed = tokens.remove_tokens_of(folder, name)
    found: dict[str, Any] = {"name": name, "tokens": removed}
    if removed and name not in curve.client_names(folder):
        return found, f"{name} is revoked (tokens: {len(removed)})"
    kept = curve.revoke_client(folder, name)
    return {**found, "revoked": str(kept)}, f"{name} is revoked ({kept})"


COMMANDS: dict[str, Command] = {"keys": (_add_options, _run)}
