"""A user's own intro and outro: clips or pictures, with their own sound, as scenes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.assets.generate import moving_limits, still_side_px
from video_pipeline.engine.assets.models import SceneAssets
from video_pipeline.engine.assets.moving import prepare_clip
from video_pipeline.engine.assets.sound import check_decodable
from video_pipeline.engine.assets.stills import prepare_still
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import InputFiles
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.card_keys import BumperKeys
from video_pipeline.engine.errors import AssetError, ConfigError, FileChangedError
from video_pipeline.engine.story import StoryScene
from video_pipeline.engine.story.asset_fields import NO_BUMPER
from video_pipeline.engine.story.model import TransitionSpec, VideoSpec

CLIP_SILENT: Final = "it is silent"


@dataclass(frozen=True, slots=True)
class Bumper:
    """An intro or outro as a scene and its assets."""

    scene: StoryScene
    assets: SceneAssets


def prepare_bumper(
    name: str, keys: BumperKeys, *, scene_id: str, config: Config, cache: ContentCache, files: InputFiles
) -> tuple[Bumper | None, tuple[str, ...]]:
    """Return the intro or outro of the section `name`, None if there is none, and warnings.

    An unusable file follows the error policy: ConfigError that names the key, or a warning. Raises FileChangedError.
    """
    if keys.path is None and keys.image is None:
        return None, ()
    place = f"{name}.{'path' if keys.path is not None else 'image'}"
    try:
        return _made_bumper(place, keys, scene_id=scene_id, config=config, cache=cache, files=files)
    except FileChangedError as error:
        raise FileChangedError(f"{place}: {error}") from error
    except AssetError as error:
        return None, (config.error_policy.replace(ConfigError(f"{place}: {error}"), instead=NO_BUMPER),)


def _made_bumper(
    place: str, keys: BumperKeys, *, scene_id: str, config: Config, cache: ContentCache, files: InputFiles
) -> tuple[Bumper, tuple[str, ...]]:
    transition = TransitionSpec(name=keys.transition) if keys.transition is not None else None
    scene = StoryScene(
        scene_id=scene_id,
        title="",
        effects=(),
        fit=keys.fit,
        focus="center",
        max_still_seconds=0,
        transition=transition,
    )
    if keys.path is None:
        assert keys.image is not None
        still = prepare_still(
            keys.image,
            cache=cache,
            max_megapixels=config.images.max_megapixels,
            max_side_px=still_side_px(config),
            files=files,
        )
        shown = scene.model_copy(update={"duration": keys.seconds})
        return Bumper(shown, SceneAssets(scene_id, still)), ()
    spec = VideoSpec(path=str(keys.path), volume=keys.volume)
    clipped = prepare_clip(keys.path, spec, limits=moving_limits(config), cache=cache, files=files)
    warnings = [f"{place}: {clipped.warning}"] if clipped.warning else []
    sound = clipped.sound
    try:
        if sound is not None:
            check_decodable(keys.path, files=files)
    except AssetError as error:
        sound = None
        warnings.append(config.error_policy.replace(ConfigError(f"{place}: {error}"), instead=CLIP_SILENT))
    footage = clipped.footage
    # A moving picture is seen once, and a clip is not held beyond its end.
    shown = scene.model_copy(update={"video": spec, "duration": float(footage.duration)})
    return Bumper(shown, SceneAssets(scene_id, footage, footage_sound=sound)), tuple(warnings)
