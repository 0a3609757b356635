"""Write the files beside the video."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from video_pipeline.engine.assets.speech.service import load_speech_service
from video_pipeline.engine.common.files import StagedFiles, sweep_staging, write_text
from video_pipeline.engine.common.validation import show
from video_pipeline.engine.config.families import SPEECH_SERVICES
from video_pipeline.engine.config.looks import chosen_look
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.events import Stopwatch
from video_pipeline.engine.outputs.ass import to_ass
from video_pipeline.engine.outputs.frame_choice import FrameWatch, pick_frame
from video_pipeline.engine.outputs.manifest import (
    Choice,
    EncoderChoice,
    build_manifest,
    gather_inputs,
    versions,
    write_json,
)
from video_pipeline.engine.outputs.metadata import build_metadata
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.outputs.subtitles import cues, to_srt, to_vtt, word_list
from video_pipeline.engine.outputs.thumbnail import thumbnail_identity, write_thumbnail
from video_pipeline.engine.outputs.video_info import VideoInfo, probe_video
from video_pipeline.engine.plan import FramePlan, VideoPlan
from video_pipeline.engine.render.compositors.base import GpuCompositor
from video_pipeline.engine.render.compositors.still_frame import draw_frame
from video_pipeline.engine.render.encoders.profile_use import describe_profile
from video_pipeline.engine.render.quality.rates import is_capped
from video_pipeline.engine.render.renderer import RenderReport
from video_pipeline.engine.render.segment_cache import CachedSegment, SegmentCache
from video_pipeline.engine.render.sound.mix import AudioReport
from video_pipeline.engine.story.lexicon import merged
from video_pipeline.engine.timing import FrameRange, frames_round


def check_output_name(path: Path) -> None:
    """Raise InputError for a name that no video can have."""
    if path.suffix.lower() != ".mp4":
        raise InputError(f"output {path}: allowed: a name that ends in .mp4")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"output {show(str(path))}: the name is not UTF-8 text; give it another") from error


def check_output(path: Path) -> Path:
    """Return the video's path with its folder made; raise InputError if one of the files cannot be written there."""
    check_output_name(path)
    if path.is_dir():
        raise InputError(f"output {path}: is a folder; give a file name that ends in .mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_staging(path.parent)
        with StagedFiles(path.parent) as probe:
            for output in OutputPaths(path).by_role().values():
                probe.stage(output).touch()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"output {path}: the name is too long for this folder; give it a shorter one"
            ) from error
        why = (
            "a part of it is a file"
            if isinstance(error, NotADirectoryError | FileExistsError)
            else error.strerror
        )
        raise InputError(f"output folder {path.parent}: cannot be written: {why}") from error
    return path


def write_subtitles(plan: FramePlan, outputs: OutputPaths, files: StagedFiles) -> None:
    """Stage the subtitles, which need the timeline only."""
    spoken = cues(
        plan.timeline,
        language=plan.story.metadata.language,
        speakers=plan.config.captions.subtitle_speakers,
    )
    write_text(files.stage(outputs.srt), to_srt(spoken))
    write_text(files.stage(outputs.vtt), to_vtt(spoken))
    write_text(files.stage(outputs.ass), to_ass(spoken, plan.timeline))
    write_json(files.stage(outputs.words), word_list(spoken))


def thumbnail_of_watched(
    plan: VideoPlan, target: Path, *, watched: FrameWatch, cancelled: threading.Event
) -> bool:
    """Write the thumbnail as soon as its frame is known, while other frames are still being rendered.

    Returns False, and writes nothing, if none of the watched frames is usable.
    """
    frame = watched.wait()
    if frame is None or cancelled.is_set():
        return False
    _write_thumbnail(plan, target, frame)
    return True


def write_beside(
    plan: VideoPlan, outputs: OutputPaths, files: StagedFiles, *, has_thumbnail: bool
) -> tuple[VideoInfo, dict[str, Any]]:
    """Stage the metadata of a finished video, and its thumbnail if there is none yet."""
    video = files.path(outputs.video)
    info = probe_video(video)
    if not has_thumbnail:
        frame = frames_round(pick_frame(video).time, plan.frames.timeline.fps)
        _write_thumbnail(plan, files.path(outputs.thumbnail), frame)
    metadata = build_metadata(plan.frames.story, info, origins=plan.frames.origins)
    write_json(files.stage(outputs.metadata), metadata)
    return info, metadata


def _write_thumbnail(plan: VideoPlan, target: Path, frame: int) -> None:
    """Write a frame with the story's title as the thumbnail, cached if possible."""
    # The frame is drawn again without captions, so that only the title is on it.
    bare = plan.frames.compositor.without_captions()
    fonts = plan.frames.title_fonts
    frame = min(frame, plan.frames.timeline.frame_count - 1)
    frames = FrameRange(frame, frame + 1)
    cache = SegmentCache(
        plan.frames.cache,
        timeline=plan.frames.timeline,
        captions=(),
        settings=plan.encoding.settings,
        compositor={**bare.identity(), "title": plan.frames.story.title, **thumbnail_identity(fonts)},
        kind="thumbnails",
    )
    cached = cache.get(frames)
    if cached is not None:
        target.write_bytes(cached.data)
        return
    write_thumbnail(draw_frame(bare, frame), target, title=plan.frames.story.title, fonts=fonts)
    cache.put(frames, CachedSegment(target.read_bytes()))


def describe_render(
    plan: VideoPlan,
    outputs: OutputPaths,
    files: StagedFiles,
    *,
    sound: AudioReport,
    rendered: RenderReport,
    warnings: Sequence[str],
    watch: Stopwatch,
) -> dict[str, Any]:
    """Return the manifest of a video whose files are staged; `warnings` are those of its render."""
    encoder = plan.encoding.chosen_encoder
    names = {caption.font for caption in plan.frames.timeline.captions}
    look = chosen_look(plan.frames.config.look)
    fonts = [plan.frames.fonts.resolve(name).faces[0] for name in names]
    # Times with `worker` are sums over the workers; the others are wall seconds.
    timings = {
        **watch.seconds,
        "worker_waiting_for_frames": rendered.frame_wait_seconds,
        "worker_encoding": rendered.encode_seconds,
        **({"worker_probing": rendered.probe_seconds} if rendered.rates else {}),
        "muxing": rendered.mux_seconds,
    }
    return build_manifest(
        story=plan.frames.story,
        look={"name": look.name, "sha256": look.sha256} if look is not None else None,
        timeline=plan.frames.timeline,
        segments=rendered.segments,
        rates=[
            rate.as_dict() | {"capped": capped}
            for rate, capped in zip(rendered.rates, capped_segments(plan, rendered), strict=True)
        ],
        segments_from_cache=rendered.segments_from_cache,
        segments_from_shared=rendered.segments_from_shared,
        segments_ahead=rendered.segments_ahead,
        inputs=gather_inputs(
            plan.frames.story,
            plan.frames.timeline,
            fonts=sorted(fonts, key=lambda face: face.path),
            overlays=[path for art in plan.frames.captions for path in art.pictures],
        ),
        versions=versions(ffmpeg=plan.frames.ffmpeg.version, video=files.path(outputs.video)),
        encoder=EncoderChoice(
            encoder.name,
            encoder.reason,
            plan.encoding.settings.describe(),
            encoder.log,
            profile=describe_profile(plan.frames.config.video, encoder.name),
            fallback=plan.encoding.fallback,
            sessions=rendered.sessions.as_dict() if plan.encoding.settings.gpu else None,
            frames=rendered.gpu_frames.as_dict() if rendered.gpu_frames else None,
        ),
        compositor=Choice(
            plan.frames.compositor.name,
            "; ".join((plan.frames.chosen_compositor.reason, *_lost_gpus(plan))),
            {"workers": rendered.workers, "hwaccel": plan.frames.ffmpeg.hwaccel or "none"},
        ),
        audio=_sound_fields(plan, sound),
        lexicon=merged(plan.frames.config.tts.lexicon, plan.frames.story.lexicon),
        voice_credits=_voice_credits(plan),
        paid=plan.frames.paid,
        origins=plan.frames.origins,
        drawn=plan.frames.drawn,
        paid_pictures=plan.frames.paid_pictures,
        warnings=(*plan.frames.warnings, *warnings),
        timings=timings,
        outputs={role: files.path(path) for role, path in outputs.by_role().items() if role != "manifest"},
        proxy=plan.frames.config.video.proxy,
    )


def capped_segments(plan: VideoPlan, rendered: RenderReport) -> tuple[bool, ...]:
    """Return of each segment whether the cap kept bits from it; empty if no quality is set."""
    if not rendered.rates:
        return ()
    rates, fps = plan.frames.config.video.rate_control(), plan.frames.timeline.fps
    cap, buffer = rates.max_bit_rate, rates.capped_buffer_bits
    return tuple(
        cap is not None and buffer is not None and is_capped(sizes, fps=fps, cap_bits=cap, buffer_bits=buffer)
        for sizes in rendered.frame_bytes
    )


def capped_warning(plan: VideoPlan, rendered: RenderReport) -> str:
    """Return the warning that segments may be below the quality because of the cap; empty if none is capped."""
    capped = capped_segments(plan, rendered)
    video = plan.frames.config.video
    rates = video.rate_control()
    if not any(capped) or rates.max_bit_rate is None:
        return ""
    rate = f"{rates.max_bit_rate / 1e6:.3g} Mbit/s"
    cap = (
        f"the cap by size, {rate}, allows; video.max_bitrate raises it"
        if video.max_bitrate is None
        else f"video.max_bitrate, {rate}, allows"
    )
    return (
        f"video.quality: {sum(capped)} of {len(capped)} segments may be below {rates.quality:g}, "
        f"since they need more bits than {cap}"
    )


def _lost_gpus(plan: VideoPlan) -> tuple[str, ...]:
    """Return why each GPU that has failed to draw is no longer used."""
    compositor = plan.frames.compositor
    return compositor.lost_gpus() if isinstance(compositor, GpuCompositor) else ()


def _voice_credits(plan: VideoPlan) -> tuple[str, ...]:
    """Return who made the voices of a video, and their licences."""
    voices = dict.fromkeys(track.spoken_by for track in plan.frames.timeline.audio if track.spoken_by)
    credits = (
        load_speech_service(voice.service).credit(voice.voice)
        for voice in voices
        if voice.service in SPEECH_SERVICES.names
    )
    return tuple(dict.fromkeys(filter(None, credits)))


def _sound_fields(plan: VideoPlan, sound: AudioReport) -> dict[str, Any]:
    """Return the manifest's sound section: levels, and when each scene is spoken."""
    fields = {key: value for key, value in asdict(sound).items() if key not in ("path", "speech")}
    fields["narration"] = [
        {
            "scene_id": track.scene_id,
            "start": round(float(track.at), 6),
            "stop": round(float(track.at + track.duration), 6),
        }
        for track in plan.frames.timeline.audio
        if track.kind == "narration"
    ]
    return fields
