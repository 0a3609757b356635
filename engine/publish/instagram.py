"""Publish on Instagram: a container for each video, its bytes, and the request that publishes it, by Meta's Graph API.

The container is the handle, and its `status_code` says after a crash whether it was published. Source: developers.facebook.com,
"Content Publishing", "Upload Video to Meta Servers" (15 March 2026), "IG User Media" and "IG Container", read on 27 November
2026; the parameters are those of Meta's own SDK (facebook-business 26.0.3).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from video_pipeline.engine.common.publishers import PostKind
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.publishing import InstagramAccount
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceRequest
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.publish.accounts import AccountFiles
from video_pipeline.engine.publish.base import (
    Handle,
    OnSent,
    Post,
    Published,
    PublisherRecord,
    Quota,
    Standing,
    account_of,
)
from video_pipeline.engine.publish.instagram_errors import (
    NEW_CONTAINER,
    QUOTA_WAIT_SECONDS,
    ContainerMissingError,
    TokenEndedError,
    container_subcode,
)
from video_pipeline.engine.publish.meta_login import JSON_TYPES, PLATFORM, GraphCalls, MetaTokens, next_page
from video_pipeline.engine.publish.read_bytes import ReadBytes
from video_pipeline.engine.publish.texts import caption_of

logger = logging.getLogger(__name__)

CONTAINER_SECONDS: Final = 86_400.0
"""How long a container lives."""

PROCESSING_SECONDS: Final = 7200.0
"""How long after its making a container may be processed, or a published post be missing among the account's own."""

PAGE_ITEMS: Final = 50
SEARCHED_PAGES: Final = 10
PLACE_STEPS: Final = 7
"""Halvings of 24 hours in which the next free place is looked for: to 11 minutes."""


def post_kind(post: Post, keys: InstagramAccount) -> PostKind:
    """Return what a post becomes."""
    kind: PostKind = post.options.get("kind", keys.kind)
    return kind


def post_caption(post: Post, kind: PostKind) -> str:
    """Return the caption of a post, cut to Instagram's limits; a story has none."""
    if kind == "stories":
        return ""
    return caption_of(
        title=post.title, description=post.description, hashtags=post.hashtags, platform=kind
    ).strip()


def container_fields(post: Post, keys: InstagramAccount) -> dict[str, str]:
    """Return the fields with which a post's container is made."""
    kind = post_kind(post, keys)
    fields = {"media_type": kind.upper()}
    if keys.video_url is None:
        fields["upload_type"] = "resumable"
    else:
        fields["video_url"] = _delivered_url(keys.video_url, post, post.video.name)
    if post.generated:
        fields["is_ai_generated"] = "true"
    if kind == "stories":
        return fields
    if keys.cover_url is not None and post.thumbnail is not None:
        fields["cover_url"] = _delivered_url(keys.cover_url, post, post.thumbnail.name)
    else:
        fields["thumb_offset"] = str(int(min(keys.cover_seconds, max(0.0, post.duration - 0.1)) * 1000))
    fields["share_to_feed"] = "true" if keys.share_to_feed else "false"
    return {**fields, "caption": post_caption(post, kind)}


def _delivered_url(template: str, post: Post, name: str) -> str:
    return template.replace("{sha256}", post.sha256).replace("{name}", quote(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstagramCalls:
    """Calls to one professional account."""

    keys: InstagramAccount
    tokens: MetaTokens
    graph: GraphCalls
    clock: Callable[[], float] = time.time

    def plan(self, post: Post) -> list[str]:
        """Return the requests; the address of the upload is known only to Instagram."""
        try:
            user = self.tokens.account().user_id
        except ServiceError:
            user = "USER"
        base = self.graph.base
        fields = " ".join(f"{key}={value!r}" for key, value in container_fields(post, self.keys).items())
        lines = [
            f"GET {base}/{user}/content_publishing_limit?fields=config,quota_usage",
            f"POST {base}/{user}/media: {fields}",
        ]
        if self.keys.video_url is None:
            lines.append(f"POST the address that it answers: {post.video}, {post.size} bytes")
        return [
            *lines,
            f"GET {base}/CONTAINER?fields=status_code,status,video_status, once a minute until it is FINISHED",
            f"POST {base}/{user}/media_publish: creation_id=CONTAINER",
            f"GET {base}/POST?fields=permalink",
        ]

    def prepare(self, post: Post) -> Handle:
        """Make a container, if the account may still publish. One that is never used ends by itself after a day."""
        quota = self.quota()
        if quota is not None and quota.used >= quota.limit:
            raise self._used_up(quota)
        answer = self._ask(f"{self._user()}/media", form=container_fields(post, self.keys), once=True)
        told = answer.json()
        fields: dict[str, str | int] = {
            "container": _id_of(told),
            "kind": post_kind(post, self.keys),
            "made": int(self._server_time(answer)),
        }
        if self.keys.video_url is None:
            fields["uri"] = self._checked_uri(told.get("uri"))
        return Handle(fields=fields, expires_at=self.clock() + CONTAINER_SECONDS)

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> Literal["working"] | None:
        """Send the bytes that Instagram does not hold yet; it processes the video before it can be published."""
        told = self._container(handle)
        if told.get("status_code") == "FINISHED":
            return None
        if told.get("status_code") != "IN_PROGRESS":
            raise ServiceError(f"{PLATFORM}: the container is {told.get('status_code')}", kind="busy")
        held = _transferred_bytes(told, post.size)
        if "uri" in handle.fields and held < post.size:
            self._upload(post, str(handle.fields["uri"]), held, on_sent)
        return "working"

    def commit(self, post: Post, handle: Handle) -> Published:
        """Publish the container."""
        form = {"creation_id": str(handle.fields["container"])}
        return Published(
            remote_id=_id_of(self._ask(f"{self._user()}/media_publish", form=form, once=True).json())
        )

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Ask the container. The id of a post that was published is looked for among the account's own."""
        expires_at = handle.expires_at or 0.0
        try:
            told = self._container(handle)
        except ContainerMissingError as error:
            if self.clock() > expires_at:
                return "gone"
            raise ServiceError(str(error), kind="busy") from None
        code = told.get("status_code")
        is_young = self.clock() < expires_at - CONTAINER_SECONDS + PROCESSING_SECONDS
        if code == "PUBLISHED":
            return self._among_own(post, handle) or ("working" if is_young else "unknown")
        if code == "FINISHED":
            return "open"
        if code == "EXPIRED":
            return "gone"
        if code == "ERROR":
            return _failed_container(str(told.get("status") or ""))
        if code != "IN_PROGRESS":
            raise ServiceError(f"{PLATFORM}: the container has the status {str(code)[:40]!r}", kind="busy")
        if "uri" in handle.fields and _transferred_bytes(told, post.size) < post.size:
            return "open"
        return "working" if is_young else "gone"

    def complete(self, post: Post, published: Published) -> Published:
        """Find the post's address."""
        if published.url is not None:
            return published
        try:
            told = self._ask(published.remote_id, query={"fields": "permalink"}).json()
        except ContainerMissingError as error:
            raise ServiceError(str(error), kind="busy") from None
        link = told.get("permalink")
        return replace(published, url=link) if isinstance(link, str) else published

    def quota(self) -> Quota | None:
        """Return how many posts of the last 24 hours count; if no place is left, also when there is one again."""
        answer = self._limit({})
        used, config = _usage(answer), _first(answer.json()).get("config")
        total = config.get("quota_total") if isinstance(config, Mapping) else None
        window = config.get("quota_duration", CONTAINER_SECONDS) if isinstance(config, Mapping) else None
        if used is None or not isinstance(total, int) or not isinstance(window, int | float):
            raise ServiceError(f"{PLATFORM}: the answer does not say how many posts are left", kind="busy")
        quota = Quota(used=used, limit=total, what=f"posts in {window / 3600:g} hours")
        if used < total:
            return quota
        return replace(quota, resets_at=self._next_place(quota, self._server_time(answer), float(window)))

    def owner(self) -> str:
        """Return the name of the account, which a request confirms."""
        return str(self._ask(self._user(), query={"fields": "username"}).json().get("username", ""))

    def _limit(self, more: Mapping[str, str]) -> ServiceAnswer:
        query = {"fields": "config,quota_usage", **more}
        return self._ask(f"{self._user()}/content_publishing_limit", query=query)

    def _next_place(self, quota: Quota, now: float, window: float) -> float | None:
        """Return when a place is free by our clock, from the uses since several times; None if that cannot be found out.

        `now` is the time of the server, and `window` the seconds for which a post counts.
        """
        early, late = now - window + 60, now
        try:
            for _ in range(PLACE_STEPS):
                middle = (early + late) / 2
                used = _usage(self._limit({"since": str(int(middle))}))
                if used is None:
                    return None
                early, late = (middle, late) if used >= quota.limit else (early, middle)
        except ServiceError as error:
            logger.info("%s: when a place is free is not known: %s", PLATFORM, error)
            return None
        return self.clock() + max(60.0, late + window - now)

    def _used_up(self, quota: Quota) -> ServiceError:
        if quota.resets_at is None:
            words, wait = f"{quota.words}; it is tried again in an hour", QUOTA_WAIT_SECONDS
        else:
            words, wait = quota.words, quota.resets_at - self.clock()
        return ServiceError(f"{PLATFORM}: {words}", kind="denied", retry_after=wait)

    def _among_own(self, post: Post, handle: Handle) -> Published | Standing | None:
        """Return the post with this caption that is newer than its container, "unknown" for several, None for none."""
        kind: PostKind = "stories" if handle.fields["kind"] == "stories" else "reels"
        caption = post_caption(post, kind)
        made = float(handle.fields["made"])
        found = [
            media
            for media in self._newer(kind, made)
            if kind == "stories" or str(media.get("caption", "")).strip() == caption
        ]
        if len(found) > 1:
            logger.warning(
                "%s: container %s is published, but %d newer posts have its caption",
                PLATFORM,
                handle.fields["container"],
                len(found),
            )
            return "unknown"
        if not found:
            return None
        link = found[0].get("permalink")
        return Published(remote_id=_id_of(found[0]), url=link if isinstance(link, str) else None)

    def _newer(self, kind: PostKind, made: float) -> Iterator[Mapping[str, Any]]:
        """Yield the account's own Reels or stories since a time of the server."""
        edge = "stories" if kind == "stories" else "media"
        query = {"fields": "id,caption,timestamp,permalink,media_product_type", "limit": str(PAGE_ITEMS)}
        product = "STORY" if kind == "stories" else "REELS"
        for _ in range(SEARCHED_PAGES):
            told = self._ask(f"{self._user()}/{edge}", query=query).json()
            items = told.get("data")
            medias = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
            times = [_time_of(media) for media in medias]
            for media, at in zip(medias, times, strict=True):
                if at >= made and media.get("media_product_type", product) == product:
                    yield media
            after = next_page(told)
            if after is None or (times and max(times) < made):
                return
            query["after"] = after

    def _upload(self, post: Post, uri: str, held: int, on_sent: OnSent) -> None:
        """Send the bytes from `held` on, in one request. The last part is kept back until the file's hash is known."""
        try:
            with ThreadPoolExecutor(1) as hashing:
                read = ReadBytes(post, hashing)
                read.skip_to(held)

                def send(token: Secret) -> ServiceAnswer:
                    headers = {
                        "Authorization": f"OAuth {token.reveal()}",
                        "Content-Type": "application/octet-stream",
                        "Content-Length": str(post.size - held),
                        "offset": str(held),
                        "file_size": str(post.size),
                    }
                    request = ServiceRequest(
                        url=uri,
                        headers=headers,
                        parts=lambda: _checked_parts(post, read, held, on_sent),
                        accepts=JSON_TYPES,
                    )
                    return self.graph.send(
                        request, secrets=(token,), timeout=self.keys.upload_timeout, once=True
                    )

                self._with_token(send)
        except OSError as error:
            raise ServiceError(f"{PLATFORM}: {post.video}: {error.strerror}", kind="busy") from None

    def _container(self, handle: Handle) -> Mapping[str, Any]:
        query = {"fields": "id,status_code,status,video_status"}
        told: Mapping[str, Any] = self._ask(str(handle.fields["container"]), query=query).json()
        return told

    def _user(self) -> str:
        return self.tokens.account().user_id

    def _ask(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> ServiceAnswer:
        return self._with_token(
            lambda token: self.graph.ask(path, token=token, query=query, form=form, once=once)
        )

    def _with_token(self, send: Callable[[Secret], ServiceAnswer]) -> ServiceAnswer:
        """Return the answer to a request; a token that is refused is replaced if another process has stored a new one."""
        token = self.tokens.token()
        try:
            return send(token)
        except TokenEndedError:
            return send(self.tokens.token(refused=token))

    def _checked_uri(self, uri: object) -> str:
        """Return the address of the upload; refuse one elsewhere: the token goes there, too."""
        parts, own = urlsplit(uri if isinstance(uri, str) else ""), urlsplit(self.graph.base)
        at_meta = parts.scheme == "https" and (parts.hostname or "").endswith(".facebook.com")
        if (parts.scheme, parts.netloc) != (own.scheme, own.netloc) and not at_meta:
            raise ServiceError(f"{PLATFORM}: the answer has no address for the upload", kind="busy")
        return parts.geturl()

    def _server_time(self, answer: ServiceAnswer) -> float:
        """Return the time of the server, with which the times of posts agree; ours if it does not say."""
        try:
            return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (TypeError, ValueError):
            return self.clock()


def _checked_parts(post: Post, read: ReadBytes, held: int, on_sent: OnSent) -> Iterator[bytes]:
    """Yield the bytes of a video from `held` on; raise ServiceError instead of the last ones if it is another video."""
    last, sent = b"", held
    for part in read.parts(held, post.size - held):
        if last:
            yield last
            sent += len(last)
            on_sent(sent, post.size)
        last = part
    if not read.is_the_video():
        raise ServiceError(
            f"{PLATFORM}: {post.video} is not the video that was to be published", kind="rejected"
        )
    yield last
    on_sent(post.size, post.size)


def _failed_container(status: str) -> Standing:
    """Return "gone" for a container that failed by chance; raise ServiceError for a video that Instagram cannot use."""
    if container_subcode(status) in NEW_CONTAINER:
        logger.warning("%s: the container failed: %s", PLATFORM, status[:200])
        return "gone"
    raise ServiceError(f"{PLATFORM}: the video cannot be used: {status[:200] or 'ERROR'}", kind="rejected")


def _transferred_bytes(told: Mapping[str, Any], size: int) -> int:
    """Return how many bytes of a video of `size` Instagram holds."""
    status = told.get("video_status")
    phase = status.get("uploading_phase") if isinstance(status, Mapping) else None
    if not isinstance(phase, Mapping):
        return 0
    if phase.get("status") == "complete":
        return size
    held = phase.get("bytes_transferred")
    try:
        return max(0, int(held)) if held is not None else 0
    except (TypeError, ValueError):
        raise ServiceError(f"{PLATFORM}: how many bytes it holds cannot be read", kind="busy") from None


def _id_of(told: Mapping[str, Any]) -> str:
    found = str(told.get("id") or "")
    if not found.isdecimal():
        raise ServiceError(f"{PLATFORM}: the answer has no id", kind="busy")
    return found


def _first(told: Mapping[str, Any]) -> Mapping[str, Any]:
    data = told.get("data")
    return data[0] if isinstance(data, list) and data and isinstance(data[0], Mapping) else {}


def _usage(answer: ServiceAnswer) -> int | None:
    used = _first(answer.json()).get("quota_usage")
    return used if isinstance(used, int) else None


def _time_of(media: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(media.get("timestamp"))).timestamp()
    except ValueError:
        raise ServiceError(f"{PLATFORM}: the time of a post cannot be read", kind="busy") from None


def instagram_calls(config: Config, account: str) -> InstagramCalls:
    """Return the calls to an account; raise ConfigError if it is not set up. Its first request needs it connected."""
    keys = account_of(config.publishing.accounts.instagram, account, platform=PLATFORM)
    graph = account_graph(config, account)
    tokens = MetaTokens(files=AccountFiles.of(config), name=account, graph=graph)
    return InstagramCalls(keys=keys, tokens=tokens, graph=graph)


def account_graph(config: Config, account: str) -> GraphCalls:
    """Return the calls to the Graph API with an account's settings; one that is not set up has the usual ones."""
    keys = config.publishing.accounts.instagram.get(account, InstagramAccount())
    place = f"publishing.accounts.instagram.{account}.endpoint"
    endpoint = checked_endpoint(place, keys.endpoint, has_secret=True)
    return GraphCalls(base=f"{endpoint}/{keys.version}", timeout=keys.timeout)


def _rules_of(config: Config, account: str, options: Mapping[str, Any]) -> str:
    keys = config.publishing.accounts.instagram.get(account, InstagramAccount())
    return str(options.get("kind", keys.kind))


PUBLISHER: Final = PublisherRecord(
    name=PLATFORM, connect=instagram_calls, rules_of=_rules_of, is_connected=True, options=("kind",)
)
