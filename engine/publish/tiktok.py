"""Publish on TikTok: one upload for each video, by the Content Posting API.

`mode: inbox` sends the video to the creator's inbox, where a person finishes the post; `mode: direct` posts it. The id of
the post (`publish_id`) and the upload's address are the handle. TikTok begins to post when all bytes have arrived ("All
parts are uploaded. TikTok will start the posting process"), so the last chunk is the step that publishes, and a place
whose reply was lost publishes nothing. Sources: developers.tiktok.com/doc/content-posting-api-reference-direct-post
(2026-08-24), -upload-video, -query-creator-info, -get-video-status (2026-08-04) and -media-transfer-guide.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.publishing import TiktokAccount
from video_pipeline.engine.errors import ServiceError
from video_pipeline.engine.net.client import ServiceAnswer, ServiceClient, ServiceRequest
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.net.pace import SharedPace
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
from video_pipeline.engine.publish.facts import manifest_facts
from video_pipeline.engine.publish.not_published import NotPublishedError
from video_pipeline.engine.publish.read_bytes import ReadBytes, read_errors
from video_pipeline.engine.publish.tiktok_errors import (
    TOKEN_REFUSED,
    answer_fault,
    error_code,
    failure_fault,
)
from video_pipeline.engine.publish.tiktok_post import (
    check_creator,
    inbox_note,
    post_info,
    privacy_level,
    source_info,
)
from video_pipeline.engine.publish.tiktok_upload import (
    ADDRESS_SECONDS,
    LATE_SECONDS,
    chunk_span,
    chunks_held,
    held_by_range,
    video_type,
)
from video_pipeline.engine.publish.webhook import Unmetered

INBOX_SCOPES: Final = ("user.info.basic", "video.upload")
DIRECT_SCOPES: Final = (*INBOX_SCOPES, "video.publish")

PACES: Final[Mapping[str, int]] = {"init": 6, "status": 30, "creator": 20}
"""Requests that TikTok takes in a minute for one account."""

INIT: Final = {"inbox": "/v2/post/publish/inbox/video/init/", "direct": "/v2/post/publish/video/init/"}
STATUS: Final = "/v2/post/publish/status/fetch/"
CREATOR: Final = "/v2/post/publish/creator_info/query/"
ERRORS: Final = tuple(range(400, 600))
ONCE: Final = RetryPolicy(attempts=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiktokCalls:
    """Calls to one account. `policy` is for the upload: other requests are sent once, and again by a later run."""

    keys: TiktokAccount
    tokens: AccountTokens
    endpoint: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Callable[[], float] = time.time

    def plan(self, post: Post) -> list[str]:
        """Return the requests; the address of the upload is known only to TikTok."""
        body: dict[str, Any] = {"source_info": source_info(post.size)}
        lines = []
        if self.keys.mode == "direct":
            lines.append(f"POST {self.endpoint}{CREATOR}")
            body = {"post_info": post_info(post, self.keys, {}), **body}
        count = body["source_info"]["total_chunk_count"]
        return [
            *lines,
            f"POST {self.endpoint}{INIT[self.keys.mode]}: {json.dumps(body, ensure_ascii=False)}",
            f"PUT the address that it answers: {post.video}, {post.size} bytes, chunks: {count}",
            f"POST {self.endpoint}{STATUS}",
        ]

    def prepare(self, post: Post) -> Handle:
        """Ask for a place for the post. Nothing is posted before its last byte; in the inbox it takes one of 5 places."""
        if not self.keys.allow_watermark and manifest_facts(post.video).get("watermark"):
            raise ServiceError(
                f"tiktok: {post.video} has a watermark, and TikTok removes videos with logos: render without "
                "watermark.image, or set allow_watermark of the account",
                kind="rejected",
            )
        source = source_info(post.size)
        body: dict[str, Any] = {"source_info": source}
        creator: Mapping[str, Any] = {}
        if self.keys.mode == "direct":
            privacy_level(post, self.keys)
            creator = self.creator()
            check_creator(post, self.keys, creator)
            body = {"post_info": post_info(post, self.keys, creator), **body}
        answer = self._call("init", "POST", INIT[self.keys.mode], body)
        told = _data_of(answer)
        publish_id, address = told.get("publish_id"), told.get("upload_url")
        if not isinstance(publish_id, str) or not publish_id or not isinstance(address, str):
            raise ServiceError("tiktok: the answer has no publish_id and upload_url", kind="busy")
        self._check_address(address)
        return Handle(
            fields={
                "publish_id": publish_id,
                "upload_url": address,
                "chunk": source["chunk_size"],
                "chunks": source["total_chunk_count"],
                "creator": str(creator.get("creator_username") or ""),
            },
            expires_at=self._told_time(answer) + ADDRESS_SECONDS,
        )

    def creator(self) -> Mapping[str, Any]:
        """Return what the account may post, as TikTok tells it before each post."""
        return _data_of(self._call("creator", "POST", CREATOR, {}))

    def quota(self) -> None:
        """Return None: TikTok's API has no such call; what is used up is told by the errors of a post."""

    def owner(self) -> str:
        """Return the name of the account."""
        answer = self._call("creator", "GET", "/v2/user/info/?fields=open_id,display_name", None)
        user = _data_of(answer).get("user")
        return str(user.get("display_name") or "") if isinstance(user, Mapping) else ""

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> None:
        """Send all chunks but the last, from the one that TikTok lacks."""
        with_retries(lambda: self._send_chunks(post, handle, on_sent), policy=self.policy)

    def _send_chunks(self, post: Post, handle: Handle, on_sent: OnSent) -> None:
        chunk, chunks = _chunks_of(handle)
        told, now = self._status(handle)
        left = (handle.expires_at or 0.0) - now
        if left <= 0:
            raise ServiceError(
                "tiktok: the address of the upload has expired",
                kind="busy",
                retry_after=max(0.0, left + LATE_SECONDS),
            )
        held = chunks_held(_uploaded(told) or 0, size=post.size, chunk=chunk, chunks=chunks)
        with read_errors("tiktok", post.video), ThreadPoolExecutor(1) as hashing:
            read = ReadBytes(post, hashing)
            read.skip_to(chunk_span(min(held, chunks - 1), size=post.size, chunk=chunk, chunks=chunks)[0])
            while held < chunks - 1:
                now_held = self._put(post, handle, held, read)
                if now_held <= held:
                    raise ServiceError("tiktok: lost a part of the upload", kind="busy")
                if now_held > held + 1:
                    read.skip_to(min(now_held, chunks - 1) * chunk)
                held = now_held
                on_sent(min(held * chunk, post.size), post.size)
            if not read.is_the_video():
                raise ServiceError(
                    f"tiktok: {post.video} is not the video that was to be published", kind="rejected"
                )

    def commit(self, post: Post, handle: Handle) -> Published | None:
        """Send the last chunk, after which TikTok begins to post; what became of it is told later."""
        _, chunks = _chunks_of(handle)
        with read_errors("tiktok", post.video):
            held = self._put(post, handle, chunks - 1, ReadBytes(post))
        if held < chunks:
            raise ServiceError("tiktok: lost a part of the upload", kind="busy")
        return None

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Ask for the post's status; raise NotPublishedError if it failed, or if bytes are missing and can come no more."""
        try:
            told, now = self._status(handle)
        except _UnknownPostError:
            return "gone"
        status = told.get("status")
        if status == "PUBLISH_COMPLETE":
            return _posted(told, handle)
        if status == "SEND_TO_USER_INBOX":
            return Published(remote_id=str(handle.fields["publish_id"]), note=inbox_note(post))
        if status == "FAILED":
            reason = str(told.get("fail_reason") or "no reason given")
            fault = failure_fault(reason)
            words = ": ".join(filter(None, (f"tiktok: the post failed: {reason}", fault.remedy)))
            raise NotPublishedError(words, kind=fault.kind, retry_after=fault.retry_after)
        uploaded = _uploaded(told)
        if status != "PROCESSING_UPLOAD" or (uploaded is not None and uploaded >= post.size):
            return "working"
        left = (handle.expires_at or 0.0) - now
        if left > 0:
            return "open" if uploaded is not None else "uncounted"
        if left > -LATE_SECONDS:
            return "working"  # what arrived in the last moment is counted by then
        if uploaded is None:
            return "gone"
        raise NotPublishedError(
            "tiktok: the address of the upload has expired, and bytes are missing", kind="busy"
        )

    def complete(self, post: Post, published: Published) -> None:
        """Do nothing: the post has everything."""

    def _status(self, handle: Handle) -> tuple[Mapping[str, Any], float]:
        """Return the status of a post, and the time by TikTok's clock."""
        body = {"publish_id": str(handle.fields["publish_id"])}
        answer = self._call("status", "POST", STATUS, body, also_code="invalid_publish_id")
        if error_code(answer) != "ok":
            raise _UnknownPostError("tiktok: does not know the post any longer", kind="busy")
        return _data_of(answer), self._told_time(answer)

    def _told_time(self, answer: ServiceAnswer) -> float:
        """Return the time of an answer by TikTok's clock, so that a wrong one here does no harm."""
        try:
            return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return self.clock()

    def _check_address(self, address: str) -> None:
        """Refuse an upload elsewhere: the video goes there."""
        parts, own = urlsplit(address), urlsplit(self.endpoint)
        at_tiktok = parts.scheme == "https" and (parts.hostname or "").endswith(".tiktokapis.com")
        if (parts.scheme, parts.netloc) != (own.scheme, own.netloc) and not at_tiktok:
            raise ServiceError("tiktok: the answer has no address for the upload", kind="busy")

    def _put(self, post: Post, handle: Handle, number: int, read: ReadBytes) -> int:
        """Send one chunk, numbered from 0, and return how many chunks TikTok holds."""
        chunk, chunks = _chunks_of(handle)
        start, length = chunk_span(number, size=post.size, chunk=chunk, chunks=chunks)
        address = Secret(str(handle.fields["upload_url"]), "the address of the upload")
        request = ServiceRequest(
            url=address.reveal(),
            method="PUT",
            headers={
                "Content-Type": video_type(post.video),
                "Content-Length": str(length),
                "Content-Range": f"bytes {start}-{start + length - 1}/{post.size}",
            },
            parts=lambda: read.parts(start, length),
            accepts=(),
            also_good=(201, 206, 403, 404, 416),
        )
        client = ServiceClient(
            service="tiktok", timeout=self.keys.timeout, meter=Unmetered(), policy=ONCE, secrets=(address,)
        )
        answer = client.ask(request)
        if answer.status in (403, 404):
            raise client.error(
                f"the address of the upload has ended ({answer.status})",
                kind="busy",
                retry_after=LATE_SECONDS,
            )
        if answer.status == 416:
            uploaded = held_by_range(answer.headers.get("content-range"))
            if uploaded is None:
                raise client.error(
                    "the upload stands elsewhere, and the answer does not say where", kind="busy"
                )
            return chunks_held(uploaded, size=post.size, chunk=chunk, chunks=chunks)
        if answer.status not in (201, 206) or (answer.status == 201) != (number == chunks - 1):
            raise client.error(f"got {answer.status} for chunk {number + 1} of {chunks}", kind="busy")
        return number + 1

    def _call(
        self, pace: str, method: str, path: str, body: Mapping[str, Any] | None, *, also_code: str = "ok"
    ) -> ServiceAnswer:
        """Return an answer with the code ok or `also_code`; a token that is refused is replaced, once."""

        def send(token: Secret, *allowed: str) -> ServiceAnswer:
            self._keep_pace(pace)
            client = ServiceClient(
                service="tiktok",
                timeout=self.keys.timeout,
                meter=Unmetered(),
                policy=ONCE,
                secrets=(token,),
            )

            def check(answer: ServiceAnswer) -> None:
                code = error_code(answer)
                if (code == "ok" and answer.status < 300) or code in allowed:
                    return
                kind, words, wait = answer_fault(answer)
                shown = words or "the answer says neither ok nor what is wrong"
                raise client.error(f"{answer.status}: {shown}", kind=kind, retry_after=wait)

            request = ServiceRequest(
                url=f"{self.endpoint}{path}",
                method=method,
                headers={
                    "Content-Type": "application/json; charset=UTF-8",
                    "Authorization": f"Bearer {token.reveal()}",
                },
                body=b"" if body is None else json.dumps(body, ensure_ascii=False).encode(),
                also_good=ERRORS,
            )
            return client.ask(request, check=check)

        token = self.tokens.token()
        answer = send(token, also_code, TOKEN_REFUSED)
        if error_code(answer) == TOKEN_REFUSED:
            answer = send(self.tokens.token(refused=token), also_code)
        return answer

    def _keep_pace(self, what: str) -> None:
        pace = SharedPace(
            folder=self.tokens.files.folder / "tiktok" / ".paces",
            name=f"{self.tokens.name}.{what}",
            most=PACES[what],
            seconds=60.0,
            clock=self.clock,
        )
        if wait := pace.take():
            raise ServiceError(
                f"tiktok: {PACES[what]} requests of this kind were sent within a minute, as many as it takes",
                kind="busy",
                retry_after=wait,
            )


class _UnknownPostError(ServiceError):
    """TikTok does not know the publish_id."""


def _data_of(answer: ServiceAnswer) -> Mapping[str, Any]:
    told = answer.json()
    data = told.get("data") if isinstance(told, Mapping) else None
    if not isinstance(data, Mapping):
        raise ServiceError("tiktok: the answer has no data", kind="busy")
    return data


def _chunks_of(handle: Handle) -> tuple[int, int]:
    return int(handle.fields["chunk"]), int(handle.fields["chunks"])


def _uploaded(told: Mapping[str, Any]) -> int | None:
    found = told.get("uploaded_bytes")
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _posted(told: Mapping[str, Any], handle: Handle) -> Published:
    """Return the post. TikTok names its id (the field is spelt so) only if everybody may see it and it is moderated."""
    ids = told.get("publicaly_available_post_id")
    found = [str(each) for each in ids if each] if isinstance(ids, list) else []
    if not found:
        return Published(
            remote_id=str(handle.fields["publish_id"]),
            note="it is posted; TikTok names no id of a post that is private or still moderated",
        )
    name = str(handle.fields["creator"])
    return Published(
        remote_id=found[0], url=f"https://www.tiktok.com/@{name}/video/{found[0]}" if name else None
    )


def tiktok_scopes(config: Config, account: str) -> tuple[str, ...]:
    """Return what an account is asked to allow: direct posts need one scope more."""
    keys = config.publishing.accounts.tiktok.get(account)
    return DIRECT_SCOPES if keys is not None and keys.mode == "direct" else INBOX_SCOPES


def tiktok_calls(config: Config, account: str) -> TiktokCalls:
    """Return the calls to an account; raise ConfigError if it is not set up. Its first request needs it connected."""
    keys = account_of(config.publishing.accounts.tiktok, account, platform="tiktok")
    place = f"publishing.accounts.tiktok.{account}.endpoint"
    endpoint = checked_endpoint(place, keys.endpoint, has_secret=True)
    tokens = AccountTokens(files=AccountFiles.of(config), platform="tiktok", name=account)
    return TiktokCalls(keys=keys, tokens=tokens, endpoint=endpoint)


PUBLISHER: Final = PublisherRecord(
    name="tiktok", connect=tiktok_calls, rules="tiktok", is_connected=True, options=("privacy",)
)
