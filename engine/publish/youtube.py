"""Publish on YouTube: one resumable upload for each video, by the YouTube Data API v3.

The upload session is the handle; a video exists once the last byte has arrived, so sending the last chunk is the step
that publishes. Source: developers.google.com/youtube/v3/guides/using_resumable_upload_protocol, and the discovery
document of 2026-11-04.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.publishing import YoutubeAccount
from video_pipeline.engine.errors import ServiceError, ServiceFault
from video_pipeline.engine.net.client import (
    Fault,
    ServiceAnswer,
    ServiceClient,
    ServiceRequest,
    usual_wait,
)
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.retry import RetryPolicy, with_retries
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.publish.accounts import AccountFiles, AccountTokens
from video_pipeline.engine.publish.base import (
    Handle,
    OnSent,
    Post,
    Published,
    PublisherRecord,
    Standing,
    account_of,
)
from video_pipeline.engine.publish.facts import tags_length
from video_pipeline.engine.publish.read_bytes import ReadBytes, read_errors
from video_pipeline.engine.publish.webhook import Unmetered
from video_pipeline.engine.publish.youtube_errors import (
    WAITING,
    part_fault,
    refusal_reason,
    seconds_to_quota,
    youtube_fault,
)

SCOPES: Final = (
    "https://www.googleapis.com/auth/youtube.upload",
    "https://www.googleapis.com/auth/youtube.force-ssl",
)
"""Uploads; captions, and looking for a video among the uploads."""

CHUNK_BYTES: Final = 8 << 20
"""What is sent in one request, a multiple of 256 KiB; while requests are quick, up to MOST_CHUNKS times as much."""

MOST_CHUNKS: Final = 64
QUICK_SECONDS: Final = 4.0


TAGS_CHARACTERS: Final = 500
PAGE_ITEMS: Final = 50
SEARCHED_PAGES: Final = 4
OPEN: Final = 308
GONE: Final = (404, 410)


def marker(post: Post) -> str:
    """Return the tag by which a video is found among the uploads."""
    return f"vp{post.sha256[:20]}"


def video_resource(post: Post, keys: YoutubeAccount, *, now: float) -> dict[str, Any]:
    """Return the snippet and status of a video as `videos.insert` takes them. Privacy is always said: left out, it is public."""
    tags = [tag.removeprefix("#") for tag in post.hashtags]
    while tags and tags_length((*tags, marker(post))) > TAGS_CHARACTERS:
        tags.pop()
    snippet: dict[str, Any] = {
        "title": post.title,
        "description": post.description,
        "tags": [*tags, marker(post)],
        "categoryId": keys.category_id,
    }
    if post.language:
        snippet |= {"defaultLanguage": post.language, "defaultAudioLanguage": post.language}
    status: dict[str, Any] = {
        "privacyStatus": post.options.get("privacy", keys.privacy),
        "selfDeclaredMadeForKids": post.options.get("made_for_kids", keys.made_for_kids),
        "containsSyntheticMedia": post.generated,
    }
    if post.publish_at is not None:
        is_future = post.publish_at.timestamp() > now
        status["privacyStatus"] = "private" if is_future else "public"
        if is_future:
            status["publishAt"] = post.publish_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"snippet": snippet, "status": status}


def last_chunk(size: int) -> int:
    """Return where the last chunk of a video begins: the chunk has 1 to CHUNK_BYTES bytes."""
    return (size - 1) // CHUNK_BYTES * CHUNK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class YoutubeCalls:
    """Calls to one channel."""

    keys: YoutubeAccount
    tokens: AccountTokens
    endpoint: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Callable[[], float] = time.time

    def plan(self, post: Post) -> list[str]:
        """Return the requests; the address of the upload is known only to YouTube."""
        chunks = last_chunk(post.size) // CHUNK_BYTES + 1
        resource = json.dumps(video_resource(post, self.keys, now=self.clock()), ensure_ascii=False)
        upload = f"{self.endpoint}/upload/youtube/v3"
        lines = [
            f"POST {upload}/videos?uploadType=resumable&part=snippet,status: {resource}",
            f"PUT the address that it answers: {post.video}, {post.size} bytes, chunks: {chunks}",
        ]
        if post.thumbnail:
            lines.append(f"POST {upload}/thumbnails/set: {post.thumbnail}")
        if post.subtitles and post.language:
            lines.append(f"GET {self.endpoint}/youtube/v3/captions")
            lines.append(f"POST {upload}/captions: {post.subtitles}, language {post.language}")
        return [*lines, f"GET {self.endpoint}/youtube/v3/videos?part=status"]

    def prepare(self, post: Post) -> Handle:
        """Begin an upload session. No video exists before its last byte."""
        body = json.dumps(video_resource(post, self.keys, now=self.clock()), ensure_ascii=False).encode()
        answer = self._ask(
            "POST",
            f"{self.endpoint}/upload/youtube/v3/videos",
            {"uploadType": "resumable", "part": "snippet,status"},
            headers={
                "Content-Type": "application/json; charset=UTF-8",
                "X-Upload-Content-Length": str(post.size),
                "X-Upload-Content-Type": "video/*",
            },
            body=body,
            accepts=(),
            check=self._check_session,
        )
        return Handle(fields={"session": answer.headers["location"]})

    def _check_session(self, answer: ServiceAnswer) -> None:
        """Refuse an upload session elsewhere: the token goes there, too."""
        parts, own = urlsplit(answer.headers.get("location", "")), urlsplit(self.endpoint)
        at_google = parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")
        if (parts.scheme, parts.netloc) != (own.scheme, own.netloc) and not at_google:
            raise ServiceError("youtube: the answer has no address for the upload", kind="busy")

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> None:
        """Send all chunks but the last, from where YouTube says that it stopped."""
        with_retries(lambda: self._send_chunks(post, handle, on_sent), policy=self.policy)

    def _send_chunks(self, post: Post, handle: Handle, on_sent: OnSent) -> None:
        end = last_chunk(post.size)
        held = self._held(post, handle)
        with read_errors("youtube", post.video), ThreadPoolExecutor(1) as hashing:
            read = ReadBytes(post, hashing)
            read.skip_to(min(held, end))
            chunks = 1
            while held < end:
                length = min(chunks * CHUNK_BYTES - held % CHUNK_BYTES, end - held)
                began = time.monotonic()
                answer = self._put(post, handle, held, length, read)
                is_quick = time.monotonic() - began < QUICK_SECONDS
                chunks = min(2 * chunks, MOST_CHUNKS) if is_quick else 1
                if answer.status != OPEN:
                    raise ServiceError("youtube: the upload ended before its last byte", kind="busy")
                now_held = _held_bytes(answer)
                if not held < now_held <= held + length:
                    raise ServiceError("youtube: lost a part of the upload", kind="busy")
                held = now_held
                on_sent(held, post.size)
            if not read.is_the_video():
                raise ServiceError(
                    f"youtube: {post.video} is not the video that was to be published", kind="rejected"
                )

    def commit(self, post: Post, handle: Handle) -> Published | None:
        """Send the last chunk; the video exists when it has arrived."""
        answer = self._probe(post, handle)
        if answer.status == OPEN:
            held = _held_bytes(answer)
            if held >= post.size:
                return None
            if held < last_chunk(post.size):
                raise ServiceError("youtube: lost a part of the upload", kind="busy")
            with read_errors("youtube", post.video):
                answer = self._put(post, handle, held, post.size - held, ReadBytes(post))
        return None if answer.status == OPEN else _video_of(answer)

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Ask the upload session; one that has ended is looked for among the channel's uploads."""
        answer = self._probe(post, handle)
        if answer.status in GONE:
            return self._among_uploads(post) or "gone"
        if answer.status == OPEN:
            return "working" if _held_bytes(answer) >= post.size else "open"
        return _video_of(answer)

    def complete(self, post: Post, published: Published) -> None:
        """Set the thumbnail, add the subtitles once, and read whether YouTube has taken the video."""
        problems = []
        for part in (self._set_thumbnail, self._add_captions, self._check_video):
            try:
                part(post, published.remote_id)
            except ServiceError as error:
                problems.append(error)
        if problems:
            raise max(problems, key=lambda each: each.kind == "busy")

    def quota(self) -> None:
        """Return None: no call of YouTube's API says how much of a project's quota is used."""

    def owner(self) -> str:
        """Return the name of the channel."""
        return str(self._channel("snippet").get("snippet", {}).get("title", ""))

    def _channel(self, part: str) -> Mapping[str, Any]:
        items = self._items("channels", {"part": part, "mine": "true"})
        if not items:
            raise ServiceError("youtube: the account has no channel", kind="denied")
        return items[0]

    def _among_uploads(self, post: Post) -> Published | None:
        """Return the video with the post's marker among the latest uploads."""
        details = self._channel("contentDetails").get("contentDetails", {})
        query = {
            "part": "contentDetails",
            "playlistId": str(details.get("relatedPlaylists", {}).get("uploads", "")),
            "maxResults": str(PAGE_ITEMS),
        }
        for _ in range(SEARCHED_PAGES):
            page = self._get("playlistItems", query)
            ids = [str(item.get("contentDetails", {}).get("videoId", "")) for item in _items_of(page)]
            if not ids:
                return None
            for video in self._items("videos", {"part": "snippet", "id": ",".join(ids)}):
                if marker(post) in video.get("snippet", {}).get("tags", ()):
                    return _published(str(video["id"]))
            if not page.get("nextPageToken"):
                return None
            query["pageToken"] = str(page["nextPageToken"])
        return None

    def _set_thumbnail(self, post: Post, video_id: str) -> None:
        if post.thumbnail is None:
            return
        self._ask(
            "POST",
            f"{self.endpoint}/upload/youtube/v3/thumbnails/set",
            {"videoId": video_id, "uploadType": "media"},
            headers={"Content-Type": "image/jpeg"},
            body=_post_bytes(post.thumbnail),
            fault=part_fault,
        )

    def _add_captions(self, post: Post, video_id: str) -> None:
        if post.subtitles is None or not post.language:
            return
        for track in self._items("captions", {"part": "snippet", "videoId": video_id}):
            snippet = track.get("snippet", {})
            if snippet.get("language") == post.language and snippet.get("trackKind") != "ASR":
                return
        resource = {"snippet": {"videoId": video_id, "language": post.language, "name": ""}}
        boundary = f"vp{secrets.token_hex(16)}"
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                json.dumps(resource).encode(),
                f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
                _post_bytes(post.subtitles),
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        self._ask(
            "POST",
            f"{self.endpoint}/upload/youtube/v3/captions",
            {"uploadType": "multipart", "part": "snippet"},
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            body=body,
            once=True,
            fault=part_fault,
        )

    def _check_video(self, post: Post, video_id: str) -> None:
        for video in self._items("videos", {"part": "status", "id": video_id}):
            status = video.get("status", {})
            if status.get("uploadStatus") in ("failed", "rejected", "deleted"):
                why = status.get("failureReason") or status.get("rejectionReason") or ""
                raise ServiceError(
                    f"youtube: the video is {status['uploadStatus']} {why}".rstrip(), kind="rejected"
                )

    def _probe(self, post: Post, handle: Handle) -> ServiceAnswer:
        return self._upload(handle, f"bytes */{post.size}")

    def _held(self, post: Post, handle: Handle) -> int:
        """Return how many bytes YouTube holds of an upload that is open."""
        answer = self._probe(post, handle)
        if answer.status != OPEN:
            raise ServiceError("youtube: the upload is not open any longer", kind="busy")
        return _held_bytes(answer)

    def _put(self, post: Post, handle: Handle, start: int, length: int, read: ReadBytes) -> ServiceAnswer:
        span = f"bytes {start}-{start + length - 1}/{post.size}"
        answer = self._upload(handle, span, length=length, parts=lambda: read.parts(start, length), once=True)
        if answer.status in GONE:
            raise ServiceError("youtube: the upload session has ended", kind="busy")
        return answer

    def _upload(
        self,
        handle: Handle,
        content_range: str,
        *,
        length: int = 0,
        parts: Callable[[], Iterator[bytes]] | None = None,
        once: bool = False,
    ) -> ServiceAnswer:
        session = Secret(str(handle.fields["session"]), "the upload session")
        return self._ask(
            "PUT",
            session.reveal(),
            headers={"Content-Range": content_range, "Content-Length": str(length)},
            parts=parts,
            also_good=(OPEN, *GONE),
            hidden=(session,),
            once=once,
        )

    def _items(self, resource: str, query: Mapping[str, str]) -> list[Mapping[str, Any]]:
        return _items_of(self._get(resource, query))

    def _get(self, resource: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        answer = self._ask("GET", f"{self.endpoint}/youtube/v3/{resource}", query)
        told = answer.json()
        if not isinstance(told, Mapping) or "error" in told:
            raise ServiceError(f"youtube: the answer of {resource} is none", kind="busy")
        return told

    def _ask(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        parts: Callable[[], Iterator[bytes]] | None = None,
        accepts: Sequence[str] = ("application/json",),
        also_good: Sequence[int] = (),
        hidden: Sequence[Secret] = (),
        once: bool = False,
        fault: Callable[[ServiceAnswer], Fault] = youtube_fault,
        check: Callable[[ServiceAnswer], object] | None = None,
    ) -> ServiceAnswer:
        """Return the answer to a request with a token; a token that is refused is replaced, once."""
        target = f"{url}?{urlencode(query, safe=',')}" if query else url
        token = self.tokens.token()

        def send(token: Secret, good: Sequence[int]) -> ServiceAnswer:
            request = ServiceRequest(
                url=target,
                method=method,
                headers={**(headers or {}), "Authorization": f"Bearer {token.reveal()}"},
                body=body,
                parts=parts,
                accepts=accepts,
                also_good=good,
            )
            client = ServiceClient(
                service="youtube",
                timeout=self.keys.timeout,
                meter=Unmetered(),
                policy=RetryPolicy(attempts=1) if once else self.policy,
                secrets=(token, *hidden),
                fault=fault,
                wait=self._wait,
            )
            return client.ask(
                request, check=lambda answer: answer.status in good or not check or check(answer)
            )

        answer = send(token, (401, *also_good))
        if answer.status == 401:
            answer = send(self.tokens.token(refused=token), also_good)
        return answer

    def _wait(self, answer: ServiceAnswer, kind: ServiceFault) -> float | None:
        return (
            seconds_to_quota(self.clock()) if refusal_reason(answer) in WAITING else usual_wait(answer, kind)
        )


def _held_bytes(answer: ServiceAnswer) -> int:
    """Return how many bytes an open upload holds: without a Range header, none."""
    value = answer.headers.get("range")
    if value is None:
        return 0
    found = re.fullmatch(r"bytes=0-([0-9]{1,18})", value.strip())
    if not found:
        raise ServiceError("youtube: the answer has a Range that cannot be read", kind="busy")
    return int(found[1]) + 1


def _video_of(answer: ServiceAnswer) -> Published:
    told = answer.json()
    found = told.get("id") if isinstance(told, Mapping) else None
    if not isinstance(found, str) or not found:
        raise ServiceError("youtube: the answer has no id of a video", kind="busy")
    return _published(found)


def _published(video_id: str) -> Published:
    return Published(remote_id=video_id, url=f"https://www.youtube.com/watch?v={video_id}")


def _items_of(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = page.get("items")
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _post_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServiceError(f"youtube: {path}: {error.strerror}", kind="rejected") from None


def youtube_calls(config: Config, account: str) -> YoutubeCalls:
    """Return the calls to an account; raise ConfigError if it is not set up. Its first request needs it connected."""
    keys = account_of(config.publishing.accounts.youtube, account, platform="youtube")
    place = f"publishing.accounts.youtube.{account}.endpoint"
    endpoint = checked_endpoint(place, keys.endpoint, has_secret=True)
    tokens = AccountTokens(files=AccountFiles.of(config), platform="youtube", name=account)
    return YoutubeCalls(keys=keys, tokens=tokens, endpoint=endpoint)


PUBLISHER: Final = PublisherRecord(
    name="youtube",
    connect=youtube_calls,
    rules="youtube",
    schedules=True,
    is_connected=True,
    options=("privacy", "made_for_kids"),
)
