"""The settings of each image service on the network, and the template of prompts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.families import IMAGE_SERVICES
from video_pipeline.engine.config.service_keys import BaseUrl, ServiceWord, key_file_field
from video_pipeline.engine.config.values import LocalPath

if TYPE_CHECKING:
    ImageServiceName = str
else:  # a type checker cannot evaluate the table
    ImageServiceName = Literal[IMAGE_SERVICES.names]

PROMPT_FIELDS: Final = ("title", "scene_title", "genre", "style", "text")
"""What a prompt's template may name in braces."""

_ONE_FIELD: Final = "|".join(PROMPT_FIELDS)
PROMPT_FIELD: Final = re.compile(rf"\{{({_ONE_FIELD})\}}")
_TEMPLATE: Final = rf"^([^{{}}]|\{{({_ONE_FIELD})\}})+$"

DEFAULT_TEMPLATE: Final = (
    '{style}. Illustration for the story "{title}" ({genre}). {scene_title}: {text} '
    "No letters, captions or frames in the picture."
)


def _checked_template(value: str) -> str:
    if not re.search(_TEMPLATE, value):
        raise ValueError(f"allowed: text with {', '.join(f'{{{name}}}' for name in PROMPT_FIELDS)}")
    return value


PromptTemplate = Annotated[
    str,
    AfterValidator(_checked_template),
    Field(min_length=1, max_length=2000, json_schema_extra={"pattern": _TEMPLATE}),
]

StockMedia = Literal["pictures", "clips"]


class StableDiffusionKeys(Section):
    """Stability AI, v2beta."""

    endpoint: BaseUrl = Field("https://api.stability.ai", description="Base URL.")
    key_file: LocalPath | None = key_file_field("STABILITY_API_KEY")
    model: Literal["core", "ultra", "sd3.5-medium", "sd3.5-large", "sd3.5-large-turbo"] = Field(
        "core", description="Model: core, ultra, sd3.5-medium, sd3.5-large or sd3.5-large-turbo."
    )


class DalleKeys(Section):
    """OpenAI's pictures."""

    endpoint: BaseUrl = Field("https://api.openai.com/v1", description="Base URL.")
    key_file: LocalPath | None = key_file_field("OPENAI_API_KEY")
    model: ServiceWord = Field("gpt-image-2.6-flare", description="Model; OpenAI retires models by date.")
    quality: Literal["auto", "low", "medium", "high"] = Field(
        "auto", description="Quality, and so the price."
    )


class OpenAiCompatibleImageKeys(Section):
    """A server with OpenAI's POST /images/generations."""

    endpoint: BaseUrl = Field("http://127.0.0.1:8080/v1", description="Base URL.")
    key_file: LocalPath | None = key_file_field("OPENAI_COMPATIBLE_API_KEY")
    model: ServiceWord | None = Field(None, description="Model that the server knows; null: its own.")
    megapixels: float = Field(1.0, ge=0.1, le=8, description="Size that is asked for.")


class Automatic1111Keys(Section):
    """AUTOMATIC1111's web UI or Forge, started with --api."""

    endpoint: BaseUrl = Field("http://127.0.0.1:7860", description="Base URL.")
    model: ServiceWord | None = Field(None, description="Checkpoint; null: the one that is loaded.")
    steps: int = Field(25, ge=1, le=150, description="Steps of sampling.")
    cfg_scale: float = Field(7.0, ge=0, le=30, description="How closely the prompt is followed.")
    megapixels: float = Field(1.0, ge=0.1, le=8, description="Size that is asked for; 0.4 for SD 1.5.")


class ComfyUiKeys(Section):
    """ComfyUI."""

    endpoint: BaseUrl = Field("http://127.0.0.1:8188", description="Base URL.")
    workflow: LocalPath | None = Field(
        None,
        description="Workflow in API format (JSON) with {{prompt}}, and if it likes {{negative_prompt}}, {{seed}}, {{width}}, {{height}}.",
        strict=False,
    )
    megapixels: float = Field(1.0, ge=0.1, le=8, description="Size for {{width}} and {{height}}.")


class PexelsKeys(Section):
    """Pexels."""

    endpoint: BaseUrl = Field("https://api.pexels.com", description="Base URL.")
    key_file: LocalPath | None = key_file_field("PEXELS_API_KEY")
    media: StockMedia = Field("pictures", description="pictures or clips.")


class PixabayKeys(Section):
    """Pixabay."""

    endpoint: BaseUrl = Field("https://pixabay.com", description="Base URL.")
    key_file: LocalPath | None = key_file_field("PIXABAY_API_KEY")
    media: StockMedia = Field("pictures", description="pictures or clips.")


class ImageServiceKeys(Section):
    """Addresses, models and key files of image services, which a node's operator sets."""

    stable_diffusion: StableDiffusionKeys = Field(
        default_factory=StableDiffusionKeys, description="Stability."
    )
    dalle: DalleKeys = Field(default_factory=DalleKeys, description="OpenAI.")
    openai_compatible: OpenAiCompatibleImageKeys = Field(
        default_factory=OpenAiCompatibleImageKeys, description="OpenAI's protocol."
    )
    automatic1111: Automatic1111Keys = Field(default_factory=Automatic1111Keys, description="AUTOMATIC1111.")
    comfyui: ComfyUiKeys = Field(default_factory=ComfyUiKeys, description="ComfyUI.")
    pexels: PexelsKeys = Field(default_factory=PexelsKeys, description="Pexels.")
    pixabay: PixabayKeys = Field(default_factory=PixabayKeys, description="Pixabay.")
