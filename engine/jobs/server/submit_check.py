"""Check submits without rendering: story, configuration, assets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from video_pipeline.engine.common.validation import path_text, written_path
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.config.looks import chosen_look
from video_pipeline.engine.config.policy import ErrorPolicy
from video_pipeline.engine.errors import AssetReferenceError, ConfigError, InputError, StoryError
from video_pipeline.engine.jobs.inputs.inbox import Inbox, InboxError
from video_pipeline.engine.jobs.inputs.length import check_length
from video_pipeline.engine.jobs.inputs.references import check_references, names_assets
from video_pipeline.engine.jobs.ledger.rows import json_of
from video_pipeline.engine.jobs.messages import Submit
from video_pipeline.engine.jobs.model import NewJob
from video_pipeline.engine.jobs.server.wire import RequestError
from video_pipeline.engine.publish.specs import check_specs
from video_pipeline.engine.story import Story, parse_story
from video_pipeline.engine.story.model import SCENE_NAMES

CONFIGS_KEPT = 64
"""Number of valid configurations that are cached, so that they are not checked again."""


class SubmitCheck:
    """Turns valid submits into jobs. Call `sync` before the commit: it makes their inline assets durable."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._inbox = Inbox(config.state_dir() / "inbox")
        self._good_configs: dict[str, Config] = {}
        self._inbox_error: InboxError | None = None

    def prepare(self, submit: Submit, owner: str, parts: Sequence[bytes]) -> NewJob:
        """Return the job that a submit asks for; raise RequestError if the submit is invalid."""
        story = self._story(submit.story)
        config = self._job_config(submit.config) if submit.config else self._config
        try:
            chosen_look(config.look, story.look)
        except StoryError as error:
            raise RequestError("INVALID_STORY", f"story: {error}", field="story.look") from error
        except ConfigError as error:
            raise RequestError("INVALID_CONFIG", f"config: {error}", field="config.look.name") from error
        try:
            check_length(story, config=config, node=self._config.node)
        except StoryError as error:
            field = "story.content" if story.scenes is None else "story.scenes"
            raise RequestError("INVALID_STORY", f"story: {error}", field=field) from error
        try:
            check_specs(story.publish, self._config)
        except InputError as error:
            raise RequestError("INVALID_STORY", f"story: {error}", field="story.publish") from error
        stored_story, stored_config = self._to_store(submit, story, parts, config.error_policy)
        when = None if submit.scheduled_for is None else submit.scheduled_for.timestamp()
        attempts = submit.max_attempts or self._config.processing.retry_attempts
        # The digest covers the story as serialized by its model, so the order of keys in the request does not matter.
        digest = hashlib.sha256(stored_story.encode())
        digest.update(f"{submit.priority} {when} ".encode())
        if stored_config:
            digest.update(json.dumps(stored_config, sort_keys=True).encode())
        return NewJob(
            owner=owner,
            story_id=story.story_id,
            story=stored_story,
            config=json_of(stored_config) if stored_config else "{}",
            priority=submit.priority,
            key=submit.key,
            digest=digest.hexdigest(),
            scheduled_for=when,
            max_attempts=attempts,
            title=story.title,
        )

    def sync(self) -> None:
        """Write the inline assets of the prepared jobs to the disk; raise RequestError if any cannot be written."""
        fault, self._inbox_error = self._inbox_error, None
        try:
            if fault is not None:
                raise fault  # after a failed write none of the batch is durable
            self._inbox.sync()
        except InboxError as error:
            raise RequestError("STORAGE", str(error), retry_after=10.0) from error

    def _story(self, data: dict[str, Any]) -> Story:
        try:
            return parse_story(data)
        except StoryError as error:
            raise RequestError("INVALID_STORY", str(error), field=_story_field(error, data)) from error

    def _job_config(self, sections: Mapping[str, Any]) -> Config:
        """Return the job's whole configuration; raise RequestError if it is invalid."""
        try:
            text = json.dumps(sections, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise RequestError(
                "INVALID_CONFIG", f"config: {error}; allowed: what JSON can hold", field="config"
            ) from error
        known = self._good_configs.get(text)
        if known is not None:
            return known
        try:
            config = job_config(self._config, sections)
        except ConfigError as error:
            raise RequestError("INVALID_CONFIG", str(error), field=_config_field(str(error))) from error
        if len(self._good_configs) >= CONFIGS_KEPT:
            self._good_configs.clear()
        if len(text) < 16_384:
            self._good_configs[text] = config
        return config

    def _to_store(
        self, submit: Submit, story: Story, parts: Sequence[bytes], policy: ErrorPolicy
    ) -> tuple[str, Mapping[str, Any]]:
        """Return the story (JSON, with its id) and the configuration to store, with every asset checked."""
        if story.id is not None and not parts and not names_assets(story, submit.config):
            return story.model_dump_json(exclude_unset=True), submit.config
        try:
            data, config = check_references(
                story,
                submit.config,
                node=self._config.node,
                parts=parts,
                inbox=self._inbox,
                policy=policy,
            )
        except AssetReferenceError as error:
            raise RequestError(
                "INVALID_ASSET",
                str(error),
                field=error.field,
                allowed=(error.allowed,) if error.allowed else None,
            ) from error
        except ConfigError as error:
            raise RequestError("INVALID_CONFIG", str(error), field="config") from error
        except InboxError as error:
            self._inbox_error = error
            raise RequestError("STORAGE", str(error), retry_after=10.0) from error
        return json_of(data), config


def _config_field(message: str) -> str:
    """Return the key named by the first line of a message, `config: SECTION.KEY: …`."""
    parts = message.split(": ", 2)
    return f"config.{parts[1]}"[:200] if len(parts) == 3 and " " not in parts[1] else "config"


def _story_field(error: StoryError, data: Any) -> str:
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return "story"
    path = written_path(cause.errors(include_url=False)[0], data, other_names=SCENE_NAMES)
    return path_text(["story", *path])[:200]
