"""Deliver to S3 or a store that speaks its protocol, under keys made of the video's hash.

A video appears by one request (the multipart upload's completion, or one put), which is refused if the key exists. Parts that
a killed process has sent are found again by listing the key's uploads.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.config.publishing import S3Account
from video_pipeline.engine.errors import ServiceError, ServiceFault
from video_pipeline.engine.net.endpoint import checked_endpoint
from video_pipeline.engine.publish.base import (
    Handle,
    OnSent,
    Post,
    Published,
    PublisherRecord,
    Standing,
    account_of,
)
from video_pipeline.engine.publish.read_bytes import is_the_video

PART_BYTES: Final = 8 << 20
MOST_PARTS: Final = 9_000
"""S3 takes 10,000 parts of at least 5 MiB."""

HASH_KEY: Final = "video-sha256"
DAY_SECONDS: Final = 86_400
BUSY_CODES: Final = frozenset(
    {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "Throttling"}
)
DENIED_CODES: Final = frozenset(
    {
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "AllAccessDisabled",
        "NoSuchBucket",
    }
)
ABSENT_CODES: Final = frozenset({"404", "NoSuchKey", "NotFound"})
EXISTS_CODES: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


def part_bytes(size: int) -> int:
    """Return the size of the parts of an upload: 8 MiB, or as many whole MiB as keep their number allowed."""
    mebibytes = -(-size // (MOST_PARTS << 20))
    return max(PART_BYTES, mebibytes << 20)


@dataclass(frozen=True, slots=True)
class S3Calls:
    """Delivers into one bucket; `client` is botocore's."""

    client: Any
    account: S3Account

    def plan(self, post: Post) -> list[str]:
        """Return the requests for an upload, and the files that follow."""
        key = self._key(post, post.video.name)
        parts = -(-post.size // part_bytes(post.size))
        how = f"PUT s3://{self.account.bucket}/{key} ({post.size} bytes, If-None-Match: *)"
        if parts > 1:
            how = f"PUT {parts} parts of s3://{self.account.bucket}/{key}, then complete (If-None-Match: *)"
        return [
            how,
            *(f"PUT s3://{self.account.bucket}/{self._key(post, name)}" for name, _ in self._more(post)),
        ]

    def prepare(self, post: Post) -> Handle:
        """Choose the key."""
        return Handle(fields={"key": self._key(post, post.video.name)})

    def send(self, post: Post, handle: Handle, *, on_sent: OnSent) -> None:
        """Send the parts that the store does not have yet; a small video is sent by `commit`."""
        if not is_the_video(post):
            raise ServiceError(f"s3: {post.video} is not the video that was to be delivered", kind="rejected")
        if post.size <= PART_BYTES:
            return
        key = str(handle.fields["key"])
        with _told():
            upload = (
                self._upload(key)
                or self.client.create_multipart_upload(
                    Bucket=self.account.bucket,
                    Key=key,
                    ContentType="video/mp4",
                    Metadata={HASH_KEY: post.sha256},
                )["UploadId"]
            )
            length = part_bytes(post.size)
            held = {part["PartNumber"]: part["Size"] for part in self._parts(key, upload)}
            with post.video.open("rb") as file:
                for number, start in enumerate(range(0, post.size, length), start=1):
                    size = min(length, post.size - start)
                    if held.get(number) != size:
                        file.seek(start)
                        body = file.read(size)
                        self.client.upload_part(
                            Bucket=self.account.bucket,
                            Key=key,
                            UploadId=upload,
                            PartNumber=number,
                            Body=body,
                            ContentMD5=_md5(body),
                        )
                    on_sent(start + size, post.size)
            if post.mark is not None and not is_the_video(post):
                raise ServiceError(f"s3: {post.video} changed while it was sent", kind="rejected")

    def commit(self, post: Post, handle: Handle) -> Published | None:
        """Let the video appear, unless the key exists."""
        key = str(handle.fields["key"])
        with _told():
            try:
                if post.size <= PART_BYTES:
                    self._put(key, post.video, post, only_new=True)
                else:
                    self._finish(key)
            except self.client.exceptions.ClientError as error:
                if _code(error) not in EXISTS_CODES:
                    raise
        found = self.ask(post, handle)
        if isinstance(found, Published):
            return found
        raise ServiceError(f"s3: {key} exists and is another file", kind="rejected")

    def _finish(self, key: str) -> None:
        upload = self._upload(key)
        if upload is None:
            raise ServiceError(f"s3: the upload of {key} is gone", kind="busy")
        parts = [
            {"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in self._parts(key, upload)
        ]
        self.client.complete_multipart_upload(
            Bucket=self.account.bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )

    def ask(self, post: Post, handle: Handle) -> Published | Standing:
        """Return whether the key has the video, by its size and hash."""
        key = str(handle.fields["key"])
        with _told():
            try:
                head = self.client.head_object(Bucket=self.account.bucket, Key=key)
            except self.client.exceptions.ClientError as error:
                if _code(error) not in ABSENT_CODES:
                    raise
                return "open"
        if head["ContentLength"] != post.size or head.get("Metadata", {}).get(HASH_KEY) != post.sha256:
            raise ServiceError(f"s3: {key} exists and is another file", kind="rejected")
        names = (post.video.name, *(name for name, _ in self._more(post)))
        files = {name: self._url(self._key(post, name)) for name in names}
        return Published(remote_id=key, url=self._url(key), files=files)

    def complete(self, post: Post, published: Published) -> None:
        """Put the thumbnail, the subtitles and the post's texts beside the video."""
        with _told():
            for name, body in self._more(post):
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                self.client.put_object(
                    Bucket=self.account.bucket,
                    Key=self._key(post, name),
                    Body=body,
                    ContentType=kind,
                    ContentMD5=_md5(body),
                )

    def quota(self) -> None:
        """Return None: a bucket has no limit of its own."""

    def _put(self, key: str, file: Path, post: Post, *, only_new: bool) -> None:
        body = file.read_bytes()
        self.client.put_object(
            Bucket=self.account.bucket,
            Key=key,
            Body=body,
            ContentType="video/mp4",
            ContentMD5=_md5(body),
            Metadata={HASH_KEY: post.sha256},
            **({"IfNoneMatch": "*"} if only_new else {}),
        )

    def _more(self, post: Post) -> Iterator[tuple[str, bytes]]:
        for file in filter(None, (post.thumbnail, post.subtitles)):
            yield file.name, file.read_bytes()
        yield "post.json", post.shown().encode()

    def _key(self, post: Post, name: str) -> str:
        return f"{self.account.prefix}{post.sha256}/{name}"

    def _url(self, key: str) -> str:
        if self.account.url is not None:
            return self.account.url.replace("{key}", key)
        if self.account.presign_days is not None:
            signed: str = self.client.generate_presigned_url(
                "get_object",
                Params={"Bucket": self.account.bucket, "Key": key},
                ExpiresIn=int(self.account.presign_days * DAY_SECONDS),
            )
            return signed
        return f"s3://{self.account.bucket}/{key}"

    def _upload(self, key: str) -> str | None:
        """Return the latest unfinished upload of a key, None if there is none."""
        found = self.client.list_multipart_uploads(Bucket=self.account.bucket, Prefix=key)
        uploads = [each for each in found.get("Uploads", ()) if each["Key"] == key]
        return max(uploads, key=lambda each: each["Initiated"])["UploadId"] if uploads else None

    def _parts(self, key: str, upload: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        marker = 0
        while True:
            found = self.client.list_parts(
                Bucket=self.account.bucket, Key=key, UploadId=upload, PartNumberMarker=marker
            )
            parts += found.get("Parts", ())
            if not found.get("IsTruncated"):
                return sorted(parts, key=lambda part: int(part["PartNumber"]))
            marker = found["NextPartNumberMarker"]


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn botocore's errors into ServiceError; it puts no key into them."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = _code(error)
        kind: ServiceFault = "rejected"
        if code in DENIED_CODES or status in (401, 403):
            kind = "denied"
        elif code in BUSY_CODES or status >= 500 or status in (408, 429):
            kind = "busy"
        words = error.response.get("Error", {}).get("Message") or code
        raise ServiceError(f"s3: {status} {code}: {words}", kind=kind) from None
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ServiceError(f"s3: {error}", kind="denied") from None
    except BotoCoreError as error:
        raise ServiceError(f"s3: {error}", kind="busy") from None
    except OSError as error:
        raise ServiceError(f"s3: {error.filename or 'the video'}: {error.strerror}", kind="busy") from error


def _connect_s3(settings: Config, account: str) -> S3Calls:
    from botocore.config import Config as ClientConfig
    from botocore.exceptions import BotoCoreError

    keys = account_of(settings.publishing.accounts.s3, account, platform="s3")
    place = f"publishing.accounts.s3.{account}"
    endpoint = (
        checked_endpoint(f"{place}.endpoint", keys.endpoint, has_secret=False) if keys.endpoint else None
    )
    # Stores other than Amazon's may not know the checksums that newer versions of botocore add.
    config = ClientConfig(
        signature_version="s3v4",
        connect_timeout=10,
        read_timeout=keys.timeout,
        retries={"mode": "standard", "max_attempts": 3},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if keys.endpoint else "auto"},
    )
    try:
        session = _session(keys)
        client = session.create_client(
            "s3",
            region_name=keys.region or session.get_config_variable("region") or "us-east-1",
            endpoint_url=endpoint,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise ServiceError(f"s3: {place}: {error}", kind="denied") from None
    return S3Calls(client, keys)


def _session(keys: S3Account) -> Any:
    import botocore.session

    return botocore.session.Session(profile=keys.profile)


def _lacks_keys(settings: Config, account: str) -> str | None:
    keys = account_of(settings.publishing.accounts.s3, account, platform="s3")
    from botocore.exceptions import BotoCoreError

    try:
        if _session(keys).get_credentials() is not None:
            return None
    except BotoCoreError as error:
        return f"no keys: {error}"
    return (
        "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile in "
        f"publishing.accounts.s3.{account}.profile, or give the machine a role"
    )


PUBLISHER: Final = PublisherRecord(name="s3", connect=_connect_s3, finds_by_content=True, lacks=_lacks_keys)
