"""Compose scenes and their assets into a timeline: lengths, camera moves, captions and sounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from video_pipeline.engine.assets.caption_colours import line_colours, spoken_colour
from video_pipeline.engine.assets.models import SceneAssets, StoryAssets
from video_pipeline.engine.assets.speakers import speaker_colours
from video_pipeline.engine.assets.story_fonts import font_name
from video_pipeline.engine.common.spoken_words import carried_over
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.caption_looks import SPOKEN_YELLOW
from video_pipeline.engine.config.sections import Scenes
from video_pipeline.engine.scene_clips import returning_clip, scene_clip, scene_shots
from video_pipeline.engine.scene_places import SpeechLead, scene_places, speech_lead
from video_pipeline.engine.shot_cuts import speech_pauses
from video_pipeline.engine.soundtrack import effect_tracks, music_tracks
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.fields import (
    BoxSpec,
    ShadowSpec,
    StrokeSpec,
    parse_colour,
)
from video_pipeline.engine.story.speakers import name_places, only_speaker, unnamed
from video_pipeline.engine.timeline import (
    AudioTrack,
    Caption,
    CaptionWord,
    Clip,
    Footage,
    Timeline,
    Transition,
)
from video_pipeline.engine.timing import (
    FrameRange,
    Seconds,
    exact_seconds,
    frame_time,
    frames_round,
)
from video_pipeline.filters.text import Box, Shadow, TextStyle

LONGEST_GAP = Fraction(3, 10)
"""The silence in seconds after which a word is no longer the one that is being spoken."""


def _style(scene: StoryScene, look: Scenes, scale: float) -> TextStyle:
    """Return a caption's look in pixels of this frame; `scale` is 1 for a frame 1080 px wide."""

    def px(value: float) -> int:
        return round(value * scale)

    stroke: StrokeSpec | None = look.text_stroke if scene.stroke is None else scene.stroke or None
    shadow: ShadowSpec | None = look.text_shadow if scene.shadow is None else scene.shadow or None
    box: BoxSpec | None = look.text_box if scene.box is None else scene.box or None
    return TextStyle(
        size_px=max(4, px(scene.size or look.text_size)),
        color=parse_colour(scene.colour or look.text_color),
        stroke_px=px(stroke.width) if stroke else 0,
        stroke_color=parse_colour(stroke.colour) if stroke else (0, 0, 0, 255),
        shadow=Shadow(
            dx_px=px(shadow.x), dy_px=px(shadow.y), blur_px=px(shadow.blur), color=parse_colour(shadow.colour)
        )
        if shadow
        else None,
        box=Box(color=parse_colour(box.colour), padding_px=px(box.padding), radius_px=px(box.radius))
        if box
        else None,
    )


def _coloured(
    caption: Caption, scene: StoryScene, look: Scenes, speakers: Mapping[str, str | None]
) -> Caption:
    """Return a caption with the colours of its speakers' lines and of the word being spoken.

    A colour that the scene sets is for all its lines. The usual colour of the spoken word gives way to another if words of
    the caption are like it.
    """
    own, colours = caption.style.color, caption.colours
    if speakers and scene.colour == speakers.get(scene.speaker or ""):
        colours = line_colours(caption.text, speakers, own=own, others=parse_colour(look.text_color))
    name = look.text_highlight if scene.highlight is None else scene.highlight
    highlight = parse_colour(name) if name else None
    if highlight and scene.highlight is None and name == SPOKEN_YELLOW:
        highlight = spoken_colour(highlight, {own, *(part.color for part in colours)})
    return replace(caption, colours=colours, highlight=highlight)


@dataclass(frozen=True, slots=True)
class Composition:
    """A timeline and the warnings from composing it."""

    timeline: Timeline
    warnings: tuple[str, ...]


def compose(
    story: Story,
    scenes: Sequence[StoryScene],
    assets: StoryAssets,
    *,
    config: Config,
    base: Path = Path(),
    apart: Collection[str] = (),
) -> Composition:
    """Place scenes, captions and sounds on a frame-exact timeline.

    A scene's length includes its transitions; the video's length is the sum of the scenes less the overlaps.
    Relative paths of font files start at `base`. `apart` are the ids of scenes such as cards: captions keep clear of
    transitions to and from them, as they have texts of their own. If only the first scenes have assets, the timeline has only these, as
    they are in the whole video, but for the frames that the last of them shares with the next scene. Raises StoryError
    naming the scenes.
    """
    fps = config.video.fps
    width, height = config.video.canvas_px()
    timings, placement, warnings = scene_places(scenes, assets, config)
    scale = min(width, height) / 1080
    looks = {
        style: config.caption_look(style)
        for style in {config.caption_style, *(s.style for s in scenes)}
        if style
    }
    # Loading the detector takes longer than drawing a frame, and only narration needs it anyway.
    known = story.metadata.language or any(own.narration for own in assets.scenes)
    language = story.language if known and set(looks) != {"block"} else "en"
    padding = exact_seconds(config.scenes.narration_padding)
    # Without a speaker, only a text of several lines can have one.
    speakers = (
        speaker_colours(story, config=config)
        if any(scene.speaker or "\n" in scene.text for scene in scenes)
        else {}
    )
    clips: list[Clip] = []
    transitions: list[Transition] = []
    captions: list[Caption] = []
    audio: list[AudioTrack] = []
    for index, (scene, own) in enumerate(zip(scenes, assets.scenes, strict=False)):
        frames = placement.ranges[index]
        before = placement.overlaps[index - 1] if index else 0
        after = placement.overlaps[index]
        clip = scene_clip(
            scene, own, index, frames, before, after, config, width / height, last=index == len(scenes) - 1
        )
        follows = index > 0 and scenes[index - 1].scene_id in apart
        leads = index + 1 < len(scenes) and scenes[index + 1].scene_id in apart
        shown = FrameRange(
            frames.start + (before if follows else before // 2),
            frames.stop - (after if leads else after - after // 2),
        )
        lead: SpeechLead | None = None
        if own.narration is not None:
            lead = speech_lead(own.narration.duration, before, after, fps=fps, padding=padding)
        start = frame_time(frames.start, fps)
        clips += scene_shots(
            clip,
            scene,
            own,
            index=index,
            before=before,
            after=after,
            pauses=partial(
                speech_pauses,
                scene.spoken,
                own.words if lead else (),
                start=start + (lead.seconds if lead else 0),
                fps=fps,
                language=language,
            ),
            config=config,
            canvas_aspect=width / height,
        )
        if after and index + 1 < len(timings):
            overlap = FrameRange(frames.stop - after, frames.stop)
            transitions.append(Transition(timings[index].transition, len(clips) - 1, overlap))
        if scene.text.strip() and len(shown) > 0:
            shown_as = scene.style or config.caption_style
            look = looks[shown_as]
            captions.append(
                _coloured(
                    Caption(
                        scene_id=scene.scene_id,
                        text=scene.text,
                        frames=shown,
                        style=_style(scene, look, scale),
                        font=font_name(scene.font or look.text_font, base),
                        position=scene.text_position or look.text_position,
                        animation=scene.animation or look.text_animation,
                        spoken=_spoken(start, lead, own, fps=fps),
                        words=_caption_words(scene, start, lead, own, shown, speakers, fps=fps),
                        fade_in_frames=clip.fade_in_frames,
                        fade_out_frames=clip.fade_out_frames,
                        shown_as=shown_as,
                        platform=config.captions.platform,
                        language=language,
                    ),
                    scene,
                    look,
                    speakers,
                )
            )
        if own.footage_sound is not None and scene.video is not None and isinstance(own.picture, Footage):
            audio.append(
                AudioTrack(
                    kind="footage",
                    path=own.footage_sound.path,
                    sha256=own.footage_sound.sha256,
                    at=start,
                    start=own.picture.start,
                    duration=min(own.picture.duration, frame_time(len(frames), fps)),
                    gain_db=scene.video.volume,
                    scene_id=scene.scene_id,
                )
            )
        if own.narration is not None and lead is not None:
            audio.append(
                AudioTrack(
                    kind="narration",
                    path=own.narration.path,
                    sha256=own.narration.sha256,
                    at=start + lead.seconds,
                    start=own.narration_start,
                    duration=own.narration.duration,
                    gain_db=own.narration_gain_db,
                    scene_id=scene.scene_id,
                    name=own.narration_name,
                    text=scene.spoken,
                    words=own.words,
                    words_by=own.words_by,
                    spoken_by=own.spoken_by,
                    speaker=only_speaker(scene.text, scene.speaker, speakers)
                    if not config.tts.speaker_names
                    else None,
                )
            )
    if config.scenes.loop and len(timings) == len(scenes) and placement.overlaps[len(timings) - 1]:
        transitions.append(Transition(timings[-1].transition, len(clips) - 1, placement.ranges[-1]))
        clips.append(returning_clip(clips[0], placement.ranges[-1], fps=fps))
    timeline = Timeline(width, height, fps, story.title, tuple(clips), tuple(transitions), tuple(captions))
    if assets.voice_over is not None:
        audio.append(
            AudioTrack(
                kind="narration",
                path=assets.voice_over.path,
                sha256=assets.voice_over.sha256,
                at=Fraction(0),
                duration=assets.voice_over.duration,
            )
        )
    audio.extend(music_tracks(story, timeline, assets, config=config))
    audio.extend(effect_tracks(timeline, assets, config=config))
    if timeline.duration > exact_seconds(config.video.default_duration):
        warnings.append(
            f"the video lasts {float(timeline.duration):.1f} s, longer than video.default_duration "
            f"({config.video.default_duration:g} s)"
        )
    return Composition(replace(timeline, audio=tuple(audio)), (*warnings, *placement.warnings))


def _spoken(start: Seconds, lead: SpeechLead | None, own: SceneAssets, *, fps: Fraction) -> FrameRange | None:
    """Return the frames in which a scene's words are heard, or None if it is silent."""
    if lead is None or own.narration is None:
        return None
    first = frames_round(start + lead.seconds, fps)
    return FrameRange(first, max(first + 1, frames_round(start + lead.seconds + own.narration.duration, fps)))


def _caption_words(
    scene: StoryScene,
    start: Seconds,
    lead: SpeechLead | None,
    own: SceneAssets,
    shown: FrameRange,
    speakers: Collection[str],
    *,
    fps: Fraction,
) -> tuple[CaptionWord, ...]:
    """Return when each word of a scene's caption is spoken: until the next one begins, or until the next pause.

    The names of speakers, if they are not spoken, appear with what is heard then.
    """
    if lead is None or own.narration is None:
        return ()
    at = start + lead.seconds
    heard = carried_over(own.words, scene.spoken, to=scene.text)
    found: list[CaptionWord] = []
    names = name_places(scene.text, speakers) if scene.spoken == unnamed(scene.text, speakers) else []
    for index, word in enumerate(heard):
        ends = word.ends
        if index + 1 < len(heard) and heard[index + 1].begins - ends < LONGEST_GAP:
            ends = heard[index + 1].begins
        first = max(frames_round(at + word.begins, fps), shown.start, found[-1].frames.stop if found else 0)
        stop = max(frames_round(at + ends, fps), first + 1)
        silent = any(begin <= word.start < end for begin, end in names)
        found.append(CaptionWord(word.start, word.stop, FrameRange(first, stop), silent))
    return tuple(found)
