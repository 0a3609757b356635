"""Vendors of pictures whose fakes hold requests against the vendors' contracts.

OpenAI's contract is not ours: it is the types of the package openai. The others publish no such contract, or none that a
package holds; their fakes follow documents: Stability's types as generated from its OpenAPI (tadasant/mcp-server-stability-ai,
December 2024), AUTOMATIC1111's txt2img as randombits.dev shows it, ComfyUI's server.py, the pages pixabay.com/api/docs and
pexels.com/api/documentation (read in November 2026).
"""

from __future__ import annotations

import base64
import email
import email.policy
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image, ImageDraw

from tests.support.samples import clip
from tests.support.service_fakes import Answer, Asked, ContractError, Vendor

PICTURE_KEY = "sk-pic-0123456789abcdefGHIJ"
SHRINK = 4
"""The fakes' pictures are smaller than asked for by this factor, so that tests are quick."""


def drawing(width: int, height: int, seed: int, form: str = "PNG") -> bytes:
    """Return a picture that differs with each seed."""
    image = Image.radial_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 3, height // 3), fill=(seed * 37 % 256, seed * 91 % 256, 120))
    data = io.BytesIO()
    image.save(data, form)
    return data.getvalue()


def black(width: int = 64, height: int = 112) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, "PNG")
    return data.getvalue()


def as_json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, "application/json", json.dumps(body).encode(), headers or {})


class PictureVendor(Vendor):
    """A vendor that may also refuse or filter pictures. `told` is what an error about a filtered one says."""

    filters = False
    told = ""

    def is_filtered(self) -> bool:
        """Whether the next picture is filtered."""
        return self.filters


class Stability(PictureVendor):
    name = "stable_diffusion"
    told = r"the picture was filtered \(CONTENT_FILTERED\)"
    aspects = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")
    fields = ("prompt", "negative_prompt", "aspect_ratio", "seed", "output_format", "style_preset", "model", "mode",
              "cfg_scale")  # fmt: skip

    def key_refused(self) -> Answer:
        return as_json(401, {"id": "1", "name": "unauthorized", "errors": [f"key {PICTURE_KEY} is wrong"]})

    def false_success(self) -> Answer:
        return Answer(200, "image/png", b'{"finish_reason": "SUCCESS"}', {"finish-reason": "SUCCESS"})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.headers.get("authorization") != f"Bearer {PICTURE_KEY}":
            return self.key_refused(), 0
        found = re.fullmatch(r"/v2beta/stable-image/generate/(core|sd3|ultra)", asked.path)
        if found is None:
            return as_json(404, {"id": "1", "name": "not_found", "errors": [asked.path]}), 0
        kind = asked.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data") or asked.headers.get("accept") != "image/*":
            raise ContractError("multipart/form-data and Accept: image/* are required")
        form = email.message_from_bytes(
            b"Content-Type: " + kind.encode() + b"\r\n\r\n" + asked.body, policy=email.policy.HTTP
        )
        given = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
            for part in form.walk()
            if not part.is_multipart()
        }
        if unknown := set(given) - set(self.fields):
            raise ContractError(f"no such fields: {unknown}")
        if not 1 <= len(given["prompt"]) <= 10_000 or given["aspect_ratio"] not in self.aspects:
            raise ContractError("prompt or aspect_ratio")
        if not 0 <= int(given["seed"]) <= 4294967294 or given["output_format"] not in ("png", "jpeg", "webp"):
            raise ContractError("seed or output_format")
        if (found[1] == "sd3") != ("model" in given):
            raise ContractError("model belongs to sd3 alone")
        if "weapon" in given["prompt"]:
            return as_json(
                403, {"id": "1", "name": "content_moderation", "errors": ["Your request was flagged"]}
            ), 0
        reason = "CONTENT_FILTERED" if self.is_filtered() else "SUCCESS"
        headers = {"finish-reason": reason, "seed": given["seed"], "x-request-id": "7"}
        return Answer(200, "image/png", drawing(192, 336, int(given["seed"])), headers), 1


class OpenAiPictures(PictureVendor):
    """OpenAI's and other servers' POST /images/generations."""

    name = "openai_compatible"
    told = "moderation_blocked"

    def __init__(self) -> None:
        from openai.types import ImageGenerateParams, ImagesResponse
        from openai.types.image_generate_params import ImageGenerateParamsBase
        from pydantic import TypeAdapter

        self.names = {*ImageGenerateParamsBase.__annotations__, "stream"}
        self.adapter: TypeAdapter[Any] = TypeAdapter(ImageGenerateParams)
        self.response = ImagesResponse

    def key_refused(self) -> Answer:
        return as_json(
            401, {"error": {"message": f"Incorrect API key: {PICTURE_KEY}", "code": "invalid_api_key"}}
        )

    def false_success(self) -> Answer:
        return as_json(200, {"created": 1, "data": []})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        from pydantic import ValidationError

        if asked.headers.get("authorization") != f"Bearer {PICTURE_KEY}":
            return self.key_refused(), 0
        if asked.path != "/v1/images/generations":
            return as_json(404, {"error": {"message": "no such path"}}), 0
        given = json.loads(asked.body)
        try:
            self.adapter.validate_python(given)
        except ValidationError as error:
            raise ContractError(str(error)) from error
        if unknown := set(given) - self.names:
            raise ContractError(f"ImageGenerateParams has no {unknown}")
        model = given.get("model", "")
        width, height = self._checked_size(model, given.get("size", "1024x1024"))
        if model.startswith("gpt-image") and "response_format" in given:
            raise ContractError("response_format is not for GPT image models")
        if not model.startswith("gpt-image") and {"output_format", "moderation"} & set(given):
            raise ContractError("output_format is for GPT image models alone")
        if self.is_filtered():
            body = {
                "error": {"message": "moderation_blocked: the safety system", "code": "moderation_blocked"}
            }
            return as_json(400, body), 0
        picture = base64.b64encode(drawing(width // SHRINK, height // SHRINK, len(given["prompt"]))).decode()
        body = {"created": 1, "data": [{"b64_json": picture}]}
        self.response.model_validate(body)
        return as_json(200, body), 1

    @staticmethod
    def _checked_size(model: str, size: str) -> tuple[int, int]:
        width, height = (int(side) for side in size.split("x"))
        sizes = {
            "dall-e-3": {"1024x1024", "1792x1024", "1024x1792"},
            "gpt-image-1.5": {"1024x1024", "1536x1024", "1024x1536"},
        }
        if model in sizes and size not in sizes[model]:
            raise ContractError(f"{model}: {size}")
        if model.startswith("gpt-image-2") and (
            width % 16 or height % 16 or not 1 / 3 <= width / height <= 3 or width * height > 2560 * 1440
        ):
            raise ContractError(f"{model}: {size}")
        return width, height


class Dalle(OpenAiPictures):
    name = "dalle"


class Automatic1111(PictureVendor):
    name = "automatic1111"
    told = "of one colour"
    known = ("prompt", "negative_prompt", "seed", "steps", "cfg_scale", "width", "height", "n_iter", "batch_size",
             "sampler_name", "override_settings")  # fmt: skip

    def key_refused(self) -> Answer:
        return as_json(401, {"detail": "Not authenticated"})

    def false_success(self) -> Answer:
        return as_json(200, {"images": [base64.b64encode(b"no picture").decode()], "info": "{}"})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.path != "/sdapi/v1/txt2img":
            return as_json(404, {"detail": "Not Found"}), 0
        given = json.loads(asked.body)
        if set(given) - set(self.known):
            raise ContractError(f"txt2img: {sorted(given)}")
        if given["width"] % 8 or given["height"] % 8:
            raise ContractError("sides are multiples of 8")
        size = given["width"] // SHRINK, given["height"] // SHRINK
        picture = black() if self.is_filtered() else drawing(*size, given["seed"])
        info = json.dumps({"seed": given["seed"]})
        return as_json(
            200, {"images": [base64.b64encode(picture).decode()], "parameters": given, "info": info}
        ), 0


class ComfyUi(PictureVendor):
    """A server with one workflow of three nodes; it says that a picture is done at the second poll."""

    name = "comfyui"
    told = "of one colour"

    def __init__(self) -> None:
        self.done: dict[str, bytes] = {}
        self.polls: dict[str, int] = {}
        self.fails = ""
        self.slow = 1

    def key_refused(self) -> Answer:
        return as_json(401, {"error": "a proxy asks for a password"})

    def false_success(self) -> Answer:
        return as_json(200, {"number": 1})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        if path == "/prompt":
            return self._queued(json.loads(asked.body))
        if path.startswith("/history/"):
            return as_json(200, self._history(path.removeprefix("/history/"))), 0
        if path == "/view":
            if query["type"] != ["output"]:
                raise ContractError("the preview was asked for")
            picture = self.done.get(query["filename"][0].removesuffix(".png"))
            return (Answer(200, "image/png", picture) if picture else Answer(404, "text/plain", b"")), 0
        return Answer(404, "text/plain", b""), 0

    def _queued(self, given: dict[str, Any]) -> tuple[Answer, int]:
        graph = given["prompt"]
        if "{{" in json.dumps(graph) or not isinstance(graph["3"]["inputs"]["seed"], int):
            body = {
                "error": {
                    "type": "prompt_outputs_failed_validation",
                    "message": "Prompt outputs failed validation",
                },
                "node_errors": {
                    "3": {"errors": [{"message": "Failed to convert", "details": "seed, {{seeds}}"}]}
                },
            }
            return as_json(400, body), 0
        size = graph["5"]["inputs"]
        seed = graph["3"]["inputs"]["seed"]
        picture = drawing(size["width"] // SHRINK, size["height"] // SHRINK, seed)
        self.done[given["prompt_id"]] = black() if self.is_filtered() else picture
        self.polls[given["prompt_id"]] = 0
        return as_json(200, {"prompt_id": given["prompt_id"], "number": 1, "node_errors": {}}), 0

    def _history(self, prompt_id: str) -> dict[str, Any]:
        if prompt_id not in self.done:
            return {}
        self.polls[prompt_id] += 1
        if self.polls[prompt_id] <= self.slow:
            return {}
        if self.fails:
            messages = [["execution_error", {"exception_message": self.fails}]]
            return {prompt_id: {"outputs": {}, "status": {"status_str": "error", "messages": messages}}}
        images = [
            {"filename": "preview.png", "subfolder": "", "type": "temp"},
            {"filename": f"{prompt_id}.png", "subfolder": "", "type": "output"},
        ]
        status = {"status_str": "success", "completed": True, "messages": []}
        return {prompt_id: {"outputs": {"9": {"images": images}}, "status": status}}


class StockVendor(PictureVendor):
    """A library of six pictures and clips. `work` says which requests meet faults: searches or downloads."""

    work = "search"
    none_for = ""

    def is_work(self, asked: Asked) -> bool:
        return asked.path.startswith("/files/") == (self.work == "files")

    def false_success(self) -> Answer:
        return as_json(200, {"error": "maintenance"})

    def file(self, asked: Asked) -> Answer:
        if PICTURE_KEY in str(asked.headers) or PICTURE_KEY in asked.path:
            raise ContractError("the key was sent with a download")
        number = int(re.findall(r"\d+", asked.path)[0])
        if asked.path.endswith(".mp4"):
            return Answer(200, "video/mp4", clip())
        return Answer(200, "image/jpeg", drawing(240, 360, number, "JPEG"))


class Pexels(StockVendor):
    name = "pexels"

    def key_refused(self) -> Answer:
        return as_json(401, {"status": 401, "code": f"Unauthorized {PICTURE_KEY}"})

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.path.startswith("/files/"):
            return self.file(asked), 0
        if asked.headers.get("authorization") != PICTURE_KEY:
            return self.key_refused(), 0
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        known = {"query", "orientation", "size", "locale", "page", "per_page"}
        if set(query) - known or query["orientation"][0] not in ("portrait", "landscape", "square"):
            raise ContractError(f"pexels: {query}")
        base = f"http://{asked.headers['host']}/files"
        count = 0 if query["query"][0] == self.none_for else 6
        if path == "/v1/search":
            photos = [
                {"id": at, "width": 4000, "height": 6000, "url": f"https://www.pexels.com/photo/{at}/",
                 "photographer": f"Ann {at}", "photographer_url": "https://www.pexels.com/@ann",
                 "src": {"original": f"{base}/{at}.jpeg", "large2x": f"{base}/{at}.jpeg?dpr=2"}}
                for at in range(count)
            ]  # fmt: skip
            return as_json(200, {"page": 1, "per_page": 20, "photos": photos, "total_results": count}), 0
        if path != "/v1/videos/search":
            raise ContractError(f"no such path: {path}")
        videos = [
            {"id": at, "width": 1080, "height": 1920, "duration": 12, "url": f"https://www.pexels.com/video/{at}/",
             "user": {"id": 1, "name": f"Ann {at}", "url": "https://www.pexels.com/@ann"},
             "video_files": [
                 {"id": 1, "quality": "hls", "file_type": "application/x-mpegURL", "width": None, "height": None,
                  "link": f"{base}/{at}.m3u8"},
                 {"id": 2, "quality": "sd", "file_type": "video/mp4", "width": 360, "height": 640,
                  "link": f"{base}/{at}-sd.mp4"},
                 {"id": 3, "quality": "uhd", "file_type": "video/mp4", "width": 2160, "height": 3840,
                  "link": f"{base}/{at}-uhd.mp4"},
             ]}
            for at in range(count)
        ]  # fmt: skip
        return as_json(200, {"page": 1, "per_page": 20, "videos": videos}), 0


class Pixabay(StockVendor):
    name = "pixabay"

    def key_refused(self) -> Answer:
        return Answer(400, "text/plain", f"[ERROR 400] Invalid or missing API key {PICTURE_KEY}".encode())

    def throttled(self, headers: Mapping[str, str]) -> Answer:
        return Answer(429, "text/html", b"<html>Too many requests</html>", headers)

    def answer(self, asked: Asked) -> tuple[Answer, int]:
        if asked.path.startswith("/files/"):
            return self.file(asked), 0
        path, query = urlsplit(asked.path).path, parse_qs(urlsplit(asked.path).query)
        if query.get("key") != [PICTURE_KEY]:
            return self.key_refused(), 0
        known = {"key", "q", "lang", "image_type", "orientation", "safesearch", "per_page"}
        if set(query) - known or len(query["q"][0]) > 100 or not 3 <= int(query["per_page"][0]) <= 200:
            raise ContractError(f"pixabay: {query}")
        if query.get("orientation", ["all"])[0] not in ("all", "horizontal", "vertical"):
            raise ContractError(f"pixabay: {query}")
        base = f"http://{asked.headers['host']}/files"
        count = 0 if query["q"][0] == self.none_for else 6
        page = "https://pixabay.com/photos/id-"
        if path == "/api/":
            hits = [
                {"id": at, "pageURL": f"{page}{at}/", "largeImageURL": f"{base}/{at}.jpg", "imageWidth": 4000,
                 "imageHeight": 6000, "user": f"Ann {at}", "webformatURL": f"{base}/{at}_640.jpg"}
                for at in range(count)
            ]  # fmt: skip
        elif path == "/api/videos/":
            hits = [
                {"id": at, "pageURL": f"{page}{at}/", "duration": 12, "user": f"Ann {at}",
                 "videos": {
                     "large": {"url": "", "width": 0, "height": 0, "size": 0},
                     "medium": {"url": f"{base}/{at}_medium.mp4", "width": 1080, "height": 1920, "size": 9},
                     "small": {"url": f"{base}/{at}_small.mp4", "width": 360, "height": 640, "size": 9},
                 }}
                for at in range(count)
            ]  # fmt: skip
        else:
            raise ContractError(f"no such path: {path}")
        return as_json(200, {"total": count, "totalHits": count, "hits": hits}), 0


PICTURE_VENDORS: dict[str, Callable[[], PictureVendor]] = {
    each.name: each for each in (Stability, Dalle, OpenAiPictures, Automatic1111, ComfyUi, Pexels, Pixabay)
}
STOCK = ("pexels", "pixabay")
