"""Pixabay: GET /api/ and /api/videos/, with the key in the query."""

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
from video_pipeline.engine.net.client import Fault, ServiceAnswer, ServiceRequest, usual_fault

LANGUAGES: Final = frozenset(
    [
        "cs",
        "da",
        "de",
        "en",
        "es",
        "fr",
        "id",
        "it",
        "hu",
        "nl",
        "no",
        "pl",
        "pt",
        "ro",
        "sk",
        "fi",
        "sv",
        "tr",
        "vi",
        "th",
        "bg",
        "ru",
        "el",
        "ja",
        "ko",
        "zh",
    ]
)
ORIENTATIONS: Final = {"portrait": "vertical", "landscape": "horizontal", "square": "all"}
SIZES: Final = ("large", "medium", "small", "tiny")
LARGE_PX: Final = 1280
"""The longer side of `largeImageURL`; larger files need full access."""


def pixabay_pictures(body: Any, frame_px: tuple[int, int]) -> Sequence[StockItem]:
    """Return the pictures of an answer, each in the largest file that it has."""
    del frame_px
    found = []
    for hit in body["hits"]:
        width, height = int(hit["imageWidth"]), int(hit["imageHeight"])
        original = hit.get("imageURL")
        scale = 1.0 if original else min(1.0, LARGE_PX / max(width, height))
        found.append(
            StockItem(
                url=http_url(original or hit["largeImageURL"]),
                width=round(width * scale),
                height=round(height * scale),
                author=str(hit["user"]),
                page=http_url(hit["pageURL"]),
            )
        )
    return found


def pixabay_clips(body: Any, frame_px: tuple[int, int]) -> Sequence[StockItem]:
    """Return the clips of an answer whose shape fits the frame, each in the smallest file that covers it."""
    found: list[StockItem] = []
    others: list[StockItem] = []
    for hit in body["hits"]:
        sizes = [hit["videos"][name] for name in SIZES if hit["videos"].get(name, {}).get("url")]
        files = [
            StockItem(
                url=http_url(size["url"]),
                width=int(size["width"]),
                height=int(size["height"]),
                author=str(hit["user"]),
                page=http_url(hit["pageURL"]),
                seconds=float(hit["duration"]),
            )
            for size in sizes
        ]
        if files and float(hit["duration"]) >= CLIP_MIN_SECONDS:
            clip = smallest_covering(files, frame_px)
            fits = (clip.width > clip.height) == (frame_px[0] > frame_px[1])
            (found if fits else others).append(clip)
    return found or others


def pixabay_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means: a wrong key is a 400 in plain text."""
    if answer.status == 400 and b"API key" in answer.body:
        return "denied", ""
    return usual_fault(answer)


def pixabay_request(search: StockSearch) -> ServiceRequest:
    """Return the request of a search."""
    query = {"key": search.secret.reveal(), "q": search.words, "safesearch": "true", "per_page": RESULTS}
    if search.media == "pictures":
        query |= {"image_type": "photo", "orientation": ORIENTATIONS[search.orientation]}
    if search.language in LANGUAGES:
        query["lang"] = search.language
    path = "/api/videos/" if search.media == "clips" else "/api/"
    return ServiceRequest(url=f"{search.endpoint}{path}?{urlencode(query)}", method="GET")


SERVICE: Final = stock_service(
    StockLibrary(
        service="pixabay",
        title="Pixabay",
        licence="https://pixabay.com/service/license-summary/",
        variable="PIXABAY_API_KEY",
        keys=lambda services: services.pixabay,
        request=pixabay_request,
        pictures=pixabay_pictures,
        clips=pixabay_clips,
        fault=pixabay_fault,
    )
)
