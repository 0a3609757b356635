"""The manifests: valid by Kubernetes' own schemas, and true to the image and to the configuration."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from video_pipeline.engine.cli.main import build_parser
from video_pipeline.engine.config import Config, load_config

K8S = ROOT / "docker/k8s"
OVERLAYS = ("cpu", "gpu")
VALIDATE = Path(sys.executable).with_name("kubernetes-validate")

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
needs_schemas = pytest.mark.skipif(not VALIDATE.exists(), reason="kubernetes-validate is not installed")


def built(folder: Path) -> list[dict[str, Any]]:
    """Return the objects that kustomize makes of a folder."""
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return built(K8S / "overlays" / request.param)


def one(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        each for each in objects if each["kind"] == kind and each["metadata"]["name"].startswith(name)
    ]
    return found


def workloads(objects: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Config]]:
    """Return the pods of the server and of a worker, with the configuration that each has mounted."""
    found = []
    for kind, name in (("StatefulSet", "video-pipeline-door"), ("Deployment", "video-pipeline-worker")):
        pod = one(objects, kind, name)["spec"]["template"]["spec"]
        (mounted,) = [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]
        text = one(objects, "ConfigMap", mounted)["data"]["node.yaml"]
        found.append((pod, load_config(yaml.safe_load(text), environ=False)))
    return found


def check(folder: Path, objects: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return subprocess.run([VALIDATE, "--strict", file], capture_output=True, text=True, check=False)


@needs_kubectl
@needs_schemas
def test_every_object_is_valid_by_the_schemas_of_kubernetes(
    objects: list[dict[str, Any]], tmp_path: Path
) -> None:
    done = check(tmp_path, objects)
    assert done.returncode == 0, done.stdout + done.stderr
    objects[-1]["spec"]["replcas"] = 1
    assert check(tmp_path, objects).returncode != 0


@needs_kubectl
def test_a_pod_may_take_longer_to_end_than_its_drain_and_its_longest_job(
    objects: list[dict[str, Any]],
) -> None:
    for pod, config in workloads(objects):
        longest = max(config.node.drain_timeout, config.processing.job_timeout)
        assert config.node.drain_timeout >= config.processing.job_timeout
        assert pod["terminationGracePeriodSeconds"] >= longest + 30


@needs_kubectl
def test_pods_run_what_the_command_line_knows_on_the_ports_of_their_configuration(
    objects: list[dict[str, Any]],
) -> None:
    (door, door_config), (worker, worker_config) = workloads(objects)
    for pod, config in ((door, door_config), (worker, worker_config)):
        (container,) = pod["containers"]
        build_parser().parse_args(container["args"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert config.node.http_bind == f"0.0.0.0:{ports['health']}"
        for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
            assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "health"}
    ports = {port["name"]: port["containerPort"] for port in door["containers"][0]["ports"]}
    assert door_config.node.bind == f"tcp://0.0.0.0:{ports['requests']}"
    assert ports["events"] == ports["requests"] + 1
    assert door_config.web.port == ports["http"]
    assert worker["containers"][0]["args"][2] == door_config.fleet.address
    assert door_config.fleet.address is not None
    host, _, port = door_config.fleet.address.partition(":")
    assert int(port) == ports["ray"]
    state = one(objects, "StatefulSet", "video-pipeline-door")
    assert host == f"{state['metadata']['name']}-0.{state['spec']['serviceName']}"
    assert one(objects, "Service", "video-pipeline-door")["spec"]["publishNotReadyAddresses"] is True


@needs_kubectl
def test_pods_may_write_where_the_image_has_volumes_and_nowhere_else(objects: list[dict[str, Any]]) -> None:
    for pod, config in workloads(objects):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        writable = {path for path, mount in mounts.items() if not mount.get("readOnly")}
        assert writable == {
            *("/var/lib/video-pipeline", "/var/cache/video-pipeline", "/srv/videos"),
            *("/tmp", "/dev/shm"),
        }
        assert str(config.fleet.token_path) == "/run/secrets/fleet/token"
        (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert secret["defaultMode"] & 0o027 == 0  # what the engine asks of the token's file
        limits, requests = (container["resources"][key] for key in ("limits", "requests"))
        assert {"cpu", "memory"} <= set(limits) & set(requests)


@needs_kubectl
def test_rays_ports_are_open_between_the_pods_of_the_fleet_alone(objects: list[dict[str, Any]]) -> None:
    policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    fleet = {"app.kubernetes.io/part-of": "video-pipeline"}
    for policy in policies:
        assert fleet.items() <= policy["podSelector"]["matchLabels"].items()
        assert policy["policyTypes"] == ["Ingress"]
        for rule in policy["ingress"]:
            opened = {port["port"] for port in rule.get("ports", ())}
            if opened:
                assert opened <= {"requests", "events", "http", "health"}
            else:  # every port
                assert rule["from"] == [{"podSelector": {"matchLabels": fleet}}]
    for kind in ("StatefulSet", "Deployment"):
        (found,) = [each for each in objects if each["kind"] == kind]
        assert fleet.items() <= found["spec"]["template"]["metadata"]["labels"].items()


@needs_kubectl
def test_workers_of_the_overlay_gpu_have_a_gpu_and_the_drivers_encoder() -> None:
    found = built(K8S / "overlays/gpu")
    (container,) = one(found, "Deployment", "video-pipeline-worker")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "video-pipeline:cuda"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,video,utility"
    door = one(found, "StatefulSet", "video-pipeline-door")["spec"]["template"]["spec"]["containers"][0]
    assert door["image"] == "video-pipeline:cpu"
    assert "nvidia.com/gpu" not in door["resources"]["limits"]


@needs_kubectl
def test_keda_scales_the_workers_by_metrics_that_a_node_has(tmp_path: Path) -> None:
    from tests.support.prometheus_server import selectors
    from video_pipeline.engine.jobs.node.http.prometheus import PrometheusMetrics

    (tmp_path / "kustomization.yaml").write_text(
        "resources: [k8s/overlays/cpu]\ncomponents: [k8s/components/keda]\n"
    )
    shutil.copytree(K8S, tmp_path / "k8s")
    found = built(tmp_path)
    scaled = one(found, "ScaledObject", "video-pipeline-worker")["spec"]
    deployment = one(found, "Deployment", "video-pipeline-worker")
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]  # KEDA's number, not the manifest's
    (trigger,) = scaled["triggers"]
    text = PrometheusMetrics().render()[0].decode()
    names = [name for name, _ in selectors(trigger["metadata"]["query"])]
    assert names == ["video_pipeline_queued_jobs", "active_video_jobs"]
    assert all(f"# TYPE {name} gauge" in text for name in names)


@needs_kubectl
def test_the_server_uses_both_claims_and_the_secret_of_redis(objects: list[dict[str, Any]]) -> None:
    claims = {each["metadata"]["name"] for each in objects if each["kind"] == "PersistentVolumeClaim"}
    assert claims == {"video-storage-pvc", "cache-storage-pvc"}
    (door, _), _ = workloads(objects)
    used = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in door["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert used == claims
    (redis,) = [each for each in door["containers"][0]["env"] if each["name"] == "REDIS_URL"]
    assert redis["valueFrom"]["secretKeyRef"] == {
        "name": "video-pipeline-secrets",
        "key": "redis-url",
        "optional": True,  # without Redis the secret is left out
    }


@needs_kubectl
def test_the_overlay_of_the_documents_replaces_image_configuration_and_claim(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    first, *_, keda = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    shutil.copytree(K8S, tmp_path / "video-pipeline" / "docker" / "k8s")
    farm = tmp_path / "farm"
    farm.mkdir()
    for name in ("door-node.yaml", "worker-node.yaml"):
        (farm / name).write_text(
            (K8S / "base" / name).read_text().replace("s3://video-pipeline/", "s3://own/")
        )
    (farm / "kustomization.yaml").write_text(first + keda)
    found = built(farm)
    for pod, config in workloads(found):
        assert pod["containers"][0]["image"] == "registry.example/video-pipeline:cpu"
        assert config.fleet.store == "s3://own/fleet"
    claim = one(found, "PersistentVolumeClaim", "video-storage-pvc")
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Ti"
    assert one(found, "ScaledObject", "video-pipeline-worker")["metadata"]["namespace"] == "video-pipeline"
