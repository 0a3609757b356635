"""Who may do what over HTTP: tokens, pages of other origins, names of the machine, TLS."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.server import STORY
from tests.support.waiting import FAST_SECONDS, wait_until
from tests.support.web import WebNode, get, web_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.jobs.tokens import make_token
from video_pipeline.engine.jobs.web.access import is_loopback_host


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_a_loopback_host_is_known(host: str, found: bool) -> None:
    assert is_loopback_host(host) is found


def test_on_loopback_no_token_is_the_local_user_and_a_token_its_own(web_node: WebNode) -> None:
    with web_node.client() as local, web_node.client("studio") as studio:
        assert local.get("/ping").json()["user"] == "local"
        assert studio.get("/ping").json()["user"] == "studio"


@pytest.mark.parametrize(
    "value", ["Bearer x", "Bearer", "Basic YTpi", "vpt_00000000_" + "a" * 43, "Bearer " + "é" * 40]
)
def test_a_wrong_token_is_never_the_local_user(local: httpx.Client, value: str) -> None:
    got = local.get("/jobs", headers=[(b"Authorization", value.encode("latin-1"))])
    assert (got.status_code, got.json()["code"]) == (401, "UNAUTHORIZED")
    assert got.headers["www-authenticate"].startswith("Bearer ")
    assert value.rsplit(maxsplit=1)[-1] not in got.text


def test_a_page_of_another_origin_is_refused_and_no_reply_is_readable_to_it(local: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "file://"):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            got = local.request(method, "/jobs", headers={"Origin": origin})
            assert (got.status_code, got.json()["code"]) == (403, "FORBIDDEN")
            assert not [name for name in got.headers if name.startswith("access-control")]
    own = str(local.base_url).rstrip("/")
    assert local.get("/jobs", headers={"Origin": own}).status_code == 200


def test_what_a_page_of_another_origin_embeds_is_refused_and_a_link_is_not(local: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        got = local.get("/jobs", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "image"})
        assert (got.status_code, got.json()["field"]) == (403, "Sec-Fetch-Site")
        link = local.get("/jobs", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "document"})
        assert link.status_code == 200
    for site in ("none", "same-origin"):
        assert local.get("/jobs", headers={"Sec-Fetch-Site": site}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5590", "10.0.0.1", "[fe80::1]", "localhost:1:2"]
)
def test_a_foreign_name_of_this_machine_needs_a_token(
    web_node: WebNode, local: httpx.Client, host: str
) -> None:
    assert local.get("/jobs", headers={"Host": host}).status_code == 403
    with web_node.client("studio") as studio:
        assert studio.get("/jobs", headers={"Host": host}).status_code == 200


def test_a_listed_origin_may_read_replies(tmp_path: Path) -> None:
    page = "https://app.example"
    with WebNode(web_config(tmp_path, {"allowed_origins": [page]})) as node, node.client("studio") as client:
        asked = client.options("/jobs", headers={"Origin": page, "Access-Control-Request-Method": "POST"})
        assert asked.status_code == 204
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        for got in (
            client.get("/jobs", headers={"Origin": page}),
            client.get("/no", headers={"Origin": page}),
        ):
            assert got.headers["access-control-allow-origin"] == page
        assert client.get("/jobs", headers={"Origin": "https://other.example"}).status_code == 403
        assert "access-control-allow-origin" not in client.get("/jobs").headers


def test_with_required_tokens_or_another_address_there_is_no_local_user(tmp_path: Path) -> None:
    for number, web in enumerate(({"tokens": "required"}, {"host": "0.0.0.0"})):
        with WebNode(web_config(tmp_path / str(number), web)) as node:
            url = f"http://127.0.0.1:{node.port}"
            for path in ("/jobs", "/openapi.json", "/nothing"):
                got = get(url + path)
                assert (got.status_code, got.json()["code"]) == (401, "UNAUTHORIZED")
            page = get(url)  # which asks for a token
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            with node.client("studio") as client:
                assert client.get("/ping").json()["user"] == "studio"
                assert client.post("/jobs", json={"story": STORY}).status_code == 201


def test_a_token_is_in_no_log_and_no_reply(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with WebNode(web_config(tmp_path, {"tokens": "required"})) as node:
        token = make_token(node.keys, "studio").text
        with node.client("other") as client:
            client.headers["Authorization"] = f"Bearer {token}"
            replies = [client.get(path).text for path in ("/ping", "/jobs", "/nothing", "/jobs/x", "/stats")]
            replies.append(
                client.post("/jobs", content=b"{", headers={"Content-Type": "application/json"}).text
            )
        assert '"user":"studio"' in replies[0]
        kept = [path.read_text() for path in (node.keys / "tokens").iterdir()]
    out = capfd.readouterr()
    assert all(token not in text for text in (*replies, *kept, out.out, out.err))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_https_serves_with_the_certificate_and_refuses_plain_http(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    web = {"tls_cert": str(cert), "tls_key": str(key), "tokens": "required"}
    with WebNode(web_config(tmp_path, web)) as node:
        context = ssl.create_default_context(cafile=str(cert))
        token = make_token(node.keys, "studio").text
        with httpx.Client(
            base_url=node.url,
            verify=context,
            headers={"Authorization": f"Bearer {token}"},
            timeout=FAST_SECONDS,
        ) as client:
            wait_until(lambda: client.get("/ping").status_code != 401, what="the token")
            assert client.get("/ping").json()["user"] == "studio"
            made = client.post("/jobs", json={"story": STORY})
            assert made.status_code == 201
            with client.stream("GET", f"/jobs/{made.json()['job_id']}/events") as events:
                assert next(events.iter_lines()) == "retry: 2000"
        with pytest.raises(httpx.HTTPError):
            get(node.url.replace("https", "http") + "/ping")


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ({"tls_cert": "CERT"}, "web.tls_key: is missing"),
        ({"tls_key": "KEY"}, "web.tls_cert: is missing"),
        ({"tls_cert": "nowhere.pem", "tls_key": "KEY"}, "web.tls_cert: got 'nowhere.pem'"),
        ({"tls_cert": "KEY", "tls_key": "CERT"}, "web.tls_cert, web.tls_key: cannot use"),
        ({"host": "198.51.100.1"}, "web.host, web.port: cannot listen on 198.51.100.1"),
        ({"host": "no such host"}, "web.host, web.port: cannot listen on no such host"),
    ],
)
def test_what_it_cannot_serve_with_is_named(
    tmp_path: Path, certificate: tuple[Path, Path], web: dict[str, str], words: str
) -> None:
    files = {"CERT": str(certificate[0]), "KEY": str(certificate[1])}
    with pytest.raises(ConfigError) as fault, WebNode(
        web_config(tmp_path, {name: files.get(value, value) for name, value in web.items()})
    ):  # fmt: skip
        pass
    assert words in str(fault.value)
