"""What a publisher is: the steps that bring one post to one platform, and what it says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError

AccountSettings = TypeVar("AccountSettings")

OnSent = Callable[[int, int], None]
"""Called with the bytes that the platform holds, and all bytes of the video."""


class Post(BaseModel):
    """What is published: a finished video with its texts, cut to the platform's limits. It is stored before anything is sent.

    `options` are the platform's own keys, such as `privacy`. `publish_at` is when a platform that can wait shows it.
    `mark` is the inode, size and times (`file_mark`) that the file had when it was hashed, None if it was too new then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    video: Path
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=1)]
    mark: tuple[int, ...] | None = None
    duration: Annotated[float, Field(gt=0)]
    title: str
    description: str = ""
    hashtags: tuple[str, ...] = ()
    language: str = ""
    thumbnail: Path | None = None
    subtitles: Path | None = None
    generated: bool = False
    publish_at: AwareDatetime | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    def shown(self) -> str:
        """Return it as the JSON that is delivered beside its files: those by their names, without this machine's paths."""
        files = {"video": self.video, "thumbnail": self.thumbnail, "subtitles": self.subtitles}
        names = {key: path.name if path else None for key, path in files.items()}
        texts = self.model_dump(mode="json", exclude={*files, "options", "mark"})
        return json.dumps(names | texts, ensure_ascii=False, indent=2) + "\n"


class Handle(BaseModel):
    """The platform's own name for a post that it does not show yet, such as an upload session.

    It is as secret as a key: who has it may send bytes. `expires_at` is in seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: dict[str, str | int]
    expires_at: float | None = None

    def __repr__(self) -> str:
        return f"Handle({', '.join(self.fields)})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A post that the platform has. `note` is what a person still has to do, such as to finish it in the app.

    `files`: where each delivered file is, by its name, on platforms that keep files.
    """

    remote_id: str
    url: str | None = None
    note: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


Standing = Literal["open", "uncounted", "working", "gone", "unknown"]
"""What a platform says of a handle that is not published.

open: it still takes the post, and certainly has not published it. uncounted: it takes bytes and does
not say how many it has; after the step that publishes it is asked again. working: ask again later. gone: it never published
it, and the handle is of no use. unknown: it cannot tell.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much of what a platform allows an account is used. `what` is what is counted, such as "posts in 24 hours".

    `resets_at` is when there is a place again, in seconds since 1970; None if the platform does not say, or if places are left.
    """

    used: int
    limit: int
    what: str
    resets_at: float | None = None

    @property
    def words(self) -> str:
        """How much is used, and when there is a place again."""
        used = f"{self.used} of {self.limit} {self.what} are used"
        if self.resets_at is None:
            return used
        return f"{used}; the next place is free at about {datetime.fromtimestamp(self.resets_at, UTC):%Y-%m-%d %H:%M}Z"


class PlatformCalls(Protocol):
    """The calls to one account on one platform. All raise ServiceError."""

    def plan(self, post: Post) -> list[str]:
        """Return what would be sent, one line for each request, without secrets. Nothing is sent."""

    def prepare(self, post: Post) -> Handle:
        """Reserve a place for the post. If the answer is lost, nothing was published and another call is safe."""

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> Literal["working"] | None:
        """Send all that does not publish, from where an interrupted call stopped.

        Return "working" if the platform must process it before it can be published: then it is asked again later.
        """

    def commit(self, post: Post, handle: Handle) -> Published | None:
        """Do the one step that publishes and cannot be undone; None if the platform only says later that it has."""

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Return what became of a handle. It changes nothing."""

    def complete(self, post: Post, published: Published) -> Published | None:
        """Add what belongs to the post, such as a thumbnail. It may be called again after a part of it was done.

        Return the post if more is known of it by now, such as its address.
        """

    def quota(self) -> Quota | None:
        """Return how many posts the account may still make; None if the platform does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherRecord:
    """A publisher: `connect` returns the calls for one of the accounts.

    It raises ConfigError for an account that is not set up. `rules` names the table of the platform's limits, None
    if it has none; `rules_of` chooses it by account and options if there are several. With `schedules` the platform itself
    shows a post at its time. With `finds_by_content`
    a post's place follows from the post alone, so that `ask` finds it whoever published it. With `is_connected` a person
    connects an account, by `video-pipeline accounts add`. `options` are the keys of a post
    that only some platforms have.
    """

    name: str
    connect: Callable[[Config, str], PlatformCalls]
    rules: str | None = None
    rules_of: Callable[[Config, str, Mapping[str, Any]], str] | None = None
    schedules: bool = False
    finds_by_content: bool = False
    is_connected: bool = False
    options: tuple[str, ...] = ()
    lacks: Callable[[Config, str], str | None] | None = None
    """What an account lacks although it is set up, None for nothing; no platform is asked."""


def account_of(accounts: Mapping[str, AccountSettings], name: str, *, platform: str) -> AccountSettings:
    """Return an account's settings; raise ConfigError that names those that there are."""
    if name not in accounts:
        known = ", ".join(sorted(accounts)) or f"none; set publishing.accounts.{platform}"
        raise ConfigError(f"account of {platform}: got {name!r}; set up: {known}")
    return accounts[name]
