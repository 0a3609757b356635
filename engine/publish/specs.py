"""What stories ask to be published, held against the accounts that are set up."""

from __future__ import annotations

from collections.abc import Iterable

from video_pipeline.engine.common.publishers import DEFAULT_ACCOUNT
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.publish.base import PlatformCalls, PublisherRecord
from video_pipeline.engine.story.publish import PublishSpec


def publisher(platform: str) -> PublisherRecord:
    """Return a platform's publisher; raise UnavailableError if there is none."""
    found: PublisherRecord = PUBLISHERS.load(platform)
    return found


def connect_account(config: Config, *, platform: str, account: str) -> PlatformCalls:
    """Return the calls to an account; raise ConfigError if it is not set up."""
    return publisher(platform).connect(config, account)


def rules_for(spec: PublishSpec, config: Config) -> str | None:
    """Return the table of limits that holds for a post, None if its platform has none."""
    record = publisher(spec.platform)
    if record.rules_of is not None:
        return record.rules_of(config, spec.account, spec.options)
    return record.rules


def check_specs(specs: Iterable[PublishSpec], config: Config) -> None:
    """Raise ConfigError unless every post has a platform and an account that are set up here, and may have its time."""
    seen = set()
    for number, spec in enumerate(specs):
        place = f"publish[{number}]"
        if (spec.platform, spec.account) in seen:
            raise ConfigError(
                f"{place}: {spec.platform}, account {spec.account}: is named twice; a video is posted once"
            )
        seen.add((spec.platform, spec.account))
        known = getattr(config.publishing.accounts, spec.platform)
        if spec.account not in known:
            raise ConfigError(
                f"{place}.account: got {spec.account!r}; {_what_is_set_up(spec.platform, sorted(known))}"
            )
        has = publisher(spec.platform).options
        for option in spec.options:
            if option not in has:
                raise ConfigError(f"{place}.{option}: {spec.platform} has no {option}; leave it out")
        if spec.at is not None and not config.publishing.scheduling_enabled:
            raise ConfigError(f"{place}.at: publishing.scheduling_enabled is off; leave `at` out")


def _what_is_set_up(platform: str, names: list[str]) -> str:
    if names:
        return f"allowed: {', '.join(names)}"
    return f"no account of {platform} is set up: set publishing.accounts.{platform} in the configuration (--config FILE)"


def check_node_specs(config: Config) -> None:
    """Raise ConfigError unless what a node publishes and delivers by itself has accounts that are set up."""
    for number, target in enumerate(config.storage.deliver):
        platform = target.partition("/")[0]
        if platform not in PUBLISHERS.names:
            raise ConfigError(
                f"storage.deliver[{number}]: got {target!r}; allowed: {', '.join(PUBLISHERS.names)}, or one of them with "
                "an account, such as s3/archive"
            )
        spec = _delivery_spec(target)
        known = getattr(config.publishing.accounts, platform)
        if spec.account not in known:
            names = [f"{platform}/{name}" for name in sorted(known)]
            raise ConfigError(
                f"storage.deliver[{number}]: got {target!r}; {_what_is_set_up(platform, names)}"
            )
    if config.publishing.auto_publish:
        check_specs(_automatic_specs(config), config)


def specs_of(asked: Iterable[PublishSpec], config: Config) -> tuple[PublishSpec, ...]:
    """Return the posts of a finished video: those that its story asks for, or those of `auto_publish` if it asks for none.

    Those of `storage.deliver` come after them, but for accounts that are named already.
    """
    found = tuple(asked) or (_automatic_specs(config) if config.publishing.auto_publish else ())
    named = {(spec.platform, spec.account) for spec in found}
    delivered = map(_delivery_spec, dict.fromkeys(config.storage.deliver))
    return (*found, *(spec for spec in delivered if (spec.platform, spec.account) not in named))


def _automatic_specs(config: Config) -> tuple[PublishSpec, ...]:
    return tuple(PublishSpec.model_validate({"platform": name}) for name in config.publishing.platforms)


def _delivery_spec(target: str) -> PublishSpec:
    platform, _, account = target.partition("/")
    return PublishSpec.model_validate({"platform": platform, "account": account or DEFAULT_ACCOUNT})
