"""Pexels: GET /v1/search and /v1/videos/search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from video_pipeline.engine.assets.images.remote import endpoint_of, no_key, picture_client, ttl_of
from video_pipeline.engine.assets.images.service import ImageService, PictureContext
from video_pipeline.engine.assets.images.stock import (
    CLIP_MIN_SECONDS,
    RESULTS,
    StockItem,
    StockLibrary,
    StockPainter,
    http_url,
    smallest_covering,
)
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.net.client import ServiceRequest
from video_pipeline.engine.net.secret import Secret, find_secret

NAME: Final = "pexels"
VARIABLE: Final = "PEXELS_API_KEY"
LICENCE: Final = "https://www.pexels.com/license/"
LOCALES: Final = {
    "en": "en-US", "pt": "pt-BR", "es": "es-ES", "ca": "ca-ES", "de": "de-DE", "it": "it-IT", "fr": "fr-FR",
    "sv": "sv-SE", "id": "id-ID", "pl": "pl-PL", "ja": "ja-JP", "zh": "zh-CN", "ko": "ko-KR", "th": "th-TH",
    "nl": "nl-NL", "hu": "hu-HU", "vi": "vi-VN", "cs": "cs-CZ", "da": "da-DK", "fi": "fi-FI", "uk": "uk-UA",
    "el": "el-GR", "ro": "ro-RO", "nb": "nb-NO", "no": "nb-NO", "sk": "sk-SK", "tr": "tr-TR", "ru": "ru-RU",
}  # fmt: skip
"""Pexels' locales by language."""


def pexels_pictures(body: Any, frame_px: tuple[int, int]) -> Sequence[StockItem]:
    """Return the pictures of an answer, each as it was uploaded."""
    del frame_px  # smaller ones than the original are made for thumbnails
    return [
        StockItem(
            url=http_url(photo["src"]["original"]),
            width=int(photo["width"]),
            height=int(photo["height"]),
            author=str(photo["photographer"]),
            page=http_url(photo["url"]),
        )
        for photo in body["photos"]
    ]


def pexels_clips(body: Any, frame_px: tuple[int, int]) -> Sequence[StockItem]:
    """Return the clips of an answer, each in the smallest file that covers the frame."""
    found = []
    for video in body["videos"]:
        files = [
            StockItem(
                url=http_url(file["link"]),
                width=int(file["width"]),
                height=int(file["height"]),
                author=str(video["user"]["name"]),
                page=http_url(video["url"]),
                seconds=float(video["duration"]),
            )
            for file in video["video_files"]
            if file.get("file_type") == "video/mp4" and file.get("width") and file.get("height")
        ]
        if files and float(video["duration"]) >= CLIP_MIN_SECONDS:
            found.append(smallest_covering(files, frame_px))
    return found


def _pexels_address(settings: Images) -> tuple[str, Secret]:
    keys = settings.services.pexels
    secret = find_secret("images.services.pexels.key_file", file=keys.key_file, variables=(VARIABLE,))
    endpoint = endpoint_of(NAME, keys.endpoint, settings, has_secret=True)
    if secret is None:
        raise no_key(NAME, VARIABLE)
    return endpoint, secret


def pexels_setup(settings: Images) -> str:
    """Return the address and where the key comes from."""
    endpoint, secret = _pexels_address(settings)
    return f"key from {secret.origin}, {endpoint}"


def connect_pexels(settings: Images, context: PictureContext) -> StockPainter:
    """Return what finds pictures or clips; raise ConfigError for a wrong address, ServiceError without a key."""
    endpoint, secret = _pexels_address(settings)
    media = settings.services.pexels.media
    path = "/v1/videos/search" if media == "clips" else "/v1/search"

    def request(words: str, orientation: str, language: str) -> ServiceRequest:
        query = {"query": words, "orientation": orientation, "per_page": RESULTS}
        if language in LOCALES:
            query["locale"] = LOCALES[language]
        return ServiceRequest(
            url=f"{endpoint}{path}?{urlencode(query)}",
            method="GET",
            headers={"Authorization": secret.reveal()},
        )

    library = StockLibrary(
        service=NAME,
        title="Pexels",
        licence=LICENCE,
        request=request,
        items=pexels_clips if media == "clips" else pexels_pictures,
    )
    return StockPainter(
        library=library,
        client=picture_client(NAME, settings, context, secrets=(secret,)),
        context=context,
        endpoint=endpoint,
        media=media,
        ttl=ttl_of(settings),
    )


SERVICE: Final = ImageService(name=NAME, connect=connect_pexels, setup=pexels_setup)
