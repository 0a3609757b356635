"""From a finished video and what a story asks for to publications in the file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.facts import Fact, video_facts
from video_pipeline.engine.publish.publication import Publication
from video_pipeline.engine.publish.read_bytes import settled_mark
from video_pipeline.engine.publish.records import Publications
from video_pipeline.engine.publish.rules import Reason, check_facts
from video_pipeline.engine.publish.specs import publisher, rules_for
from video_pipeline.engine.publish.texts import post_texts, read_metadata
from video_pipeline.engine.publish.validate import check_video
from video_pipeline.engine.story.publish import PublishSpec

logger = logging.getLogger(__name__)

THUMBNAIL: Final = "{stem}_thumb.jpg"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedVideo:
    """A video with what belongs to it. `metadata` is that of its metadata file."""

    path: Path
    sha256: str
    size: int
    duration: float
    metadata: Mapping[str, Any]
    mark: tuple[int, ...] | None = None

    @classmethod
    def of(cls, path: Path) -> FinishedVideo:
        """Return a video file with its metadata; raise InputError if it is none."""
        facts = video_facts(path)
        mark = settled_mark(path, before_ns=time.time_ns())
        sha256 = file_sha256(path)
        return cls(
            path=path.resolve(),
            sha256=sha256,
            mark=mark if mark == settled_mark(path, before_ns=time.time_ns()) else None,
            size=int(facts["file_size"]),
            duration=float(facts.get("duration", 0.0)),
            metadata=read_metadata(path),
        )


def post_reasons(video: FinishedVideo, spec: PublishSpec, config: Config) -> list[Reason]:
    """Return why a video, its texts, or what its post asks for do not fit the platform, errors first.

    What the account allows is not among them.
    """
    rules = rules_for(spec, config)
    if rules is None:
        return []
    allowed = _allowed_rules(config, spec.platform, spec.account)
    found = [*check_video(video.path, platform=rules), *check_facts(rules, _post_facts(video, spec))]
    return sorted((each for each in found if each.rule not in allowed), key=lambda reason: reason.severity)


def _allowed_rules(config: Config, platform: str, account: str) -> frozenset[str]:
    """Return the rules that do not hold on an account."""
    keys = getattr(config.publishing.accounts, platform).get(account)
    return frozenset({"watermark"} if getattr(keys, "allow_watermark", False) else ())


def post_refusals(post: Post, *, platform: str, account: str, config: Config) -> list[Reason]:
    """Return the errors for which a platform would refuse the video of a stored post; raise InputError if it is no video."""
    record = publisher(platform)
    rules = record.rules_of(config, account, post.options) if record.rules_of else record.rules
    if rules is None:
        return []
    allowed = _allowed_rules(config, platform, account)
    found = check_video(post.video, platform=rules)
    return [each for each in found if each.severity == "error" and each.rule not in allowed]


def _post_facts(video: FinishedVideo, spec: PublishSpec) -> dict[str, Fact]:
    """Return minutes until the post, its privacy, and whether it is known that media are generated or not."""
    facts: dict[str, Fact] = {"disclosure": bool(video.metadata)}
    if spec.moment is not None:
        facts["schedule_minutes"] = round((spec.moment.timestamp() - time.time()) / 60, 1)
    if spec.privacy is not None:
        facts["privacy"] = spec.privacy
    return facts


def refusals(video: FinishedVideo, spec: PublishSpec, config: Config) -> list[Reason]:
    """Return the errors for which a platform would refuse a post."""
    return [each for each in post_reasons(video, spec, config) if each.severity == "error"]


def post_of(video: FinishedVideo, spec: PublishSpec, config: Config) -> Post:
    """Return the post of a video on a platform, with texts that fit it."""
    record = publisher(spec.platform)
    said = {"title": spec.title, "description": spec.description}
    given: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if spec.hashtags is not None:
        given["hashtags"] = list(spec.hashtags)
    texts = post_texts(
        {"title": video.path.stem, **video.metadata, **given}, platform=rules_for(spec, config)
    )
    beside = video.path.with_name(THUMBNAIL.format(stem=video.path.stem))
    subtitles = video.path.with_suffix(".srt")
    told = video.metadata.get("story_metadata")
    language = told.get("language") if isinstance(told, Mapping) else None
    return Post(
        video=video.path,
        sha256=video.sha256,
        size=video.size,
        mark=video.mark,
        duration=video.duration,
        title=texts.title,
        description=texts.description,
        hashtags=texts.hashtags,
        language=language if isinstance(language, str) else "",
        thumbnail=beside if beside.is_file() else None,
        subtitles=subtitles if subtitles.is_file() else None,
        generated=texts.generated,
        publish_at=spec.moment if record.schedules else None,
        options=spec.options,
    )


def add_posts(
    records: Publications,
    video: FinishedVideo,
    specs: Iterable[PublishSpec],
    config: Config,
    *,
    owner: str = "",
    job_id: str | None = None,
) -> list[Publication]:
    """Store the publications of a finished video; those that there are already are returned as they are."""
    added = []
    for spec in specs:
        when = None if publisher(spec.platform).schedules else spec.moment
        added.append(
            records.add(
                post_of(video, spec, config),
                platform=spec.platform,
                account=spec.account,
                owner=owner,
                job_id=job_id,
                due_at=when.timestamp() if when else None,
            )
        )
    return added


def parse_moment(text: str, zone: str | None) -> datetime:
    """Return a time in UTC; raise InputError that says what is allowed."""
    try:
        spec = PublishSpec.model_validate({"platform": PUBLISHERS.names[0], "at": text, "zone": zone})
    except ValidationError as error:
        raise InputError(
            f"time: got {text!r}{f' in {zone!r}' if zone else ''}; give one such as 2027-01-31T18:00+01:00, or "
            f"2027-01-31T18:00 with a zone such as Europe/Berlin ({'; '.join(explain(error, PublishSpec, where=''))})"
        ) from error
    assert spec.moment is not None
    return spec.moment
