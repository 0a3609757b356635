"""From a story to a finished video: the whole way as one readable function."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.assets.cache import ContentCache
from engine.assets.fonts import FontCatalogue
from engine.assets.generate import gather_assets, open_asset_cache
from engine.assets.models import Sound
from engine.atomic import StagedFiles, sweep_staging, write_text
from engine.capabilities import EncoderChoice, choose_compositor, choose_encoder, find_ffmpeg
from engine.compose import check_fonts, compose
from engine.config import Config
from engine.errors import CancelledError, InputError, RenderingError
from engine.manifest import Choice, build_manifest, gather_inputs, versions, write_json
from engine.metadata import TITLE_FONT, VideoInfo, build_metadata, probe_video
from engine.render.audio import AudioReport, mix_audio
from engine.render.captions import CaptionArt, draw_captions
from engine.render.encoder import EncoderSettings, encoder_settings
from engine.render.ffmpeg import FfmpegCompositor
from engine.render.mux import Chapter, Mp4Writer
from engine.render.renderer import RenderReport, render_segments
from engine.render.still_frame import draw_frame
from engine.story import Story, story_scenes
from engine.subtitles import cues, to_srt, to_vtt
from engine.thumbnail import FrameWatch, candidate_times, pick_frame, write_thumbnail
from engine.timeline import Timeline
from engine.timing import frames_round

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Progress of a render: `done` of `total` units of a stage (frames, in the stage `render`)."""

    stage: str
    done: int
    total: int


OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Every file that a render leaves, named after the video."""

    video: Path

    def _beside(self, ending: str) -> Path:
        return self.video.with_name(self.video.stem + ending)

    @property
    def thumbnail(self) -> Path:
        """A good frame with the title."""
        return self._beside("_thumb.jpg")

    @property
    def srt(self) -> Path:
        """Subtitles as SubRip."""
        return self._beside(".srt")

    @property
    def vtt(self) -> Path:
        """Subtitles as WebVTT."""
        return self._beside(".vtt")

    @property
    def metadata(self) -> Path:
        """Title, description, tags and format."""
        return self._beside(".json")

    @property
    def manifest(self) -> Path:
        """What the video was made of and how."""
        return self._beside(".manifest.json")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a frame is drawn."""

    story: Story
    config: Config
    timeline: Timeline
    captions: tuple[CaptionArt, ...]
    compositor: FfmpegCompositor
    compositor_reason: str
    encoder: EncoderChoice
    settings: EncoderSettings
    cache: ContentCache
    ffmpeg_version: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RenderResult:
    """A finished video and what stands beside it."""

    outputs: OutputPaths
    info: VideoInfo
    metadata: dict[str, Any]
    warnings: tuple[str, ...]
    timings: dict[str, float]


@dataclass(slots=True)
class Stopwatch:
    """Wall seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def check_output(path: Path) -> Path:
    """Return the video's path with its folder made; raise InputError where it cannot be written."""
    if path.suffix.lower() != ".mp4":
        raise InputError(f"output {path}: allowed: a name that ends in .mp4")
    if path.is_dir():
        raise InputError(f"output {path}: is a folder; allowed: a file name that ends in .mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_staging(path.parent)
        with StagedFiles(path.parent) as probe:
            probe.stage(path).touch()
    except OSError as error:
        raise InputError(f"output folder {path.parent}: cannot be written: {error.strerror}") from error
    return path


def plan_video(
    story: Story,
    *,
    config: Config,
    base: Path = Path(),
    cache: ContentCache | None = None,
    voice_over: Sound | None = None,
    on_event: OnEvent | None = None,
    watch: Stopwatch | None = None,
) -> Plan:
    """Decide everything: scenes, assets, timeline, captions, encoder and compositor.

    `base` is the folder that the story's relative paths are taken from. Raises InputError for what is wrong
    in story or configuration, AssetError for an asset that failed.
    """
    watch = watch or Stopwatch()
    report = on_event or (lambda event: None)
    with watch.stage("check"):
        ffmpeg = find_ffmpeg()
        _, compositor_reason = choose_compositor(config.video.compositor)
        encoder = choose_encoder(config.video.codec)
        settings = encoder_settings(encoder.name, config.video)
        fonts = FontCatalogue()
        scenes = story_scenes(story)
        check_fonts(scenes, config, fonts, base=base)
    cache = cache or open_asset_cache(config)
    with watch.stage("assets"):
        assets = gather_assets(
            story,
            scenes,
            config=config,
            cache=cache,
            base=base,
            progress=lambda done, total: report(Event("assets", done, total)),
        )
    if voice_over is not None:
        assets = replace(assets, voice_over=voice_over)
    with watch.stage("compose"):
        composition = compose(story, scenes, assets, config=config, base=base)
    timeline = composition.timeline
    with watch.stage("captions"):
        captions = draw_captions(timeline, fonts=fonts, cache=cache)
    compositor = FfmpegCompositor(
        timeline=timeline,
        captions=captions,
        program=ffmpeg.path,
        motion=config.video.motion,
        oversample=config.video.zoompan_oversample,
        has_perspective="perspective" in ffmpeg.filters,
    )
    return Plan(
        story=story,
        config=config,
        timeline=timeline,
        captions=captions,
        compositor=compositor,
        compositor_reason=compositor_reason,
        encoder=encoder,
        settings=settings,
        cache=cache,
        ffmpeg_version=ffmpeg.version,
        warnings=(*assets.warnings, *composition.warnings),
    )


@contextmanager
def _scratch(config: Config) -> Iterator[Path]:
    """Yield a private temporary folder; it is gone when the block ends."""
    parent = config.storage.temp_path
    if parent is not None:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"storage.temp_path: {parent} cannot be written: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="video-pipeline-", dir=parent) as folder:
        yield Path(folder)


def render_story(
    story: Story,
    output: Path,
    *,
    config: Config,
    base: Path = Path(),
    voice_over: Sound | None = None,
    use_cache: bool = True,
    workers: int | None = None,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
) -> RenderResult:
    """Turn a story into a finished video at `output` (.mp4) and the files beside it.

    All of them appear together when the last one is done, each whole. `base` is the folder that the story's
    relative paths are taken from; `voice_over` is laid under the whole. Setting `stop` ends the render with CancelledError. Raises InputError,
    AssetError or RenderingError; then nothing new is left on the disk but what the cache has kept.
    """
    watch = Stopwatch()
    outputs = OutputPaths(check_output(output))
    with _scratch(config) as scratch:
        cache = None if use_cache else ContentCache(scratch / "cache")
        plan = plan_video(
            story,
            config=config,
            base=base,
            cache=cache,
            voice_over=voice_over,
            on_event=on_event,
            watch=watch,
        )
        for warning in plan.warnings:
            logger.warning(warning)
        logger.info("encoder %s (%s)", plan.encoder.name, plan.encoder.reason)
        try:
            result = _produce(plan, outputs, scratch, watch, workers=workers, on_event=on_event, stop=stop)
        except (RenderingError, OSError) as error:
            if config.error_handling.alert_on_failure and not isinstance(error, CancelledError):
                logger.critical("the render of story %s failed", story.story_id)
            if isinstance(error, RenderingError):
                raise
            raise RenderingError(f"{output}: {error.strerror or error}") from error
        if use_cache:
            plan.cache.prune()
    return result


def _produce(
    plan: Plan,
    outputs: OutputPaths,
    scratch: Path,
    watch: Stopwatch,
    *,
    workers: int | None,
    on_event: OnEvent | None,
    stop: threading.Event | None,
) -> RenderResult:
    """Mix, draw, encode and stitch, then write what stands beside the video and publish all of it."""
    report = on_event or (lambda event: None)
    sound = scratch / "sound.wav"
    cancelled = stop or threading.Event()
    fps = plan.timeline.fps
    watched = FrameWatch(frames_round(time, fps) for time in candidate_times(plan.timeline))
    with StagedFiles(outputs.video.parent) as files, ThreadPoolExecutor(1, "sound") as side:
        video = files.stage(outputs.video)
        writer = Mp4Writer(
            video,
            fps=plan.timeline.fps,
            title=plan.story.title,
            chapters=[Chapter(frames, name) for frames, name in plan.timeline.chapters()],
            audio=sound,
            settings=plan.config.audio,
        )
        with writer, watch.stage("render"):
            mixing = side.submit(_mix, plan, sound, watch, cancelled)
            try:
                rendered = render_segments(
                    plan.compositor,
                    plan.settings,
                    writer,
                    before_first=mixing.result,
                    progress=lambda done, total: report(Event("render", done, total)),
                    on_frame=watched,
                    workers=workers,
                    stop=cancelled,
                )
            except BaseException:
                cancelled.set()  # the mix stops too
                raise
        with watch.stage("outputs"):
            report(Event("outputs", 0, 1))
            info, metadata = _write_beside(plan, outputs, files, watched)
        manifest = _manifest(plan, outputs, files, mixing.result(), rendered, watch)
        write_json(files.stage(outputs.manifest), manifest)
        files.commit()
        report(Event("outputs", 1, 1))
    return RenderResult(outputs, info, metadata, plan.warnings, dict(watch.seconds))


def _mix(plan: Plan, target: Path, watch: Stopwatch, cancelled: threading.Event) -> AudioReport:
    with watch.stage("sound"):
        return mix_audio(
            plan.timeline,
            settings=plan.config.audio,
            target=target,
            ffmpeg=plan.compositor.program,
            cancelled=cancelled.is_set,
        )


def _write_beside(
    plan: Plan, outputs: OutputPaths, files: StagedFiles, watched: FrameWatch
) -> tuple[VideoInfo, dict[str, Any]]:
    """Stage thumbnail, subtitles and metadata of a finished video."""
    video = files.path(outputs.video)
    info = probe_video(video)
    frame = watched.best
    if frame is None:
        frame = frames_round(pick_frame(video).time, plan.timeline.fps)
    # The title stands alone: the picture is drawn again without its caption.
    picture = draw_frame(replace(plan.compositor, captions=()), min(frame, plan.timeline.frame_count - 1))
    write_thumbnail(
        picture,
        files.stage(outputs.thumbnail),
        title=plan.story.title,
        fonts=FontCatalogue().resolve(TITLE_FONT),
    )
    language = plan.story.metadata.language
    spoken = cues(plan.timeline, language=language)
    write_text(files.stage(outputs.srt), to_srt(spoken))
    write_text(files.stage(outputs.vtt), to_vtt(spoken))
    metadata = build_metadata(plan.story, info)
    write_json(files.stage(outputs.metadata), metadata)
    return info, metadata


def _manifest(
    plan: Plan,
    outputs: OutputPaths,
    files: StagedFiles,
    sound: AudioReport,
    rendered: RenderReport,
    watch: Stopwatch,
) -> dict[str, Any]:
    """Return the manifest of a video whose files are staged but not yet in place."""
    catalogue = FontCatalogue()
    fonts = {catalogue.resolve(caption.font).faces[0].path for caption in plan.timeline.captions}
    staged = {
        "video": outputs.video,
        "thumbnail": outputs.thumbnail,
        "srt": outputs.srt,
        "vtt": outputs.vtt,
        "metadata": outputs.metadata,
    }
    # The sums over the workers say where a render's time goes; the other timings are wall seconds.
    timings = {
        **watch.seconds,
        "worker_waiting_for_frames": rendered.frame_wait_seconds,
        "worker_encoding": rendered.encode_seconds,
        "muxing": rendered.mux_seconds,
    }
    return build_manifest(
        story=plan.story,
        timeline=plan.timeline,
        segments=rendered.segments,
        inputs=gather_inputs(
            plan.story,
            plan.timeline,
            fonts=sorted(fonts),
            overlays=[art.picture for art in plan.captions if art.picture],
        ),
        versions=versions(ffmpeg=plan.ffmpeg_version, video=files.path(outputs.video)),
        encoder=Choice(plan.encoder.name, plan.encoder.reason, plan.settings.describe()),
        compositor=Choice("ffmpeg", plan.compositor_reason, {"workers": rendered.workers}),
        audio=_sound_fields(plan, sound),
        warnings=plan.warnings,
        timings=timings,
        outputs={role: files.path(path) for role, path in staged.items()},
    )


def _sound_fields(plan: Plan, sound: AudioReport) -> dict[str, Any]:
    """Return what the manifest says of the sound: its levels, and what is spoken when."""
    fields = {key: value for key, value in asdict(sound).items() if key not in ("path", "speech")}
    fields["narration"] = [
        {
            "scene_id": track.scene_id,
            "start": round(float(track.at), 6),
            "stop": round(float(track.at + track.duration), 6),
        }
        for track in plan.timeline.audio
        if track.kind == "narration"
    ]
    return fields
