"""Publishing: accounts, and what a node publishes by itself."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from video_pipeline.engine.common.publishers import ACCOUNT_PATTERN, PostKind, Privacy
from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.families import PUBLISHERS
from video_pipeline.engine.config.values import LocalPath

AccountKey = Annotated[str, Field(pattern=ACCOUNT_PATTERN)]


class Account(Section):
    """What every account has."""

    posts_per_day: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Posts that the account begins in 24 hours at most; null: any number.",
    )


def _checked_url_template(text: str) -> str:
    fields = re.findall(r"[{][^{}]*[}]|[{}]", text)
    if (
        not re.fullmatch(r"https://[!-~]+", text)
        or not fields
        or not set(fields) <= {"{sha256}", "{name}"}
        or "{" in text.removeprefix("https://").partition("/")[0]
    ):
        raise ValueError(
            "allowed: an https URL in ASCII without spaces, with {sha256}, {name} or both in its path, such as "
            "https://cdn.example/{sha256}/{name}"
        )
    return text


UrlTemplate = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_checked_url_template)]
"""A public address of a delivered file: `{sha256}` is the video's hash, `{name}` the file's name."""


class FolderAccount(Account):
    """A folder as a platform."""

    path: LocalPath = Field(
        description="Folder that gets a folder for each post; it must exist.", strict=False
    )


class WebhookAccount(Account):
    """A URL as a platform."""

    url: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="URL to which each post is sent as JSON."
    )
    secret_file: LocalPath | None = Field(
        None,
        description="File with the secret that signs each request; null: the environment variable "
        "PUBLISH_WEBHOOK_SECRET.",
        strict=False,
    )
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds that one request may take.")


class S3Account(Account):
    """A bucket as a platform: Amazon's S3, or a store with its protocol."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        description="Name of the bucket."
    )
    prefix: Annotated[str, Field(max_length=500, pattern=r"^([^/\s].*/)?$")] = Field(
        "", description="Beginning of every key, empty or with a slash at its end, such as videos/."
    )
    endpoint: Annotated[str, Field(min_length=1, max_length=2000)] | None = Field(
        None, description="URL of a store other than Amazon's."
    )
    region: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Region; null: that of the AWS configuration."
    )
    profile: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Profile of the AWS configuration that has the keys; null: its usual search."
    )
    url: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\{key\}")] | None = Field(
        None, description="Public address of a delivered file, such as https://cdn.example/{key}."
    )
    presign_days: float | None = Field(
        None, gt=0, le=7, description="Without `url`: days for which a signed link to the video is valid."
    )
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds without a byte of an answer.")


class InstagramAccount(Account):
    """A professional account on Instagram. `video-pipeline accounts add instagram NAME` connects it."""

    kind: PostKind = Field(
        "reels", description="What a video becomes whose post does not say it: a Reel, or a story of a day."
    )
    share_to_feed: bool = Field(True, description="Whether Reels are shown in the feed, too.")
    cover_seconds: float = Field(
        0.0,
        ge=0,
        description="Time of the frame that is a Reel's cover, in seconds; `cover_url` goes before it.",
    )
    video_url: UrlTemplate | None = Field(
        None,
        description="Address from which Instagram fetches the video, with {sha256} and {name}; null: it is uploaded.",
    )
    cover_url: UrlTemplate | None = Field(
        None,
        description="Address from which Instagram fetches the thumbnail of a Reel, with {sha256} and {name}.",
    )
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds that one request may take.")
    upload_timeout: float = Field(
        3600.0, gt=0, le=86_400, description="Seconds that the request with the video's bytes may take."
    )
    endpoint: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        "https://graph.facebook.com", description="Where the Graph API is."
    )
    version: Annotated[str, Field(pattern=r"^v[0-9]{1,3}[.][0-9]{1,2}$")] = Field(
        "v26.0", description="Version of the Graph API."
    )


class YoutubeAccount(Account):
    """A channel on YouTube. `video-pipeline accounts add youtube NAME` connects it."""

    category_id: Annotated[str, Field(pattern="^[0-9]{1,3}$")] = Field(
        "22", description="Category of its videos, by YouTube's number; 22 is People & Blogs."
    )
    privacy: Privacy = Field("private", description="Who may see a video whose post does not say it.")
    made_for_kids: bool = Field(
        False, description="Whether videos whose post does not say it are for children."
    )
    timeout: float = Field(
        120.0,
        gt=0,
        le=3600,
        description="Seconds that one request may take; 8 MiB are sent, and up to 512 MiB if that is quick.",
    )
    endpoint: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        "https://www.googleapis.com", description="Where YouTube's API is."
    )


class TiktokAccount(Account):
    """An account on TikTok. `video-pipeline accounts add tiktok NAME` connects it."""

    mode: Literal["inbox", "direct"] = Field(
        "inbox",
        description="inbox: a person finishes each post in the app; direct: it is posted (TikTok audits the app first).",
    )
    privacy: Literal["public", "friends", "followers", "private"] = Field(
        "private", description="Who may see a video whose post does not say it (direct)."
    )
    comments: bool = Field(True, description="Whether others may comment (direct).")
    duets: bool = Field(True, description="Whether others may make duets with it (direct).")
    stitches: bool = Field(True, description="Whether others may use parts of it (direct).")
    paid_partnership: bool = Field(False, description="Whether videos advertise for a third party (direct).")
    own_business: bool = Field(False, description="Whether videos advertise the creator's business (direct).")
    allow_watermark: bool = Field(
        False,
        description="Whether videos with a watermark are sent: TikTok forbids logos and may remove them.",
    )
    timeout: float = Field(
        120.0, gt=0, le=3600, description="Seconds that one request may take; up to 20 MB are sent."
    )
    endpoint: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        "https://open.tiktokapis.com", description="Where TikTok's API is."
    )


class PublishAccounts(Section):
    """The accounts of each platform, by name."""

    folder: dict[AccountKey, FolderAccount] = Field(
        default_factory=dict, description="Folders, by name: `{default: {path: /srv/published}}`."
    )
    instagram: dict[AccountKey, InstagramAccount] = Field(
        default_factory=dict, description="Accounts on Instagram, by name: `{default: {kind: reels}}`."
    )
    s3: dict[AccountKey, S3Account] = Field(
        default_factory=dict, description="Buckets, by name: `{default: {bucket: videos}}`."
    )
    tiktok: dict[AccountKey, TiktokAccount] = Field(
        default_factory=dict, description="Accounts on TikTok, by name: `{default: {mode: inbox}}`."
    )
    webhook: dict[AccountKey, WebhookAccount] = Field(
        default_factory=dict, description="URLs, by name: `{default: {url: https://HOST/PATH}}`."
    )
    youtube: dict[AccountKey, YoutubeAccount] = Field(
        default_factory=dict, description="Channels, by name: `{default: {privacy: public}}`."
    )


class Publishing(Section):
    """Where finished videos are published."""

    auto_publish: bool = Field(
        False,
        description="A node publishes each finished video on `platforms`, account default, unless its story has `publish`.",
    )
    platforms: tuple[str, ...] = Field(
        ("instagram", "youtube"),
        description="Platforms of auto_publish; this version has folder, instagram, s3, tiktok, webhook and youtube.",
    )
    scheduling_enabled: bool = Field(
        True, description="Whether stories may name a time (`at`); off: such a story is refused."
    )
    missed: Literal["publish", "hold"] = Field(
        "publish",
        description="What becomes of a post whose time passed while nothing ran: published late, or held for a person.",
    )
    missed_after: float = Field(
        3600.0, ge=0, description="Seconds after its time from which a post counts as missed."
    )
    accounts: PublishAccounts = Field(PublishAccounts(), description="Accounts by platform and name.")

    @model_validator(mode="after")
    def _known_platforms(self) -> Self:
        for platform in self.platforms if self.auto_publish else ():
            if platform not in PUBLISHERS.names:
                raise ValueError(
                    f"auto_publish: platforms: got {platform!r}; allowed: {', '.join(PUBLISHERS.names)}"
                )
        return self
