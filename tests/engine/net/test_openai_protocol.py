"""What OpenAI's services and servers with its protocol have in common."""

from __future__ import annotations

import pytest

from video_pipeline.engine.net.client import ServiceAnswer
from video_pipeline.engine.net.openai_protocol import is_openai, openai_fault


def test_a_used_up_quota_is_no_matter_of_waiting() -> None:
    body = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    assert openai_fault(ServiceAnswer(429, {}, body))[0] == "denied"
    assert openai_fault(ServiceAnswer(429, {}, b'{"error": {"code": "rate_limit_exceeded"}}'))[0] == "busy"


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com.attacker.example/v1", False),
        ("http://127.0.0.1:8080/v1", False),
    ],
)
def test_only_openais_own_host_is_openai(endpoint: str, own: bool) -> None:
    assert is_openai(endpoint) is own
