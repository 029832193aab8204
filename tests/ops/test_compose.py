"""docker-compose.yml, run natively from the file itself, and what it promises of each service."""

from __future__ import annotations

import json
import shutil
import ssl
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ops_rig.compose import CAAS, Compose, Instance
from rig.process import PROJECT, environment

pytestmark = pytest.mark.ops

EXAMPLE = {
    "userUUID": "4dbcbcfe-4800-40a8-badf-c26b73af230c",
    "sensitiveData": "example sensitive data",
}
BIN = Path(sys.executable).parent
FILE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = FILE["services"]
WORKERS = ("worker-fast", "worker-password", "worker-bulk")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `caas init --compose` was run."""
    made = tmp_path_factory.mktemp("compose")
    subprocess.run(
        [*CAAS, "init", "--compose"],
        cwd=made,
        env=environment({}),
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture(scope="module")
def compose(folder: Path) -> Iterator[Compose]:
    with Compose(folder) as made:
        made.start("redis").wait_until_healthy()
        yield made


@pytest.fixture(scope="module")
def started(compose: Compose) -> dict[str, list[Instance]]:
    """Every service of this project, as `--scale worker-fast=3` starts them, and healthy."""
    scale = {"worker-fast": 3}
    names = (*WORKERS, "gateway", "flower")
    found = {name: [compose.start(name) for _ in range(scale.get(name, 1))] for name in names}
    for instances in found.values():
        for instance in instances:
            instance.wait_until_healthy()
    return found


def ask(compose: Compose, folder: Path, operation: str, body: dict[str, Any]) -> Any:
    """POST to the gateway over TLS, with the installation's authority and API key."""
    lines = (folder / ".caas" / "client.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    request = urllib.request.Request(
        f"https://localhost:{compose.port('gateway')}/{operation}",
        json.dumps({"apiKey": settings["CAAS_API_KEY"], **body}).encode(),
        {"Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=settings["CAAS_BROKER_CA"])
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:  # noqa: S310 - HTTPS
        return json.load(answer)


@pytest.mark.usefixtures("started")
def test_example_request_goes_the_whole_way(compose: Compose, folder: Path) -> None:
    """HTTPS to the gateway, TLS to the broker as caas-client, TLS to a worker as caas-worker."""
    answer = ask(compose, folder, "encrypt", EXAMPLE)
    assert len(answer["encrypted_data"]) == 96


def test_every_worker_has_an_audit_log(folder: Path, started: dict[str, list[Instance]]) -> None:
    """Each process of each lane begins a log of its own in the folder that outlives it."""
    logs = list((folder / ".caas" / "data" / "audit").glob("*.jsonl"))
    assert len(logs) == sum(len(started[name]) for name in WORKERS)
    assert all(json.loads(log.read_text().splitlines()[0])["event"] == "start" for log in logs)


@pytest.mark.parametrize("name", WORKERS)
def test_audit_folder_is_mounted(name: str) -> None:
    """The audit log is not on the container's own root, which is read-only and goes with it."""
    service = SERVICES[name]
    (mount,) = (one for one in service["volumes"] if not one.get("read_only"))
    assert mount["target"] == service["environment"]["CAAS_AUDIT_DIR"]


@pytest.mark.usefixtures("started")
def test_password_goes_to_its_lane(compose: Compose, folder: Path) -> None:
    """A password is hashed by the worker that is there for it."""
    body = {"userUUID": EXAMPLE["userUUID"], "password": "correct horse battery staple"}
    assert ask(compose, folder, "hash_password", body)["hash"].startswith("$caas-argon2id$")


def test_three_workers_share_the_lane(
    compose: Compose, folder: Path, started: dict[str, list[Instance]]
) -> None:
    """Scaled to three, the lane is served by each of them when the others are gone."""
    for gone in started["worker-fast"][:2]:
        assert gone.process.is_running
        gone.process.terminate()
        assert gone.process.wait() == 0
        assert len(ask(compose, folder, "encrypt", EXAMPLE)["encrypted_data"]) == 96
    assert started["worker-fast"][2].is_healthy()


def test_stopped_part_is_not_healthy(started: dict[str, list[Instance]]) -> None:
    """A healthcheck of a gateway that is gone fails."""
    flower = started["flower"][0]
    assert flower.is_healthy()
    flower.process.stop()
    assert not flower.is_healthy()


@pytest.mark.skipif(
    not (PROJECT / "deploy/prometheus/prometheus.yml").exists() or not shutil.which("prometheus"),
    reason="needs Debian's prometheus",
)
def test_prometheus_starts(compose: Compose) -> None:
    """Prometheus takes its command and configuration."""
    prometheus = compose.start("prometheus")
    prometheus.process.wait_for("Server is ready to receive web requests")


def test_grafana_finds_its_provisioning() -> None:
    """Grafana's own program is not at hand: what it is given is where its configuration says."""
    service = SERVICES["grafana"]
    mounts = {volume["target"]: PROJECT / volume["source"] for volume in service["volumes"][:2]}
    provisioning = mounts["/etc/grafana/provisioning"]
    (sources,) = [yaml.safe_load(p.read_text()) for p in provisioning.glob("datasources/*")]
    assert [source["url"] for source in sources["datasources"]] == ["http://prometheus:9090"]
    (providers,) = [yaml.safe_load(p.read_text()) for p in provisioning.glob("dashboards/*")]
    folders = {provider["options"]["path"] for provider in providers["providers"]}
    assert folders == {"/var/lib/grafana/dashboards"}
    dashboards = list(mounts["/var/lib/grafana/dashboards"].glob("*.json"))
    assert dashboards
    assert all(json.loads(path.read_text())["panels"] for path in dashboards)


def test_installation_is_private(folder: Path) -> None:
    """Nothing that `caas init --compose` makes is open to others."""
    home = folder / ".caas"
    paths = [folder / ".env", home, *home.glob("*"), *home.glob("*/*")]
    opened = [str(p.relative_to(folder)) for p in paths if stat.S_IMODE(p.stat().st_mode) & 0o077]
    assert opened == []


def test_env_file_holds_no_secret(folder: Path) -> None:
    """The passwords are in files that become secrets, and not in `.env`."""
    text = (folder / ".env").read_text()
    secrets = [path.read_text() for path in (folder / ".caas" / "compose").glob("*-password")]
    assert len(secrets) == 3
    assert not any(secret in text for secret in secrets)


def test_second_init_changes_nothing(folder: Path) -> None:
    """Run again, the command refuses."""
    before = (folder / ".env").read_bytes()
    done = subprocess.run(
        [*CAAS, "init", "--compose"],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode != 0, "exists already" in done.stderr) == (True, True)
    assert (folder / ".env").read_bytes() == before


def test_compose_schema() -> None:
    """The compose specification's own schema takes the file."""
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, PROJECT / "docker-compose.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_dockerfile_lint() -> None:
    """Hadolint finds nothing in the Dockerfile."""
    command = [BIN / "hadolint", "--no-color", PROJECT / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_hardened(name: str) -> None:
    """Each service is a plain user's, on a read-only root, without capabilities, within limits."""
    service = SERVICES[name]
    assert service["user"].startswith("${CONTAINER_UID")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert "privileged" not in service


def test_only_workers_hold_the_keystore() -> None:
    """Neither keystore nor identity is mounted by anything else."""
    holders = {
        name
        for name, service in SERVICES.items()
        if "keystore" in str(service.get("volumes")) or "identity" in service.get("secrets", [])
    }
    assert holders == set(WORKERS)


def test_main_servers_reach_no_worker() -> None:
    """The network that main servers join leads to the broker and the gateway alone."""
    on_clients = {name for name, service in SERVICES.items() if "clients" in service["networks"]}
    assert on_clients == {"redis", "gateway"}
    assert not any("ports" in SERVICES[name] for name in WORKERS)
    assert FILE["networks"]["workers"]["internal"] is True


def test_no_secret_in_the_environment() -> None:
    """What is secret comes as a file: no service has it in its environment or command."""
    for name, service in SERVICES.items():
        shown = f"{service.get('environment', {})} {service.get('command', '')}"
        assert "BROKER_URL" not in shown, name
        assert "PASSWORD'" not in shown, name


def test_ports_are_published_on_loopback() -> None:
    """Nothing is open to the network unless `.env` says so."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(":-127.0.0.1:" in port for port in published)
