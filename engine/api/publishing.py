"""PublishingManager and its publishers: finished videos to accounts, each once, from a Python program."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from video_pipeline.engine.api.configuration import AnyConfig, load_any
from video_pipeline.engine.common.arguments import as_mapping, as_path, as_str, wrong_type
from video_pipeline.engine.common.publishers import DEFAULT_ACCOUNT
from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.errors import ConfigError, InputError, PipelineError
from video_pipeline.engine.publish.due import carry_on_due, carry_on_unless_held
from video_pipeline.engine.publish.facts import Fact
from video_pipeline.engine.publish.posts import FinishedVideo, add_posts
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.rules import Reason, check_facts
from video_pipeline.engine.publish.specs import check_specs, rules_for
from video_pipeline.engine.publish.states import PublicationState
from video_pipeline.engine.publish.validate import check_video
from video_pipeline.engine.story.publish import PublishSpec

logger = logging.getLogger(__name__)

_ENABLED: Final = "_enabled"
_CREDENTIALS: Final = "_credentials"

_STATUS: Final[Mapping[PublicationState, str]] = {
    PublicationState.SCHEDULED: "scheduled",
    PublicationState.CONFIRMED: "published",
    PublicationState.UNKNOWN: "unknown",
    PublicationState.HELD: "held",
    PublicationState.FAILED: "failed",
    PublicationState.CANCELLED: "cancelled",
}
"""What `status` says of a publication; any other state is `pending`: a node or `carry_on` goes on with it."""


class Publisher(ABC):
    """A platform that takes finished videos; a program's own platforms are subclasses of it.

    `video_data` is what `VideoRenderer.render_video` or a job returns: `video_path` (or `output_path`) and `video_info`.
    """

    @abstractmethod
    async def upload(self, video_data: Mapping[str, Any]) -> dict[str, Any]:
        """Publish a video; return a dictionary with `status`."""

    @abstractmethod
    def validate(self, video_data: Mapping[str, Any]) -> bool:
        """Return whether the platform takes the video."""

    def reasons(self, video_data: Mapping[str, Any]) -> list[Reason]:
        """Return why the platform would refuse a video, or shows it worse; empty if nothing is known."""
        return []


class AccountPublisher(Publisher):
    """Publishes on an account of the configuration (`publishing.accounts`), each video once.

    Publications are kept in the state folder, as those of `video-pipeline publish` and of a node are.
    """

    def __init__(
        self, platform: str, credentials: Mapping[str, Any] | None = None, *, config: AnyConfig = None
    ) -> None:
        """`credentials`: `{"account": NAME}`, the account's name in the configuration; without it `default`.

        Keys and tokens are not among them: `video-pipeline accounts add` stores those. Raises ConfigError for an account
        that is not set up.
        """
        if platform not in PUBLISHERS.names:
            raise ConfigError(f"platform: got {platform!r}; allowed: {', '.join(PUBLISHERS.names)}")
        given = as_mapping({} if credentials is None else credentials, f"{platform}{_CREDENTIALS}")
        if unknown := sorted(set(given) - {"account"}):
            raise ConfigError(
                f"{platform}{_CREDENTIALS}.{unknown[0]}: there is no such key; allowed: account. Keys and tokens are stored "
                f"by `video-pipeline accounts add {platform}` or named in publishing.accounts.{platform}"
            )
        self.platform = platform
        self.account = given.get("account", DEFAULT_ACCOUNT)
        self.config = load_any(config)
        check_specs([self._spec({})], self.config)

    def _spec(self, options: Mapping[str, Any]) -> PublishSpec:
        try:
            return PublishSpec.model_validate({**options, "platform": self.platform, "account": self.account})
        except ValidationError as error:
            raise InputError("\n".join(explain(error, PublishSpec, where="options"))) from error

    def reasons(self, video_data: Mapping[str, Any]) -> list[Reason]:
        """Return why a video does not fit the platform, errors first.

        If there is no file at `video_path`, what `video_info` says is held against the platform's rules.
        """
        rules = rules_for(self._spec({}), self.config)
        if rules is None:
            return []
        path = _path_of(video_data)
        if path is not None and path.is_file():
            return check_video(path, platform=rules)
        return check_facts(rules, _facts_of(video_data))

    def validate(self, video_data: Mapping[str, Any]) -> bool:
        """Return whether the video fits; what does not is logged."""
        reasons = self.reasons(video_data)
        for reason in reasons:
            logger.warning("%s: %s", self.platform, reason)
        return all(reason.severity != "error" for reason in reasons)

    async def upload(
        self, video_data: Mapping[str, Any], options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Publish a video, or carry on with the publication that there is, and return what became of it.

        `options` are keys of a story's `publish`: at, zone, title, description, hashtags, privacy … `status` is published,
        scheduled, pending (it is carried on later), held, failed or unknown; further keys are those of
        `video-pipeline publish show`. Raises InputError, and PipelineError if the file of publications cannot be used.
        """
        given = as_mapping({} if options is None else options, "options")
        return await asyncio.to_thread(self._upload, video_data, given)

    def _upload(self, video_data: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        spec = self._spec(options)
        check_specs([spec], self.config)
        path = _path_of(video_data)
        if path is None:
            raise InputError("video_data: has neither `video_path` nor `output_path`")
        video = FinishedVideo.of(path)
        told = video_data.get("metadata")
        if isinstance(told, Mapping):
            video = replace(video, metadata={**video.metadata, **told})
        records = Publications(publications_path(self.config))
        try:
            (added,) = add_posts(records, video, [spec], self.config)
            if added.state is not PublicationState.SCHEDULED:
                added = carry_on_unless_held(records, added, self.config)
        finally:
            records.close()
        return _publication_result(added)


class InstagramPublisher(AccountPublisher):
    """Publishes on an Instagram account."""

    def __init__(self, credentials: Mapping[str, Any] | None = None, *, config: AnyConfig = None) -> None:
        super().__init__("instagram", credentials, config=config)


class PublishingManager:
    """Publishes finished videos on several platforms.

    `config` is a configuration in any accepted form, or a dictionary with `PLATFORM_enabled` and
    `PLATFORM_credentials` (see AccountPublisher). Without such keys every account of `publishing.accounts` is used. A
    program's own platforms are added to `publishers`. Keys of `publishers` are a platform's name for its account
    `default` or its only one, and `PLATFORM/ACCOUNT` for each.
    """

    def __init__(self, config: AnyConfig = None) -> None:
        enabled: dict[str, Mapping[str, Any] | None] = {}
        if isinstance(config, Mapping):
            enabled = {
                key.removesuffix(_ENABLED): config.get(key.removesuffix(_ENABLED) + _CREDENTIALS)
                for key, value in config.items()
                if isinstance(key, str)
                and key.endswith(_ENABLED)
                and key.removesuffix(_ENABLED) in PUBLISHERS.names
                and _is_enabled(key, value)
            }
            named = {f"{name}{end}" for name in PUBLISHERS.names for end in (_ENABLED, _CREDENTIALS)}
            has_flags = not named.isdisjoint(config)
            config = {key: value for key, value in config.items() if key not in named}
        else:
            has_flags = False
        self.config = load_any(config)
        self.publishers: dict[str, Publisher] = {}
        for platform, credentials in enabled.items():
            self.publishers[platform] = _publisher_on(platform, credentials, self.config)
        if not has_flags:
            self._add_accounts()

    def _add_accounts(self) -> None:
        for platform in PUBLISHERS.names:
            accounts = sorted(getattr(self.config.publishing.accounts, platform))
            for account in accounts:
                made = _publisher_on(platform, {"account": account}, self.config)
                self.publishers[f"{platform}/{account}"] = made
                if account == DEFAULT_ACCOUNT or len(accounts) == 1:
                    self.publishers[platform] = made

    async def publish_video(
        self,
        video_data: Mapping[str, Any],
        target_platforms: str | Iterable[str],
        *,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Publish a video on platforms, and return what became of it on each.

        Every answer has `status`: published, scheduled, pending, held, failed, unknown or error; the last with a
        `message`. A video that does not fit has `failed` and its `reasons`. For `options` see AccountPublisher.upload.
        """
        names = _names_in(target_platforms)
        answers = await asyncio.gather(*(self._publish_on(name, video_data, options) for name in names))
        return dict(zip(names, answers, strict=True))

    async def _publish_on(
        self, name: str, video_data: Mapping[str, Any], options: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        found = self.publishers.get(name)
        if found is None:
            known = ", ".join(sorted(self.publishers)) or "none"
            return {
                "status": "error",
                "message": f"Publisher not configured for {name}; configured: {known}",
            }
        try:
            if not await asyncio.to_thread(found.validate, video_data):
                return {
                    "status": "failed",
                    "message": "Video does not meet platform requirements",
                    "reasons": [reason.as_dict() for reason in found.reasons(video_data)],
                }
            if isinstance(found, AccountPublisher):
                return await found.upload(video_data, options)
            return await found.upload(video_data)
        except Exception as error:
            if not isinstance(error, PipelineError):
                logger.exception("publishing on %s", name)
            return {"status": "error", "message": str(error) or type(error).__name__}

    async def carry_on(self) -> list[dict[str, Any]]:
        """Carry on every publication that is due, as a node does by itself; return what became of each."""
        return await asyncio.to_thread(self._carry_on)

    def _carry_on(self) -> list[dict[str, Any]]:
        records = Publications(publications_path(self.config))
        try:
            return [_publication_result(each) for each in carry_on_due(records, self.config)]
        finally:
            records.close()


def _is_enabled(key: str, value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{key}: got {value!r}; allowed: True or False")
    return bool(value)


def _names_in(value: Any) -> list[str]:
    """Return the names of a list, or of the one name that was given."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Iterable) or isinstance(names, bytes | Mapping):
        raise wrong_type(value, "target_platforms", "a list of names")
    return list(dict.fromkeys(as_str(name, "target_platforms") for name in names))


def _publisher_on(platform: str, credentials: Mapping[str, Any] | None, config: AnyConfig) -> Publisher:
    if platform == "instagram":
        return InstagramPublisher(credentials, config=config)
    return AccountPublisher(platform, credentials, config=config)


def _publication_result(publication: Publication) -> dict[str, Any]:
    status = _STATUS.get(publication.state, "pending")
    return {
        "status": status,
        **publication.as_dict(),
        "message": publication.error or publication.as_dict()["note"],
    }


def _path_of(video_data: Mapping[str, Any]) -> Path | None:
    data = as_mapping(video_data, "video_data")
    for key in ("video_path", "output_path"):
        if data.get(key) is not None:
            return as_path(data[key], f"video_data.{key}")
    return None


def _facts_of(video_data: Mapping[str, Any]) -> dict[str, Fact]:
    """Return the facts that `video_info` has."""
    info = as_mapping(video_data.get("video_info") or {}, "video_data.video_info")
    facts: dict[str, Fact] = {}
    for name, key in (
        ("file_size", "file_size"),
        ("duration", "duration"),
        ("fps", "fps"),
        ("video_codec", "video_codec"),
        ("audio_codec", "audio_codec"),
        ("video_bit_rate", "bit_rate"),
    ):
        if isinstance(info.get(key), str | int | float):
            facts[name] = info[key]
    size = info.get("resolution")
    if isinstance(size, list | tuple) and len(size) == 2:
        facts |= {"width": int(size[0]), "height": int(size[1])}
    ratio = info.get("aspect_ratio")
    if isinstance(ratio, str) and ratio.count(":") == 1:
        across, down = ratio.split(":")
        if across.isdigit() and down.isdigit() and int(down):
            facts["ratio"] = round(int(across) / int(down), 6)
    return facts
