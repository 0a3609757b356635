"""The plain encoding of a video's plan, with which another machine draws its segments.

It is JSON with a version. Files are named by the SHA-256 of their bytes and are in the shared storage; there are no paths,
no keys of services and no code in it. What is read is checked, since whoever can write to the storage can send anything.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine import __version__
from video_pipeline.engine.assets.formats import CONTENTS
from video_pipeline.engine.common.cache import FileDigests, file_sha256
from video_pipeline.engine.common.object_store import ObjectStore, content_key
from video_pipeline.engine.common.plain_values import PlainValueError, files_of, from_plain, to_plain
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.load import validate
from video_pipeline.engine.config.profiles import Profile
from video_pipeline.engine.errors import ConfigError, PlanError
from video_pipeline.engine.plan import VideoPlan
from video_pipeline.engine.render.bit_budget import needs_budget
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.segment_key import encoding_versions, segment_key
from video_pipeline.engine.timeline import Footage, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.transitions import XFADE_NAMES
from video_pipeline.filters.typeset import FontStack

FORMAT: Final = 1
"""Increase it when the encoding changes; machines refuse another one."""

MOST_BYTES: Final = 64 << 20
MOST_FRAMES: Final = 10_000_000
MOST_CLIPS: Final = 100_000

SECTIONS: Final = ("video", "audio", "captions")
"""The sections of the configuration on which the video's bytes depend once it is planned."""

LEFT_OUT: Final = {
    "video": frozenset(["hwaccel", "session_wait", "gpu_memory_mb", "compositor", "codec"]),
    "audio": frozenset(["music"]),
    "captions": frozenset[str](),
}
"""Their keys that each machine has its own value of, or that the plan has already decided."""

DEMUXERS: Final = frozenset(content.demuxer for content in CONTENTS if content.demuxer)

DRAWTEXT_FILES: Final = frozenset(["fontfile", "textfile"])
DRAWTEXT_OPTIONS: Final = DRAWTEXT_FILES.union(
    ("expansion", "fontsize", "fontcolor", "ft_load_flags", "y_align", "x", "y", "text"),
    ("box", "boxcolor", "boxw", "boxh", "boxborderw", "borderw", "bordercolor"),
    ("shadowx", "shadowy", "shadowcolor"),
)

_DIGESTS: Final = FileDigests()


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment's frames, and its key with the settings of the whole video, which shows whether a machine draws the same."""

    frames: FrameRange
    key: str


@dataclass(frozen=True, slots=True)
class PlanData:
    """A plan as data. `config` has the sections that count; `files` maps the paths in it to SHA-256 in hex.

    The files are not there yet: `fetch_file` brings them.
    """

    version: str
    config: Mapping[str, Any]
    settings: EncoderSettings
    encoder_versions: Mapping[str, Any]
    compositor: Mapping[str, Any]
    timeline: Timeline
    captions: tuple[CaptionArt, ...]
    segments: tuple[PlannedSegment, ...]
    title_fonts: FontStack
    title: str
    language: str | None
    files: Mapping[Path, str] = field(default_factory=dict)


def why_whole(settings: EncoderSettings) -> str | None:
    """Return why a video's segments cannot be drawn apart from each other, None if they can."""
    if needs_budget(settings):
        return (
            "video.bitrate: each segment's rate depends on the sizes of those before it, so the video is drawn by one "
            "machine; with video.crf or video.quality its segments may be drawn by several"
        )
    return None


def encode_plan(plan: VideoPlan, store: ObjectStore) -> bytes:
    """Return a plan as JSON, with its files stored in the shared storage.

    Raises PlanError (`whole`) if its segments cannot be drawn apart, StoreError if a file cannot be stored, FileNotFoundError
    for one that is gone.
    """
    frames, settings = plan.frames, plan.encoding.settings
    if (why := why_whole(settings)) is not None:
        raise PlanError(why, reason="whole")

    @functools.cache
    def stored(path: Path) -> str:
        sha256 = _DIGESTS(path)
        if not store.read_range(content_key(sha256), 0, 1):  # cheaper than to send a file that is there
            store.put_file_if_absent(content_key(sha256), path)
        return sha256

    identity = frames.compositor.identity()
    segments = [
        PlannedSegment(
            shown,
            segment_key(
                frames.timeline,
                frames.captions,
                shown,
                settings=settings,
                compositor=identity,
                digest=_DIGESTS,
            ),
        )
        for shown in frames.compositor.segments()
    ]
    data = {
        "format": FORMAT,
        "version": __version__,
        "config": _sections(frames.config),
        "settings": to_plain(EncoderSettings, settings, store=stored),
        "encoder_versions": encoding_versions(settings.encoder),
        "compositor": {"name": frames.compositor.name, "identity": identity},
        "timeline": to_plain(Timeline, frames.timeline, store=stored, where="timeline"),
        "captions": [
            to_plain(CaptionArt, _with_font_files(art), store=stored, where="captions")
            for art in frames.captions
        ],
        "segments": [to_plain(PlannedSegment, each, store=stored) for each in segments],
        "title_fonts": to_plain(FontStack, frames.title_fonts, store=stored, where="title_fonts"),
        "title": frames.story.title,
        "language": frames.story.metadata.language,
    }
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def decode_plan(data: bytes, *, find: Callable[[str, str], Path]) -> PlanData:
    """Return what a plan's JSON says; `find` returns where the file with a SHA-256 and a suffix is to be.

    Raises PlanError: `version` for one of another engine or format, `damaged` for anything that is no plan.
    """
    files: dict[Path, str] = {}

    def place(sha256: str, suffix: str) -> Path:
        path = find(sha256, suffix)
        files[path] = sha256
        return path

    try:
        return replace(_decoded(_read(data), place), files=files)
    except PlanError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError, ConfigError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PlanError(f"the plan is damaged: {first:.300}", reason="damaged") from error


def fetch_file(target: Path, *, sha256: str, store: ObjectStore) -> None:
    """Write a file of a plan to a new path; raise PlanError (`files`) if it is missing or damaged, and StoreError."""
    key = content_key(sha256)
    if not store.fetch_file(key, target):
        raise PlanError(f"the file {sha256} of the plan is not in {store.name}", reason="files")
    if file_sha256(target) != sha256:
        target.unlink()
        store.delete(key)
        raise PlanError(
            f"the file {sha256} of the plan was damaged in {store.name} and is deleted there; plan again",
            reason="files",
        )


def _sections(config: Config) -> dict[str, dict[str, Any]]:
    """Return the keys that are set in the sections that count."""
    sections: dict[str, dict[str, Any]] = {}
    for name in SECTIONS:
        section = getattr(config, name)
        sections[name] = section.model_dump(mode="json", exclude_unset=True, exclude=set(LEFT_OUT[name]))
    profile = config.video.profile
    if isinstance(profile, Profile):
        sections["video"]["profile"] = profile.as_data()
    return sections


def _with_font_files(art: CaptionArt) -> CaptionArt:
    """Return a caption whose lines name their font as a file and not as text."""
    lines = tuple(
        {key: Path(str(value)) if key in DRAWTEXT_FILES else value for key, value in line.items()}
        for line in art.lines
    )
    return replace(art, lines=lines)


def _with_font_texts(art: CaptionArt, where: str) -> CaptionArt:
    """Undo `_with_font_files`; raise PlainValueError for an option that no caption has."""
    for line in art.lines:
        for key, value in line.items():
            if key not in DRAWTEXT_OPTIONS or isinstance(value, Path) != (key in DRAWTEXT_FILES):
                raise PlainValueError(f"{where}.lines: got {key!r:.100}, which is no option of a caption")
    lines = tuple(
        {key: str(value) if key == "fontfile" else value for key, value in line.items()} for line in art.lines
    )
    return replace(art, lines=lines)


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise PlanError(f"the plan has {len(data)} bytes; at most {MOST_BYTES} are read", reason="damaged")
    found = json.loads(data.decode("utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise PlanError("the plan is damaged: it has no format", reason="damaged")
    if found["format"] != FORMAT or found.get("version") != __version__:
        raise PlanError(
            f"the plan is of version {found.get('version')!r:.40}, format {found['format']!r:.20}; this machine has "
            f"{__version__}, format {FORMAT}: give all machines of a fleet one version",
            reason="version",
        )
    return found


def _decoded(found: dict[str, Any], place: Callable[[str, str], Path]) -> PlanData:
    names = {each.name for each in fields(PlanData)} - {"files"} | {"format"}
    if set(found) != names:
        raise PlainValueError(f"other fields: {', '.join(sorted(set(found) ^ names))[:200]}")

    def value(kind: Any, name: str) -> Any:
        return from_plain(kind, found[name], find=place, where=name)

    timeline = value(Timeline, "timeline")
    captions = tuple(_with_font_texts(art, "captions") for art in value(tuple[CaptionArt, ...], "captions"))
    settings = value(EncoderSettings, "settings")
    config = _checked_sections(found["config"])
    _check_timeline(timeline, settings)
    compositor = found["compositor"]
    if not isinstance(compositor, dict) or not isinstance(compositor.get("identity"), dict):
        raise PlainValueError("compositor: has no identity")
    if not isinstance(compositor.get("name"), str) or not isinstance(found["encoder_versions"], dict):
        raise PlainValueError("compositor.name, encoder_versions: are of another type")
    segments = value(tuple[PlannedSegment, ...], "segments")
    stops = [0, *(each.frames.stop for each in segments)]
    if [each.frames.start for each in segments] != stops[:-1] or stops[-1] != timeline.frame_count:
        raise PlainValueError("segments: do not follow one another through all frames")
    return PlanData(
        version=found["version"],
        config=config,
        settings=settings,
        encoder_versions=found["encoder_versions"],
        compositor=compositor,
        timeline=timeline,
        captions=captions,
        segments=segments,
        title_fonts=value(FontStack, "title_fonts"),
        title=value(str, "title"),
        language=value(str | None, "language"),
    )


def _checked_sections(found: Any) -> dict[str, Any]:
    """Return the sections of the configuration; raise ConfigError or PlainValueError for others."""
    if not isinstance(found, dict) or set(found) != set(SECTIONS):
        raise PlainValueError(f"config: allowed: the sections {', '.join(SECTIONS)}")
    for name in SECTIONS:
        section = found[name]
        if not isinstance(section, dict) or set(section) & LEFT_OUT[name]:
            raise PlainValueError(f"config.{name}: has keys that each machine sets itself")
        profile = section.get("profile") if name == "video" else None
        if isinstance(profile, str) and profile.lower().endswith((".yaml", ".yml")):
            raise PlainValueError("config.video.profile: names a file")
    validate(found, where="config")
    return found


def _check_timeline(timeline: Timeline, settings: EncoderSettings) -> None:
    """Raise PlainValueError for a timeline that this engine would not make."""
    size = (timeline.width_px, timeline.height_px, timeline.fps)
    if size != (settings.width_px, settings.height_px, settings.fps):
        raise PlainValueError("timeline: has another size or frame rate than the encoder")
    if not 0 < len(timeline.clips) <= MOST_CLIPS or not 0 < timeline.frame_count <= MOST_FRAMES:
        raise PlainValueError(f"timeline: allowed: 1 to {MOST_CLIPS} clips, 1 to {MOST_FRAMES} frames")
    for clip in timeline.clips:
        if isinstance(clip.source, Still | Footage) and clip.source.demuxer not in DEMUXERS:
            raise PlainValueError(
                f"timeline.clips: got demuxer {clip.source.demuxer!r:.50}; none of this engine's"
            )
    for join in timeline.transitions:
        if join.name not in XFADE_NAMES or not 0 <= join.after < len(timeline.clips):
            raise PlainValueError(f"timeline.transitions: got {join.name!r:.50} after clip {join.after}")


def files_of_segment(plan: PlanData, frames: FrameRange) -> dict[Path, str]:
    """Return the files that a segment is drawn from, with their SHA-256."""
    joins = [join.frames for join in plan.timeline.transitions if join.frames.intersection(frames)]
    drawn = FrameRange(
        min([frames.start, *(join.start for join in joins)]),
        max([frames.stop, *(join.stop for join in joins)]),
    )
    seen = (
        [clip for clip in plan.timeline.clips if clip.frames.intersection(drawn)],
        [art for art in plan.captions if art.frames.intersection(frames)],
        plan.timeline.watermark,
        plan.timeline.progress,
    )
    found = dict.fromkeys(path for part in seen for path in files_of(part))
    for art in seen[1]:
        found |= dict.fromkeys(Path(str(line["fontfile"])) for line in art.lines if "fontfile" in line)
    return {path: plan.files[path] for path in found}
