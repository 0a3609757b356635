"""The section `images`: pictures for scenes without an image or video."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from video_pipeline.engine.common.pictures import PictureStyleChoice
from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.families import IMAGE_SERVICES
from video_pipeline.engine.config.image_services import (
    DEFAULT_TEMPLATE,
    PROMPT_FIELDS,
    ImageServiceKeys,
    ImageServiceName,
    PromptTemplate,
)
from video_pipeline.engine.config.service_keys import ServiceName


class Images(Section):
    """Pictures for scenes without an image or video."""

    service: ServiceName = Field("drawn", description=f"{IMAGE_SERVICES.summary()}.")
    style: PictureStyleChoice = Field(
        "auto",
        description="What is drawn: auto by the scene's words; genre by the story's genre alone; or one style for all.",
    )
    meaning: bool = Field(
        False,
        description="Draw what a scene is about if its words name no place or subject (extra `meaning`, 16 languages).",
    )
    api_endpoint: str | None = Field(
        None,
        description="Base URL of `service`, before that of images.services; Stability's /v1 is taken as its /v2beta.",
    )
    max_retries: int = Field(3, ge=0, le=100, description="Retries of a request to a service.")
    timeout: float = Field(
        180, gt=0, description="Seconds that one answer of a service may take; pictures can take minutes."
    )
    fallback_enabled: bool = Field(
        True, description="Draw a picture if a service fails; otherwise that is an error."
    )
    fallback: tuple[ImageServiceName, ...] = Field(
        ("drawn",),
        description="Services that are asked, in this order, if the one before fails; in the end pictures are drawn.",
        strict=False,
    )
    prompt_template: PromptTemplate = Field(
        DEFAULT_TEMPLATE,
        description=f"Prompt of a scene without an image_prompt; {', '.join(PROMPT_FIELDS)} in braces.",
    )
    prompt_style: str = Field(
        "Cinematic, detailed, natural light",
        max_length=500,
        description="Words for {style} in the prompt: the look of all generated pictures.",
    )
    negative_prompt: str = Field(
        "text, letters, watermark, logo, frame, blurry, deformed",
        max_length=2000,
        description="What a picture shall not show, for services that take it.",
    )
    parallel_requests: int = Field(2, ge=1, le=32, description="Requests to a service at once in one render.")
    max_pictures: int = Field(
        100, ge=0, le=1_000_000, description="Pictures that one render may pay services for."
    )
    max_pictures_per_day: int = Field(
        500,
        ge=0,
        le=1_000_000_000,
        description="Pictures that all renders of one user or node may pay services for in a day (UTC).",
    )
    services: ImageServiceKeys = Field(
        default_factory=ImageServiceKeys, description="Settings of each service."
    )
    cache_enabled: bool = Field(True, description="Off: pictures are made again in each render.")
    cache_ttl: float = Field(604800, ge=0, description="Seconds a cached picture is kept (7 days).")
    max_megapixels: float = Field(
        200, gt=0, le=1000, description="Largest picture accepted; larger ones are rejected before decoding."
    )
    max_frames: int = Field(
        3000,
        ge=1,
        le=100_000,
        description="Most frames of a moving picture (GIF, APNG, WebP, AVIF) that is a clip.",
    )
    max_moving_megapixels: float = Field(
        2000, gt=0, le=100_000, description="Most megapixels of all frames of a moving picture together."
    )
    focus: Literal["auto", "center"] = Field(
        "auto",
        description="What cropping and zooming keep in view of a picture without a focus of its own: its subject, if one is found, or the center.",
    )
