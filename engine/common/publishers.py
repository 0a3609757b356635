"""Names that the story format, the configuration and the publishers share."""

from __future__ import annotations

from typing import Final, Literal

PublisherName = Literal["folder", "instagram", "s3", "tiktok", "webhook", "youtube"]
Privacy = Literal["public", "unlisted", "private"]
PostKind = Literal["reels", "stories"]

POST_FORMATS: Final[dict[str, tuple[PublisherName, PostKind | None]]] = {
    "reels": ("instagram", "reels"),
    "stories": ("instagram", "stories"),
    "shorts": ("youtube", None),
}
"""Publisher and kind of the posts whose rules have a name of their own. YouTube itself decides what is a Short."""

ACCOUNT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
DELIVERY_PATTERN: Final = r"^[a-z][a-z0-9_]{0,31}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"
DEFAULT_ACCOUNT: Final = "default"
