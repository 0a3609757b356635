"""A machine's place in a fleet: its addresses, its token and its certificates, and what is wrong with them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.environment import ray_environment
from video_pipeline.engine.fleet.settings import (
    check_joining_token,
    client_settings,
    machine_settings,
    make_joining_token,
    server_settings,
)

ADDRESS = "192.0.2.7"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    make_joining_token(path)
    return path


def config_of(token: Path | None = None, **fleet: object) -> Config:
    return load_config({"fleet": {"token_path": str(token) if token else None, **fleet}}, environ=False)


@pytest.fixture(autouse=True)
def own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ADDRESS, of a network for documents, count as this machine's."""
    monkeypatch.setattr("socket.socket.bind", lambda *_: None)


def test_a_token_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    make_joining_token(path)
    first = path.read_text()
    make_joining_token(path)
    assert path.read_text() == first
    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    check_joining_token(path)


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("x" * 64, 0o604, "others may use"),
        ("x" * 64, 0o620, "others may use"),
        ("short", 0o600, "holds no token"),
        ("two words " * 5, 0o600, "holds no token"),
        ("ü" * 64, 0o600, "holds no token"),
    ],
)
def test_a_token_that_is_open_or_none_is_refused(text: str, mode: int, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"^fleet.token_path: .*{reason}") as caught:
        check_joining_token(path)
    assert text not in str(caught.value)


def test_a_server_is_at_its_own_address_unless_another_is_set(tmp_path: Path) -> None:
    settings = server_settings(config_of(bind=ADDRESS), tmp_path)
    assert (settings.address, settings.bind, settings.port) == (f"{ADDRESS}:6379", ADDRESS, 6379)
    assert settings.token == tmp_path / "fleet" / "token"
    other = server_settings(config_of(address=f"{ADDRESS}:7000"), tmp_path)
    assert (other.address, other.bind) == (f"{ADDRESS}:7000", ADDRESS)
    six = server_settings(config_of(bind="2001:db8::7"), tmp_path)
    assert (six.address, six.host) == ("[2001:db8::7]:6379", "2001:db8::7")


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        ({}, "fleet.bind: not set"),
        ({"bind": "0.0.0.0"}, "fleet.bind: got 0.0.0.0; allowed: one IP address"),
        ({"bind": "127.0.0.1"}, "fleet.bind: got 127.0.0.1; give an address at which"),
        ({"bind": "a-name"}, "fleet.bind: got a-name; allowed: an IP address"),
        ({"bind": ADDRESS, "address": f"{ADDRESS}:80"}, "fleet.address: got port 80; allowed: 1024 to 65535"),
        ({"bind": ADDRESS, "tls_cert": "a.pem"}, "fleet.tls_key: not set|fleet.tls_cert: cannot read a.pem"),
    ],
)
def test_a_servers_wrong_settings_are_named(fleet: dict[str, str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        server_settings(config_of(**fleet), tmp_path)


@pytest.mark.parametrize("address", ["host", "host:", ":6379", "a b:6379", "ray://host:6379", "host:123456"])
def test_an_address_has_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ConfigError, match=r"fleet\.address"):
        config_of(address=address)


def test_a_machine_needs_the_address_of_a_server_and_its_token(token: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fleet\.address: not set; .*worker --join HOST:PORT"):
        machine_settings(config_of(token), tmp_path)
    with pytest.raises(ConfigError, match=r"fleet\.token_path: cannot read .*copy the server's token"):
        machine_settings(config_of(address=f"{ADDRESS}:6379", bind=ADDRESS), tmp_path)
    settings = machine_settings(config_of(token, address=f"{ADDRESS}:6379", bind="192.0.2.8"), tmp_path)
    assert (settings.address, settings.bind, settings.redis_url) == (f"{ADDRESS}:6379", "192.0.2.8", None)


def test_who_only_looks_makes_no_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        client_settings(config_of(bind=ADDRESS), tmp_path)
    assert not (tmp_path / "fleet").exists()


def test_a_folder_for_sockets_whose_path_is_too_long_is_refused(tmp_path: Path) -> None:
    config = config_of(bind=ADDRESS).override("storage", temp_path=tmp_path / ("x" * 40))
    with pytest.raises(ConfigError, match=r"storage\.temp_path: .* is too long"):
        server_settings(config, tmp_path)


def test_rays_environment_has_the_tokens_place_and_nothing_of_the_callers_ray(
    token: Path, tmp_path: Path
) -> None:
    files = Authority(tmp_path, "ours").machine(ADDRESS, "m1").keys(str(tmp_path))
    settings = server_settings(config_of(token, bind=ADDRESS, **files), tmp_path)
    environ = ray_environment(settings, {"RAY_ADDRESS": "elsewhere", "PATH": "/bin", "RAY_AUTH_TOKEN": "x"})
    assert environ["PATH"] == "/bin"
    assert "RAY_ADDRESS" not in environ
    assert "RAY_AUTH_TOKEN" not in environ
    assert environ["RAY_AUTH_MODE"] == "token"
    assert environ["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert [environ[f"RAY_TLS_{name}"] for name in ("SERVER_CERT", "SERVER_KEY", "CA_CERT")] == [
        str(tmp_path / name) for name in ("m1.pem", "m1.key", "ours.pem")
    ]
    assert token.read_text() not in " ".join(environ.values())
    assert os.environ.get("RAY_AUTH_MODE") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_machine_that_joins_a_loopback_address_is_told_which_one_to_give(token: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"fleet\.address: got .*:6379; give the server's address"):
        machine_settings(config_of(token, address=f"{host}:6379"), token.parent)
