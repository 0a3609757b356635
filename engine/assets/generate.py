"""The asset stage: load or generate every scene's picture and sound in parallel, with fallbacks."""

from __future__ import annotations

import atexit
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from video_pipeline.engine.assets.footage import probe_footage
from video_pipeline.engine.assets.images.service import Painter, PictureRequest, choose_painter, painted
from video_pipeline.engine.assets.models import Narration, SceneAssets, StoryAssets
from video_pipeline.engine.assets.sound import check_decodable, probe_sound
from video_pipeline.engine.assets.speakers import SpeakerVoice, open_voices
from video_pipeline.engine.assets.speech.chain import NarratorChain, choose_narrator
from video_pipeline.engine.assets.speech.normalisation.dates import DateOrder, date_order
from video_pipeline.engine.assets.speech.normalisation.normalise import spoken_text
from video_pipeline.engine.assets.speech.prices import cost_report
from video_pipeline.engine.assets.speech.service import SpeechContext
from video_pipeline.engine.assets.stills import animation_warning, prepare_still
from video_pipeline.engine.common.cache import ContentCache, open_cache
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.sections import Images
from video_pipeline.engine.errors import (
    AssetError,
    ConfigError,
    FileChangedError,
    InputError,
    StoryError,
    TTSError,
)
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.net.spending import DailyCount, Spending
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.asset_fields import DRAWN_PICTURE, NO_MUSIC
from video_pipeline.engine.story.fields import expand_user
from video_pipeline.engine.story.lexicon import merged
from video_pipeline.engine.story.model import place_of
from video_pipeline.engine.timeline import Still

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Made:
    """One scene's asset, and the warnings about it."""

    value: Any
    warnings: tuple[str, ...] = ()


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
    painter: Painter
    files: InputFiles

    def path(self, name: str) -> Path:
        """Return the path of a file that the story names; relative paths start at `base`."""
        return self.base / expand_user(name)


def _seed(job: AssetJob, index: int) -> int:
    """Return a scene's seed. Seeds are consecutive, so that neighbours differ in style and palette."""
    return int.from_bytes(hashlib.sha256(job.story.story_id.encode()).digest()[:4], "big") + index


def _drawn(job: AssetJob, index: int, scene: StoryScene) -> Still:
    request = PictureRequest(
        text=scene.text,
        genre=job.story.metadata.genre,
        seed=_seed(job, index),
        frame_px=job.config.video.finished_px(),
    )
    return painted(request, painter=job.painter, cache=job.cache, settings=job.config.images)


def _picture(job: AssetJob, index: int, scene: StoryScene) -> _Made:
    """Return the scene's Still, or its Footage with sound; a drawn picture if the story names none."""
    if scene.image is None and scene.video is None:
        return _Made((_drawn(job, index, scene), None))
    place = place_of(index, scene, "video" if scene.video is not None else "image")
    policy = job.config.error_policy
    try:
        if scene.video is not None:
            path = job.path(scene.video.path)
            clipped = probe_footage(path, scene.video, files=job.files)
            warnings = [f"{place}: {clipped.warning}"] if clipped.warning else []
            sound = clipped.sound
            try:
                if sound is not None:
                    check_decodable(path, files=job.files)
            except AssetError as error:
                sound = None
                warnings.append(policy.replace(StoryError(f"{place}: {error}"), instead="the clip is silent"))
            return _Made((clipped.footage, sound), tuple(warnings))
        path = job.path(scene.image or "")
        still = prepare_still(
            path,
            cache=job.cache,
            max_megapixels=job.config.images.max_megapixels,
            max_side_px=max(4096, round(2.5 * max(job.config.video.finished_px()))),
            files=job.files,
        )
        animated = animation_warning(path, still)
        return _Made((still, None), (f"{place}: {animated}",) if animated else ())
    except FileChangedError as error:
        raise FileChangedError(f"{place}: {error}") from error
    except AssetError as error:
        warning = policy.replace(StoryError(f"{place}: {error}"), instead=DRAWN_PICTURE)
        return _Made((_drawn(job, index, scene), None), (warning,))


def _speech(job: AssetJob, index: int, scene: StoryScene) -> _Made:
    """Return the scene's Narration, None if it has no words to speak, or False if speech failed."""
    narrators = job.voices.get(scene.speaker or "", job.narrators)
    if narrators is None or not scene.spoken:
        return _Made(None)
    place = place_of(index, scene, "narration")
    try:
        made = narrators.narrate(
            spoken_text(scene.spoken, language=job.language, dates=job.dates, lexicon=job.lexicon)
        )
        by = made.narration.spoken_by
        return _Made(
            made.narration, tuple(f"{place}: {reason}; {by!r} speaks instead" for reason in made.reasons)
        )
    except TTSError as error:
        if not job.config.fallback_speech:
            raise TTSError(f"{place}: {error}") from error
        return _Made(False, (f"{place}: {error}; the scene is silent and 1.5 times longer",))


def _music(job: AssetJob) -> _Made:
    spec = job.story.music
    if spec is None and job.config.audio.music is None:
        return _Made(None)
    place = "field 'music'" if spec is not None else "audio.music"
    path = job.path(spec.path) if spec is not None else Path(job.config.audio.music or "")
    try:
        return _Made(probe_sound(path, files=job.files))
    except FileChangedError as error:
        raise FileChangedError(f"{place}: {error}") from error
    except AssetError as error:
        fault = (StoryError if spec is not None else ConfigError)(f"{place}: {error}")
        return _Made(None, (job.config.error_policy.replace(fault, instead=NO_MUSIC),))


def open_asset_cache(config: Config, *, required: bool = True) -> ContentCache:
    """Return the content cache that the configuration names.

    If storage.cache_path is not set and the user's cache folder is not writable, it is a temporary folder that
    is deleted when the process ends. Raises ConfigError if storage.cache_path cannot be written. Without `required`,
    as on a node, that is a warning too, and the cache leaves node.min_free_mb of its disk free.
    """
    max_bytes = int(config.storage.max_storage_gb * 1e9)
    free = 0 if required else int(config.node.min_free_mb * 1e6)
    try:
        return open_cache(config.cache_dir(), max_bytes=max_bytes, keep_free_bytes=free)
    except ConfigError as error:
        if required and config.storage.cache_path is not None:
            raise
        folder = Path(tempfile.mkdtemp(prefix="video-pipeline-cache-", dir=config.storage.temp_path))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        logger.warning("%s; nothing is cached beyond this run", error)
        return ContentCache(folder, max_bytes)


@contextmanager
def scratch_folder(config: Config) -> Iterator[Path]:
    """Yield a private temporary folder; it is deleted when the block ends."""
    parent = config.storage.temp_path
    if parent is not None:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"storage.temp_path: {parent} cannot be written: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="video-pipeline-", dir=parent) as folder:
        yield Path(folder)


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
) -> StoryAssets:
    """Return every asset of a story. One thread makes narration, or several if a service does; others load pictures.

    `voices` are those of speakers who have their own.
    An unusable file that the story names follows the error policy: a StoryError that names scene and field, or a
    warning. A service that fails follows `fallback_enabled`. Raises FileChangedError for a file that changes while it
    is read.
    """
    speaks = config.tts.service != "none" and any(scene.spoken for scene in scenes)
    language = story.language if speaks else "en"
    spending = Spending(
        job_limit=config.tts.max_characters,
        day_limit=config.tts.max_characters_per_day,
        count=DailyCount(config.state_dir),
    )
    context = SpeechContext(language=language, region=story.region, meter=spending, cache=cache)
    choice = choose_narrator(config.tts, fallback=config.fallback_speech, context=context)
    warnings = [choice.warning] if choice.warning else []
    paints = any(scene.image is None and scene.video is None for scene in scenes)
    painter = choose_painter(config.images if paints else Images(), fallback=config.fallback_images)
    if painter.warning:
        warnings.append(painter.warning)
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
        painter=painter.painter,
        files=files,
    )
    total, done = 2 * len(scenes) + 1, 0
    with (
        ThreadPoolExecutor(choice.chain.parallel if choice.chain else 1, "narration") as speakers,
        ThreadPoolExecutor(cpu_count(), "pictures") as painters,
    ):
        music = painters.submit(_music, job)
        pictures = [painters.submit(_picture, job, index, scene) for index, scene in enumerate(scenes)]
        speeches = [speakers.submit(_speech, job, index, scene) for index, scene in enumerate(scenes)]
        # An unusable file is reported before the narration, which may take minutes.
        futures: list[Future[_Made]] = [*pictures, music, *speeches]
        try:
            for future in futures:
                warnings += future.result().warnings
                done += 1
                if progress:
                    progress(done, total)
        except BaseException:
            context.stop.set()
            for future in futures:
                future.cancel()
            raise
    result: list[SceneAssets] = []
    spoken_by: dict[str, str] = {}
    for scene, picture, speech in zip(scenes, pictures, speeches, strict=True):
        shown, sound = picture.result().value
        spoken = speech.result().value
        narration = spoken if isinstance(spoken, Narration) else None
        if narration is not None:
            spoken_by[scene.scene_id] = narration.spoken_by
        result.append(
            SceneAssets(
                scene_id=scene.scene_id,
                picture=shown,
                narration=narration.sound if narration else None,
                footage_sound=sound,
                extended=spoken is False,
                words=narration.words if narration else (),
                words_by=narration.words_by if narration else None,
            )
        )
    paid = [
        cost_report(name, choice.chain.model_of(name) if choice.chain else "", characters)
        for name, characters in spending.spent.items()
    ]
    return StoryAssets(
        tuple(result),
        music=music.result().value,
        warnings=tuple(warnings),
        speech={"services": spoken_by, "paid": paid},
    )
