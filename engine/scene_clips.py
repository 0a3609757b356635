"""The clips of one scene: its camera, focus and fades, and the shots of a scene that outlasts one still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, starmap
from typing import Final

from video_pipeline.engine.assets.models import SceneAssets
from video_pipeline.engine.assets.scene_lengths import most_still_seconds
from video_pipeline.engine.config import Config
from video_pipeline.engine.shot_cuts import Pauses, shot_cuts
from video_pipeline.engine.story import StoryScene
from video_pipeline.engine.story.effects import FadeEffect, KenBurns
from video_pipeline.engine.timeline import Clip, Focus, Footage, Still
from video_pipeline.engine.timing import FrameRange, Seconds, exact_seconds, frame_time, frames_round
from video_pipeline.filters.geometry import (
    Camera,
    Easing,
    Fit,
    Rect,
    contained_point,
    largest_rect,
    widen_to_aspect,
    zoom_about,
)

NEAR: Final = 0.72
"""The sides of a nearer view in those of the whole one."""

NEAREST: Final = 0.6
"""No view of a shot is narrower, so that small pictures stay sharp enough."""

MOST_SHOT_ZOOM: Final = 1.2
"""How far a shot zooms at most, so that views before and after a cut differ clearly."""

PUSH_SECONDS: Final = Fraction(3, 5)
LEAST_PUSH_SECONDS: Final = Fraction(2, 5)
"""How long the camera moves from one framing to the next; if there is time for less, the picture is cut."""


def _ken_burns(
    effect: KenBurns,
    *,
    index: int,
    seconds: Seconds,
    picture_aspect: float,
    canvas_aspect: float,
    focus: tuple[float, float],
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
    whole = largest_rect(picture_aspect, canvas_aspect, focus=focus)
    zoom = effect.zoom or _move_zoom(index, seconds=seconds, most=config.scenes.zoom_max, config=config)
    return _zoomed(whole, zoom, focus=focus, easing=effect.easing)


def _move_zoom(number: int, *, seconds: Seconds, most: float, config: Config) -> tuple[float, float]:
    """Return the zoom at the beginning and at the end of a move, which goes in if its number is even and out if odd."""
    reach = min(1 + config.scenes.zoom_rate * float(seconds), most)
    return (1.0, reach) if number % 2 == 0 else (reach, 1.0)


def _zoomed(outer: Rect, zoom: tuple[float, float], *, focus: tuple[float, float], easing: Easing) -> Camera:
    first, last = (zoom_about(outer, zoom=each, focus=focus) for each in zoom)
    return Camera(first, last, easing)


def _focus(scene: StoryScene, own: SceneAssets, config: Config) -> Focus:
    """Return what cropping keeps in view of a scene's picture, in fractions of it."""
    wanted = scene.focus or config.images.focus
    if not isinstance(wanted, str):
        return Focus(*wanted, "story")
    if wanted == "auto" and isinstance(own.picture, Still) and own.picture.subject is not None:
        return Focus(*own.picture.subject, "found")
    return Focus(0.5, 0.5, "center")


def _effects(
    scene: StoryScene, config: Config, *, first: bool, last: bool
) -> tuple[KenBurns | FadeEffect, ...]:
    """Return the effects of a scene: its own, or the configuration's."""
    if scene.effects is not None:
        return scene.effects
    # A video begins and ends with a picture, not in black, unless its story asks for the fade.
    unwanted = {name for name, edge in (("fade_in", first), ("fade_out", last)) if edge}
    return tuple(
        KenBurns() if name == "ken_burns" else FadeEffect(type=name)
        for name in config.scenes.effects
        if name not in unwanted
    )


def scene_clip(
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
    """Return the clip that shows a scene's picture for all of the scene, with its camera and fades.

    `before` and `after` are the frames of its transitions.
    """
    fps = config.video.fps
    effects = _effects(scene, config, first=index == 0, last=last)
    camera: Camera | None = None
    fades = {"fade_in": 0, "fade_out": 0}
    fit: Fit = scene.fit or config.scenes.fit
    picture_aspect = own.picture.width_px / own.picture.height_px
    wanted = _focus(scene, own, config)
    focus: Focus | None = wanted
    point = (wanted.x, wanted.y)
    if fit == "cover":
        if wanted.by != "center":
            rect = largest_rect(picture_aspect, canvas_aspect, focus=point)
            camera = Camera(rect, rect)
    else:
        point = contained_point(point, picture_aspect, canvas_aspect)
    for effect in effects:
        if isinstance(effect, KenBurns):
            if isinstance(own.picture, Footage):
                continue  # footage already moves
            if effect.start is not None:
                focus = None
            elif effect.focus is not None:
                focus = Focus(*effect.focus, "story")
            camera = _ken_burns(
                effect,
                index=index,
                seconds=frame_time(len(frames), fps),
                picture_aspect=picture_aspect if fit == "cover" else canvas_aspect,
                canvas_aspect=canvas_aspect,
                focus=effect.focus or point,
                config=config,
            )
        else:
            seconds = exact_seconds(effect.duration or config.scenes.fade_duration)
            fades[effect.type] = min(max(1, frames_round(seconds, fps)), len(frames))
    if config.scenes.loop:
        fades |= {"fade_in": fades["fade_in"] if index else 0, "fade_out": 0 if last else fades["fade_out"]}
    # A transition replaces the fade at the same end of the scene.
    fade_in, fade_out = _shared(
        0 if before else fades["fade_in"], 0 if after else fades["fade_out"], len(frames)
    )
    return Clip(
        scene_id=scene.scene_id,
        frames=frames,
        source=_repeated(own.picture, frame_time(len(frames), fps)),
        fit=fit,
        camera=camera,
        fade_in_frames=fade_in,
        fade_out_frames=fade_out,
        title=scene.title,
        focus=focus,
    )


def _repeated(picture: Still | Footage, seconds: Seconds) -> Still | Footage:
    """Return a scene's picture; a moving one repeats for the scene's length."""
    if not isinstance(picture, Footage) or picture.loops_until is None:
        return picture
    return replace(picture, duration=max(picture.duration, min(seconds, picture.loops_until)))


def scene_shots(
    whole: Clip,
    scene: StoryScene,
    own: SceneAssets,
    *,
    index: int,
    before: int,
    after: int,
    pauses: Callable[[], Pauses],
    config: Config,
    canvas_aspect: float,
) -> tuple[Clip, ...]:
    """Return the shots of a scene that outlasts one still, or its clip alone.

    A drawn picture alternates with its second view. Another picture, and what is shown for the second time, is seen as
    a whole and nearer in turn. A clip stays one shot, and so does a scene whose camera move has rectangles or zooms of
    its own. `pauses` is called if the scene is cut. With `scenes.reframe: push` the camera moves from one framing of a
    picture to the next, in a shot of its own.
    """
    most, fps = most_still_seconds(scene, config), config.video.fps
    moves = [effect for effect in scene.effects or () if isinstance(effect, KenBurns)]
    if (
        most is None
        or isinstance(own.picture, Footage)
        or any(each.start is not None or each.zoom is not None for each in moves)
        or len(whole.frames) <= (most_frames := max(1, frames_round(most, fps)))
    ):
        return (whole,)
    cuts = shot_cuts(
        whole.frames,
        most_frames=most_frames,
        before=before or whole.fade_in_frames,
        after=after or whole.fade_out_frames,
        pauses=pauses(),
        fps=fps,
    )
    pictures = [own.picture] if own.second_view is None else [own.picture, own.second_view]
    ranges = list(starmap(FrameRange, pairwise([whole.frames.start, *cuts, whole.frames.stop])))
    found: list[Clip] = []
    for shot, frames in enumerate(ranges if cuts else ()):
        picture = pictures[shot % len(pictures)]
        push = 0
        if shot and len(pictures) == 1 and config.scenes.reframe == "push":
            held = 1 + ((after or whole.fade_out_frames) if shot == len(cuts) else 0)
            push = _push_frames(min(len(frames) // 2, len(frames) - held), fps)
        rest = FrameRange(frames.start + push, frames.stop)
        camera = _shot_camera(
            whole,
            picture,
            shot // len(pictures),
            number=index + shot,
            seconds=frame_time(len(rest), fps),
            config=config,
            canvas_aspect=canvas_aspect,
        )
        if push:
            found.append(
                replace(
                    found[-1],
                    frames=FrameRange(frames.start, rest.start),
                    camera=Camera(
                        found[-1].effective_camera(canvas_aspect).end,
                        replace(whole, camera=camera).effective_camera(canvas_aspect).start,
                        "ease_in_out",
                    ),
                    fade_in_frames=0,
                    title="",
                )
            )
        found.append(
            replace(
                whole,
                frames=rest,
                source=picture,
                camera=camera,
                fade_in_frames=0 if shot else whole.fade_in_frames,
                fade_out_frames=whole.fade_out_frames if shot == len(cuts) else 0,
                title="" if shot else whole.title,
            )
        )
    return tuple(found) or (whole,)


def _push_frames(room: int, fps: Fraction) -> int:
    """Return the frames of a push that has `room` frames at most, 0 if they are too few for one."""
    frames = min(room, frames_round(PUSH_SECONDS, fps))
    return frames if frames >= max(2, frames_round(LEAST_PUSH_SECONDS, fps)) else 0


def returning_clip(first: Clip, frames: FrameRange, *, fps: Fraction) -> Clip:
    """Return the clip with which a video that repeats ends: what its first frame shows, held for `frames`."""
    camera, source = first.camera, first.source
    if isinstance(source, Footage):
        last = None if source.last_frame is None else min(source.start, source.last_frame)
        source = replace(source, duration=frame_time(1, fps), last_frame=last)
    return replace(
        first,
        frames=frames,
        source=source,
        camera=Camera(camera.start, camera.start) if camera is not None else None,
        fade_in_frames=0,
        fade_out_frames=0,
        title="",
    )


def _shot_camera(
    whole: Clip,
    picture: Still,
    framing: int,
    *,
    number: int,
    seconds: Seconds,
    config: Config,
    canvas_aspect: float,
) -> Camera | None:
    """Return the camera of a shot: even framings show as much as the clip of the whole scene, odd ones are nearer.

    Of two near framings the first has the focus in its middle, the other one a third of the way from an edge.
    """
    focus = (whole.focus.x, whole.focus.y) if whole.focus is not None else (0.5, 0.5)
    aspect = picture.width_px / picture.height_px
    if whole.fit != "cover":
        focus, aspect = contained_point(focus, aspect, canvas_aspect), canvas_aspect
    rect = largest_rect(aspect, canvas_aspect, focus=focus)
    most = config.scenes.zoom_max
    if framing % 2:
        near = largest_rect(aspect, canvas_aspect, zoom=1 / NEAR)
        aside = framing % 4 // 2 / 6
        middle = (
            focus[0] + (aside if focus[0] <= 0.5 else -aside) * near.width,
            focus[1] + (aside if focus[1] <= 0.5 else -aside) * near.height,
        )
        rect = largest_rect(aspect, canvas_aspect, zoom=1 / NEAR, focus=middle)
        most = min(most, NEAR / NEAREST)
    if whole.camera is None or not whole.camera.moves:
        return Camera(rect, rect) if framing % 2 else whole.camera
    zoom = _move_zoom(number, seconds=seconds, most=min(most, MOST_SHOT_ZOOM), config=config)
    return _zoomed(rect, zoom, focus=focus, easing=whole.camera.easing)


def _shared(fade_in: int, fade_out: int, frames: int) -> tuple[int, int]:
    """Shorten the fades of a scene that has both, so that at least one frame is not faded."""
    if frames == 1:
        return 0, 0
    wanted, room = fade_in + fade_out, frames - 1
    if not (fade_in and fade_out) or wanted <= room:
        return fade_in, fade_out
    return fade_in * room // wanted, fade_out * room // wanted
