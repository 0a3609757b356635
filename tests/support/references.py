"""Check and localise the assets of jobs as a node does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from video_pipeline.engine.config.policy import STANDARD, ErrorPolicy
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import FetchError
from video_pipeline.engine.jobs.inputs.references import (
    Localised,
    check_references,
    localise,
)
from video_pipeline.engine.story.asset_fields import AssetKind


def story(*scenes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a story of these scenes, which are numbered and silent."""
    named = [{"scene_id": f"s{number}", "narration": "", **scene} for number, scene in enumerate(scenes)]
    return {"title": "A story", "scenes": named or [{"scene_id": "s0", "text": "Words."}], **more}


def node(*roots: Path, **more: Any) -> Node:
    """Return the settings of a node with these asset folders."""
    return Node(asset_roots=roots, **more)


def check(
    data: Any,
    folder: Path,
    *,
    config: Any = None,
    parts: tuple[bytes, ...] = (),
    inbox: Path | None = None,
    policy: ErrorPolicy = STANDARD,
    **more: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check a job as the server does when it is submitted; return its story and configuration to store."""
    inbox = inbox or folder.parent / "inbox"
    return check_references(
        data, config or {}, node=node(folder, **more), parts=parts, inbox=inbox, policy=policy
    )


def no_fetch(url: str, folder: Path, kind: AssetKind) -> Path:
    """Fail: a test that does not expect a download uses it."""
    raise AssertionError(f"{url} was fetched")


def local(
    found: tuple[dict[str, Any], dict[str, Any]], folder: Path, fetch: Any = no_fetch, **more: Any
) -> Localised:
    """Return a checked job with local paths, as a worker does before it renders."""
    return localise(
        *found,
        node=node(folder),
        inbox=folder.parent / "inbox",
        temp=folder.parent / "temp",
        fetch=fetch,
        **more,
    )


def failing(kind: Any) -> Any:
    """Return a function to fetch URLs that raises FetchError."""

    def fetch(url: str, folder: Path, wanted: AssetKind) -> Path:
        raise FetchError(f"{url}: no luck", url=url, kind=kind)

    return fetch
