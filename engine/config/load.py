"""Load the configuration: YAML or a dictionary, environment variables, defaults.

Options override the environment, which overrides the file, which overrides the defaults of `config.sections`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from video_pipeline.engine.common.arguments import as_path
from video_pipeline.engine.common.captions import TALL, CaptionStyle
from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.common.validation import explain, show
from video_pipeline.engine.config.caption_looks import LOOKS
from video_pipeline.engine.config.card_keys import (
    BumperKeys,
    BumperSection,
    EndCardKeys,
    EndCardSection,
    TitleCardKeys,
    TitleCardSection,
    whole_section,
)
from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.fleet_keys import Fleet
from video_pipeline.engine.config.grade import GradeSettings
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.config.look_keys import LookKeys, LookSection
from video_pipeline.engine.config.node_keys import Storage, Web
from video_pipeline.engine.config.notifications import Notifications
from video_pipeline.engine.config.policy import POLICIES, ErrorPolicy
from video_pipeline.engine.config.profiles import layered
from video_pipeline.engine.config.progress_keys import ProgressKeys, ProgressSection
from video_pipeline.engine.config.publishing import Publishing
from video_pipeline.engine.config.sections import (
    Audio,
    Captions,
    ErrorHandling,
    Node,
    Processing,
    Scenes,
    Tts,
    Video,
    WatermarkSettings,
)
from video_pipeline.engine.errors import ConfigError, InputError


class Config(Section):
    """The whole configuration, under the key `video_pipeline` of the YAML."""

    processing: Processing = Processing()
    node: Node = Node()
    web: Web = Web()
    fleet: Fleet = Fleet()
    look: LookSection = LookKeys()
    video: Video = Video()
    images: Images = Images()
    tts: Tts = Tts()
    scenes: Scenes = Scenes()
    captions: Captions = Captions()
    watermark: WatermarkSettings = WatermarkSettings()
    grade: GradeSettings = GradeSettings()
    progress_bar: ProgressSection = ProgressKeys()
    title_card: TitleCardSection = TitleCardKeys()
    end_card: EndCardSection = EndCardKeys()
    intro: BumperSection = BumperKeys()
    outro: BumperSection = BumperKeys()
    audio: Audio = Audio()
    publishing: Publishing = Publishing()
    notifications: Notifications = Notifications()
    storage: Storage = Storage()
    error_handling: ErrorHandling = ErrorHandling()

    @property
    def error_policy(self) -> ErrorPolicy:
        """The policy that decides which faults end a render and which become warnings."""
        return POLICIES[self.error_handling.policy or "standard"]

    @property
    def caption_style(self) -> CaptionStyle:
        """The caption style of videos of this configuration's size."""
        if self.captions.style != "auto":
            return self.captions.style
        width, height = self.video.finished_px()
        return "phrases" if height > TALL * width else "block"

    def caption_look(self, style: CaptionStyle | None = None) -> Scenes:
        """Return the section `scenes` with the values of a caption style (default: the usual one) for keys not set.

        Raises InputError for a style that there is not.
        """
        if style is not None and not (isinstance(style, str) and style in LOOKS):
            raise InputError(f"style: got {show(style)}; allowed: {', '.join(LOOKS)}")
        look = LOOKS[style or self.caption_style].scenes
        unset = {key: value for key, value in look.items() if key not in self.scenes.model_fields_set}
        return self.scenes.model_copy(update=unset)

    @property
    def fallback_images(self) -> bool:
        """Whether pictures may be drawn if an image service fails or is missing."""
        return self.error_handling.fallback_enabled and self.images.fallback_enabled

    @property
    def fallback_speech(self) -> bool:
        """Whether a scene may be silent if its speech fails or its service is missing."""
        return self.error_handling.fallback_enabled and self.tts.fallback_enabled

    def cache_dir(self) -> Path:
        """Return the folder of the content cache; raise ConfigError if the user has no home folder."""
        if self.storage.cache_path:
            return self.storage.cache_path
        return _user_folder("XDG_CACHE_HOME", "~/.cache", key="storage.cache_path")

    def state_dir(self) -> Path:
        """Return the folder of a node's ledger, inline assets, keys and job logs."""
        if self.node.state_path:
            return self.node.state_path
        return _user_folder("XDG_STATE_HOME", "~/.local/state", key="node.state_path")

    def override(
        self, section: str, *, origins: Mapping[str, str] = MappingProxyType({}), **values: Any
    ) -> Config:
        """Return the configuration with some keys of one section replaced; None leaves a key as it is.

        Raises ConfigError that names the key, or what `origins` calls it (`{"node.bind": "an argument"}`).
        """
        given = {key: value for key, value in values.items() if value is not None}
        if not given:
            return self
        if section not in type(self).model_fields:
            raise ConfigError(
                f"option: got section {section!r}; allowed: {', '.join(type(self).model_fields)}"
            )
        data = self.model_dump(exclude_unset=True)
        own = data.get(section, {})
        data[section] = layered(own, given) if section == "video" else {**own, **given}
        return validate(data, where="option", origins=origins)


def _user_folder(variable: str, default: str, *, key: str) -> Path:
    """Return this program's folder inside a folder of the user's; raise ConfigError if the user has no home folder."""
    try:
        return Path(os.environ.get(variable) or default).expanduser() / "video-pipeline"
    except RuntimeError as error:  # neither HOME nor an entry in the password database
        raise ConfigError(f"{key}: this user has no home folder; set the key or {variable}") from error


FLAT_KEYS: dict[str, tuple[str, str]] = {
    "fps": ("video", "fps"),
    "codec": ("video", "codec"),
    "audio_codec": ("video", "audio_codec"),
    "bitrate": ("video", "bitrate"),
    "preset": ("video", "preset"),
    "crf": ("video", "crf"),
    "default_scene_duration": ("scenes", "default_duration"),
    "transition_duration": ("scenes", "transition_duration"),
    "fallback_enabled": ("error_handling", "fallback_enabled"),
}
"""The short keys of plain dictionaries (docs/compatibility.md), and the section and key of each."""

ENVIRONMENT: dict[str, tuple[str, str]] = {
    "VIDEO_OUTPUT_PATH": ("storage", "output_path"),
    "CACHE_PATH": ("storage", "cache_path"),
    "MAX_CONCURRENT_JOBS": ("processing", "max_concurrent_jobs"),
    "REDIS_URL": ("processing", "redis_url"),
}


def validate(data: Any, *, where: str, origins: Mapping[str, str] = MappingProxyType({})) -> Config:
    """Return a Config from nested plain data; raise ConfigError naming each wrong key and its choices.

    `origins` maps keys (`section.key`) that do not come from `where` to the name of what they come from.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Config, where=where, origins=origins))) from error


def by_sections(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return configuration data by sections, from any of three shapes: under `video_pipeline`, by sections, flat short keys."""
    if set(data) == {"video_pipeline"}:
        inner = data["video_pipeline"]
        if inner is None:
            return {}
        if not isinstance(inner, Mapping):
            raise ConfigError(f"{where}: video_pipeline: got {inner!r}; allowed: a mapping of sections")
        data = inner
    nested: dict[str, Any] = {}
    for key, given in data.items():
        if key not in FLAT_KEYS and key != "add_title_to_thumbnail":  # only MetadataGenerator reads it
            value = whole_section(key, given)
            nested[key] = dict(value) if isinstance(value, Mapping) else {} if value is None else value
    if isinstance(nested.get("look"), str | os.PathLike):
        nested["look"] = {"name": str(nested["look"])}
    for key, (section, name) in FLAT_KEYS.items():
        target = nested.setdefault(section, {}) if key in data else None
        if isinstance(target, dict):
            target[name] = data[key]
    return nested


def from_environment(data: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return nested configuration data overridden by environment variables."""
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    for variable, (section, key) in ENVIRONMENT.items():
        text = environ.get(variable)
        if not text:
            continue
        target = merged.setdefault(section, {})
        if isinstance(target, dict):
            target[key] = text
    return merged


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any] | Config | None = None, *, environ: bool = True
) -> Config:
    """Return the configuration from a YAML file, a dictionary, or the defaults.

    A dictionary has any accepted shape: nested, by sections, or flat keys. With `environ`, environment variables
    override a file or the defaults. Raises ConfigError naming the file, the key, the value and what is allowed.
    """
    if isinstance(source, Config):
        return source
    where = "configuration"
    data: Any = {}
    if isinstance(source, str | os.PathLike):
        source = as_path(source, "configuration")
        where = str(source)
        try:
            data = read_document(source, "yaml")
        except DocumentError as error:
            raise ConfigError(str(error)) from error
        data = {} if data is None else data
    elif source is not None:
        data = source
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: got {type(data).__name__}; allowed: a mapping of sections")
    nested = by_sections(data, where)
    if not environ:
        return validate(nested, where=where)
    origins = {
        f"{section}.{key}": f"environment variable {variable}"
        for variable, (section, key) in ENVIRONMENT.items()
        if os.environ.get(variable)
    }
    return validate(from_environment(nested, os.environ), where=where, origins=origins)
