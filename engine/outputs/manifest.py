"""The manifest of a video: inputs, versions, choices, timings, outputs."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import av
from av import library_versions

from video_pipeline import engine
from video_pipeline.engine.assets.models import DrawnPicture, PictureOrigin
from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.files import write_text
from video_pipeline.engine.common.versions import version
from video_pipeline.engine.outputs.disclosure import credits_of
from video_pipeline.engine.story import Story, story_scenes
from video_pipeline.engine.timeline import Grade, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.typeset import FontFace

SCHEMA_VERSION: Final = 1
DISTRIBUTIONS: Final = {
    "pillow": "Pillow",
    "numpy": "numpy",
    "hibari_tts": "hibari-tts",
    "unicode_rbnf": "unicode-rbnf",
    "manimgx_fonts": "manimgx-fonts",
    "manimgx_fonts_cjk": "manimgx-fonts-cjk",
    "uharfbuzz": "uharfbuzz",
    "freetype_py": "freetype-py",
}
"""The packages that affect pixels and samples, by their key in the manifest."""

CACHED: Final = frozenset(["stills", "moving"])
"""Folders of the cache with what is made from a file that the story names."""

InputRole = Literal[
    "still", "footage", "narration", "footage_sound", "music", "effect", "lut", "watermark", "font", "overlay"
]

_X264: Final = re.compile(rb"x264 - (core \d+[ -~]*?) - H\.264")
_X264_HEAD_BYTES: Final = 4 << 20  # x264 writes its build into the first frame


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input file; `name` is the text that the user wrote, or the bare file name."""

    role: InputRole
    name: str
    sha256: str
    size: int
    scene_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice, its reason and its options; `log` is what FFmpeg says of preferred ones that do not work."""

    name: str
    reason: str
    options: Mapping[str, str | int | float] = field(default_factory=dict)
    log: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EncoderChoice(Choice):
    """The encoder and its profile, what happened to its sessions on GPUs, where their frames were; `fallback` as in Encoding."""

    profile: Mapping[str, Any] | None = None
    fallback: str | None = None
    sessions: Mapping[str, Any] | None = None
    frames: Mapping[str, Any] | None = None


def story_sha256(story: Story) -> str:
    """Return the hash of a story as normalised JSON: defaults omitted, keys sorted, no whitespace, UTF-8.

    The order of keys, the file format (JSON or YAML) and fields that later versions add do not change it.
    """
    data = story.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def gather_inputs(
    story: Story, timeline: Timeline, *, fonts: Iterable[FontFace] = (), overlays: Iterable[Path] = ()
) -> tuple[InputFile, ...]:
    """Return every file that a timeline is made from, each once, in order of role and first use.

    Stills, footage, sound and the watermark come from the timeline; the caller passes fonts and caption
    pictures. Raises OSError if a file is missing.
    """
    found: dict[tuple[InputRole, Path], tuple[str, str | None, list[str]]] = {}
    for role, path, name, digest, scene in _uses(story, timeline):
        scenes = found.setdefault((role, path), (name, digest, []))[2]
        if scene is not None and scene not in scenes:
            scenes.append(scene)
    for face in fonts:
        found.setdefault(("font", face.path), (face.path.name, face.sha256 or None, []))
    for path in overlays:
        found.setdefault(("overlay", path), (path.name, None, []))
    return tuple(
        InputFile(role, name, digest or file_sha256(path), path.stat().st_size, tuple(scenes))
        for (role, path), (name, digest, scenes) in found.items()
    )


def _uses(story: Story, timeline: Timeline) -> Iterator[tuple[InputRole, Path, str, str | None, str | None]]:
    """Yield (role, path, name, hash, scene id) of each file that the timeline names."""
    scenes = {scene.scene_id: scene for scene in story_scenes(story)}
    for clip in timeline.clips:
        scene = scenes.get(clip.scene_id)
        path = clip.source.path
        written = (scene.image or (scene.video.path if scene.video else None)) if scene else None
        # A drawn picture that replaces a missing file keeps its own name.
        own = written is not None and (
            Path(written).name == path.name or not CACHED.isdisjoint(path.parts[-3:-1])
        )
        role: InputRole = "still" if isinstance(clip.source, Still) else "footage"
        yield role, path, written if written and own else path.name, clip.source.sha256, clip.scene_id
    for track in timeline.audio:
        scene = scenes.get(track.scene_id or "")
        if track.kind == "music":
            name = (story.music and story.music.path) or track.path.name
            yield "music", track.path, name, track.sha256, None
        elif track.kind == "footage":
            name = scene.video.path if scene and scene.video else track.path.name
            yield "footage_sound", track.path, name, track.sha256, track.scene_id
        elif track.kind == "effect":
            yield "effect", track.path, track.name, track.sha256, track.scene_id
        else:
            yield "narration", track.path, track.name or track.path.name, track.sha256, track.scene_id
    grade = _grade_of(timeline)
    if grade is not None:
        yield "lut", grade.path, grade.name, grade.sha256, None
    if timeline.watermark is not None:
        yield "watermark", timeline.watermark.path, timeline.watermark.name, timeline.watermark.sha256, None


def x264_build(video: Path) -> str | None:
    """Return the build of x264 that encoded a video, which x264 writes into the video, or None."""
    with video.open("rb") as file:
        found = _X264.search(file.read(_X264_HEAD_BYTES))
    return found.group(1).decode("ascii") if found else None


def versions(*, ffmpeg: str | None = None, video: Path | None = None) -> dict[str, Any]:
    """Return the versions of everything that a video depends on.

    `ffmpeg` is the version line of the ffmpeg program; `video` is read for the build of its encoder.
    """
    known: dict[str, Any] = {
        "video_pipeline": engine.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "pyav": av.__version__,
        "pyav_libraries": {
            name: ".".join(map(str, numbers)) for name, numbers in sorted(library_versions.items())
        },
        "ffmpeg_program": ffmpeg,
        "x264": x264_build(video) if video else None,
    }
    for key, distribution in DISTRIBUTIONS.items():
        try:
            known[key] = version(distribution)
        except PackageNotFoundError:
            known[key] = None
    return known


def build_manifest(
    *,
    story: Story,
    timeline: Timeline,
    segments: Sequence[FrameRange],
    rates: Sequence[Mapping[str, float]] = (),
    segments_from_cache: int = 0,
    segments_from_shared: int = 0,
    segments_ahead: int = 0,
    inputs: Sequence[InputFile],
    versions: Mapping[str, Any],
    encoder: Choice,
    compositor: Choice,
    audio: Mapping[str, Any] | None,
    lexicon: Mapping[str, str] = MappingProxyType({}),
    voice_credits: Sequence[str] = (),
    paid: Sequence[Mapping[str, Any]] = (),
    origins: Mapping[str, PictureOrigin] = MappingProxyType({}),
    drawn: Mapping[str, DrawnPicture] = MappingProxyType({}),
    paid_pictures: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[str],
    timings: Mapping[str, float],
    outputs: Mapping[str, Path],
    proxy: bool = False,
    look: Mapping[str, str] | None = None,
    created_at: datetime | None = None,
) -> dict[str, Any]:
    """Return the manifest as plain values, keys in a fixed order.

    `rates` has what was chosen for each segment if the quality is set. Of `segments_from_cache`, `segments_from_shared`
    were drawn by another machine. `segments_ahead` were drawn while assets were
    still being made. `audio` is the mixer's report, or None without
    sound; `lexicon` is what decided how words are spoken, `voice_credits` who made the voices, `paid` what services were
    paid for; `origins` are the services of pictures by scene, `paid_pictures` what those were paid for, `drawn` what
    the pictures show that are drawn here; `timings` are wall seconds by stage; `outputs` are the finished files by role,
    hashed here; `proxy` marks a video of half the size; `look` is the name and hash of its look. Files appear by name, without folders.
    """
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "created_at": (created_at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "story": {"id": story.story_id, "title": story.title, "sha256": story_sha256(story)},
        "canvas": {"width_px": timeline.width_px, "height_px": timeline.height_px},
        "proxy": proxy,
        "fps": timeline.fps,
        "frame_count": timeline.frame_count,
        "duration": round(float(timeline.duration), 6),
        "segments": [
            {"start": frames.start, "stop": frames.stop, **rate}
            for frames, rate in zip(segments, rates or [{}] * len(segments), strict=True)
        ],
        "segments_from_cache": segments_from_cache,
        "segments_from_shared": segments_from_shared,
        "segments_ahead": segments_ahead,
        "encoder": encoder,
        "compositor": compositor,
        "captions": {
            caption.scene_id: {"style": caption.shown_as, "platform": caption.platform}
            for caption in timeline.captions
        },
        "focus": {clip.scene_id: clip.focus for clip in timeline.clips if clip.focus is not None},
        "shots": _shots(timeline),
        "look": look,
        "grade": _grade_data(_grade_of(timeline)),
        "cards": _cards(timeline),
        "audio": audio,
        "music": next((track.score.as_data() for track in timeline.audio if track.score is not None), None),
        "narration": {
            "lexicon": dict(lexicon),
            "word_times": {
                track.scene_id: track.words_by
                for track in timeline.audio
                if track.kind == "narration" and track.scene_id
            },
            "voices": {
                track.scene_id: track.spoken_by._asdict()
                for track in timeline.audio
                if track.spoken_by is not None and track.scene_id
            },
            "credits": list(voice_credits),
            "paid": [dict(each) for each in paid],
        },
        "pictures": {
            "services": {scene: asdict(origin) for scene, origin in origins.items()},
            "drawn": {scene: asdict(shown) for scene, shown in drawn.items()},
            "credits": credits_of(origins.values()),
            "paid": [dict(each) for each in paid_pictures],
        },
        "warnings": list(warnings),
        "timings": {stage: round(seconds, 3) for stage, seconds in timings.items()},
        "versions": versions,
        "inputs": list(inputs),
        "outputs": [
            {"role": role, "name": path.name, "sha256": file_sha256(path), "size": path.stat().st_size}
            for role, path in outputs.items()
        ],
    }
    plain: dict[str, Any] = to_plain(manifest)
    return plain


def _shots(timeline: Timeline) -> dict[str, list[dict[str, Any]]]:
    """Return the shots of each scene that has several: frames, picture, and what of it is seen first and last.

    `from` and `to` are null if the largest part of the picture is seen that fills the frame.
    """
    shots: dict[str, list[dict[str, Any]]] = {}
    for clip in timeline.clips:
        camera = clip.camera
        shots.setdefault(clip.scene_id, []).append(
            {
                "frames": [clip.frames.start, clip.frames.stop],
                "sha256": clip.source.sha256,
                "from": asdict(camera.start) if camera else None,
                "to": asdict(camera.end) if camera else None,
            }
        )
    return {scene: found for scene, found in shots.items() if len(found) > 1}


def _grade_of(timeline: Timeline) -> Grade | None:
    """Return the grade of the story's scenes."""
    return next((clip.grade for clip in timeline.clips if clip.grade is not None), None)


def _cards(timeline: Timeline) -> dict[str, list[int]]:
    """Return the frames of cards, intro and outro, without what leads back to the first of them."""
    found: dict[str, list[int]] = {}
    for clip in timeline.clips:
        if clip.apart:
            found.setdefault(clip.scene_id, [clip.frames.start, clip.frames.stop])
    return found


def _grade_data(grade: Grade | None) -> dict[str, Any] | None:
    if grade is None:
        return None
    return {"lut": grade.name, "sha256": grade.sha256, "strength": grade.strength}


def to_plain(value: Any) -> Any:
    """Return a value as plain JSON data.

    Dataclasses become objects; a Fraction a whole number or text such as '30000/1001'; a Path its name; an
    infinite or undefined float null. Raises TypeError for anything else that JSON cannot represent.
    """
    if isinstance(value, str):
        return valid_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else str(value)
    if isinstance(value, Path):
        return valid_text(value.name)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {valid_text(str(key)): to_plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Iterable):
        return [to_plain(item) for item in value]
    raise TypeError(f"{value!r} cannot be written as JSON")


def valid_text(text: str) -> str:
    """Return a text that UTF-8 can encode: bytes of a file name that are not UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def write_json(path: Path, data: Any) -> None:
    """Write plain values as UTF-8 JSON with keys in their order, completely or not at all."""
    write_text(path, json.dumps(to_plain(data), ensure_ascii=False, indent=2, allow_nan=False) + "\n")
