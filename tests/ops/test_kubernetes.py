"""The Kubernetes manifests: whole, valid, restricted, and with nothing open that need not be."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy" / "kubernetes"
KUSTOMIZE_API = "kustomize.config.k8s.io"
# KEDA's kinds are the cluster's own additions: kubernetes-validate has no schema for them.
CUSTOM_APIS = ("keda.sh/",)
LANES = ("fast", "password", "bulk")

pytestmark = pytest.mark.ops


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each manifest with the name of its file."""
    for path in sorted(MANIFESTS.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(MANIFESTS)), document


ALL = [(name, document) for name, document in documents()]
PLAIN = [
    pytest.param(document, id=f"{document['kind']}-{document['metadata']['name']}")
    for _, document in ALL
    if not document["apiVersion"].startswith((*CUSTOM_APIS, KUSTOMIZE_API))
]
DEPLOYMENTS = [case for case in PLAIN if case.values[0]["kind"] == "Deployment"]  # type: ignore[index]


@pytest.mark.parametrize("document", PLAIN)
def test_manifest_is_valid(document: dict[str, Any]) -> None:
    """Kubernetes' own schema takes it, without a field that it does not know."""
    kubernetes_validate.validate(document, "1.32", strict=True)


@pytest.mark.parametrize("document", DEPLOYMENTS)
def test_pods_keep_to_the_restricted_profile(document: dict[str, Any]) -> None:
    """Each rule of the pod security standard `restricted` is kept, and the root is read-only."""
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("document", DEPLOYMENTS)
def test_only_workers_mount_the_keystore(document: dict[str, Any]) -> None:
    """The keystore and its identity are in worker pods, read-only, and in no other."""
    pod = document["spec"]["template"]["spec"]
    mounted = {volume.get("secret", {}).get("secretName") for volume in pod["volumes"]}
    is_worker = document["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    assert ({"caas-keystore", "caas-identity"} <= mounted) is is_worker
    mounts = [mount for container in pod["containers"] for mount in container["volumeMounts"]]
    assert all(mount["readOnly"] for mount in mounts if mount["name"] != "scratch")


def test_traffic_is_denied_unless_allowed() -> None:
    """Every pod is denied everything by default, and workers are reached for metrics alone."""
    policies = {
        document["metadata"]["name"]: document["spec"]
        for _, document in ALL
        if document["kind"] == "NetworkPolicy"
    }
    assert policies["default-deny"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    reaching_workers = [
        name
        for name, spec in policies.items()
        if spec.get("ingress")
        and spec["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        in {None, "worker"}
    ]
    assert reaching_workers == ["metrics"]


@pytest.mark.parametrize("lane", LANES)
def test_each_lane_is_served_and_scaled(lane: str) -> None:
    """A lane has workers, scaled on the length of its list and the age of its oldest message."""
    workers = next(
        document
        for _, document in ALL
        if document["kind"] == "Deployment"
        and document["metadata"]["name"] == f"caas-worker-{lane}"
    )
    args = workers["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[:3] == ["worker", "--lane", lane]
    scaled = next(
        document["spec"]
        for _, document in ALL
        if document["kind"] == "ScaledObject"
        and document["spec"]["scaleTargetRef"]["name"] == f"caas-worker-{lane}"
    )
    by_length, by_age = scaled["triggers"]
    assert by_length["metadata"]["listName"] == f"caas.{lane}"
    assert f'lane="{lane}"' in by_age["metadata"]["query"]
    assert scaled["minReplicaCount"] >= 1, "with no worker nothing sends an overdue job again"


def test_every_file_is_in_a_kustomization() -> None:
    """No manifest is left out of the folder's kustomization."""
    for path in MANIFESTS.rglob("kustomization.yaml"):
        listed = yaml.safe_load(path.read_text(encoding="utf-8")).get("resources", [])
        beside = {other.name for other in path.parent.glob("*.yaml")} - {path.name}
        assert beside <= set(listed), path


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The objects of the example overlay, with its files made up."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, whose kustomize builds the overlay, is not installed")
    folder = tmp_path_factory.mktemp("manifests") / "kubernetes"
    shutil.copytree(MANIFESTS, folder)
    overlay = folder / "overlays" / "example"
    for name in ("keystore.age", "identity.txt", "ca.crt", "tls.crt", "tls.key"):
        (overlay / name).write_text("stands in for the real file\n")
    for name in ("worker-broker", "gateway-broker"):
        (overlay / f"{name}.env").write_text("url=rediss://broker\n")
    (overlay / "scaler-broker.env").write_text("username=caas-scaler\npassword=x\n")
    (overlay / "server-key.env").write_text("server_key=caaspub1.x\n")
    built = subprocess.run(
        [kubectl, "kustomize", str(overlay)], check=True, capture_output=True, text=True
    ).stdout
    return list(yaml.safe_load_all(built))


def one_of(objects: list[Any], kind: str, name: str) -> Any:
    """The object of this kind and name."""
    (found,) = (
        each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


def test_the_example_overlay_is_whole(example: list[Any]) -> None:
    """It has every object of the base and its components, and each secret that a pod mounts."""
    names = {(one["kind"], one["metadata"]["name"]) for one in example}
    wanted = {(one["kind"], one["metadata"]["name"]) for _, one in ALL if "metadata" in one}
    secrets = {
        volume["secret"]["secretName"]
        for one in example
        if one["kind"] == "Deployment"
        for volume in one["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    assert wanted | {("Secret", name) for name in secrets} <= names


def test_the_example_overlay_is_valid(example: list[Any]) -> None:
    """What the components' patches made is as Kubernetes' schema has it."""
    for one in example:
        if not one["apiVersion"].startswith(CUSTOM_APIS):
            kubernetes_validate.validate(one, "1.32", strict=True)


def test_the_examples_gateway_speaks_https(example: list[Any]) -> None:
    """Its settings name files of a mounted secret, and its probes ask over TLS."""
    settings = one_of(example, "ConfigMap", "caas-gateway")["data"]
    pod = one_of(example, "Deployment", "caas-gateway")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (folder,) = (
        mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "tls"
    )
    assert settings["CAAS_GATEWAY_TLS_CERT"] == f"{folder}/tls.crt"
    assert settings["CAAS_GATEWAY_TLS_KEY"] == f"{folder}/tls.key"
    assert one_of(example, "Secret", "caas-gateway-tls")["data"].keys() == {"tls.crt", "tls.key"}
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
    assert [probe["scheme"] for probe in probes] == 3 * ["HTTPS"]


def test_the_scaler_finds_its_secret(example: list[Any]) -> None:
    """Each parameter that KEDA asks for is in the secret that it names."""
    trigger = one_of(example, "TriggerAuthentication", "caas-scaler")
    for parameter in trigger["spec"]["secretTargetRef"]:
        assert parameter["key"] in one_of(example, "Secret", parameter["name"])["data"]
