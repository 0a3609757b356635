"""`video-pipeline keys`: make, list and revoke client keys."""

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
        "Make, list and revoke the CURVE keys of clients on other machines. Run it on the "
        "node's machine, with the node's configuration; a running node sees a change within a second."
    )
    parser.epilog = (
        "examples:\n  video-pipeline keys node --config node.yaml\n"
        "  video-pipeline keys client studio --config node.yaml\n"
        "  video-pipeline keys list --config node.yaml\n"
        "  video-pipeline keys revoke studio --config node.yaml"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="{node,client,list,revoke}", required=True)
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
    listing = verbs.add_parser(
        "list",
        help="list the allowed clients",
        description="List the clients whose keys the node accepts, and the folder in which it looks for them.",
    )
    revoke = verbs.add_parser(
        "revoke",
        help="revoke a client's key and end its connections",
        description="Revoke a client's key and end its connections. Its public key is kept in revoked/.",
    )
    revoke.add_argument("name", metavar="NAME", help="the client's name, as `keys list` shows it")
    for verb in (node, client, listing, revoke):
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
    from video_pipeline.engine.jobs import curve

    folder = curve.keys_dir(config)
    if arguments.verb == "node":
        made = folder / "node.key"
        if not made.exists():
            curve.make_node_key(folder)
        public = curve.read_key(made).public.decode()
        text = f"{made}: the node's public key, {public}; every client needs a copy of this file"
        return {"node_key": str(made), "public_key": public}, text
    if arguments.verb == "client":
        secret = curve.make_client_key(folder, arguments.name, into=arguments.output)
        _disown(config, arguments.name)
        node = folder / "node.key"
        text = (
            f"{secret}: the secret key of {arguments.name}; move it to the client's machine (mode 0600),\n"
            f"{node}: and copy this beside it. Start the client with\n"
            f"  --key-file {secret.name} --node-key {node.name}"
        )
        if not node.exists():
            text += "\nThe node has no key yet: video-pipeline keys node"
        return {"name": arguments.name, "secret_key": str(secret), "node_key": str(node)}, text
    if arguments.verb == "list":
        names = curve.client_names(folder)
        faults = curve.AllowList(folder).faults
        read = folder / "clients"
        lines = [*(names or ["no client is allowed"]), *(f"error: {fault}" for fault in faults)]
        text = "\n".join((f"clients with a key in {read}:", *lines))
        return {"folder": str(read), "clients": names, "faults": faults}, text
    kept = curve.revoke_client(folder, arguments.name)
    return {"name": arguments.name, "revoked": str(kept)}, f"{arguments.name} is revoked ({kept})"


COMMANDS: dict[str, Command] = {"keys": (_add_options, _run)}
