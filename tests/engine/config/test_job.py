"""The part of the configuration that a job may set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.errors import ConfigError

NODE = load_config({"video": {"fps": 25, "crf": 30}, "storage": {"output_path": "/videos"}}, environ=False)


def test_a_jobs_configuration_overrides_only_its_own_keys() -> None:
    merged = job_config(NODE, {"video": {"fps": 50}, "scenes": {"text_size": 60}})
    assert (merged.video.fps, merged.video.crf, merged.scenes.text_size) == (50, 30, 60)
    assert merged.storage.output_path == Path("/videos")
    assert job_config(NODE, {}) is NODE


@pytest.mark.parametrize("shape", [{"fps": 50}, {"video_pipeline": {"video": {"fps": 50}}}])
def test_other_shapes_of_the_original_format_are_accepted(shape: dict[str, Any]) -> None:
    assert job_config(NODE, shape).video.fps == 50


@pytest.mark.parametrize("section", ["node", "processing", "storage"])
def test_the_nodes_own_sections_are_refused(section: str) -> None:
    with pytest.raises(ConfigError, match=f"{section}: is set by the node's operator; allowed: audio"):
        job_config(NODE, {section: {}})


def test_a_wrong_key_is_named() -> None:
    with pytest.raises(ConfigError, match="fps"):
        job_config(NODE, {"video": {"fps": 1000}})


def test_a_job_may_not_raise_the_limit_of_pictures() -> None:
    assert job_config(NODE, {"images": {"max_megapixels": 10}}).images.max_megapixels == 10
    with pytest.raises(ConfigError, match="at most 200"):
        job_config(NODE, {"images": {"max_megapixels": 900}})


def test_a_job_may_not_raise_the_limit_of_gpu_memory() -> None:
    assert job_config(NODE, {"video": {"gpu_memory_mb": 500}}).video.gpu_memory_mb == 500
    with pytest.raises(ConfigError, match=r"video\.gpu_memory_mb: got 2001; allowed here: 64 to 2000"):
        job_config(NODE, {"video": {"gpu_memory_mb": 2001}})


@pytest.mark.parametrize(
    "key", ["max_characters", "max_characters_per_day", "parallel_requests", "max_retries"]
)
def test_a_job_may_lower_what_it_spends_and_not_raise_it(key: str) -> None:
    limit = getattr(NODE.tts, key)
    assert getattr(job_config(NODE, {"tts": {key: 1}}).tts, key) == 1
    with pytest.raises(ConfigError, match=rf"tts\.{key}: got {limit + 1}; allowed here: [01] to {limit}$"):
        job_config(NODE, {"tts": {key: limit + 1}})


def test_a_job_may_not_send_the_nodes_key_to_another_address() -> None:
    services = {"openai_compatible": {"endpoint": "http://attacker.example"}}
    with pytest.raises(ConfigError, match=r"tts\.services: is set by the node's operator: .*key"):
        job_config(NODE, {"tts": {"service": "openai_compatible", "services": services}})


@pytest.mark.parametrize("key", ["max_pictures", "max_pictures_per_day", "parallel_requests", "max_retries"])
def test_a_job_may_lower_what_it_spends_on_pictures_and_not_raise_it(key: str) -> None:
    limit = getattr(NODE.images, key)
    assert getattr(job_config(NODE, {"images": {key: 1}}).images, key) == 1
    with pytest.raises(ConfigError, match=rf"images\.{key}: got {limit + 1}; allowed here: [01] to {limit}$"):
        job_config(NODE, {"images": {key: limit + 1}})


@pytest.mark.parametrize(
    "keys",
    [
        {"api_endpoint": "http://attacker.example"},
        {"services": {"dalle": {"endpoint": "http://attacker.example"}}},
    ],
)
def test_a_job_may_not_send_the_nodes_key_for_pictures_to_another_address(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"images\.\w+: is set by the node's operator: .*key"):
        job_config(NODE, {"images": {"service": "dalle", **keys}})
