"""TikTok's Content Posting API and Login Kit for Desktop as its pages describe them.

Sources, on developers.tiktok.com: Direct Post (2026-08-24), Upload, Query Creator Info, Get Post Status (2026-08-04), Media
Transfer Guide (read 2026-11-27), Login Kit for Desktop, Get, Refresh and Revoke a User Access Token (2026-11-02). No machine
readable contract exists. That OAuth's errors come with the status 200 is told by users of the sandbox alone. On 2026-11-29
the public clients tiktok-studio-mcp 0.1.4 (refresh, inbox) and reeln-plugin-tiktok 0.4.0 (creator, direct post) succeeded on
it, and failed on it with plans of chunks that TikTok's guide forbids.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.service_fakes import Answer, Asked, ContractError, ServiceFake, Vendor

CLIENT_KEY = "awclientkey"
CLIENT_SECRET = "secret-of-the-tiktok-app"
INBOX, DIRECT = "/v2/post/publish/inbox/video/init/", "/v2/post/publish/video/init/"
STATUS, CREATOR = "/v2/post/publish/status/fetch/", "/v2/post/publish/creator_info/query/"
LIMITS = {INBOX: 6, DIRECT: 6, STATUS: 30, CREATOR: 20}
SCOPES = {INBOX: "video.upload", DIRECT: "video.publish", CREATOR: "video.publish", STATUS: "video.upload"}
LEVELS = ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "FOLLOWER_OF_CREATOR", "SELF_ONLY")
POST_KEYS = {
    "title": str,
    "privacy_level": str,
    "disable_duet": bool,
    "disable_stitch": bool,
    "disable_comment": bool,
    "video_cover_timestamp_ms": int,
    "brand_content_toggle": bool,
    "brand_organic_toggle": bool,
    "is_aigc": bool,
}


@dataclass
class Draft:
    """A post that was begun. `left` is how often it is still processed when its status is asked for."""

    publish_id: str
    info: dict[str, Any] | None
    size: int
    chunk: int
    chunks: int
    ends_at: float
    left: int
    fails: str = ""
    held: bytearray = field(default_factory=bytearray)

    @property
    def is_whole(self) -> bool:
        return len(self.held) == self.size


class TiktokVendor(Vendor):
    """A creator's account. `refusals` are statuses and codes of the next requests, by path.

    `fails` are the reasons for which the next posts fail. `ends_before` is the number of the PUT before which all addresses
    end, `expires_before` that before which all access tokens do. `down` lasts until that time.
    """

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.tokens: dict[str, tuple[float, frozenset[str]]] = {}
        self.refreshes: dict[str, frozenset[str]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.refusals: dict[str, list[tuple[int, str]]] = {}
        self.fails: list[str] = []
        self.calls: list[str] = []
        self.times: dict[str, list[float]] = {}
        self.over_pace = 0
        self.refreshed = 0
        self.puts = 0
        self.ends_before: int | None = None
        self.expires_before: int | None = None
        self.down = 0.0
        self.processing = 1
        self.counts_bytes = True
        self.moderated = True
        self.longest = 300
        self.levels: tuple[str, ...] = ("PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY")
        self.stitch_disabled = True
        self.megabyte = 1_000_000
        self.refresh_lifetime = 365 * 86_400 - 1
        self.allows = True
        self.clock: Callable[[], float] = time.time
        self.url = ""

    @property
    def posts(self) -> list[Draft]:
        """The posts of which all bytes have arrived and that have not failed."""
        return [each for each in self.drafts.values() if each.is_whole and not each.fails]

    def is_work(self, asked: Asked) -> bool:
        return asked.method == "PUT" or asked.path.startswith("/v2/post/")

    def key_refused(self) -> Answer:
        self.tokens.clear()
        return _refusal(401, "access_token_invalid")

    def throttled(self, headers: dict[str, str]) -> Answer:
        refused = _refusal(429, "rate_limit_exceeded")
        return Answer(refused.status, refused.type, refused.body, headers)

    def false_success(self) -> Answer:
        return _refusal(200, "internal_error")

    def new_token(self, scopes: frozenset[str], *, lives: float = 86_400) -> str:
        token = f"act.{secrets.token_hex(16)}"
        self.tokens[token] = (self.clock() + lives, scopes)
        return token

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        path = urlsplit(asked.path).path
        if self.clock() < self.down:
            return Answer(503, "text/html", b"<html>unavailable</html>"), 0
        oauth = {
            "/v2/auth/authorize/": self._auth,
            "/v2/oauth/token/": self._token,
            "/v2/oauth/revoke/": self._revoke,
        }
        if path in oauth:
            return oauth[path](asked), 0
        return (self._put(asked) if asked.method == "PUT" else self._call(asked, path)), 0

    def _call(self, asked: Asked, path: str) -> Answer:
        self.calls.append(path)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        ends_at, scopes = self.tokens.get(token, (0.0, frozenset()))
        if ends_at <= self.clock():
            return _refusal(401, "access_token_invalid")
        if path == "/v2/user/info/":
            if "user.info.basic" not in scopes:
                return _refusal(401, "scope_not_authorized")
            return _success({"user": {"open_id": "o-1", "display_name": "Lighthouse Stories"}})
        if asked.method != "POST" or path not in LIMITS:
            raise ContractError(f"{asked.method} {path}")
        if asked.headers.get("content-type", "").lower().partition(";")[0] != "application/json":
            raise ContractError(f"Content-Type: {asked.headers.get('content-type')}")
        if SCOPES[path] not in scopes:
            return _refusal(401, "scope_not_authorized")
        recent = [each for each in self.times.get(path, []) if each > self.clock() - 60]
        self.times[path] = [*recent, self.clock()]
        if len(recent) >= LIMITS[path]:
            self.over_pace += 1
            return _refusal(429, "rate_limit_exceeded")
        if waiting := self.refusals.get(path):
            return _refusal(*waiting.pop(0))
        body = json.loads(asked.body or b"{}")
        if path == STATUS:
            return self._status(body)
        if path == CREATOR:
            return _success(
                {
                    "creator_username": "lighthouse",
                    "creator_nickname": "Lighthouse Stories",
                    "creator_avatar_url": "https://p16.tiktokcdn.com/a.webp",
                    "privacy_level_options": list(self.levels),
                    "comment_disabled": False,
                    "duet_disabled": False,
                    "stitch_disabled": self.stitch_disabled,
                    "max_video_post_duration_sec": self.longest,
                }
            )
        return self._begin(body, is_direct=path == DIRECT)

    def _begin(self, body: dict[str, Any], *, is_direct: bool) -> Answer:
        source = body.get("source_info", {})
        if set(body) != ({"post_info", "source_info"} if is_direct else {"source_info"}):
            raise ContractError(f"init: {sorted(body)}")
        if source.get("source") != "FILE_UPLOAD" or set(source) != {
            "source",
            "video_size",
            "chunk_size",
            "total_chunk_count",
        }:
            raise ContractError(f"source_info: {source}")
        size, chunk, chunks = (source[key] for key in ("video_size", "chunk_size", "total_chunk_count"))
        self._check_chunks(size, chunk, chunks)
        if is_direct and (refused := self._refused_info(body["post_info"])):
            return _refusal(*refused)
        pending = [each for each in self.drafts.values() if each.info is None and not each.fails]
        if not is_direct and len(pending) >= 5:
            return _refusal(403, "spam_risk_too_many_pending_share")
        publish_id = f"v_{'pub' if is_direct else 'inbox'}_file~v2.{len(self.drafts) + 1}"
        draft = Draft(
            publish_id,
            body.get("post_info"),
            size,
            chunk,
            chunks,
            self.clock() + 3600,
            self.processing,
            self.fails.pop(0) if self.fails else "",
        )
        self.drafts[publish_id] = draft
        token = secrets.token_hex(16)
        address = f"{self.url}/video/?{urlencode({'upload_id': publish_id, 'upload_token': token})}"
        assert len(publish_id) <= 64
        assert len(address) <= 256
        return _success({"publish_id": publish_id, "upload_url": address})

    def _check_chunks(self, size: int, chunk: int, chunks: int) -> None:
        """Hold a plan against the guide, in the stricter of the two sizes of a megabyte."""
        small, large = self.megabyte * 1.048576, self.megabyte
        if chunks != max(1, size // chunk) or not 1 <= chunks <= 1000:
            raise ContractError(f"total_chunk_count: {chunks} for {size} in {chunk}")
        if chunks == 1:
            if chunk != size or size > 64 * large:
                raise ContractError(f"one chunk of {chunk} for {size}")
        elif not 5 * small <= chunk <= 64 * large or size - (chunks - 1) * chunk > 128 * large:
            raise ContractError(f"chunk_size: {chunk} for {size}")

    def _refused_info(self, info: dict[str, Any]) -> tuple[int, str] | None:
        for key, value in info.items():
            if key not in POST_KEYS or not isinstance(value, POST_KEYS[key]):
                raise ContractError(f"post_info: {key}: {value!r}")
        if len(info.get("title", "").encode("utf-16-le")) // 2 > 2200:
            return 400, "invalid_param"
        if info.get("privacy_level") not in self.levels:
            return 403, "privacy_level_option_mismatch"
        if "brand_content_toggle" not in info:
            return 400, "invalid_param"
        return None

    def _put(self, asked: Asked) -> Answer:
        self.puts += 1
        if self.expires_before == self.puts:
            self.tokens.clear()
        if self.ends_before == self.puts:
            for each in self.drafts.values():
                each.ends_at = 0.0
        if "authorization" in asked.headers:
            raise ContractError("the address of the upload is signed: the token has no place there")
        if waiting := self.refusals.get("put"):
            return Answer(waiting.pop(0)[0], "text/plain", b"")
        draft = self.drafts.get(parse_qs(urlsplit(asked.path).query)["upload_id"][0])
        if draft is None:
            return Answer(404, "text/plain", b"")
        if draft.ends_at <= self.clock():
            return Answer(403, "text/plain", b"")
        if asked.headers.get("content-type") not in ("video/mp4", "video/quicktime", "video/webm"):
            raise ContractError(f"Content-Type: {asked.headers.get('content-type')}")
        told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", asked.headers.get("content-range", ""))
        if told is None or int(told[3]) != draft.size:
            raise ContractError(f"Content-Range: {asked.headers.get('content-range')}")
        first, last = int(told[1]), int(told[2])
        number = first // draft.chunk
        is_last = number >= draft.chunks - 1
        length = draft.size - first if is_last else draft.chunk
        if last - first + 1 != length or int(asked.headers["content-length"]) != length:
            raise ContractError(f"chunk {number}: {told[0]} with {asked.headers['content-length']} bytes")
        if len(asked.body) != length:
            return Answer(400, "text/plain", b"")
        if first != len(draft.held):
            return Answer(416, "text/plain", b"", self._range(draft))
        draft.held += asked.body
        return Answer(201 if draft.is_whole else 206, "text/plain", b"", self._range(draft))

    @staticmethod
    def _range(draft: Draft) -> dict[str, str]:
        return {"Content-Range": f"bytes 0-{max(0, len(draft.held) - 1)}/{draft.size}"}

    def _status(self, body: dict[str, Any]) -> Answer:
        if set(body) != {"publish_id"}:
            raise ContractError(f"status: {body}")
        draft = self.drafts.get(body["publish_id"])
        if draft is None:
            return _refusal(400, "invalid_publish_id")
        told: dict[str, Any] = {"fail_reason": "", "publicaly_available_post_id": []}
        if self.counts_bytes:
            told["uploaded_bytes"] = len(draft.held)
        if not draft.is_whole or draft.left > 0:
            draft.left -= draft.is_whole
            return _success({**told, "status": "PROCESSING_UPLOAD"})
        if draft.fails:
            return _success({**told, "status": "FAILED", "fail_reason": draft.fails})
        if draft.info is None:
            return _success({**told, "status": "SEND_TO_USER_INBOX"})
        if self.moderated and draft.info["privacy_level"] == "PUBLIC_TO_EVERYONE":
            told["publicaly_available_post_id"] = [7_400_000_000_000_000_000 + len(self.drafts)]
        return _success({**told, "status": "PUBLISH_COMPLETE"})

    def _auth(self, asked: Asked) -> Answer:
        """Let a person, who is the test, allow the access."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(asked.path).query).items()}
        if query.get("client_key") != CLIENT_KEY or query.get("response_type") != "code":
            raise ContractError(f"wrong question: {query}")
        if not re.fullmatch(r"http://(127\.0\.0\.1|localhost):\d+/callback/", query["redirect_uri"]):
            raise ContractError(f"redirect_uri: {query['redirect_uri']} is not registered")
        if query.get("code_challenge_method") != "S256" or len(query["code_challenge"]) != 64:
            raise ContractError(f"code_challenge: {query.get('code_challenge')}")
        code = secrets.token_hex(8)
        self.codes[code] = query
        told = {"code": code, "scopes": query["scope"]} if self.allows else {"error": "access_denied"}
        back = f"{query['redirect_uri']}?{urlencode({'state': query['state'], **told})}"
        return Answer(302, "text/plain", b"", {"Location": back})

    def _token(self, asked: Asked) -> Answer:
        form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
        if (form.get("client_key"), form.get("client_secret")) != (CLIENT_KEY, CLIENT_SECRET):
            return _oauth_error("invalid_client")
        if form["grant_type"] == "authorization_code":
            query = self.codes.pop(form["code"], None)
            if query is None or query["redirect_uri"] != form["redirect_uri"]:
                return _oauth_error("invalid_grant")
            if hashlib.sha256(form["code_verifier"].encode()).hexdigest() != query["code_challenge"]:
                return _oauth_error("invalid_request", "Code verifier or code challenge is invalid.")
            scopes = frozenset(query["scope"].split(","))
        else:
            if form["refresh_token"] not in self.refreshes:
                return _oauth_error("invalid_grant", "Refresh token is invalid or expired.")
            scopes = self.refreshes.pop(form["refresh_token"])
            self.refreshed += 1
        refresh = f"rft.{secrets.token_hex(16)}"
        self.refreshes[refresh] = scopes
        told = {
            "access_token": self.new_token(scopes),
            "expires_in": 86_400,
            "open_id": "o-1",
            "refresh_token": refresh,
            "refresh_expires_in": self.refresh_lifetime,
            "scope": ",".join(sorted(scopes)),
            "token_type": "Bearer",
        }
        return Answer(200, "application/json", json.dumps(told).encode())

    def _revoke(self, asked: Asked) -> Answer:
        form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
        if (form.get("client_key"), form.get("client_secret")) != (CLIENT_KEY, CLIENT_SECRET):
            return _oauth_error("invalid_client")
        if self.tokens.pop(form["token"], (0.0,))[0] <= self.clock():
            return _oauth_error("invalid_request", "access token is invalid")
        self.refreshes.clear()
        return Answer(200, "application/json", b"{}")


def _success(data: dict[str, Any]) -> Answer:
    return _told(200, {"data": data, "error": {"code": "ok", "message": "", "log_id": "2026"}})


def _refusal(status: int, code: str) -> Answer:
    return _told(status, {"data": {}, "error": {"code": code, "message": "no", "log_id": "2026"}})


def _oauth_error(error: str, words: str = "") -> Answer:
    return _told(200, {"error": error, "error_description": words, "log_id": "2026"})


def _told(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, "application/json; charset=utf-8", json.dumps(body).encode())


class TiktokFake(ServiceFake):
    """The server, with what a test needs of it. The dates of its answers are by the vendor's clock."""

    vendor: TiktokVendor

    def __init__(self) -> None:
        super().__init__(TiktokVendor())
        self.vendor.url = self.url

    def serve(self, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        handler.date_time_string = (  # type: ignore[method-assign]
            lambda timestamp=None: formatdate(self.vendor.clock(), usegmt=True)
        )
        super().serve(asked, handler)

    def app_file(self, folder: Path) -> Path:
        """Write the file of the app's key and secret."""
        file = folder / "tiktok.json"
        app = {
            "client_key": CLIENT_KEY,
            "client_secret": CLIENT_SECRET,
            "auth_uri": f"{self.url}/v2/auth/authorize/",
            "token_uri": f"{self.url}/v2/oauth/token/",
        }
        file.write_text(json.dumps(app))
        return file
