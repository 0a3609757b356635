"""Instagram's part of Meta's Graph API, its upload host and Facebook Login, as Meta's pages describe them.

Sources, on developers.facebook.com: "Content Publishing" and "IG User Media" (read on 27 November 2026), "Upload Video to Meta
Servers" (15 March 2026), "IG Container" and "IG User Content Publishing Limit" (23 July 2024), "Error Codes" (2 June 2026),
"Long-Lived Access Tokens" (14 September 2022), "debug_token". Which parameters and fields there are comes from Meta's own SDK
(facebook-business 26). No page says what a second `media_publish` of a container answers, nor what the upload host answers to
bytes that begin elsewhere: here it is an error, as public clients of that host report (412, OffsetInvalidError).
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from facebook_business.adobjects.contentpublishinglimitresponse import ContentPublishingLimitResponse
from facebook_business.adobjects.igmedia import IGMedia
from facebook_business.adobjects.iguser import IGUser
from facebook_business.adobjects.shadowigmediabuilder import ShadowIGMediaBuilder

from tests.support.service_fakes import Answer, Asked, ContractError, ServiceFake, Vendor

VERSION = "v26.0"
APP_ID, APP_SECRET = "104729", "a0b1c2-secret-of-the-app"
USER_ID, USERNAME, PERSON_ID = "17841400000000001", "lighthouse_stories", "900001"
DAY = 86_400.0
SCOPES = ["instagram_basic", "instagram_content_publish", "pages_read_engagement", "pages_show_list"]


@dataclass
class Container:
    fields: dict[str, str]
    made_at: float
    size: int = 0
    held: bytearray = field(default_factory=bytearray)
    looks: int = 0
    failure: str = ""
    media_id: str = ""


@dataclass
class Media:
    caption: str
    product: str
    at: float
    content: bytes = b""
    hidden_looks: int = 0
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Token:
    ends_at: float
    issued_at: float
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))


class RefusalError(Exception):
    """An error as the Graph API answers it."""

    def __init__(self, code: int, subcode: int | None = None, words: str = "no", status: int = 400) -> None:
        self.code, self.subcode, self.words, self.status = code, subcode, words, status


class InstagramVendor(Vendor):
    """A professional account.

    A container is processed for `looks` questions. `refusals` are errors with which the next requests of a name (media,
    media_publish, container, limit, upload) are refused. With `breaks_after_publishing` a media_publish is done and answered
    by that error, with `ends_after_publishing` all tokens end by then. `hidden_looks` is how often a new post is missing in the list of posts.
    """

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.medias: dict[str, Media] = {}
        self.tokens: dict[str, Token] = {}
        self.accounts = {USERNAME: USER_ID}
        self.refusals: dict[str, list[RefusalError]] = {}
        self.breaks_after_publishing: RefusalError | None = None
        self.ends_after_publishing = False
        self.calls: list[str] = []
        self.total, self.uses = 50, list[float]()
        self.looks = 1
        self.hidden_looks = 0
        self.renewals = 0
        self.lives = 60 * DAY
        self.ahead = 0.0
        self.url = ""
        self._numbers = 17_900_000_000_000_000
        self._user = IGUser(USER_ID)

    @property
    def now(self) -> float:
        return time.time() + self.ahead

    def is_work(self, asked: Asked) -> bool:
        path = urlsplit(asked.path).path
        return not path.endswith(("/debug_token", "/oauth/access_token", "/me/accounts", "/me/permissions"))

    def key_refused(self) -> Answer:
        return _error(RefusalError(190, 463, "Session has expired", status=401))

    def throttled(self, headers: Any) -> Answer:
        refused = _error(RefusalError(4, None, "Application request limit reached", status=403))
        return Answer(429 if headers else 403, refused.type, refused.body, headers)

    def false_success(self) -> Answer:
        told = {"error": {"code": 2, "message": "Service temporarily unavailable", "is_transient": True}}
        return _json(told)

    def new_token(self, *, lives: float | None = None, **more: Any) -> str:
        token = f"EAAB{secrets.token_hex(20)}"
        self.tokens[token] = Token(self.now + (lives or self.lives), self.now, **more)
        return token

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        parts = urlsplit(asked.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            if parts.path.startswith(f"/ig-api-upload/{VERSION}/"):
                return self._upload(asked, parts.path.rpartition("/")[2]), 0
            if not parts.path.startswith(f"/{VERSION}/"):
                raise ContractError(f"no such address: {parts.path}")
            return _json(self._graph(asked, parts.path.removeprefix(f"/{VERSION}/").rstrip("/"), query)), 0
        except RefusalError as error:
            return _error(error), 0

    def _graph(self, asked: Asked, path: str, query: dict[str, str]) -> dict[str, Any]:
        if path == "debug_token":
            return self._debug(query)
        if path == "oauth/access_token":
            return self._exchange(query)
        form = {
            key: values[0] for key, values in parse_qs(asked.body.decode(), keep_blank_values=True).items()
        }
        token = asked.headers.get("authorization", "").removeprefix("Bearer ") or query.pop(
            "access_token", ""
        )
        token = token or form.pop("access_token", "")
        query.pop("appsecret_proof", None)
        form.pop("appsecret_proof", None)
        self._check_token(token)
        calls = {
            ("GET", "me/accounts"): self._pages,
            ("DELETE", "me/permissions"): self._end_access,
            ("POST", f"{USER_ID}/media"): self._make,
            ("POST", f"{USER_ID}/media_publish"): self._publish,
            ("GET", f"{USER_ID}/media"): self._list_media,
            ("GET", f"{USER_ID}/stories"): self._list_stories,
            ("GET", f"{USER_ID}/content_publishing_limit"): self._limit,
            ("GET", USER_ID): self._whose,
        }
        if call := calls.get((asked.method, path)):
            self._called(path.rpartition("/")[2])
            return call(form if asked.method == "POST" else query)
        if asked.method == "GET" and path in self.containers:
            self._called("container")
            return self._container(self.containers[path], path, query)
        if asked.method == "GET" and path in self.medias:
            self._called("permalink")
            return self._view(path, query["fields"].split(","))
        raise RefusalError(
            100, 33, f"Unsupported {asked.method} request. Object with ID '{path}' does not exist"
        )

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if waiting := self.refusals.get(name):
            raise waiting.pop(0)

    def _check_token(self, token: str) -> None:
        found = self.tokens.get(token)
        if found is None or found.ends_at <= self.now:
            raise RefusalError(190, 463, "Error validating access token: Session has expired", status=401)

    def _new_id(self) -> str:
        self._numbers += 1
        return str(self._numbers)

    def _make(self, form: dict[str, str]) -> dict[str, Any]:
        _check_parameters(self._user.create_media(pending=True), form)
        kind = form.get("media_type")
        if kind not in ("REELS", "STORIES"):
            raise RefusalError(100, 2207023, f"Unknown media type {kind}")
        if (form.get("upload_type") == "resumable") == ("video_url" in form):
            raise RefusalError(100, None, "The parameter video_url is required")
        for name in ("video_url", "cover_url"):
            url = form.get(name, "https://")
            if not url.isascii() or " " in url or not url.startswith("https://"):
                raise RefusalError(9004, 2207052, "The media could not be fetched from this uri")
        caption = form.get("caption", "")
        if kind == "STORIES" and {"caption", "cover_url", "thumb_offset", "share_to_feed"} & set(form):
            raise ContractError("a story has neither a caption nor a cover")
        if len(caption) > 2200:
            raise RefusalError(36004, 2207010, "The caption is too long")
        if caption.count("@") > 20:
            raise RefusalError(110, 2207040, "Cannot use more than 20 tags per created media")
        number = self._new_id()
        self.containers[number] = Container(dict(form), self.now)
        uri = f"{self.url}/ig-api-upload/{VERSION}/{number}"
        return {"id": number, **({"uri": uri} if "upload_type" in form else {})}

    def _upload(self, asked: Asked, number: str) -> Answer:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme != "OAuth":
            raise ContractError(f"Authorization of an upload: {scheme}")
        self._check_token(token)
        self._called("upload")
        container = self.containers[number]
        if "upload_type" not in container.fields:
            raise ContractError("this container fetches its video")
        offset, size = int(asked.headers["offset"]), int(asked.headers["file_size"])
        if int(asked.headers["content-length"]) != size - offset:
            return _upload_error("PartialRequestError", "Partial request (did not match length of file)", 400)
        if offset != len(container.held):
            return _upload_error("OffsetInvalidError", "Request starting offset is invalid", 412)
        container.size = size
        container.held += asked.body
        if len(container.held) < size:
            return _upload_error("PartialRequestError", "Partial request (did not match length of file)", 400)
        return _json({"success": True, "message": "Upload successful."})

    def _status(self, container: Container) -> str:
        if container.media_id:
            return "PUBLISHED"
        if container.failure:
            return "ERROR"
        if self.now - container.made_at >= DAY:
            return "EXPIRED"
        is_there = "video_url" in container.fields or 0 < container.size == len(container.held)
        return "FINISHED" if is_there and container.looks >= self.looks else "IN_PROGRESS"

    def _container(self, container: Container, number: str, query: dict[str, str]) -> dict[str, Any]:
        fields = query["fields"].split(",")
        if unknown := set(fields) - _names(ShadowIGMediaBuilder):
            raise ContractError(f"a container has no {unknown}")
        is_there = "video_url" in container.fields or 0 < container.size == len(container.held)
        container.looks += is_there
        done = "complete" if is_there else "in_progress" if container.held else "not_started"
        told = {
            "id": number,
            "status_code": self._status(container),
            "status": container.failure or "",
            "video_status": {
                "uploading_phase": {"status": done, "bytes_transferred": len(container.held)},
                "processing_phase": {"status": "in_progress" if is_there else "not_started"},
            },
        }
        if "video_url" in container.fields:
            del told["video_status"]
        return {key: value for key, value in told.items() if key in fields}

    def _publish(self, form: dict[str, str]) -> dict[str, Any]:
        _check_parameters(self._user.create_media_publish(pending=True), form)
        container = self.containers.get(form["creation_id"])
        if container is None:
            raise RefusalError(24, 2207006, "The media with this id cannot be found")
        status = self._status(container)
        if status == "EXPIRED":
            raise RefusalError(-2, 2207020, "The media you are trying to access has expired")
        if status == "PUBLISHED":
            raise RefusalError(9007, 2207027, "The media is published already")
        if status != "FINISHED":
            raise RefusalError(9007, 2207027, "The media is not ready to be published")
        recent = [at for at in self.uses if at > self.now - DAY]
        if len(recent) >= self.total:
            raise RefusalError(9, 2207042, "You reached maximum number of posts", status=403)
        container.media_id = self._new_id()
        product = "STORY" if container.fields["media_type"] == "STORIES" else "REELS"
        self.medias[container.media_id] = Media(
            container.fields.get("caption", ""),
            product,
            self.now,
            bytes(container.held),
            self.hidden_looks,
            container.fields,
        )
        self.uses.append(self.now)
        if self.ends_after_publishing:
            self.tokens.clear()
            raise RefusalError(190, 463, "Session has expired", status=401)
        if self.breaks_after_publishing is not None:
            raise self.breaks_after_publishing
        return {"id": container.media_id}

    def _view(self, number: str, fields: list[str]) -> dict[str, Any]:
        if unknown := set(fields) - _names(IGMedia):
            raise ContractError(f"a post has no {unknown}")
        media = self.medias[number]
        told = {
            "id": number,
            "caption": media.caption,
            "timestamp": datetime.fromtimestamp(media.at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "permalink": f"https://www.instagram.com/reel/{number}/",
            "media_product_type": media.product,
        }
        return {key: value for key, value in told.items() if key in fields and (value or key != "caption")}

    def _listed(self, query: dict[str, str], products: tuple[str, ...]) -> dict[str, Any]:
        shown = []
        for number, media in sorted(self.medias.items(), key=lambda each: -each[1].at):
            if media.hidden_looks > 0:
                media.hidden_looks -= 1
            elif media.product in products:
                shown.append(number)
        first, count = int(query.get("after", "0")), int(query.get("limit", "25"))
        page = shown[first : first + count]
        told: dict[str, Any] = {"data": [self._view(number, query["fields"].split(",")) for number in page]}
        if first + count < len(shown):
            told["paging"] = {
                "cursors": {"before": str(first), "after": str(first + count)},
                "next": f"{self.url}/next?access_token=EAABsecret",
            }
        return told

    def _list_media(self, query: dict[str, str]) -> dict[str, Any]:
        return self._listed(query, ("FEED", "REELS"))

    def _list_stories(self, query: dict[str, str]) -> dict[str, Any]:
        return self._listed(query, ("STORY",))

    def _limit(self, query: dict[str, str]) -> dict[str, Any]:
        fields = query.get("fields", "quota_usage").split(",")
        if unknown := set(fields) - _names(ContentPublishingLimitResponse):
            raise ContractError(f"the limit has no {unknown}")
        since = float(query.get("since", self.now - DAY))
        if since < self.now - DAY - 5:
            raise RefusalError(100, None, "since must be no older than 24 hours")
        told = {
            "quota_usage": sum(at >= since for at in self.uses if at > self.now - DAY),
            "config": {"quota_total": self.total, "quota_duration": 86_400},
        }
        return {"data": [{key: value for key, value in told.items() if key in fields}]}

    def _whose(self, query: dict[str, str]) -> dict[str, Any]:
        return {"id": USER_ID, "username": USERNAME}

    def _pages(self, query: dict[str, str]) -> dict[str, Any]:
        pages: list[dict[str, Any]] = [{"id": "555"}]
        for name, number in self.accounts.items():
            pages.append({"id": f"5{number}", "instagram_business_account": {"id": number, "username": name}})
        at = int(query.get("after", "0"))
        told: dict[str, Any] = {"data": [pages[at]]}
        if at + 1 < len(pages):
            told["paging"] = {
                "cursors": {"after": str(at + 1)},
                "next": f"{self.url}/next?access_token=EAABsecret",
            }
        return told

    def _end_access(self, query: dict[str, str]) -> dict[str, Any]:
        self.tokens.clear()
        return {"success": True}

    def _debug(self, query: dict[str, str]) -> dict[str, Any]:
        if query["access_token"] != f"{APP_ID}|{APP_SECRET}":
            raise RefusalError(190, None, "Invalid OAuth access token signature.")
        token = self.tokens.get(query["input_token"])
        if token is None or token.ends_at <= self.now:
            return {"data": {"app_id": APP_ID, "is_valid": False, "scopes": [], "error": {"code": 190}}}
        return {
            "data": {
                "app_id": APP_ID,
                "type": "USER",
                "is_valid": True,
                "expires_at": 0 if token.ends_at == float("inf") else int(token.ends_at),
                "issued_at": int(token.issued_at),
                "scopes": token.scopes,
                "user_id": PERSON_ID,
            }
        }

    def _exchange(self, query: dict[str, str]) -> dict[str, Any]:
        if query["grant_type"] != "fb_exchange_token":
            raise ContractError(f"grant_type {query['grant_type']}")
        if (query["client_id"], query["client_secret"]) != (APP_ID, APP_SECRET):
            raise RefusalError(1, None, "Error validating client secret.")
        self._check_token(query["fb_exchange_token"])
        self.renewals += 1
        token = self.new_token()
        return {"access_token": token, "token_type": "bearer", "expires_in": int(self.lives)}


def _check_parameters(request: Any, form: dict[str, str]) -> None:
    """Refuse a parameter that Meta's SDK does not name, or whose value is of another type."""
    checker = request._param_checker
    for key, value in form.items():
        if not checker.is_valid_key(key):
            raise RefusalError(100, None, f"no parameter {key}")
        if not checker.is_type(checker.get_type(key), value):
            raise RefusalError(100, None, f"{key}: got {value!r}; allowed: {checker.get_type(key)}")


def _names(kind: Any) -> set[str]:
    return {value for key, value in vars(kind.Field).items() if not key.startswith("_")}


def _json(told: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, "application/json; charset=UTF-8", json.dumps(told).encode(), headers or {})


def _error(error: RefusalError) -> Answer:
    told = {"message": error.words, "type": "OAuthException", "code": error.code, "fbtrace_id": "AbCdEf"}
    if error.subcode is not None:
        told |= {"error_subcode": error.subcode, "is_transient": False, "error_user_msg": error.words}
    return _json({"error": told}, error.status)


def _upload_error(kind: str, words: str, status: int) -> Answer:
    return _json({"debug_info": {"retriable": True, "type": kind, "message": words}}, status)


class InstagramFake(ServiceFake):
    """The server, with what a test needs of it."""

    vendor: InstagramVendor

    def __init__(self) -> None:
        super().__init__(InstagramVendor())
        self.vendor.url = self.url
