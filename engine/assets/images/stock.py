"""Pictures and clips of stock libraries, found by a scene's words; authors are credited."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.fetch import Fetcher
from video_pipeline.engine.assets.formats import HEAD_BYTES, suffix_as
from video_pipeline.engine.assets.images.answers import (
    decoded_answer_picture,
    enlarged_still,
    write_noted_png,
)
from video_pipeline.engine.assets.images.prompts import searches_of
from video_pipeline.engine.assets.images.remote import endpoint_of, no_key, ttl_of
from video_pipeline.engine.assets.images.service import (
    ImageService,
    PaintedScene,
    PictureContext,
    PictureRequest,
    UnpaintedError,
)
from video_pipeline.engine.assets.models import PictureOrigin
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.common.cache import DamagedError, key_of
from video_pipeline.engine.common.files import link_or_copy
from video_pipeline.engine.config.image_services import ImageServiceKeys, PexelsKeys, PixabayKeys, StockMedia
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import FetchError, ServiceFault
from video_pipeline.engine.net.addresses import Address, is_public
from video_pipeline.engine.net.client import (
    Fault,
    ServiceAnswer,
    ServiceClient,
    ServiceRequest,
    service_client,
    usual_fault,
)
from video_pipeline.engine.net.endpoint import is_loopback
from video_pipeline.engine.net.one_at_a_time import one_at_a_time
from video_pipeline.engine.net.retry import with_retries
from video_pipeline.engine.net.secret import Secret, find_secret

RESULTS: Final = 20
"""Hits of one search, from which a scene's seed chooses."""

SEARCH_TTL: Final = 24 * 3600.0
"""Seconds for which results are kept at least: Pixabay demands it."""

CLIP_MIN_SECONDS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StockItem:
    """A picture or clip that a search has found: its file, its size in pixels, its author and its page."""

    url: str
    width: int
    height: int
    author: str
    page: str
    seconds: float = 0.0


Orientation = str
"""portrait, landscape or square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockSearch:
    """A search in a library at `endpoint`: words, the frame's orientation and the language of the words (ISO 639-1)."""

    endpoint: str
    secret: Secret
    media: StockMedia
    words: str
    orientation: Orientation
    language: str


StockReader = Callable[[Any, tuple[int, int]], Sequence[StockItem]]
"""Reads an answer for a frame's size; raises KeyError, TypeError or ValueError if it is not of the library's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLibrary:
    """What is particular to a library: its part of the settings, how it is asked, and how its answers are read.

    `variable` is the environment variable of its key.
    """

    service: str
    title: str
    licence: str
    variable: str
    keys: Callable[[ImageServiceKeys], PexelsKeys | PixabayKeys]
    request: Callable[[StockSearch], ServiceRequest]
    pictures: StockReader
    clips: StockReader
    fault: Callable[[ServiceAnswer], Fault] = usual_fault

    def items(self, media: StockMedia) -> StockReader:
        """Return what reads the answers to searches for pictures or clips."""
        return self.clips if media == "clips" else self.pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPainter:
    """Finds pictures or clips in a library. Nothing is paid for."""

    library: StockLibrary
    client: ServiceClient
    context: PictureContext
    endpoint: str
    secret: Secret
    media: StockMedia
    ttl: float
    warnings: tuple[str, ...] = ()

    def make(self, request: PictureRequest, *, only_cached: bool = False) -> PaintedScene:
        """Return the picture or clip that fits a scene's words best."""
        for words in searches_of(request):
            items = self._found(words, request, only_cached=only_cached)
            if items:
                item = items[request.variant % len(items)]
                return self._shown(item, words, request, only_cached=only_cached)
        raise self.client.error("found nothing for the words of the scene", kind="rejected")

    def _found(self, words: str, request: PictureRequest, *, only_cached: bool) -> Sequence[StockItem]:
        """Return what a search finds, from the cache or the library."""
        orientation = _orientation(request.frame_px)
        parts = {
            "service": self.library.service,
            "endpoint": self.endpoint,
            "media": self.media,
            "words": words,
            "orientation": orientation,
            "language": request.language,
            "frame": list(request.frame_px),
        }
        made: list[Sequence[StockItem]] = []

        def check(answer: ServiceAnswer) -> None:
            try:
                made.append(self.library.items(self.media)(answer.json(), request.frame_px))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise self.client.error(
                    f"the answer has not the form of {self.library.title}'s ({type(error).__name__}: {error})",
                    kind="busy",
                ) from None

        def write(target: Path) -> None:
            if only_cached:
                raise UnpaintedError("it is not cached")
            search = StockSearch(
                endpoint=self.endpoint,
                secret=self.secret,
                media=self.media,
                words=words,
                orientation=orientation,
                language=request.language,
            )
            self.client.ask(self.library.request(search), check=check)
            target.write_text(json.dumps([asdict(item) for item in made[-1]]), encoding="utf-8")

        cache = self.context.cache
        with one_at_a_time(cache.folder / "stock" / "locks", key_of(parts)):
            path, _ = cache.get_or_make(
                "stock", parts, ".json", write, ttl=max(self.ttl, SEARCH_TTL), check=_read_items
            )
        return _read_items(path)

    def _shown(
        self, item: StockItem, words: str, request: PictureRequest, *, only_cached: bool
    ) -> PaintedScene:
        """Return the picture or clip of an item, from the cache or the library."""
        is_clip = self.media == "clips"
        parts = {"service": self.library.service, "url": item.url}

        def write(target: Path) -> None:
            if only_cached:
                raise UnpaintedError("it is not cached")
            with tempfile.TemporaryDirectory(prefix="video-pipeline-") as folder:
                file = self._fetched(item.url, Path(folder))
                if is_clip:
                    link_or_copy(file, target)
                else:
                    write_noted_png(decoded_answer_picture(file.read_bytes(), self.client), {}, target)

        cache, kind = self.context.cache, "clips" if is_clip else "answers"
        with one_at_a_time(cache.folder / kind / "locks", key_of(parts)):
            path, _ = cache.get_or_make(
                kind,
                parts,
                ".mp4" if is_clip else ".png",
                write,
                ttl=self.ttl,
                check=_check_clip if is_clip else check_png,
            )
        origin = PictureOrigin(
            service=self.library.service,
            kind="clip" if is_clip else "picture",
            generated=False,
            prompt=words,
            credit=f"{item.author} on {self.library.title}",
            link=item.page,
            licence=self.library.licence,
        )
        return PaintedScene(path if is_clip else enlarged_still(path, request.frame_px, cache), origin)

    def _fetched(self, url: str, folder: Path) -> Path:
        """Download a file. A library on this machine may name this machine; others only public addresses."""
        allow = _is_own if is_loopback(self.endpoint) else is_public
        fetch = Fetcher.of(self.context.node, allow=allow)

        def once() -> Path:
            if self.client.stop.is_set():
                raise self.client.error("the render was stopped", kind="denied")
            try:
                return fetch(url, folder, "video" if self.media == "clips" else "picture")
            except FetchError as error:
                kind: ServiceFault = "busy" if error.kind == "transient" else "rejected"
                raise self.client.error(str(error), kind=kind) from None

        return with_retries(once, policy=self.client.policy, sleep=self.client.stop.wait)


def stock_service(library: StockLibrary) -> ImageService:
    """Return the image service that finds pictures or clips in a library."""

    def address(settings: Images) -> tuple[str, Secret]:
        keys = library.keys(settings.services)
        secret = find_secret(
            f"images.services.{library.service}.key_file", file=keys.key_file, variables=(library.variable,)
        )
        endpoint = endpoint_of(library.service, keys.endpoint, settings, has_secret=True)
        if secret is None:
            raise no_key(library.service, library.variable)
        return endpoint, secret

    def setup(settings: Images) -> str:
        endpoint, secret = address(settings)
        return f"key from {secret.origin}, {endpoint}"

    def connect(settings: Images, context: PictureContext) -> StockPainter:
        endpoint, secret = address(settings)
        return StockPainter(
            library=library,
            client=service_client(library.service, settings, context, secrets=(secret,), fault=library.fault),
            context=context,
            endpoint=endpoint,
            secret=secret,
            media=library.keys(settings.services).media,
            ttl=ttl_of(settings),
        )

    return ImageService(name=library.service, connect=connect, setup=setup)


def smallest_covering(files: Sequence[StockItem], frame_px: tuple[int, int]) -> StockItem:
    """Return the smallest file that covers a frame, or the largest if none does."""
    width, height = frame_px
    enough = [each for each in files if each.width >= width and each.height >= height]
    if enough:
        return min(enough, key=lambda each: each.width * each.height)
    return max(files, key=lambda each: each.width * each.height)


def http_url(value: Any) -> str:
    """Return a value that is an http(s) URL; raise ValueError for another."""
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        raise ValueError("a URL is missing")
    return value


def _orientation(frame_px: tuple[int, int]) -> Orientation:
    width, height = frame_px
    return "square" if width == height else "portrait" if height > width else "landscape"


def _is_own(address: Address) -> bool:
    return address.is_loopback


def _read_items(path: Path) -> list[StockItem]:
    """Return the items of a cached search; raise DamagedError."""
    try:
        return [StockItem(**item) for item in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise DamagedError(str(error)) from error


def _check_clip(path: Path) -> None:
    """Raise DamagedError for a file that does not begin as a clip."""
    with path.open("rb") as file:
        try:
            suffix_as("video", file.read(HEAD_BYTES))
        except ValueError as error:
            raise DamagedError(str(error)) from error
