"""The allowed sources of a job's assets: files under the node's asset roots, inline parts, public URLs.

The server checks a submit with `check_references`; the worker checks again with `localise`, whose result contains
only local paths and alone may be rendered. Both use the parsed story, so no alternative spelling of a field can
bypass them.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from video_pipeline.engine.assets.formats import ALLOWED, HEAD_BYTES, contents_of, suffix_as
from video_pipeline.engine.common.input_files import InputFiles, why_not_opened
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.policy import STANDARD, ErrorPolicy
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import AssetReferenceError, ConfigError, FetchError
from video_pipeline.engine.jobs.inputs.inbox import INBOX_PREFIX, Inbox, InboxError, inbox_names, sweep_inbox
from video_pipeline.engine.jobs.messages import INLINE_PREFIX
from video_pipeline.engine.net.addresses import ALLOWED as URL_ALLOWED
from video_pipeline.engine.net.addresses import check_url, check_written_address, is_url
from video_pipeline.engine.story import Story, parse_story
from video_pipeline.engine.story.asset_fields import (
    CONFIG_FIELDS,
    SCENE_FIELDS,
    STORY_FIELDS,
    AssetKind,
    AssetPlace,
    config_assets,
    is_font_file,
    story_assets,
)

__all__ = [
    "Fetch",
    "Inbox",
    "InboxError",
    "Localised",
    "PortableJob",
    "check_references",
    "inbox_names",
    "localise",
    "make_portable",
    "sweep_inbox",
]

PATH_MAX_BYTES: Final = 4096
NAME_MAX_BYTES: Final = 255
FETCHED_AT_ONCE: Final = 4

ASSET_SECTIONS: Final = frozenset({"video_pipeline", *(field.key for field in CONFIG_FIELDS)})

_INLINE = re.compile(INLINE_PREFIX + r"(0|[1-9][0-9]{0,5})", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

Fetch = Callable[[str, Path, AssetKind], Path]
"""Download a URL into a folder, check its kind and return the file; raises FetchError."""


class Localised(NamedTuple):
    """A job with local, absolute paths only.

    `warnings`: which assets were replaced or left out, and why. `beneath`: maps each file below an asset folder to
    that folder, in which it must still be when it is opened.
    """

    story: dict[str, Any]
    config: dict[str, Any]
    warnings: tuple[str, ...]
    beneath: Mapping[Path, Path]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A field of a job that refers to an asset."""

    at: AssetPlace
    place: str
    drop: tuple[dict[str, Any], str]
    """Mapping and key to delete if the asset is left out."""

    @property
    def kind(self) -> AssetKind:
        return self.at.kind

    @property
    def value(self) -> str:
        return str(self.at.value)

    def wrong(self, reason: str, allowed: str = "", *, unusable: bool = False) -> AssetReferenceError:
        """Return an error that names this field."""
        return AssetReferenceError(
            self.place,
            field=self.at.field,
            value=self.value,
            reason=reason,
            allowed=allowed,
            unusable=unusable,
        )


_NAMING: Final = frozenset(field.key for field in SCENE_FIELDS)


def names_assets(story: Story, config: Mapping[str, Any]) -> bool:
    """Return whether a job may refer to assets; if not, there is nothing to check."""
    for scene in story.scenes or ():
        if not _NAMING.isdisjoint(scene.model_fields_set):
            return True
    in_story = any(getattr(story, field.key) is not None for field in STORY_FIELDS)
    return in_story or not ASSET_SECTIONS.isdisjoint(config)


def check_references(
    story: Story | Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    node: Node,
    parts: Sequence[bytes],
    inbox: Inbox | Path,
    policy: ErrorPolicy = STANDARD,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check every asset reference of a job; return its story and config as plain data to store.

    Paths are resolved, inline parts written to the inbox, the syntax of URLs checked. The story gets its id here,
    because the derived id would change with its paths. If `inbox` is an `Inbox`, the caller must sync it before
    accepting the job; if it is a folder, it is synced on return. A file that is missing or unreadable is accepted if
    the job's error policy replaces it. Raises StoryError or ConfigError for invalid data, AssetReferenceError naming
    scene and field, InboxError if the disk is full.
    """
    data, settings = _plain_story(story), _plain_config(config)
    slots = list(_slots(data, settings))
    used: dict[int, str] = {}
    resolved: dict[str, str] = {}
    for slot in slots:
        if slot.value.startswith(INLINE_PREFIX):
            number = _inline_number(slot, parts)
            try:
                used[number] = _suffix_of_part(slot, parts[number], node)
            except AssetReferenceError as error:
                _only_unusable(error, policy)
                used.setdefault(number, contents_of(slot.kind)[0].suffix)
        elif is_url(slot.value):
            _check_url(slot, node)
        elif slot.value not in resolved:
            try:
                resolved[slot.value] = str(_resolve(slot, node).path)
            except AssetReferenceError as error:
                _only_unusable(error, policy)
    unused = [number for number in range(len(parts)) if number not in used]
    if unused:
        raise AssetReferenceError(
            "inline assets",
            field="parts",
            value=", ".join(str(number) for number in unused[:20]),
            reason="the job does not refer to them",
            allowed=f"only the {len(used)} parts that it refers to",
        )
    box = inbox if isinstance(inbox, Inbox) else Inbox(inbox)
    kept = {number: box.keep(bytes(parts[number]), suffix) for number, suffix in sorted(used.items())}
    for slot in slots:
        if slot.value.startswith(INLINE_PREFIX):
            slot.at.put(kept[_inline_number(slot, parts)])
        else:
            slot.at.put(resolved.get(slot.value, slot.value))
    if box is not inbox:
        box.sync()
    return data, settings


def localise(
    story: Story | Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    node: Node,
    inbox: Path,
    temp: Path,
    fetch: Fetch,
    settings: Config | None = None,
) -> Localised:
    """Return a job that `check_references` stored, with every asset as a local absolute path.

    All references are checked again. Each URL is fetched once, into `temp`. If a file is missing or unreadable, or
    the content of a URL unusable, the error policy of `settings`, the job's whole configuration (default: that of
    `config`), decides whether it is left out with a warning. Raises AssetReferenceError, which is permanent, and
    FetchError of kind transient, both naming scene and field.
    """
    policy = (settings or load_config(config, environ=False)).error_policy
    data, own = _plain_story(story), _plain_config(config)
    slots = list(_slots(data, own))
    box = Inbox(inbox)
    local: dict[_Wanted, str | FetchError | AssetReferenceError | None] = {}
    beneath: dict[Path, Path] = {}
    for slot in slots:
        wanted = _Wanted(slot.value, slot.kind)
        if wanted in local:
            continue
        if slot.value.startswith(INBOX_PREFIX):
            path = box.path(slot.value)
            if path is None:
                raise slot.wrong("is no longer in the inbox")
            local[wanted] = str(path.absolute())
        elif slot.value.startswith(INLINE_PREFIX):
            raise slot.wrong("the inline asset was never received")
        elif is_url(slot.value):
            _check_url(slot, node)
        else:
            try:
                found_at = _resolve(slot, node)
            except AssetReferenceError as error:
                _only_unusable(error, policy)
                local[wanted] = error
            else:
                local[wanted] = str(found_at.path)
                beneath[found_at.path] = found_at.root
    urls = dict.fromkeys(_Wanted(slot.value, slot.kind) for slot in slots if is_url(slot.value))
    local |= _fetch_all(urls, temp, fetch, policy)
    warnings: list[str] = []
    for slot in slots:
        found = local[_Wanted(slot.value, slot.kind)]
        if isinstance(found, str):
            slot.at.put(found)
        elif found is not None:  # None: another URL's error ends the attempt in this loop
            warnings.append(_leave_out(slot, found, policy))
    return Localised(data, own, tuple(warnings), beneath)


class PortableJob(NamedTuple):
    """A job whose files are all in an inbox. `files` maps the name that each has there to the local file."""

    story: dict[str, Any]
    config: dict[str, Any]
    files: Mapping[str, Path]


def make_portable(
    story: Story | Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    node: Node,
    inbox: Path,
    temp: Path,
    settings: Config | None = None,
) -> PortableJob:
    """Return a stored job for another machine: each file beneath an asset folder becomes one of the inbox.

    Such files are copied to `temp`, opened once and without following a link out of their folder. A missing file that
    the error policy replaces is left as it is, for the machine to replace. URLs stay. Raises AssetReferenceError.
    """
    policy = (settings or load_config(config, environ=False)).error_policy
    data, own = _plain_story(story), _plain_config(config)
    box, files = Inbox(inbox), dict[str, Path]()
    names: dict[_Wanted, str] = {}
    for slot in _slots(data, own):
        wanted = _Wanted(slot.value, slot.kind)
        if slot.value.startswith(INBOX_PREFIX):
            path = box.path(slot.value)
            if path is None:
                raise slot.wrong("is no longer in the inbox")
            files[path.name] = path
        elif slot.value.startswith(INLINE_PREFIX):
            raise slot.wrong("the inline asset was never received")
        elif not is_url(slot.value):
            try:
                if wanted not in names:
                    path = _copy(slot, _resolve(slot, node), temp)
                    names[wanted], files[path.name] = f"{INBOX_PREFIX}{path.name}", path
            except AssetReferenceError as error:
                _only_unusable(error, policy)
            else:
                slot.at.put(names[wanted])
    return PortableJob(data, own, files)


def _copy(slot: _Slot, found: _Found, folder: Path) -> Path:
    """Copy a file beneath an asset folder; return the copy, which has the name that an inbox would give it."""
    try:
        with InputFiles(beneath={found.path: found.root}).open(found.path) as file:
            try:
                suffix = suffix_as(slot.kind, file.head(HEAD_BYTES))
            except ValueError:
                suffix = contents_of(slot.kind)[0].suffix  # the machine says what is wrong with it
            copy = folder / f"{file.sha256}{suffix}"
            if not copy.exists():
                partial = copy.with_suffix(".partial")
                with partial.open("wb") as target:
                    file.stream.seek(0)
                    shutil.copyfileobj(file.stream, target)
                file.check()
                partial.replace(copy)
    except OSError as error:
        raise slot.wrong(why_not_opened(error), ALLOWED[slot.kind], unusable=True) from error
    return copy


class _Wanted(NamedTuple):
    value: str
    kind: AssetKind


def _fetch_all(
    urls: Mapping[_Wanted, None], folder: Path, fetch: Fetch, policy: ErrorPolicy
) -> dict[_Wanted, str | FetchError | None]:
    """Fetch URLs in parallel; return the file or the error of each.

    After an error that ends the attempt, no further fetch begins, and the results of the rest are None.
    """
    if not urls:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    has_failed = threading.Event()

    def one(wanted: _Wanted) -> str | FetchError | None:
        if has_failed.is_set():
            return None
        try:
            return str(fetch(wanted.value, folder, wanted.kind).absolute())
        except FetchError as error:
            if error.kind != "unusable" or not policy.replaces:
                has_failed.set()
            return error

    with ThreadPoolExecutor(min(FETCHED_AT_ONCE, len(urls)), "fetch") as pool:
        return dict(zip(urls, pool.map(one, urls), strict=True))


def _only_unusable(error: AssetReferenceError, policy: ErrorPolicy) -> None:
    """Re-raise an error unless the policy replaces the file that it is about."""
    if not (error.unusable and policy.replaces):
        raise error


def _leave_out(slot: _Slot, error: FetchError | AssetReferenceError, policy: ErrorPolicy) -> str:
    """Remove a reference from the job and return a warning; raise if that is not allowed."""
    if isinstance(error, FetchError) and error.kind == "transient":
        raise FetchError(f"{slot.place}: {error}", url=error.url, kind=error.kind) from error
    if isinstance(error, FetchError):
        fault = slot.wrong(str(error), unusable=error.kind == "unusable")
    else:
        fault = slot.wrong(error.reason, error.allowed, unusable=error.unusable)
    if not fault.unusable:
        raise fault from error
    warning = policy.replace(fault, instead=slot.at.instead)
    holder, key = slot.drop
    del holder[key]
    return warning


def _plain_story(story: Story | Mapping[str, Any]) -> dict[str, Any]:
    """Return a story as plain data in the form of its model, with its id."""
    model = parse_story(story)
    data = model.model_dump(mode="json", exclude_unset=True)
    data["id"] = model.story_id
    return data


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a job's configuration by sections."""
    inner: Any = config
    if set(config) == {"video_pipeline"}:
        inner = config["video_pipeline"] or {}
    if not isinstance(inner, Mapping):
        raise ConfigError(f"video_pipeline: got {type(inner).__name__}; allowed: a mapping of sections")
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in inner.items()}


def _slots(story: dict[str, Any], config: dict[str, Any]) -> Iterator[_Slot]:
    """Yield every field that refers to an asset."""
    for at in story_assets(story):
        if at.kind != "font" or _is_font_file(at.value):
            scene = f"{at.within} (scene_id {at.owner['scene_id']!r}): " if at.within else ""
            if at.kind == "words":  # without them, a narration is still heard
                yield _Slot(at, f"{scene}field {f'{at.entry}.{at.key}'!r}", (at.holder, at.key))
            else:
                yield _Slot(at, f"{scene}field {at.entry!r}", (at.owner, at.entry))
    for at in config_assets(config):
        if not isinstance(at.value, str):
            raise ConfigError(f"{at.field}: got {type(at.value).__name__}; allowed: text")
        if at.kind != "font" or _is_font_file(at.value):
            yield _Slot(at, at.field, (at.holder, at.key))


def _is_font_file(name: str) -> bool:
    """Return whether a font is given by a file, part or URL; otherwise it is a family name."""
    return is_url(name) or name.startswith((INLINE_PREFIX, INBOX_PREFIX)) or is_font_file(name)


def _inline_number(slot: _Slot, parts: Sequence[bytes]) -> int:
    match = _INLINE.fullmatch(slot.value)
    number = int(match.group(1)) if match else -1
    if not 0 <= number < len(parts):
        count = (
            f"{INLINE_PREFIX}0 to {INLINE_PREFIX}{len(parts) - 1}"
            if parts
            else "none; the request has no parts"
        )
        raise slot.wrong("there is no such part", count)
    return number


def _suffix_of_part(slot: _Slot, part: bytes, node: Node) -> str:
    """Return the suffix for the content of an inline part; raise if its format does not suit the field."""
    if len(part) > node.asset_max_mb * 1e6:
        raise slot.wrong(
            f"the part has {len(part)} bytes", f"at most {node.asset_max_mb:g} MB (node.asset_max_mb)"
        )
    try:
        return suffix_as(slot.kind, bytes(part[:HEAD_BYTES]))
    except ValueError as error:
        raise slot.wrong(str(error), ALLOWED[slot.kind], unusable=True) from error


def _check_url(slot: _Slot, node: Node) -> None:
    if not node.asset_urls:
        raise slot.wrong("this node does not fetch URLs (node.asset_urls)", _local_ways(node))
    try:
        check_written_address(check_url(slot.value))
    except FetchError as error:
        raise slot.wrong(str(error), URL_ALLOWED) from error


def _local_ways(node: Node) -> str:
    if not node.asset_roots:
        return f"an inline part ({INLINE_PREFIX}0); this node has no asset folders (node.asset_roots)"
    return f"a file under {', '.join(str(root) for root in node.asset_roots)}, or an inline part ({INLINE_PREFIX}0)"


class _Found(NamedTuple):
    """A file's real path, and the asset folder that it is in, both without symlinks."""

    path: Path
    root: Path


def _resolve(slot: _Slot, node: Node) -> _Found:
    """Return a file under one of the roots.

    Paths outside the roots are not accessed, so errors reveal nothing about them.
    """
    value = slot.value
    fault = _fault_in_path(value)
    if fault:
        raise slot.wrong(fault, _local_ways(node))
    roots = [(root.absolute(), Path(os.path.realpath(root))) for root in node.asset_roots]
    path = Path(value)
    if path.is_absolute():
        inside = any(path.is_relative_to(root) for pair in roots for root in pair)
        candidates = [path] if inside else []
        if not inside:
            raise slot.wrong("is outside the asset folders", _local_ways(node))
    else:
        candidates = [root / path for root, _ in roots]
    for candidate in candidates:
        try:
            real = Path(os.path.realpath(candidate, strict=True))
            root = next((root for _, root in roots if real.is_relative_to(root)), None)
            if root is None:
                raise slot.wrong("leads out of the asset folders", _local_ways(node))
            status = real.stat()
        except (OSError, ValueError):
            continue
        if not stat.S_ISREG(status.st_mode):
            raise slot.wrong("is not a file", _local_ways(node), unusable=True)
        if not os.access(real, os.R_OK):
            raise slot.wrong("this node cannot read it", _local_ways(node), unusable=True)
        return _Found(real, root)
    raise slot.wrong("the file does not exist", _local_ways(node), unusable=True)


def _fault_in_path(value: str) -> str | None:
    """Return what is wrong with the text of a path, or None."""
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        return "contains half of a surrogate pair"
    if value.startswith(INBOX_PREFIX):
        return f"{INBOX_PREFIX} is reserved for the node"
    if _SCHEME.match(value):
        return "is a URL with a scheme that is not supported"
    if any(unicodedata.category(character) == "Cc" for character in value):
        return "contains control characters"
    names = re.split(r"[/\\]" if os.sep == "\\" else "/", value)
    if ".." in names:
        return "contains '..'"
    if len(raw) > PATH_MAX_BYTES or any(len(name.encode()) > NAME_MAX_BYTES for name in names):
        return f"is too long ({len(raw)} bytes)"
    return None
