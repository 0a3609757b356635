"""The asset stage: load or generate every scene's picture and sound in parallel, with fallbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from video_pipeline.engine.assets.first_scenes import (
    FirstScenes,
    Made,
    ShownScene,
    scene_assets,
    title_speech,
)
from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.assets.images.chain import PainterChain, choose_painters
from video_pipeline.engine.assets.images.drawn import drawn_picture
from video_pipeline.engine.assets.images.prices import picture_costs
from video_pipeline.engine.assets.images.scene_requests import picture_requests, story_seed
from video_pipeline.engine.assets.images.service import PictureContext, PictureRequest, UnpaintedError
from video_pipeline.engine.assets.models import (
    Narration,
    Sound,
    StoryAssets,
)
from video_pipeline.engine.assets.moving import MovingLimits, prepare_clip
from video_pipeline.engine.assets.music.stored import stored_effect, stored_music
from video_pipeline.engine.assets.recordings import (
    Reading,
    Recorded,
    WordFileError,
    divided,
    record_of,
    speech_lufs,
)
from video_pipeline.engine.assets.scene_lengths import outlasts_a_still
from video_pipeline.engine.assets.sound import check_decodable, probe_sound
from video_pipeline.engine.assets.speakers import SpeakerVoice, open_voices
from video_pipeline.engine.assets.speech.chain import NarratorChain, choose_narrator
from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder, date_order
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.prices import cost_report
from video_pipeline.engine.assets.speech.service import SpeechContext, UnspokenError
from video_pipeline.engine.assets.speech.word_times import estimated_seconds
from video_pipeline.engine.assets.stills import animation_warning, prepare_still
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles
from video_pipeline.engine.common.music import MusicMood, effects_of
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import (
    AssetError,
    ConfigError,
    FileChangedError,
    ImageGenerationError,
    ServiceError,
    StoryError,
    TTSError,
)
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.net.spending import PICTURES, DailyCount, Spending
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.asset_fields import DRAWN_PICTURE, NO_MUSIC, SHARED_TIMES, SPOKEN_INSTEAD
from video_pipeline.engine.story.fields import expand_user
from video_pipeline.engine.story.lexicon import merged
from video_pipeline.engine.story.model import NarrationSpec, VideoSpec, place_of

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class AssetJob:
    """The inputs that all asset functions of a story share."""

    story: Story
    config: Config
    cache: ContentCache
    base: Path
    language: str
    dates: DateOrder
    lexicon: Mapping[str, str]
    narrators: NarratorChain | None
    voices: Mapping[str, NarratorChain]
    painters: PainterChain
    files: InputFiles
    requests: tuple[PictureRequest, ...]
    speak: Collection[int] | None = None

    def path(self, name: str) -> Path:
        """Return the path of a file that the story names; relative paths start at `base`."""
        return self.base / expand_user(name)


def still_side_px(config: Config) -> int:
    """Return the longer side that a picture needs at most."""
    return max(4096, round(2.5 * max(config.video.finished_px())))


def moving_limits(config: Config) -> MovingLimits:
    """Return what a moving picture may have."""
    images = config.images
    return MovingLimits(
        max_frames=images.max_frames,
        max_megapixels=images.max_megapixels,
        max_moving_megapixels=images.max_moving_megapixels,
        max_side_px=still_side_px(config),
    )


def _drawn(job: AssetJob, index: int) -> ShownScene:
    request = job.requests[index]
    return ShownScene(job.painters.drawn(request), drawn=drawn_picture(request))


def _service_picture(job: AssetJob, index: int, scene: StoryScene) -> Made:
    """Return what an image service makes or finds for a scene without a picture; a drawn one if none can."""
    place = place_of(index, scene, "image")
    only_cached = job.speak is not None and index not in job.speak
    try:
        request = job.requests[index]
        made = job.painters.make(request, only_cached=only_cached)
        if isinstance(made.shown, Path):
            end = None if scene.spoken or scene.duration else job.config.scenes.default_duration
            spec = VideoSpec(path=str(made.shown), end=end, sound=False)
            shown = ShownScene(probe_footage(made.shown, spec).footage, origin=made.origin)
        else:
            drawn = drawn_picture(request) if made.origin is None else None
            shown = ShownScene(made.shown, origin=made.origin, drawn=drawn)
    except UnpaintedError:
        return Made(_drawn(job, 0)._replace(is_unpainted=True))  # one picture stands in for all
    except (ImageGenerationError, ServiceError) as error:
        raise ImageGenerationError(f"{place}: {error}") from error
    except AssetError as error:  # the clip
        if not job.config.fallback_images:
            raise ImageGenerationError(f"{place}: {error}") from error
        return Made(_drawn(job, index), (f"{place}: {error}; {DRAWN_PICTURE}",))
    by = f"{made.origin.service!r} is used" if made.origin is not None else "a picture is drawn"
    return Made(shown, tuple(f"{place}: {reason}; {by} instead" for reason in made.reasons))


def _picture(job: AssetJob, index: int, scene: StoryScene) -> Made:
    """Return what the scene shows, with a clip's sound; a service's or drawn picture if the story names none."""
    if scene.image is None and scene.video is None:
        return _service_picture(job, index, scene)
    place = place_of(index, scene, "video" if scene.video is not None else "image")
    policy = job.config.error_policy
    try:
        if scene.video is not None:
            path = job.path(scene.video.path)
            limits = moving_limits(job.config)
            clipped = prepare_clip(path, scene.video, limits=limits, cache=job.cache, files=job.files)
            warnings = [f"{place}: {clipped.warning}"] if clipped.warning else []
            sound = clipped.sound
            try:
                if sound is not None:
                    check_decodable(path, files=job.files)
            except AssetError as error:
                sound = None
                warnings.append(policy.replace(StoryError(f"{place}: {error}"), instead="the clip is silent"))
            return Made(ShownScene(clipped.footage, sound), tuple(warnings))
        path = job.path(scene.image or "")
        still = prepare_still(
            path,
            cache=job.cache,
            max_megapixels=job.config.images.max_megapixels,
            max_side_px=still_side_px(job.config),
            with_subject=(scene.focus or job.config.images.focus) == "auto",
            files=job.files,
        )
        animated = animation_warning(path, still)
        return Made(ShownScene(still), (f"{place}: {animated}",) if animated else ())
    except FileChangedError as error:
        raise FileChangedError(f"{place}: {error}") from error
    except AssetError as error:
        warning = policy.replace(StoryError(f"{place}: {error}"), instead=DRAWN_PICTURE)
        return Made(_drawn(job, index), (warning,))


def _reading(job: AssetJob) -> Reading:
    return Reading(language=job.language, dates=job.dates, lexicon=job.lexicon, files=job.files)


def _recording(job: AssetJob, spec: NarrationSpec, text: str, place: Callable[[str], str]) -> Made | str:
    """Return a recorded narration, or the warning that it is replaced; raise StoryError that names the field."""

    def placed(made: Recorded, *before: str) -> Made:
        return Made(made.narration, (*before, *(f"{place(field)}: {text}" for field, text in made.warnings)))

    policy = job.config.error_policy
    words = job.path(spec.words) if spec.words is not None else None
    try:
        try:
            return placed(
                record_of(job.path(spec.path), words, text=text, name=spec.path, reading=_reading(job))
            )
        except WordFileError as error:
            fault = StoryError(f"{place('narration_audio.words')}: {error}")
            warning = policy.replace(fault, instead=SHARED_TIMES)
            made = record_of(job.path(spec.path), None, text=text, name=spec.path, reading=_reading(job))
            return placed(made, warning)
    except FileChangedError as error:
        raise FileChangedError(f"{place('narration_audio')}: {error}") from error
    except AssetError as error:
        return policy.replace(StoryError(f"{place('narration_audio')}: {error}"), instead=SPOKEN_INSTEAD)


def _recorded_scene(job: AssetJob, index: int, scene: StoryScene, spec: NarrationSpec) -> Made:
    """Return the Narration that a scene has as a recording; one in its voice if the recording cannot be used."""
    made = _recording(job, spec, scene.spoken, lambda field: place_of(index, scene, field))
    if isinstance(made, str):
        spoken = _speech(job, index, scene.model_copy(update={"narration_audio": None}))
        return Made(spoken.value, (made, *spoken.warnings))
    return made


def _recorded_story(job: AssetJob, spec: NarrationSpec, scenes: Sequence[StoryScene]) -> list[Made]:
    """Return the Narration of every scene, as its part of a recording of the whole story."""
    texts = [scene.spoken for scene in scenes]
    joined = "\n\n".join(filter(None, texts))
    made = _recording(job, spec, joined, lambda field: f"field {field!r}")
    if isinstance(made, str):
        spoken = [_speech(job, index, scene) for index, scene in enumerate(scenes)]
        return [
            Made(each.value, ((made,) if not index else ()) + each.warnings)
            for index, each in enumerate(spoken)
        ]
    assert isinstance(made.value, Narration)
    warnings = list(made.warnings)
    found: list[Made] = []
    for index, (scene, part) in enumerate(
        zip(scenes, divided(made.value, texts, joined=joined), strict=True)
    ):
        if scene.spoken and part is None:
            warnings.append(f"{place_of(index, scene, 'narration')}: is not in the recording {spec.path}")
        found.append(Made(part, tuple(warnings)))
        warnings = []
    return found


def _part_of(whole: Future[list[Made]], index: int) -> Made:
    return whole.result()[index]


def _speech(job: AssetJob, index: int, scene: StoryScene) -> Made:
    """Return the scene's Narration, None if it has no words to speak, or False if speech failed."""
    if scene.narration_audio is not None:
        return _recorded_scene(job, index, scene, scene.narration_audio)
    narrators = job.voices.get(scene.speaker or "", job.narrators)
    if narrators is None or not scene.spoken:
        return Made(None)
    place = place_of(index, scene, "narration")
    spoken = spoken_text(scene.spoken, language=job.language, dates=job.dates, lexicon=job.lexicon)
    if spoken.is_silent:  # emoji or marks alone
        return Made(None)
    try:
        made = narrators.narrate(spoken, only_cached=job.speak is not None and index not in job.speak)
        service = made.narration.spoken_by.service if made.narration.spoken_by else ""
        told = tuple(f"{place}: {reason}; {service!r} speaks instead" for reason in made.reasons)
        return Made(made.narration, told)
    except UnspokenError:
        seconds = estimated_seconds(spoken) / Fraction(job.config.tts.speech_rate)
        return Made(Narration(Sound(Path(), "", seconds), (), "shares", is_unspoken=True))
    except TTSError as error:
        if not job.config.fallback_speech:
            raise TTSError(f"{place}: {error}") from error
        return Made(False, (f"{place}: {error}; the scene is silent and 1.5 times longer",))


def _music(job: AssetJob) -> Made:
    """Return the music's Sound, and its Score if it is synthesised."""
    spec, settings = job.story.music, job.config.audio
    mood: MusicMood | None = None
    path: Path | None = None
    if spec is not None:
        mood, path = spec.mood, job.path(spec.path) if spec.path is not None else None
    elif isinstance(settings.music, Path):
        path = settings.music
    else:
        mood = settings.music
    if path is None:
        if mood is None or mood == "none":
            return Made((None, None))
        seed = spec.seed if spec is not None and spec.seed is not None else settings.music_seed
        return Made(
            stored_music(
                settings.music_mood if mood == "auto" else mood,
                words=str(getattr(job.story.metadata, "mood", None) or ""),
                genre=job.story.metadata.genre,
                seed=story_seed(job.story) if seed is None else seed,
                cache=job.cache,
            )
        )
    place = "field 'music'" if spec is not None else "audio.music"
    try:
        return Made((probe_sound(path, files=job.files), None))
    except FileChangedError as error:
        raise FileChangedError(f"{place}: {error}") from error
    except AssetError as error:
        fault = (StoryError if spec is not None else ConfigError)(f"{place}: {error}")
        return Made((None, None), (job.config.error_policy.replace(fault, instead=NO_MUSIC),))


def _second_view(
    job: AssetJob, index: int, scenes: Sequence[StoryScene], picture: Future[Made], speech: Future[Made]
) -> Made:
    """Wait for a scene's picture and narration; return its second view if it is drawn and outlasts one still, or None."""
    scene, before = scenes[index], scenes[index - 1] if index else None
    assets = scene_assets(scene, picture, speech)
    if assets.drawn is None or assets.is_unpainted:
        return Made(None)
    if not outlasts_a_still(scene, assets, job.config, before=before):
        return Made(None)
    request = job.requests[index]
    return Made(job.painters.drawn(replace(request, view=1 - request.view)))


def gather_assets(
    story: Story,
    scenes: Sequence[StoryScene],
    *,
    config: Config,
    cache: ContentCache,
    base: Path = Path(),
    progress: Progress | None = None,
    files: InputFiles = ANY_FILES,
    voices: Mapping[str, SpeakerVoice] = MappingProxyType({}),
    speak: Collection[int] | None = None,
    title: StoryScene | None = None,
    on_first: Callable[[FirstScenes], object] | None = None,
) -> StoryAssets:
    """Return every asset of a story. One thread makes narration, or several if a service does; others load pictures.

    `voices` are those of speakers who have their own. With `speak`, the numbers of scenes, only for these services are
    asked and only these are spoken; the picture of the others is cached or the first one's, their narration cached, or its
    length an estimate. `title` is a title card that is spoken, number -1. `on_first` is called at the beginning and must not wait.

    An unusable file that the story names follows the error policy: a StoryError that names scene and field, or a
    warning. A service that fails follows `fallback_enabled`. Raises FileChangedError for a file that changes while it
    is read.
    """
    spoken = [scene for scene in scenes if scene.spoken]
    recorded = (
        spoken if story.narration_audio is not None else [each for each in spoken if each.narration_audio]
    )
    is_spoken = bool(spoken) or title is not None
    language = story.language if is_spoken and (config.tts.service != "none" or recorded) else "en"
    spending = Spending(
        job_limit=config.tts.max_characters,
        day_limit=config.tts.max_characters_per_day,
        count=DailyCount(config.state_dir),
    )
    context = SpeechContext(language=language, region=story.region, meter=spending, cache=cache)
    choice = choose_narrator(config.tts, fallback=config.fallback_speech, context=context)
    # Of a service that speaks nothing in this video, it does not matter what it lacks.
    warnings = (
        [choice.warning] if choice.warning and (title is not None or len(recorded) < len(spoken)) else []
    )
    bare = [scene.image is None and scene.video is None for scene in scenes]
    pictures_paid = Spending(
        job_limit=config.images.max_pictures,
        day_limit=config.images.max_pictures_per_day,
        count=DailyCount(config.state_dir, billed=PICTURES),
    )
    painters = choose_painters(
        config.images if any(bare) else Images(),
        fallback=config.fallback_images,
        context=PictureContext(meter=pictures_paid, cache=cache, node=config.node, stop=context.stop),
    )
    warnings += painters.warnings
    job = AssetJob(
        story=story,
        config=config,
        cache=cache,
        base=base,
        language=language,
        lexicon=merged(config.tts.lexicon, story.lexicon),
        dates=date_order(config.tts.dates, language=language, region=story.region),
        narrators=choice.chain,
        voices=open_voices(voices, fallback=config.fallback_speech, context=context),
        painters=painters.chain,
        files=files,
        requests=picture_requests(story, scenes, config=config),
        speak=speak,
    )
    total, done = 2 * len(scenes) + 1 + (title is not None), 0
    with (
        ThreadPoolExecutor(choice.chain.parallel if choice.chain else 1, "narration") as speakers,
        ThreadPoolExecutor(cpu_count(), "pictures") as loaders,
        ThreadPoolExecutor(config.images.parallel_requests, "services") as askers,
    ):
        music = loaders.submit(_music, job)
        asks = [job.painters.is_remote and each for each in bare]
        pictures = [
            (askers if asked else loaders).submit(_picture, job, index, scene)
            for index, (scene, asked) in enumerate(zip(scenes, asks, strict=True))
        ]
        if story.narration_audio is not None:
            whole = speakers.submit(_recorded_story, job, story.narration_audio, scenes)
            speeches = [speakers.submit(_part_of, whole, index) for index in range(len(scenes))]
        else:
            speeches = [speakers.submit(_speech, job, index, scene) for index, scene in enumerate(scenes)]
        said = speakers.submit(_speech, job, -1, title) if title is not None else None
        # They wait for narration and come last, so that no other picture waits for them.
        views = [
            loaders.submit(_second_view, job, index, scenes, *each)
            for index, each in enumerate(zip(pictures, speeches, strict=True))
        ]
        first = FirstScenes(scenes, pictures, speeches, views, said)
        # An unusable file is reported before the narration, which may take minutes.
        futures: list[Future[Made]] = [*pictures, music, *speeches, *([said] if said is not None else [])]
        try:
            if on_first is not None:
                on_first(first)
            for future in futures:
                warnings += future.result().warnings
                done += 1
                if progress:
                    progress(done, total)
            for view in views:
                view.result()
        except BaseException:
            context.stop.set()
            for future in (*futures, *views):
                future.cancel()
            raise
        finally:
            first.end()
    result = tuple(map(scene_assets, scenes, pictures, speeches, views))
    chains = [chain for chain in (job.narrators, *job.voices.values()) if chain is not None]
    paid = tuple(
        cost_report(name, next(filter(None, (chain.model_of(name) for chain in chains)), ""), characters)
        for name, characters in spending.spent.items()
    )
    models = {scene.origin.service: scene.origin.model for scene in result if scene.origin is not None}
    sound, score = music.result().value
    spoken_files = {
        scene.narration.path: (scene.narration.path, scene.narration.sha256, scene.narration_gain_db)
        for scene in result
        if (score is not None or config.audio.effects != "none")
        and scene.narration is not None
        and not scene.is_unspoken
    }
    return StoryAssets(
        result,
        music=sound,
        score=score,
        speech_lufs=speech_lufs(spoken_files.values()),
        effects={name: stored_effect(name, cache=cache) for name in effects_of(config.audio.effects)},
        title_speech=title_speech(said),
        warnings=tuple(warnings),
        paid=paid,
        paid_pictures=tuple(
            picture_costs(name, models.get(name, ""), count) for name, count in pictures_paid.spent.items()
        ),
    )
