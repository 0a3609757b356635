"""Where a finished video is published, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from video_pipeline.engine.common.publishers import (
    ACCOUNT_PATTERN,
    DEFAULT_ACCOUNT,
    PostKind,
    Privacy,
    PublisherName,
)
from video_pipeline.engine.story.fields import StoryPart, Text

MOMENT_YEARS: Final = (1970, 9998)
"""The years of a post's time: those of which every zone's clock can be told, with a day to spare."""


def _written_moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                "allowed: a time such as '2027-01-31T18:00' or '2027-01-31T18:00+01:00'"
            ) from None
    return value


def _known_zone(value: Any) -> Any:
    if isinstance(value, str):
        try:
            ZoneInfo(value)
        except (OSError, ValueError, LookupError):
            raise ValueError("allowed: the name of a time zone, such as 'Europe/Berlin'") from None
    return value


class PublishSpec(StoryPart):
    """One post of the finished video: a platform, an account of it, and what differs from the metadata."""

    platform: PublisherName
    account: Annotated[str, Field(pattern=ACCOUNT_PATTERN)] = Field(
        DEFAULT_ACCOUNT, description="One of publishing.accounts."
    )
    at: Annotated[datetime, BeforeValidator(_written_moment, json_schema_input_type=str)] | None = Field(
        None, description="Not before this time; with an offset, or in `zone`."
    )
    zone: Annotated[str, BeforeValidator(_known_zone)] | None = Field(
        None, description="The time zone of an `at` without an offset, by its name, such as Europe/Berlin."
    )
    title: Text | None = Field(None, description="In place of the story's title.")
    description: Text | None = Field(None, description="In place of the metadata's description.")
    hashtags: tuple[Text, ...] | None = Field(None, description="In place of the metadata's hashtags.")
    privacy: Privacy | None = Field(
        None,
        description="Who may see it (youtube, tiktok); null: as the account says. On youtube, `at` makes it public.",
    )
    made_for_kids: bool | None = Field(
        None, description="Whether it is made for children (youtube); null: as the account says."
    )
    kind: PostKind | None = Field(
        None, description="Whether it becomes a Reel or a story (instagram); null: as the account says."
    )

    @model_validator(mode="after")
    def _one_moment(self) -> Self:
        if self.at is None and self.zone is not None:
            raise ValueError("`zone` is of no use without `at`")
        if self.at is not None and self.at.tzinfo is None and self.zone is None:
            raise ValueError("`at` has neither an offset nor a `zone`")
        if self.at is not None and self.at.tzinfo is not None and self.zone is not None:
            raise ValueError("`at` has an offset already; leave `zone` out")
        self._check_year()
        if self.platform == "youtube" and self.at is not None and self.privacy not in (None, "public"):
            raise ValueError("`privacy` is public from the time `at` on; leave one of the two out")
        return self

    def _check_year(self) -> None:
        try:
            is_near = self.moment is None or MOMENT_YEARS[0] <= self.moment.year <= MOMENT_YEARS[1]
        except OverflowError:
            is_near = False
        if not is_near:
            raise ValueError(
                f"`at`: got {self.at}; allowed: a time in the years {MOMENT_YEARS[0]} to {MOMENT_YEARS[1]}"
            )

    @property
    def options(self) -> dict[str, Any]:
        """What only some platforms have, as far as it is given."""
        given = {"privacy": self.privacy, "made_for_kids": self.made_for_kids, "kind": self.kind}
        return {key: value for key, value in given.items() if value is not None}

    @property
    def moment(self) -> datetime | None:
        """The time in UTC, None for at once. Of an hour that a change of clocks repeats, it is the first.

        A time that a change of clocks skips is moved on by the change.
        """
        if self.at is None:
            return None
        at = self.at if self.zone is None else self.at.replace(tzinfo=ZoneInfo(self.zone))
        return at.astimezone(UTC)
