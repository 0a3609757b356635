"""Cards, intro and outro as scenes before and after those of the story.

intro, title card, the story's scenes, end card, outro
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.models import Narration, SceneAssets, StoryAssets
from video_pipeline.engine.assets.scene_lengths import scene_transition
from video_pipeline.engine.cards.bumpers import Bumper, prepare_bumper
from video_pipeline.engine.cards.drawing import draw_card
from video_pipeline.engine.cards.texts import CardTexts, card_keys, card_texts
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import InputFiles
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.card_keys import TitleCardKeys
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.model import TransitionSpec
from video_pipeline.engine.timeline import AudioTrack, Grade, Still, Timeline
from video_pipeline.engine.timing import exact_seconds, frame_time

TEXT_CUT: Final = "its end is left out"
CardName = Literal["title_card", "end_card"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """What is before and after a story's scenes; `over` is a title over the first one. None is what there is not."""

    intro: Bumper | None = None
    title: CardTexts | None = None
    title_scene: StoryScene | None = None
    over: CardTexts | None = None
    end: CardTexts | None = None
    end_scene: StoryScene | None = None
    outro: Bumper | None = None
    warnings: tuple[str, ...] = ()

    @property
    def before(self) -> int:
        """The number of scenes before the first one of the story."""
        return sum(each is not None for each in (self.intro, self.title_scene))

    @property
    def scene_ids(self) -> frozenset[str]:
        """The ids of the scenes that are not the story's."""
        bumpers = (each.scene for each in (self.intro, self.outro) if each is not None)
        cards = (each for each in (self.title_scene, self.end_scene) if each is not None)
        return frozenset(scene.scene_id for scene in (*bumpers, *cards))

    @property
    def spoken(self) -> StoryScene | None:
        """The title card if it is spoken."""
        return self.title_scene if self.title_scene is not None and self.title_scene.spoken else None

    def of_story(self, numbers: Collection[int] | None, *, count: int) -> set[int] | None:
        """Return scenes of the video by their numbers in the story of `count` scenes.

        A card, intro or outro stands for the scene beside it, whose picture it may show; a title that is spoken is -1.
        """
        if numbers is None:
            return None
        found = {min(max(number - self.before, 0), count - 1) for number in numbers if number >= self.before}
        if len(found) < len(set(numbers)):
            found |= {-1} if self.spoken is not None else set()
            if self.title is None or self.spoken is None or self.title.keys.background == "picture":
                found |= {0} if any(number < self.before for number in numbers) else set()
        return found


def prepare_cards(
    story: Story,
    scenes: Sequence[StoryScene],
    *,
    config: Config,
    catalogue: FontCatalogue,
    base: Path,
    cache: ContentCache,
    files: InputFiles,
) -> Cards:
    """Return the cards, intro and outro of a story, still without pictures of the cards.

    Raises StoryError or ConfigError, and FileChangedError; what follows the error policy may be a warning instead.
    """
    taken = {scene.scene_id for scene in scenes}
    bumpers, warnings = {}, list[str]()
    for name, keys in (("intro", config.intro), ("outro", config.outro)):
        bumpers[name], told = prepare_bumper(
            name, keys, scene_id=_free_id(name, taken), config=config, cache=cache, files=files
        )
        warnings += told
    texts = dict[str, CardTexts | None]()
    for name, own in (
        ("title_card", card_keys(config.title_card, story.title_card)),
        ("end_card", card_keys(config.end_card, story.end_card)),
    ):
        texts[name] = None
        if own is not None:
            made = card_texts(name, own, story, config=config, catalogue=catalogue, base=base)
            texts[name] = made
            warnings += made.warnings
    title, end, over = texts["title_card"], texts["end_card"], None
    if title is not None and isinstance(title.keys, TitleCardKeys) and title.keys.over:
        title, over = None, title
    return Cards(
        intro=bumpers["intro"],
        title=title,
        title_scene=_card_scene("title_card", title, taken, chapter=story.title) if title else None,
        over=over,
        end=end,
        end_scene=_card_scene("end_card", end, taken, chapter="") if end else None,
        outro=bumpers["outro"],
        warnings=tuple(warnings),
    )


def _free_id(name: str, taken: Collection[str]) -> str:
    """Return an id that no scene of the story has."""
    found = name
    while found in taken:
        found += "_"
    return found


def _card_scene(name: CardName, card: CardTexts, taken: Collection[str], *, chapter: str) -> StoryScene:
    keys = card.keys
    spoken = isinstance(keys, TitleCardKeys) and keys.speak
    return StoryScene(
        scene_id=_free_id(name, taken),
        title=chapter,
        narration=card.text if spoken else "",
        duration=keys.seconds,
        effects=(),
        fit="cover",
        focus="center",
        max_still_seconds=0,
        transition=TransitionSpec(name=keys.transition) if keys.transition is not None else None,
    )


def with_cards(
    cards: Cards,
    scenes: Sequence[StoryScene],
    assets: StoryAssets,
    *,
    config: Config,
    grade: Grade | None,
    cache: ContentCache,
) -> tuple[tuple[StoryScene, ...], StoryAssets]:
    """Return the scenes of a video and their assets. If only the first scenes have assets, so it is with cards around them."""
    warnings = list[str]()

    def picture(card: CardTexts, behind: SceneAssets) -> Still:
        made, is_cut = draw_card(
            card,
            frame_px=config.video.canvas_px(),
            platform=config.captions.platform,
            behind=behind.picture if isinstance(behind.picture, Still) else None,
            grade=grade,
            cache=cache,
        )
        if is_cut:
            fault = card.fault(f"has {len(card.text)} characters, which do not fit on the card; shorten it")
            warnings.append(config.error_policy.replace(fault, instead=TEXT_CUT))
        return made

    whole = len(assets.scenes) == len(scenes)
    around: list[tuple[StoryScene, SceneAssets | None]] = list(zip(scenes, assets.scenes, strict=False))
    around += [(scene, None) for scene in scenes[len(assets.scenes) :]]
    if cards.title is not None and cards.title_scene is not None:
        first = assets.scenes[0]
        shown = SceneAssets(
            cards.title_scene.scene_id,
            picture(cards.title, first),
            is_unpainted=first.is_unpainted and cards.title.keys.background == "picture",
        )
        around.insert(0, _spoken_card(cards.title_scene, shown, assets.title_speech, config))
    if cards.intro is not None:
        around.insert(0, (cards.intro.scene, cards.intro.assets))
    if cards.end is not None and cards.end_scene is not None:
        last = assets.scenes[-1]
        own = (
            SceneAssets(
                cards.end_scene.scene_id,
                picture(cards.end, last),
                is_unpainted=last.is_unpainted and cards.end.keys.background == "picture",
            )
            if whole
            else None
        )
        around.append((cards.end_scene, own))
    if cards.outro is not None:
        around.append((cards.outro.scene, cards.outro.assets if whole else None))
    known = tuple(own for _, own in around if own is not None)
    told = (*cards.warnings, *assets.warnings, *warnings)
    return tuple(scene for scene, _ in around), replace(assets, scenes=known, warnings=told)


def _spoken_card(
    scene: StoryScene, assets: SceneAssets, narration: Narration | None, config: Config
) -> tuple[StoryScene, SceneAssets]:
    """Return a card with its narration, and as long as that needs."""
    if narration is None:
        return scene, assets
    padding = exact_seconds(config.scenes.narration_padding)
    needed = narration.sound.duration + padding + scene_transition(scene, config)[1] + Fraction(1, 10)
    seconds = max(scene.duration or 0.0, float(needed))
    return scene.model_copy(update={"duration": seconds}), replace(
        assets,
        narration=narration.sound,
        words=narration.words,
        words_by=narration.words_by,
        spoken_by=narration.spoken_by,
        is_unspoken=narration.is_unspoken,
    )


def timeline_with_cards(timeline: Timeline, cards: Cards, grade: Grade | None) -> Timeline:
    """Return a timeline with the clips of the story graded and the others marked; music is silent where these have sound."""
    apart = cards.scene_ids
    if not apart and grade is None:
        return timeline
    clips = tuple(
        replace(clip, apart=True) if clip.scene_id in apart else replace(clip, grade=grade)
        for clip in timeline.clips
    )
    return replace(timeline, clips=clips, audio=tuple(_music_between(timeline, cards)))


def _music_between(timeline: Timeline, cards: Cards) -> Iterator[AudioTrack]:
    """Yield the sounds of a timeline; music begins after an intro with sound, on a beat, and ends before such an outro."""
    begin, end = Fraction(0), timeline.duration
    for index, clip in enumerate(timeline.clips):
        for bumper in (cards.intro, cards.outro):
            if (
                bumper is None
                or bumper.assets.footage_sound is None
                or clip.scene_id != bumper.scene.scene_id
            ):
                continue
            if bumper is cards.intro and index + 1 < len(timeline.clips) and not begin:
                begin = frame_time(timeline.clips[index + 1].frames.start, timeline.fps)
            elif bumper is cards.outro:
                end = frame_time(clip.frames.start, timeline.fps)
    for track in timeline.audio:
        if track.kind != "music" or (not begin and end == timeline.duration):
            yield track
            continue
        at = begin if track.score is None else track.score.beat * math.ceil(begin / track.score.beat)
        if at < end:
            yield replace(track, at=at, duration=end - at)
