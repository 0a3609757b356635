"""Compose scenes and their assets into a timeline: lengths, camera moves, captions and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from video_pipeline.engine.assets.models import SceneAssets, StoryAssets
from video_pipeline.engine.assets.story_fonts import font_name
from video_pipeline.engine.common.spoken_words import carried_over
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.sections import Scenes
from video_pipeline.engine.on_beat import timings_on_beat
from video_pipeline.engine.placement import Placement, SceneTiming, place_scenes
from video_pipeline.engine.soundtrack import effect_tracks, music_tracks
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.effects import FadeEffect, KenBurns
from video_pipeline.engine.story.fields import (
    BoxSpec,
    ShadowSpec,
    StrokeSpec,
    parse_colour,
)
from video_pipeline.engine.story.splitting import word_units
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
    frames_ceil,
    frames_round,
)
from video_pipeline.filters.geometry import Camera, Rect, largest_rect, widen_to_aspect, zoom_about
from video_pipeline.filters.text import Box, Shadow, TextStyle
from video_pipeline.filters.transitions import CUT

READING_WORDS_A_SECOND = Fraction(5, 2)
"""Reading speed of a caption that is not spoken: 150 words a minute."""

LONGEST_GAP = Fraction(3, 10)
"""The silence in seconds after which a word is no longer the one that is being spoken."""

SILENT_FACTOR = Fraction(3, 2)
"""The length factor of a scene whose speech failed, so that it can be read (the rule of the original interface)."""


def _scene_transition(scene: StoryScene, config: Config) -> tuple[str, Seconds, bool]:
    spec = scene.transition
    name = spec.name if spec else config.scenes.transition
    if name == CUT:
        return CUT, Fraction(0), True
    if spec and spec.duration is not None:
        return name, exact_seconds(spec.duration), True
    return name, exact_seconds(config.scenes.transition_duration), False


def _own_seconds(scene: StoryScene, assets: SceneAssets | None, config: Config) -> Seconds:
    """Return a scene's length in seconds, before it is extended for its narration."""
    if scene.duration is not None:
        seconds = exact_seconds(scene.duration)
    elif assets is not None and isinstance(assets.picture, Footage):
        seconds = assets.picture.duration
    elif assets is not None and assets.narration is not None:
        seconds = Fraction(0)
    else:
        reading = Fraction(word_units(scene.text)) / READING_WORDS_A_SECOND + 1
        seconds = max(exact_seconds(config.scenes.default_duration), reading)
    return seconds * SILENT_FACTOR if assets is not None and assets.extended else seconds


@dataclass(frozen=True, slots=True)
class _Lead:
    """The pause before a scene's words, and the frames that pause and words need."""

    seconds: Seconds
    needed_frames: int


def _lead(narration: Seconds, before: int, after: int, *, fps: Fraction, padding: Seconds) -> _Lead:
    # No speech in the middle of a transition, so that two scenes never speak at once.
    lead = padding / 2 + frame_time(before, fps) / 2
    tail = padding / 2 + frame_time(after, fps) / 2
    return _Lead(lead, frames_ceil(lead + narration + tail, fps))


def scene_timings(
    scenes: Sequence[StoryScene], assets: Sequence[SceneAssets | None], config: Config
) -> tuple[list[SceneTiming], list[str]]:
    """Return the timing of each scene, and warnings. Scenes without assets (None) are timed without narration."""
    fps = config.video.fps
    padding = exact_seconds(config.scenes.narration_padding)
    transitions = [_scene_transition(scene, config) for scene in scenes]
    timings: list[SceneTiming] = []
    warnings: list[str] = []
    before = 0
    for index, (scene, scene_assets) in enumerate(zip(scenes, assets, strict=True)):
        name, seconds, given = transitions[index]
        last = index == len(scenes) - 1
        after = 0 if last or name == CUT or not seconds else max(1, frames_round(seconds, fps))
        frames = max(1, frames_round(_own_seconds(scene, scene_assets, config), fps))
        if scene_assets is not None and scene_assets.narration is not None:
            lead = _lead(scene_assets.narration.duration, before, after, fps=fps, padding=padding)
            if lead.needed_frames > frames:
                if scene.duration is not None:
                    warnings.append(
                        f"scene {scene.scene_id!r}: duration {scene.duration:g} s is shorter than its narration; "
                        f"the scene lasts {float(lead.needed_frames / fps):.2f} s"
                    )
                frames = lead.needed_frames
        timings.append(SceneTiming(scene.scene_id, frames, name, after, given))
        before = after
    return timings, warnings


def _spoken_frames(scenes: Sequence[SceneAssets], placement: Placement, config: Config) -> tuple[int, ...]:
    """Return how many frames each scene lasts until its words end, at least to the middle of the transition after."""
    fps, padding = config.video.fps, exact_seconds(config.scenes.narration_padding)
    found = []
    for index, scene in enumerate(scenes):
        if scene.narration is None:
            found.append(1)
            continue
        before, after = placement.overlaps[index - 1] if index else 0, placement.overlaps[index]
        lead = _lead(scene.narration.duration, before, after, fps=fps, padding=padding).seconds
        found.append(frames_ceil(lead + scene.narration.duration + frame_time(after, fps) / 2, fps))
    return tuple(found)


def _ken_burns(
    effect: KenBurns,
    *,
    index: int,
    seconds: Seconds,
    picture_aspect: float,
    canvas_aspect: float,
    config: Config,
) -> Camera:
    if effect.start is not None and effect.end is not None:
        ends = []
        for spec in (effect.start, effect.end):
            height = spec.height
            if height is None:
                height = min(1.0 - spec.y, spec.width * picture_aspect / canvas_aspect)
            ends.append(
                widen_to_aspect(Rect(spec.x, spec.y, spec.width, height), picture_aspect, canvas_aspect)
            )
        return Camera(ends[0], ends[1], effect.easing)
    if effect.zoom is not None:
        zoom_start, zoom_end = effect.zoom
    else:
        reach = min(1 + config.scenes.zoom_rate * float(seconds), config.scenes.zoom_max)
        zoom_start, zoom_end = (1.0, reach) if index % 2 == 0 else (reach, 1.0)
    focus = effect.focus or (0.5, 0.5)
    whole = largest_rect(picture_aspect, canvas_aspect, focus=focus)
    return Camera(
        zoom_about(whole, zoom=zoom_start, focus=focus),
        zoom_about(whole, zoom=zoom_end, focus=focus),
        effect.easing,
    )


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


@dataclass(frozen=True, slots=True)
class Composition:
    """A timeline and the warnings from composing it."""

    timeline: Timeline
    warnings: tuple[str, ...]


def _scene_places(
    scenes: Sequence[StoryScene], assets: StoryAssets, config: Config
) -> tuple[list[SceneTiming], Placement, list[str]]:
    """Return the scenes' timings, their places, cuts on beats if that is asked for, and warnings."""
    fps = config.video.fps
    timings, warnings = scene_timings(scenes, assets.scenes, config)
    placement = place_scenes(timings, fps=fps)
    if config.scenes.transition_on_beat and assets.score is not None and len(timings) > 1:
        shortest = _spoken_frames(assets.scenes, placement, config)
        timings = timings_on_beat(
            timings, placement, shortest_frames=shortest, beat=assets.score.beat, fps=fps
        )
        placement = place_scenes(timings, fps=fps)
    elif config.scenes.transition_on_beat and assets.score is None:
        found = "there is no music" if assets.music is None else "the beats of a music file are not known"
        warnings.append(f"scenes.transition_on_beat: {found}, so cuts stay where they are; give music: auto")
    if assets.voice_over is not None:
        missing = frames_ceil(assets.voice_over.duration, fps) - placement.ranges[-1].stop
        if missing > 0:
            # Speech is never cut off: the last picture is held until it ends.
            timings[-1] = replace(timings[-1], frames=timings[-1].frames + missing)
            placement = place_scenes(timings, fps=fps)
    return timings, placement, warnings


def compose(
    story: Story,
    scenes: Sequence[StoryScene],
    assets: StoryAssets,
    *,
    config: Config,
    base: Path = Path(),
) -> Composition:
    """Place scenes, captions and sounds on a frame-exact timeline.

    A scene's length includes its transitions; the video's length is the sum of the scenes less the overlaps.
    Relative paths of font files start at `base`. Raises StoryError naming the scenes.
    """
    fps = config.video.fps
    width, height = config.video.canvas_px()
    timings, placement, warnings = _scene_places(scenes, assets, config)
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
    clips: list[Clip] = []
    transitions: list[Transition] = []
    captions: list[Caption] = []
    audio: list[AudioTrack] = []
    for index, (scene, own) in enumerate(zip(scenes, assets.scenes, strict=True)):
        frames = placement.ranges[index]
        before = placement.overlaps[index - 1] if index else 0
        after = placement.overlaps[index]
        clip = _make_clip(
            scene, own, index, frames, before, after, config, width / height, last=index == len(scenes) - 1
        )
        clips.append(clip)
        if after:
            overlap = FrameRange(frames.stop - after, frames.stop)
            transitions.append(Transition(timings[index].transition, index, overlap))
        shown = FrameRange(frames.start + before // 2, frames.stop - (after - after // 2))
        lead: _Lead | None = None
        if own.narration is not None:
            lead = _lead(own.narration.duration, before, after, fps=fps, padding=padding)
        start = frame_time(frames.start, fps)
        if scene.text.strip() and len(shown) > 0:
            shown_as = scene.style or config.caption_style
            look = looks[shown_as]
            colour = look.text_highlight if scene.highlight is None else scene.highlight
            captions.append(
                Caption(
                    scene_id=scene.scene_id,
                    text=scene.text,
                    frames=shown,
                    style=_style(scene, look, scale),
                    font=font_name(scene.font or look.text_font, base),
                    position=scene.text_position or look.text_position,
                    animation=scene.animation or look.text_animation,
                    highlight=parse_colour(colour) if colour else None,
                    spoken=_spoken(start, lead, own, fps=fps),
                    words=_caption_words(scene, start, lead, own, shown, fps=fps),
                    fade_in_frames=clip.fade_in_frames,
                    fade_out_frames=clip.fade_out_frames,
                    shown_as=shown_as,
                    platform=config.captions.platform,
                    language=language,
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
                )
            )
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


def _spoken(start: Seconds, lead: _Lead | None, own: SceneAssets, *, fps: Fraction) -> FrameRange | None:
    """Return the frames in which a scene's words are heard, or None if it is silent."""
    if lead is None or own.narration is None:
        return None
    first = frames_round(start + lead.seconds, fps)
    return FrameRange(first, max(first + 1, frames_round(start + lead.seconds + own.narration.duration, fps)))


def _caption_words(
    scene: StoryScene,
    start: Seconds,
    lead: _Lead | None,
    own: SceneAssets,
    shown: FrameRange,
    *,
    fps: Fraction,
) -> tuple[CaptionWord, ...]:
    """Return when each word of a scene's caption is spoken: until the next one begins, or until the next pause."""
    if lead is None or own.narration is None:
        return ()
    at = start + lead.seconds
    heard = carried_over(own.words, scene.spoken, to=scene.text)
    found: list[CaptionWord] = []
    for index, word in enumerate(heard):
        ends = word.ends
        if index + 1 < len(heard) and heard[index + 1].begins - ends < LONGEST_GAP:
            ends = heard[index + 1].begins
        first = max(frames_round(at + word.begins, fps), shown.start, found[-1].frames.stop if found else 0)
        stop = max(frames_round(at + ends, fps), first + 1)
        found.append(CaptionWord(word.start, word.stop, FrameRange(first, stop)))
    return tuple(found)


def _make_clip(
    scene: StoryScene,
    own: SceneAssets,
    index: int,
    frames: FrameRange,
    before: int,
    after: int,
    config: Config,
    canvas_aspect: float,
    *,
    last: bool,
) -> Clip:
    fps = config.video.fps
    effects = scene.effects
    if effects is None:
        # A video begins and ends with a picture, not in black, unless its story asks for the fade.
        unwanted = {name for name, edge in (("fade_in", index == 0), ("fade_out", last)) if edge}
        effects = tuple(
            KenBurns() if name == "ken_burns" else FadeEffect(type=name)
            for name in config.scenes.effects
            if name not in unwanted
        )
    camera: Camera | None = None
    fades = {"fade_in": 0, "fade_out": 0}
    fit = scene.fit or config.scenes.fit
    for effect in effects:
        if isinstance(effect, KenBurns):
            if isinstance(own.picture, Footage):
                continue  # footage already moves
            aspect = own.picture.width_px / own.picture.height_px if fit == "cover" else canvas_aspect
            camera = _ken_burns(
                effect,
                index=index,
                seconds=frame_time(len(frames), fps),
                picture_aspect=aspect,
                canvas_aspect=canvas_aspect,
                config=config,
            )
        else:
            seconds = exact_seconds(effect.duration or config.scenes.fade_duration)
            fades[effect.type] = min(max(1, frames_round(seconds, fps)), len(frames))
    # A transition replaces the fade at the same end of the scene.
    fade_in, fade_out = _shared(
        0 if before else fades["fade_in"], 0 if after else fades["fade_out"], len(frames)
    )
    return Clip(
        scene_id=scene.scene_id,
        frames=frames,
        source=own.picture,
        fit=fit,
        camera=camera,
        fade_in_frames=fade_in,
        fade_out_frames=fade_out,
        title=scene.title,
    )


def _shared(fade_in: int, fade_out: int, frames: int) -> tuple[int, int]:
    """Shorten the fades of a scene that has both, so that at least one frame is not faded."""
    if frames == 1:
        return 0, 0
    wanted, room = fade_in + fade_out, frames - 1
    if not (fade_in and fade_out) or wanted <= room:
        return fade_in, fade_out
    return fade_in * room // wanted, fade_out * room // wanted
