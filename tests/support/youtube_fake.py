"""YouTube as Google's discovery document and its pages describe it (youtube.v3, revision 20261104), and Google's OAuth.

The rules of resumable uploads are those of developers.google.com/youtube/v3/guides/using_resumable_upload_protocol.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.discovery import DiscoveryContract
from tests.support.service_fakes import Answer, Asked, ContractError, ServiceFake, Vendor

UNIT = 256 * 1024
CLIENT_ID = "app.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-secret-of-the-app"


@dataclass
class Upload:
    resource: dict[str, Any]
    size: int
    held: bytearray = field(default_factory=bytearray)
    video_id: str = ""


@dataclass
class Video:
    resource: dict[str, Any]
    content: bytes
    thumbnails: list[bytes] = field(default_factory=list)
    captions: list[dict[str, Any]] = field(default_factory=list)


class RefusedError(Exception):
    """An error as Google answers it."""

    def __init__(self, status: int, reason: str, message: str = "no") -> None:
        self.status, self.reason, self.message = status, reason, message


class YoutubeVendor(Vendor):
    """A channel. `refusals` are reasons with which the next requests are refused, by method.

    Before the PUT of the number `ends_before` all upload sessions end.
    """

    def __init__(self) -> None:
        self.contract = DiscoveryContract("youtube.v3")
        self.uploads: dict[str, Upload] = {}
        self.videos: dict[str, Video] = {}
        self.tokens: set[str] = set()
        self.refreshes: set[str] = set()
        self.codes: dict[str, dict[str, str]] = {}
        self.refusals: dict[str, list[tuple[int, str]]] = {}
        self.calls: list[str] = []
        self.refreshed = 0
        self.lifetime = 3600
        self.allows = True
        self.ends_before: int | None = None
        self.url = ""

    def is_work(self, asked: Asked) -> bool:
        return asked.method == "PUT"

    def key_refused(self) -> Answer:
        self.tokens.clear()
        return _error(401, "authError", "Invalid Credentials")

    def throttled(self, headers: dict[str, str]) -> Answer:
        refused = _error(429, "rateLimitExceeded", "slow down")
        return Answer(refused.status, refused.type, refused.body, headers)

    def false_success(self) -> Answer:
        return Answer(200, "application/json", b'{"error": {"code": 500, "message": "backend"}}')

    def new_token(self) -> str:
        token = f"ya29.{secrets.token_hex(16)}"
        self.tokens.add(token)
        return token

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        path = urlsplit(asked.path).path
        if path in ("/auth", "/token", "/revoke"):
            return {"/auth": self._auth, "/token": self._token, "/revoke": self._revoke}[path](asked), 0
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _error(401, "authError", "Invalid Credentials"), 0
        try:
            return (self._put(asked) if asked.method == "PUT" else self._call(asked)), 0
        except RefusedError as error:
            return _error(error.status, error.reason, error.message), 0

    def _call(self, asked: Asked) -> Answer:
        query = {key: values[0] for key, values in parse_qs(urlsplit(asked.path).query).items()}
        body = asked.body
        media = b""
        if query.get("uploadType") == "multipart":
            body, media = _parts(asked)
        method = self.contract.check_request(asked.method, asked.path, body)
        name = method["id"].removeprefix("youtube.")
        self.calls.append(name)
        if waiting := self.refusals.get(name):
            raise RefusedError(*waiting.pop(0))
        if name == "videos.insert":
            return self._begin(asked, query, json.loads(body))
        answers = {
            "thumbnails.set": self._set_thumbnail,
            "captions.list": self._list_captions,
            "captions.insert": self._insert_caption,
            "channels.list": self._list_channels,
            "playlistItems.list": self._list_items,
            "videos.list": self._list_videos,
        }
        told = answers[name](asked, query, body, media)
        self.contract.check_answer(method, told)
        return _json(told)

    def _begin(self, asked: Asked, query: dict[str, str], resource: dict[str, Any]) -> Answer:
        if query.get("uploadType") != "resumable":
            raise ContractError("this fake takes resumable uploads alone")
        if set(query["part"].split(",")) != set(resource):
            raise ContractError(f"part: {query['part']} is not what the body has")
        kind = asked.headers.get("x-upload-content-type", "")
        if not kind.startswith("video/") and kind != "application/octet-stream":
            raise ContractError(f"X-Upload-Content-Type: {kind}")
        _check_texts(resource["snippet"])
        status = resource["status"]
        if "privacyStatus" not in status:
            raise ContractError("without privacyStatus the video would be public")
        if "publishAt" in status:
            datetime.fromisoformat(status["publishAt"])
            if status["privacyStatus"] != "private":
                raise RefusedError(400, "invalidPublishAt")
        session = secrets.token_hex(16)
        self.uploads[session] = Upload(resource, int(asked.headers["x-upload-content-length"]))
        location = f"{self.url}/upload/youtube/v3/videos?uploadType=resumable&upload_id={session}"
        return Answer(200, "text/plain", b"", {"Location": location})

    def _put(self, asked: Asked) -> Answer:
        if self.ends_before is not None:
            self.ends_before -= 1
            if self.ends_before == 0:
                self.uploads.clear()
        upload = self.uploads.get(parse_qs(urlsplit(asked.path).query)["upload_id"][0])
        if upload is None:
            return Answer(404, "text/plain", b"Not Found")
        if waiting := self.refusals.get("put"):
            raise RefusedError(*waiting.pop(0))
        if upload.video_id:
            return _json(self._resource(upload.video_id))
        told = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", asked.headers.get("content-range", ""))
        if told is None or int(told[3]) != upload.size:
            raise ContractError(f"Content-Range: {asked.headers.get('content-range')}")
        length = int(asked.headers["content-length"])
        if told[1] is None:
            if length:
                raise ContractError("a question for the standing has no body")
        else:
            first, last = int(told[1]), int(told[2])
            if first != len(upload.held) or last - first + 1 != length or last >= upload.size:
                raise ContractError(f"{told[0]} with {length} bytes; held are {len(upload.held)}")
            if last + 1 < upload.size and length % UNIT:
                raise ContractError(f"{length} is no multiple of 256 KiB")
            whole = len(asked.body) == length
            upload.held += asked.body if whole else asked.body[: len(asked.body) // UNIT * UNIT]
        if len(upload.held) == upload.size:
            upload.video_id = secrets.token_urlsafe(8)
            self.videos[upload.video_id] = Video(upload.resource, bytes(upload.held))
            return _json(self._resource(upload.video_id))
        held = {"Range": f"bytes=0-{len(upload.held) - 1}"} if upload.held else {}
        return Answer(308, "text/plain", b"", held)

    def _resource(self, video_id: str) -> dict[str, Any]:
        told = {"kind": "youtube#video", "id": video_id, **self.videos[video_id].resource}
        told["status"] = {**told["status"], "uploadStatus": "uploaded"}
        self.contract.check_answer({"response": {"$ref": "Video"}}, told)
        return told

    def _video(self, video_id: str) -> Video:
        if video_id not in self.videos:
            raise RefusedError(404, "videoNotFound")
        return self.videos[video_id]

    def _set_thumbnail(self, asked: Asked, query: dict[str, str], body: bytes, media: bytes) -> Any:
        if asked.headers.get("content-type") not in ("image/jpeg", "image/png"):
            raise ContractError(f"Content-Type: {asked.headers.get('content-type')}")
        self._video(query["videoId"]).thumbnails.append(asked.body)
        return {"kind": "youtube#thumbnailSetResponse", "items": []}

    def _list_captions(self, asked: Asked, query: dict[str, str], body: bytes, media: bytes) -> Any:
        return {"items": [{"snippet": each["snippet"]} for each in self._video(query["videoId"]).captions]}

    def _insert_caption(self, asked: Asked, query: dict[str, str], body: bytes, media: bytes) -> Any:
        resource = json.loads(body)
        snippet = resource["snippet"]
        tracks = self._video(snippet["videoId"]).captions
        if any(each["snippet"]["language"] == snippet["language"] for each in tracks):
            raise RefusedError(409, "captionExists")
        tracks.append({"snippet": {**snippet, "trackKind": "standard"}, "text": media})
        return resource

    def _list_channels(self, asked: Asked, query: dict[str, str], body: bytes, media: bytes) -> Any:
        parts = {
            "snippet": {"title": "Lighthouse Stories"},
            "contentDetails": {"relatedPlaylists": {"uploads": "UUlighthouse"}},
        }
        return {"items": [{"id": "UClighthouse", query["part"]: parts[query["part"]]}]}

    def _list_items(self, asked: Asked, query: dict[str, str], body: bytes, media: bytes) -> Any:
        assert query["playlistId"] == "UUlighthouse"
        count = int(query["maxResults"])
        first = int(query.get("pageToken", "0"))
        newest = list(reversed(self.videos))
        page: dict[str, Any] = {
            "items": [{"contentDetails": {"videoId": each}} for each in newest[first : first + count]]
        }
        if first + count < len(newest):
            page["nextPageToken"] = str(first + count)
        return page

    def _list_videos(self, asked: Asked, query: dict[str, str], body: bytes, media: bytes) -> Any:
        return {"items": [self._resource(each) for each in query["id"].split(",") if each in self.videos]}

    def _auth(self, asked: Asked) -> Answer:
        """Let a person, who is the test, allow the access."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(asked.path).query).items()}
        if query["client_id"] != CLIENT_ID or query["code_challenge_method"] != "S256":
            raise ContractError(f"wrong question: {query}")
        code = secrets.token_hex(8)
        self.codes[code] = query
        told = {"code": code} if self.allows else {"error": "access_denied"}
        back = f"{query['redirect_uri']}?{urlencode({'state': query['state'], **told})}"
        return Answer(302, "text/plain", b"", {"Location": back})

    def _token(self, asked: Asked) -> Answer:
        form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _json({"error": "invalid_client"}, 401)
        told: dict[str, Any] = {"expires_in": self.lifetime, "token_type": "Bearer"}
        if form["grant_type"] == "authorization_code":
            query = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if query is None or query["code_challenge"] != challenge:
                return _json({"error": "invalid_grant"}, 400)
            if query["redirect_uri"] != form["redirect_uri"]:
                return _json({"error": "redirect_uri_mismatch"}, 400)
            refresh = f"1//{secrets.token_hex(16)}"
            self.refreshes.add(refresh)
            told |= {"refresh_token": refresh, "scope": query["scope"], "refresh_token_expires_in": 604_799}
        elif form["refresh_token"] not in self.refreshes:
            return _json({"error": "invalid_grant", "error_description": "Token has been revoked."}, 400)
        else:
            self.refreshed += 1
        return _json({**told, "access_token": self.new_token()})

    def _revoke(self, asked: Asked) -> Answer:
        self.refreshes.discard(parse_qs(asked.body.decode())["token"][0])
        return _json({})


def _check_texts(snippet: dict[str, Any]) -> None:
    title, tags = snippet.get("title", ""), snippet.get("tags", [])
    if not 1 <= len(title) <= 100 or set("<>") & set(title):
        raise RefusedError(400, "invalidTitle")
    if len(snippet.get("description", "").encode()) > 5000:
        raise RefusedError(400, "invalidDescription")
    if sum(len(tag) + 2 * (" " in tag) for tag in tags) + max(0, len(tags) - 1) > 500:
        raise RefusedError(400, "invalidTags")


def _parts(asked: Asked) -> tuple[bytes, bytes]:
    """Return the two parts of a body of the type multipart/related."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + asked.body)
    if message.get_content_type() != "multipart/related":
        raise ContractError(f"Content-Type: {asked.headers['content-type']}")
    found = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]
    if len(found) != 2:
        raise ContractError(f"{len(found)} parts")
    return found[0], found[1]  # type: ignore[return-value]


def _json(told: Any, status: int = 200) -> Answer:
    return Answer(status, "application/json; charset=UTF-8", json.dumps(told).encode())


def _error(status: int, reason: str, message: str) -> Answer:
    each = {"message": message, "domain": "youtube.video", "reason": reason}
    return _json({"error": {"code": status, "message": message, "errors": [each]}}, status)


class YoutubeFake(ServiceFake):
    """The server, with what a test needs of it."""

    vendor: YoutubeVendor

    def __init__(self) -> None:
        super().__init__(YoutubeVendor())
        self.vendor.url = self.url

    def app_file(self, folder: Path) -> Path:
        """Write the file that Google's console offers for an app."""
        file = folder / "client_secret.json"
        app = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "auth_uri": f"{self.url}/auth",
            "token_uri": f"{self.url}/token",
        }
        file.write_text(json.dumps({"installed": app}))
        return file
