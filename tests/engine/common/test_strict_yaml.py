"""YAML as stories and configurations use it."""

from __future__ import annotations

import pytest
import yaml

from video_pipeline.engine.common.strict_yaml import load_yaml


@pytest.mark.parametrize("text", ["9:16", "16:9", "4:5", "1:1", "12:30:45", "190:20:30.15", "-1:30"])
def test_numbers_with_colons_are_text(text: str) -> None:
    assert isinstance(yaml.safe_load(text), int | float)
    assert load_yaml(text) == text
    assert load_yaml(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    "text",
    ["7", "-3", "0x1f", "0b11", "1_000", "2.5", "-.5", "1e3", "1.0e+3", ".inf", "true", "2026-05-01", "null"],
)
def test_other_scalars_are_read_as_before(text: str) -> None:
    assert load_yaml(text) == yaml.safe_load(text)
    assert type(load_yaml(text)) is type(yaml.safe_load(text))


def test_a_key_given_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="the key 'a' is given twice"):
        load_yaml("{a: 1, a: 2}")
