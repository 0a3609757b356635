"""The choices of the configuration: one table for each family of interchangeable parts.

To add a member, write its module and one line here: the configuration, its schema, `--help`, `doctor` and error
messages take their names from these tables. docs/adding.md shows how.
"""

from __future__ import annotations

from typing import Final

from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.registry import Family, Member

COMPOSITORS: Final = Family(
    kind="compositor",
    key="video.compositor",
    words=("auto",),
    members=(
        Member(
            "cuda",
            "kernels on an NVIDIA GPU",
            "the native compositor's C++ extension",
            "render.compositors.cuda:BACKEND",
        ),
        Member(
            "native",
            "C++ kernels in this process",
            "its C++ extension, which installing builds if it finds a C++17 compiler",
            "render.compositors.native:BACKEND",
        ),
        Member("ffmpeg", "filter graphs", "the ffmpeg program only", "render.compositors.ffmpeg:BACKEND"),
    ),
)

ENCODERS: Final = Family(
    kind="encoder",
    key="video.codec",
    words=("auto",),
    members=(
        Member(
            "h264_nvenc",
            "an NVIDIA GPU's H.264 encoder",
            "a GPU with NVENC",
            "render.encoders.nvenc:H264_NVENC",
        ),
        Member("libx264", "H.264 on the processor", "PyAV only", "render.encoders.x264:LIBX264"),
        Member(
            "hevc_nvenc",
            "an NVIDIA GPU's HEVC encoder",
            "a GPU with NVENC",
            "render.encoders.nvenc:HEVC_NVENC",
            by_name_only=True,
        ),
        Member(
            "av1_nvenc",
            "an NVIDIA GPU's AV1 encoder",
            "a GPU with NVENC for AV1",
            "render.encoders.nvenc:AV1_NVENC",
            by_name_only=True,
        ),
    ),
)

SPEECH_SERVICES: Final = Family(
    kind="speech service",
    key="tts.service",
    words=("auto", "none"),
    members=(
        Member("hibari", "English, offline", "the package hibari-tts", "assets.speech.hibari:SERVICE"),
        Member(
            "kokoro",
            "Spanish, French, Hindi, Italian, Japanese, Portuguese, Chinese, offline",
            the_extra("voices"),
            "assets.speech.kokoro.narrator:SERVICE",
        ),
        Member(
            "google_tts",
            "Google Cloud",
            "the package httpx",
            "assets.speech.google_tts:SERVICE",
            by_name_only=True,
        ),
        Member(
            "amazon_polly",
            "Amazon",
            "the package httpx",
            "assets.speech.amazon_polly:SERVICE",
            by_name_only=True,
        ),
        Member(
            "azure_speech",
            "Azure",
            "the package httpx",
            "assets.speech.azure_speech:SERVICE",
            by_name_only=True,
        ),
        Member(
            "openai_compatible",
            "any server with OpenAI's speech protocol",
            "the package httpx",
            "assets.speech.openai_compatible:SERVICE",
            by_name_only=True,
        ),
        Member(
            "piper",
            "piper's HTTP server",
            "the package httpx",
            "assets.speech.piper:SERVICE",
            by_name_only=True,
        ),
    ),
)

IMAGE_SERVICES: Final = Family(
    kind="image service",
    key="images.service",
    members=(
        Member("drawn", "drawn backgrounds, offline", "nothing more", "assets.images.drawn:SERVICE"),
        Member(
            "stable_diffusion",
            "Stability AI",
            "the package httpx",
            "assets.images.stable_diffusion:SERVICE",
            by_name_only=True,
        ),
        Member(
            "dalle", "OpenAI", "the package httpx", "assets.images.openai_images:DALLE", by_name_only=True
        ),
        Member(
            "openai_compatible",
            "any server with OpenAI's protocol for pictures",
            "the package httpx",
            "assets.images.openai_images:OPENAI_COMPATIBLE",
            by_name_only=True,
        ),
        Member(
            "automatic1111",
            "AUTOMATIC1111 or Forge",
            "the package httpx",
            "assets.images.automatic1111:SERVICE",
            by_name_only=True,
        ),
        Member("comfyui", "ComfyUI", "the package httpx", "assets.images.comfyui:SERVICE", by_name_only=True),
        Member(
            "pexels",
            "stock pictures and clips",
            "the package httpx",
            "assets.images.pexels:SERVICE",
            by_name_only=True,
        ),
        Member(
            "pixabay",
            "stock pictures and clips",
            "the package httpx",
            "assets.images.pixabay:SERVICE",
            by_name_only=True,
        ),
    ),
)

PUBLISHERS: Final = Family(
    kind="publisher",
    key="publishing.platforms",
    members=(
        Member("folder", "a folder, such as a share", "nothing more", "publish.folder:PUBLISHER"),
        Member("instagram", "Instagram", "the package httpx", "publish.instagram:PUBLISHER"),
        Member(
            "s3",
            "a bucket of S3 or a store like it",
            the_extra("aws"),
            "publish.s3:PUBLISHER",
        ),
        Member("tiktok", "TikTok", "the package httpx", "publish.tiktok:PUBLISHER"),
        Member(
            "webhook", "a URL that is told of the video", "the package httpx", "publish.webhook:PUBLISHER"
        ),
        Member("youtube", "YouTube", "the package httpx", "publish.youtube:PUBLISHER"),
    ),
)

FAMILIES: Final = (COMPOSITORS, ENCODERS, SPEECH_SERVICES, IMAGE_SERVICES, PUBLISHERS)
