"""Pexels: GET /v1/search and /v1/videos/search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from video_pipeline.engine.assets.images.stock import (
    CLIP_MIN_SECONDS,
    RESULTS,
    StockItem,
    StockLibrary,
    StockSearch,
    http_url,
    smallest_covering,
    stock_service,
)
from video_pipeline.engine.net.client import ServiceRequest

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


def pexels_request(search: StockSearch) -> ServiceRequest:
    """Return the request of a search."""
    path = "/v1/videos/search" if search.media == "clips" else "/v1/search"
    query = {"query": search.words, "orientation": search.orientation, "per_page": RESULTS}
    if search.language in LOCALES:
        query["locale"] = LOCALES[search.language]
    return ServiceRequest(
        url=f"{search.endpoint}{path}?{urlencode(query)}",
        method="GET",
        headers={"Authorization": search.secret.reveal()},
    )


SERVICE: Final = stock_service(
    StockLibrary(
        service="pexels",
        title="Pexels",
        licence="https://www.pexels.com/license/",
        variable="PEXELS_API_KEY",
        keys=lambda services: services.pexels,
        request=pexels_request,
        pictures=pexels_pictures,
        clips=pexels_clips,
    )
)
