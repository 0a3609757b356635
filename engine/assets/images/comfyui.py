"""ComfyUI: a workflow of the user's with placeholders, queued by POST /prompt and fetched when it is done."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from PIL import Image

from video_pipeline.engine.assets.images.answers import decoded_answer_picture
from video_pipeline.engine.assets.images.prompts import prompt_of, size_for
from video_pipeline.engine.assets.images.remote import (
    AskedPicture,
    RemotePainter,
    endpoint_of,
    remote_painter,
)
from video_pipeline.engine.assets.images.service import ImageService, PictureContext, PictureRequest
from video_pipeline.engine.common.cache import key_of
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.errors import ConfigError, ServiceError
from video_pipeline.engine.net.client import (
    Fault,
    ServiceAnswer,
    ServiceClient,
    ServiceRequest,
    service_client,
    usual_fault,
)

NAME: Final = "comfyui"
WORKFLOW_KEY: Final = "images.services.comfyui.workflow"
PLACEHOLDERS: Final = ("prompt", "negative_prompt", "seed", "width", "height")
WORKFLOW_MAX_BYTES: Final = 4 << 20
MULTIPLE: Final = 64
POLL_SECONDS: Final = 0.5
IDS: Final = uuid.UUID("6f0c6a3e-7a55-4f0d-9d83-0d8d5a7e6a10")
"""The namespace of the ids under which pictures are queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComfyUiCalls:
    """Requests to a ComfyUI server.

    A picture is queued under an id of its content, so a render that was killed finds what the server made meanwhile.
    """

    client: ServiceClient
    endpoint: str
    workflow: Mapping[str, Any]
    settings: Images
    service: str = NAME
    model: str = ""

    def prompt(self, request: PictureRequest) -> str:
        """Return the prompt that is sent for a request."""
        return prompt_of(request, self.settings)

    def key(self, request: PictureRequest) -> Mapping[str, Any]:
        """Return everything that the picture depends on."""
        return {"service": NAME, "endpoint": self.endpoint, "graph": self._graph(request)}

    def _graph(self, request: PictureRequest) -> Any:
        megapixels = self.settings.services.comfyui.megapixels
        width, height = size_for(request.frame_px, megapixels=megapixels, multiple=MULTIPLE)
        values = {
            "prompt": self.prompt(request),
            "negative_prompt": self.settings.negative_prompt,
            "seed": request.service_seed,
            "width": width,
            "height": height,
        }
        return filled_workflow(self.workflow, values)

    def ask(self, request: PictureRequest) -> AskedPicture:
        """Return the first picture that the workflow saves."""
        graph = self._graph(request)
        prompt_id = str(uuid.uuid5(IDS, key_of({"graph": graph})))
        entry = self._history(prompt_id)
        if entry is not None:
            try:
                return AskedPicture(self._fetched(entry), request.service_seed)
            except ServiceError as error:
                if error.kind != "rejected":
                    raise
                prompt_id = str(uuid.uuid4())  # it failed then, or its file is gone
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": prompt_id}
        self.client.ask(
            ServiceRequest(
                url=f"{self.endpoint}/prompt",
                headers={"Content-Type": "application/json"},
                body=json.dumps(body, ensure_ascii=False).encode(),
            ),
            check=self._check_queued,
        )
        end = time.monotonic() + self.settings.timeout
        while (entry := self._history(prompt_id)) is None:
            if time.monotonic() >= end:
                raise self.client.error(
                    f"no picture within {self.settings.timeout:g} s (images.timeout)", kind="busy"
                )
            if self.client.stop.wait(POLL_SECONDS):
                raise self.client.error("the render was stopped", kind="denied")
        return AskedPicture(self._fetched(entry), request.service_seed)

    def _check_queued(self, answer: ServiceAnswer) -> None:
        body = answer.json()
        if not isinstance(body, Mapping) or "prompt_id" not in body:
            raise self.client.error("the answer has no prompt_id", kind="busy")

    def _history(self, prompt_id: str) -> Mapping[str, Any] | None:
        """Return what the server says of a workflow that has ended, or None."""
        answer = self.client.ask(
            ServiceRequest(url=f"{self.endpoint}/history/{prompt_id}", method="GET"), check=self._check_object
        )
        entry = answer.json().get(prompt_id)
        return entry if isinstance(entry, Mapping) else None

    def _check_object(self, answer: ServiceAnswer) -> None:
        if not isinstance(answer.json(), Mapping):
            raise self.client.error("the answer is no JSON object", kind="busy")

    def _fetched(self, entry: Mapping[str, Any]) -> Image.Image:
        """Return the first saved picture of a workflow that has ended; raise ServiceError if it failed."""
        status = entry.get("status")
        if isinstance(status, Mapping) and status.get("status_str") == "error":
            raise self.client.error(f"the workflow failed: {_failure(status)}", kind="rejected")
        outputs = entry.get("outputs")
        nodes = outputs.values() if isinstance(outputs, Mapping) else ()
        images = [
            image
            for node in nodes
            if isinstance(node, Mapping)
            for image in node.get("images") or ()
            if isinstance(image, Mapping)
        ]
        saved = [image for image in images if image.get("type") == "output"] or images
        if not saved:
            raise self.client.error("the workflow has ended and saved no picture", kind="rejected")
        query = urlencode({key: str(saved[0].get(key, "")) for key in ("filename", "subfolder", "type")})
        made: list[Image.Image] = []

        def check(answer: ServiceAnswer) -> None:
            made.append(decoded_answer_picture(answer.body, self.client))

        self.client.ask(
            ServiceRequest(url=f"{self.endpoint}/view?{query}", method="GET", accepts=("image/",)),
            check=check,
        )
        return made[-1]


def comfyui_fault(answer: ServiceAnswer) -> Fault:
    """Return what an error means, with the faults of nodes that the server lists."""
    kind, words = usual_fault(answer)
    body = answer.json()
    nodes = body.get("node_errors") if isinstance(body, Mapping) else None
    if isinstance(nodes, Mapping):
        for name, fault in nodes.items():
            errors = fault.get("errors") if isinstance(fault, Mapping) else None
            for error in errors if isinstance(errors, list) else ():
                if isinstance(error, Mapping):
                    words += f"; node {name}: {error.get('message', '')} {error.get('details', '')}".rstrip()
    return kind, words


def _failure(status: Mapping[str, Any]) -> str:
    """Return the message of the exception that ended a workflow."""
    for message in status.get("messages") or ():
        if isinstance(message, list) and len(message) == 2 and message[0] == "execution_error":
            return str(message[1].get("exception_message", "")) if isinstance(message[1], Mapping) else ""
    return "no reason is given"


def filled_workflow(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a workflow with its placeholders replaced; a text that is one placeholder takes the value's type."""
    if isinstance(part, Mapping):
        return {key: filled_workflow(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [filled_workflow(value, values) for value in part]
    if not isinstance(part, str):
        return part
    for name, value in values.items():
        if part.strip() == f"{{{{{name}}}}}":
            return value
    # One pass, so that braces in a prompt are not taken for placeholders.
    pieces = part.split("{{")
    text = pieces[0]
    for piece in pieces[1:]:
        name, closed, rest = piece.partition("}}")
        text += f"{values[name]}{rest}" if closed and name in values else "{{" + piece
    return text


def read_workflow(path: Path | None) -> Mapping[str, Any]:
    """Return a workflow in API format; raise ConfigError that says what is wrong with the file."""
    if path is None:
        raise ServiceError(
            f"{NAME}: no workflow: name a file in {WORKFLOW_KEY}, as ComfyUI exports it in API format",
            kind="denied",
        )
    try:
        with path.open("rb") as file:
            data = file.read(WORKFLOW_MAX_BYTES + 1)
        if len(data) > WORKFLOW_MAX_BYTES:
            raise ConfigError(f"{WORKFLOW_KEY}: {path} is larger than {WORKFLOW_MAX_BYTES >> 20} MiB")
        graph = json.loads(data)
    except OSError as error:
        raise ConfigError(f"{WORKFLOW_KEY}: {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{WORKFLOW_KEY}: {path} is not JSON") from None
    nodes = graph.values() if isinstance(graph, Mapping) else ()
    if not nodes or not all(isinstance(node, Mapping) and "class_type" in node for node in nodes):
        raise ConfigError(
            f"{WORKFLOW_KEY}: {path} is not a workflow in API format; export it in ComfyUI with Export (API)"
        )
    if "{{prompt}}" not in json.dumps(graph):
        raise ConfigError(
            f"{WORKFLOW_KEY}: {path} has no {{{{prompt}}}}; write it where the prompt belongs; also known: "
            + ", ".join(f"{{{{{name}}}}}" for name in PLACEHOLDERS[1:])
        )
    return {str(name): node for name, node in graph.items()}


def comfyui_setup(settings: Images) -> str:
    """Return the address and the workflow."""
    keys = settings.services.comfyui
    read_workflow(keys.workflow)
    return f"no key, {endpoint_of(NAME, keys.endpoint, settings, has_secret=False)}, workflow {keys.workflow}"


def connect_comfyui(settings: Images, context: PictureContext) -> RemotePainter:
    """Return the painter; raise ConfigError for a wrong address or workflow, ServiceError without a workflow."""
    keys = settings.services.comfyui
    calls = ComfyUiCalls(
        client=service_client(NAME, settings, context, fault=comfyui_fault),
        endpoint=endpoint_of(NAME, keys.endpoint, settings, has_secret=False),
        workflow=read_workflow(keys.workflow),
        settings=settings,
    )
    return remote_painter(calls, settings, context)


SERVICE: Final = ImageService(name=NAME, connect=connect_comfyui, setup=comfyui_setup)
