"""What is said of a video on TikTok: its caption, who may see it, and what the creator's account allows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from video_pipeline.engine.config.publishing import TiktokAccount
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.texts import post_texts
from video_pipeline.engine.publish.tiktok_upload import chunk_plan

PRIVACY_LEVELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "public": "PUBLIC_TO_EVERYONE",
        "friends": "MUTUAL_FOLLOW_FRIENDS",
        "followers": "FOLLOWER_OF_CREATOR",
        "private": "SELF_ONLY",
    }
)


def tiktok_caption(post: Post) -> str:
    """Return title, description and hashtags as one text of at most 2,200 UTF-16 units, cut at the end of a word."""
    hashtags = ["".join(tag.split()) for tag in post.hashtags]  # a blank ends a hashtag
    texts = {"title": post.title, "description": post.description, "hashtags": hashtags}
    return post_texts(texts, platform="tiktok").caption


def source_info(size: int) -> dict[str, Any]:
    """Return how the file is sent."""
    chunk, chunks = chunk_plan(size)
    return {
        "source": "FILE_UPLOAD",
        "video_size": size,
        "chunk_size": chunk,
        "total_chunk_count": chunks,
    }


def privacy_level(post: Post, keys: TiktokAccount) -> str:
    """Return who may see a post, in TikTok's words; raise ServiceError for a privacy that TikTok does not have."""
    privacy = str(post.options.get("privacy", keys.privacy))
    if privacy not in PRIVACY_LEVELS:
        raise ServiceError(
            f"tiktok: privacy: got {privacy!r}; allowed: {', '.join(PRIVACY_LEVELS)}", kind="rejected"
        )
    return PRIVACY_LEVELS[privacy]


def post_info(post: Post, keys: TiktokAccount, creator: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `post_info` of a direct post; what the creator's settings disable stays disabled."""

    def is_disabled(what: str, *, allowed: bool) -> bool:
        return not allowed or creator.get(f"{what}_disabled") is True

    return {
        "title": tiktok_caption(post),
        "privacy_level": privacy_level(post, keys),
        "disable_comment": is_disabled("comment", allowed=keys.comments),
        "disable_duet": is_disabled("duet", allowed=keys.duets),
        "disable_stitch": is_disabled("stitch", allowed=keys.stitches),
        "brand_content_toggle": keys.paid_partnership,
        "brand_organic_toggle": keys.own_business,
        "is_aigc": post.generated,
    }


def check_creator(post: Post, keys: TiktokAccount, creator: Mapping[str, Any]) -> None:
    """Raise ServiceError unless the creator may post this video with this privacy now."""
    options = creator.get("privacy_level_options")
    offered = [str(each) for each in options] if isinstance(options, list) else []
    level = privacy_level(post, keys)
    if level not in offered:
        words = {told: word for word, told in PRIVACY_LEVELS.items()}
        allowed = ", ".join(words.get(each, each) for each in offered) or "none"
        raise ServiceError(
            f"tiktok: privacy: got {words[level]!r}; the account offers now: {allowed}", kind="rejected"
        )
    longest = creator.get("max_video_post_duration_sec")
    if isinstance(longest, int) and 0 < longest < post.duration:
        raise ServiceError(
            f"tiktok: duration: got {post.duration:g} s; the account may post at most {longest} s",
            kind="rejected",
        )


def inbox_note(post: Post) -> str:
    """Return what a person has to do with a video in the inbox: TikTok takes no text and no label there."""
    label = "; label it as AI-generated" if post.generated else ""
    return f"finish it in the TikTok app (its inbox){label}; caption: {tiktok_caption(post)}"
