"""Signatures, held against botocore's own signer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.net.sigv4 import AwsCredentials, signed_headers

NOW = datetime(2026, 11, 28, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "token/+=="])
@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "https://polly.eu-west-1.amazonaws.com/v1/speech", b'{"Text": "caf\xc3\xa9"}'),
        ("GET", "https://polly.eu-west-1.amazonaws.com/v1/voices", b""),
        ("GET", "http://127.0.0.1:8080/", b""),
        ("POST", "http://localhost/a%20b/c~d", b"x"),
    ],
)
def test_a_signature_is_the_one_that_botocore_makes(
    method: str, url: str, body: bytes, token: str | None
) -> None:
    headers = {"Content-Type": "application/json", "X-Odd": "  two   spaces "}
    credentials = AwsCredentials(
        Secret("AKID", "x"), Secret("secret", "x"), Secret(token, "x") if token else None
    )
    ours = signed_headers(
        credentials,
        method=method,
        url=url,
        headers=headers,
        body=body,
        region="eu-west-1",
        service="polly",
        now=NOW,
    )
    request = AWSRequest(
        method, url, headers={**headers, **{k: v for k, v in ours.items() if k != "Authorization"}}, data=body
    )
    request.context["timestamp"] = ours["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKID", "secret", token), "polly", "eu-west-1")
    canonical = signer.canonical_request(request)
    assert ours["Authorization"].endswith(
        signer.signature(signer.string_to_sign(request, canonical), request)
    )
    assert f"Credential=AKID/{signer.credential_scope(request)}" in ours["Authorization"]
