"""What a segment is drawn from, as plain data for another machine: JSON, with files by their SHA-256 in shared storage.

`encode_plan` leaves out what no frame shows: sound, subtitles, titles, the story. The data names no path of a machine and no
secret, and decoding it builds nothing but the records listed here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from video_pipeline.engine import __version__
from video_pipeline.engine.common.cache import FileDigests
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.common.object_store import ObjectStore, content_key
from video_pipeline.engine.errors import InputError, RenderingError, UnavailableError
from video_pipeline.engine.plan import VideoPlan
from video_pipeline.engine.render.bit_budget import needs_budget
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.segment_key import encoding_versions
from video_pipeline.engine.timeline import Footage, Timeline

FORMAT: Final = 1
MOST_BYTES: Final = 64 << 20
MOST_PARTS: Final = 64
"""How deep the data may be nested."""

MOST: Final = 2**53
"""Larger numbers are refused."""

LONGEST_SIDE_PX: Final = 16_384

VIDEO_KEYS: Final = ("motion", "zoompan_oversample", "gpu_memory_mb", "hwaccel")
"""What compositors read of the configuration."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,8})?")


class PlanDataError(InputError):
    """Data that is no plan, or one of another version."""


class MissingAssetError(RenderingError):
    """A file of a plan is not in the shared storage, or cannot be read there; another attempt may succeed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, machine=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingPlan:
    """What the segments of a video are drawn and encoded from; the timeline is without sound and captions' texts."""

    timeline: Timeline
    captions: tuple[CaptionArt, ...]
    settings: EncoderSettings
    session_wait: float
    compositor: str
    video: Mapping[str, Any]


def encode_plan(plan: VideoPlan, store: ObjectStore) -> bytes:
    """Return the data of a plan; its files are put into `store`.

    Raises UnavailableError if its segments cannot be drawn apart (an average bit rate with libx264), OSError.
    """
    if needs_budget(plan.encoding.settings):
        raise UnavailableError(
            "video.bitrate: with libx264 the rate of a segment depends on those before; such a video is drawn by one machine"
        )
    frames = plan.frames
    timeline = replace(
        frames.timeline,
        title="",
        audio=(),
        captions=(),
        clips=tuple(replace(clip, title=None) for clip in frames.timeline.clips),
    )
    digests = FileDigests()

    def put(path: Path) -> dict[str, str]:
        sha256 = digests(path)
        store.put_file_if_absent(content_key(sha256), path)
        suffix = path.suffix if _SUFFIX.fullmatch(path.suffix) else ""
        return {"sha256": sha256, "suffix": suffix}

    document = {
        "format": FORMAT,
        "version": __version__,
        "compositor": frames.compositor.name,
        "identity": _plain_identity(frames.compositor.identity(), timeline),
        "encoder": encoding_versions(plan.encoding.settings.encoder),
        "video": {key: getattr(frames.config.video, key) for key in VIDEO_KEYS},
        "session_wait": plan.encoding.session_wait,
        "settings": _data_of_value(plan.encoding.settings, put),
        "timeline": _data_of_value(timeline, put),
        "captions": [_data_of_value(art, put) for art in frames.captions],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def decode_plan(data: bytes, store: ObjectStore, folder: Path) -> DrawingPlan:
    """Return a plan from its data; its files are written into `folder`.

    Raises PlanDataError for data that is no plan, UnavailableError for one of another version, MissingAssetError.
    """
    document = _document(data)

    def fetch(sha256: str, suffix: str) -> Path:
        return _fetched(store, sha256, folder / f"{sha256}{suffix}")

    try:
        return DrawingPlan(
            timeline=_fitting(_built(document["timeline"], Timeline, fetch, "timeline")),
            captions=_built(document["captions"], tuple[CaptionArt, ...], fetch, "captions"),
            settings=_built(document["settings"], EncoderSettings, fetch, "settings"),
            session_wait=_built(document["session_wait"], float, fetch, "session_wait"),
            compositor=_built(document["compositor"], str, fetch, "compositor"),
            video=_built(document["video"], dict[str, Any], fetch, "video"),
        )
    except KeyError as error:
        raise PlanDataError(f"plan: has no {error.args[0]}") from None


def check_identity(data: bytes, plan: DrawingPlan, identity: Mapping[str, Any]) -> None:
    """Raise UnavailableError unless this machine draws and encodes a plan's frames to the same bytes.

    `identity` is that of the compositor opened here.
    """
    document = _document(data)
    here = {
        "identity": _plain_identity(identity, plan.timeline),
        "encoder": encoding_versions(plan.settings.encoder),
    }
    for part, own in here.items():
        told, mine = document.get(part), json.loads(json.dumps(own, default=str))
        if told != mine:
            names = sorted(
                name for name in {*mine, *(told or {})} if (told or {}).get(name) != mine.get(name)
            )
            raise UnavailableError(
                f"this machine would make other bytes: {part} differs in {', '.join(names) or 'its form'}"
            )


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise PlanDataError(f"plan: {len(data)} bytes; allowed: at most {MOST_BYTES}")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PlanDataError(f"plan: is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise PlanDataError("plan: is no JSON object")
    if document.get("format") != FORMAT or document.get("version") != __version__:
        raise UnavailableError(
            f"plan: is of format {document.get('format')!r:.20}, version {document.get('version')!r:.40}; this machine has "
            f"format {FORMAT}, version {__version__!r}: it would make other bytes"
        )
    return document


def _plain_identity(identity: Mapping[str, Any], timeline: Timeline) -> dict[str, Any]:
    """Return the part of a compositor's identity on which the frames of a timeline depend, as plain values."""
    has_clips = any(isinstance(clip.source, Footage) for clip in timeline.clips)
    kept = {name: value for name, value in identity.items() if name != "footage" or has_clips}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return plain


def _data_of_value(value: Any, put: Callable[[Path], dict[str, str]]) -> Any:
    """Return a value as JSON data: records with their names, files by their SHA-256."""
    if value is None or isinstance(value, bool | int | str | float):
        return value
    if isinstance(value, Fraction):
        return {"is": "Fraction", "numerator": value.numerator, "denominator": value.denominator}
    if isinstance(value, Path):
        return {"is": "Path", **put(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            "is": type(value).__name__,
            **{field.name: _data_of_value(getattr(value, field.name), put) for field in fields(value)},
        }
    if isinstance(value, Mapping):
        # The options of a filter hold the path of a font as text.
        return {
            str(key): {"is": "Font", **put(Path(item))} if key == "fontfile" else _data_of_value(item, put)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_data_of_value(item, put) for item in value]
    raise TypeError(f"{value!r:.100}: a {type(value).__name__} cannot be part of a plan's data")


def _built(value: Any, wanted: Any, fetch: Callable[[str, str], Path], place: str, depth: int = 0) -> Any:
    """Return a value of a type from JSON data; raise PlanDataError that names the place of a wrong one."""
    if depth > MOST_PARTS:
        raise PlanDataError(f"{place}: is nested too deep")
    origin = get_origin(wanted)
    if wanted is Any:
        return _any_plain(value, place, depth)
    if origin in (Union, types.UnionType):
        return _one_of(value, get_args(wanted), fetch, place, depth)
    if origin is Literal:
        if value not in get_args(wanted) or isinstance(value, bool):
            raise _wrong(value, place, wanted)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(value, place, wanted)
        kinds = get_args(wanted)
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise PlanDataError(f"{place}: has {len(value)} parts; allowed: {len(kinds)}")
        return tuple(
            _built(item, kind, fetch, f"{place}[{number}]", depth + 1)
            for number, (item, kind) in enumerate(zip(value, kinds, strict=True))
        )
    if origin is dict:
        if not isinstance(value, dict) or "is" in value:
            raise _wrong(value, place, wanted)
        return {
            key: _font(item, fetch, f"{place}.{key}")
            if key == "fontfile"
            else _built(item, get_args(wanted)[1], fetch, f"{place}.{key}", depth + 1)
            for key, item in value.items()
        }
    if wanted is Fraction:
        return _fraction(value, place)
    if wanted is Path:
        return _asset(value, "Path", fetch, place)
    if is_dataclass(wanted):
        return _record(value, wanted, fetch, place, depth)
    if wanted is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not abs(value) <= MOST:
            raise _wrong(value, place, wanted)
        return value
    if wanted is type(None):
        if value is not None:
            raise _wrong(value, place, wanted)
        return None
    if wanted in (int, str, bool) and type(value) is wanted and not (wanted is int and abs(value) > MOST):
        return value
    raise _wrong(value, place, wanted)


def _any_plain(value: Any, place: str, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise PlanDataError(f"{place}: got {value!r:.60}; allowed: a plain value")


def _one_of(
    value: Any, kinds: tuple[Any, ...], fetch: Callable[[str, str], Path], place: str, depth: int
) -> Any:
    """Return a value of the first of several types that it is of; a file is fetched only for the right one."""
    # An int is also a float, and True is no int: the strictest type comes first.
    order = {type(None): 0, bool: 1, int: 2, str: 3, float: 4}
    for kind in sorted(kinds, key=lambda each: order.get(each, 9)):
        if is_dataclass(kind) or kind in (Fraction, Path):
            if isinstance(value, dict) and value.get("is") == kind.__name__:
                return _built(value, kind, fetch, place, depth)
            continue
        try:
            return _built(value, kind, fetch, place, depth)
        except PlanDataError:
            continue
    raise _wrong(value, place, kinds)


@cache
def _hints(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def _record(value: Any, wanted: Any, fetch: Callable[[str, str], Path], place: str, depth: int) -> Any:
    if not isinstance(value, dict) or value.get("is") != wanted.__name__:
        raise _wrong(value, place, wanted)
    known = {field.name: field for field in dataclasses.fields(wanted)}
    if unknown := sorted(set(value) - set(known) - {"is"}):
        raise PlanDataError(f"{place}: {wanted.__name__} has no {unknown[0]!r:.60}")
    if missing := sorted(set(known) - set(value)):
        raise PlanDataError(f"{place}: {missing[0]} is missing")
    built = {
        name: _built(value[name], _hints(wanted)[name], fetch, f"{place}.{name}", depth + 1) for name in known
    }
    try:
        return wanted(**built)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise PlanDataError(f"{place}: {error}") from None


def _fraction(value: Any, place: str) -> Fraction:
    above, below = (
        (value.get("numerator"), value.get("denominator")) if isinstance(value, dict) else (None, 0)
    )
    if type(above) is not int or type(below) is not int or not below:
        raise _wrong(value, place, Fraction)
    return Fraction(above, below)


def _font(value: Any, fetch: Callable[[str, str], Path], place: str) -> str:
    return str(_asset(value, "Font", fetch, place))


def _asset(value: Any, kind: str, fetch: Callable[[str, str], Path], place: str) -> Path:
    if not isinstance(value, dict) or value.get("is") != kind:
        raise _wrong(value, place, Path)
    sha256, suffix = value.get("sha256"), value.get("suffix")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise PlanDataError(f"{place}: sha256: got {sha256!r:.80}; allowed: 64 hexadecimal digits")
    if not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix):
        raise PlanDataError(f"{place}: suffix: got {suffix!r:.40}; allowed: one such as .png")
    return fetch(sha256, suffix)


def _wrong(value: Any, place: str, wanted: Any) -> PlanDataError:
    allowed = getattr(wanted, "__name__", str(wanted))
    return PlanDataError(f"{place}: got {value!r:.60}; allowed: {allowed:.200}")


def _fitting(timeline: Timeline) -> Timeline:
    """Return a timeline whose parts fit together; raise PlanDataError."""
    if not timeline.clips or timeline.fps <= 0:
        raise PlanDataError("timeline: needs a clip and a rate above 0")
    if not all(0 < side <= LONGEST_SIDE_PX for side in (timeline.width_px, timeline.height_px)):
        raise PlanDataError(
            f"timeline: width_px and height_px: got {timeline.width_px} and {timeline.height_px}; allowed: 1 to {LONGEST_SIDE_PX}"
        )
    if any(not 0 <= join.after < len(timeline.clips) - 1 for join in timeline.transitions):
        raise PlanDataError(
            "timeline.transitions: after: allowed: the number of a clip that another one follows"
        )
    return timeline


def _fetched(store: ObjectStore, sha256: str, path: Path) -> Path:
    """Return a file with a SHA-256, fetched if it is not there."""
    if path.is_file():  # it was checked when it was written
        return path
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    key = content_key(sha256)
    try:
        with whole_file(path) as partial:
            if not store.fetch_file(key, partial):
                raise MissingAssetError(f"fleet.store: {store.name} has no {key}")
            with partial.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                store.delete(key)
                raise MissingAssetError(f"fleet.store: {store.name}: {key} is damaged")
    except OSError as error:
        raise MissingAssetError(f"fleet.store: {key} cannot be fetched: {error}") from error
    return path
