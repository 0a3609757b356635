"""The output of `compile`: the plan, the filter graphs, or one runnable ffmpeg command."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.plan import FramePlan, VideoPlan, open_rates
from video_pipeline.engine.render.compositors.ffmpeg import GLOBAL_OPTIONS, FfmpegCompositor, open_graphs
from video_pipeline.engine.render.encoders.profile_use import describe_profile
from video_pipeline.engine.render.quality.rates import zones_of
from video_pipeline.engine.render.sound.mix import mix_audio
from video_pipeline.engine.render.sound.track import sound_parts
from video_pipeline.engine.timeline import Footage
from video_pipeline.filters.color import TAGS
from video_pipeline.filters.graph import argv, filter_complex, open_input


def plan_as_data(video: VideoPlan) -> dict[str, Any]:
    """Return the plan as plain values: every frame range, every choice.

    If the quality is set, each segment is probed, unless it was before; raises RenderingError, EncoderError.
    """
    plan, encoding = video.frames, video.encoding
    timeline, segments, rates = plan.timeline, plan.compositor.segments(), open_rates(video)
    chosen = [rate.as_dict() for frames in segments if (rate := rates.rate(frames))]
    return {
        "title": timeline.title,
        "size": [timeline.width_px, timeline.height_px],
        "proxy": plan.config.video.proxy,
        "fps": str(timeline.fps),
        "frames": timeline.frame_count,
        "seconds": float(timeline.duration),
        "profile": describe_profile(plan.config.video, encoding.settings.encoder),
        "encoder": {**encoding.settings.describe(), "reason": encoding.chosen_encoder.reason},
        "compositor": {"name": plan.compositor.name, "reason": plan.chosen_compositor.reason},
        "ffmpeg": plan.ffmpeg.version,
        "segments": [[segment.start, segment.stop] for segment in segments],
        **({"rates": chosen} if chosen else {}),
        "clips": [
            {
                "scene_id": clip.scene_id,
                "frames": [clip.frames.start, clip.frames.stop],
                "source": str(clip.source.path),
                "kind": "video" if isinstance(clip.source, Footage) else "still",
                "fit": clip.fit,
                "focus": asdict(clip.focus) if clip.focus else None,
                "motion": plan.compositor.motion_of(clip),
                "fade_in_frames": clip.fade_in_frames,
                "fade_out_frames": clip.fade_out_frames,
            }
            for clip in timeline.clips
        ],
        "transitions": [
            {
                "name": transition.name,
                "from": timeline.clips[transition.after].scene_id,
                "frames": [transition.frames.start, transition.frames.stop],
            }
            for transition in timeline.transitions
        ],
        "captions": [
            {
                "scene_id": art.scene_id,
                "frames": [art.frames.start, art.frames.stop],
                "drawn_by": art.drawn_by,
                "animation": art.animation,
            }
            for art in plan.captions
        ],
        "audio": [
            {
                "kind": track.kind,
                "scene_id": track.scene_id,
                "path": str(track.path),
                "at_seconds": float(track.at),
                "seconds": float(track.duration),
            }
            for track in timeline.audio
        ],
        "warnings": list(plan.warnings),
    }


def graphs_of(plan: FramePlan) -> FfmpegCompositor:
    """Return the filter graphs of a plan whose captions were drawn for the ffmpeg compositor."""
    graphs = open_graphs(plan.timeline, plan.captions, ffmpeg=plan.ffmpeg, config=plan.config)
    if plan.compositor.name != graphs.name:
        raise TypeError(f"plan.compositor: got {plan.compositor.name}; allowed: {graphs.name}")
    return graphs


def plan_as_graphs(plan: FramePlan) -> str:
    """Return the filter graph of every segment, each under a comment with its frames."""
    parts, graphs = [], graphs_of(plan)
    for segment in graphs.segments():
        graph = filter_complex([graphs.compose(segment)])
        parts.append(f"# frames [{segment.start}, {segment.stop})\n" + graph.replace(";", ";\n"))
    return "\n\n".join(parts)


def mixed_sound(plan: FramePlan, cache: ContentCache) -> Path:
    """Return the file with the plan's finished sound, mixed into the cache."""
    parts = sound_parts(plan.timeline, settings=plan.config.audio, ffmpeg_version=plan.ffmpeg.version)

    def make(target: Path) -> None:
        mix_audio(plan.timeline, settings=plan.config.audio, target=target, ffmpeg=plan.ffmpeg.path)

    path, _ = cache.get_or_make("sound", parts, ".wav", make)
    return path


def plan_as_command(video: VideoPlan, output: Path) -> list[str]:
    """Return one ffmpeg command line that makes the same video: same graph, same sound, same settings.

    The files that it reads besides the user's (prepared pictures, captions, narration, the mixed sound) are in the
    cache. One encoder encodes the whole video, so its packets differ from those of stitched segments. If the quality is
    set, x264's zones have the crf of each segment.
    """
    plan = video.frames
    settings = video.encoding.settings
    if settings.quality is not None:
        zones = zones_of(open_rates(video), plan.compositor.segments())
        params = f"{settings.options['x264-params']}:zones={zones}"
        settings = replace(settings, quality=None, options={**settings.options, "x264-params": params})
    sound = open_input(mixed_sound(plan, plan.cache), demuxer="wav", media="a")
    return argv(
        plan.ffmpeg.path,
        [graphs_of(plan).whole(), sound],
        str(output),
        global_options=(*GLOBAL_OPTIONS, "-y"),
        **settings.ffmpeg_options(),
        **TAGS,
        **{"c:a": "aac", "b:a": plan.config.audio.bitrate, "movflags": "+faststart"},
        metadata=f"title={plan.timeline.title}",
    )


def as_shell(command: list[str]) -> str:
    """Return a command line quoted for a POSIX shell."""
    return shlex.join(command)
