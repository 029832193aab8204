"""A real Prometheus asks worker and gateway; the dashboard's queries answer; the alerts fire."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import Gateway, Stack, free_port

from caas_tasks.names import Lane, Operation
from producer_client import ServiceError

pytestmark = pytest.mark.ops

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "caas.json").read_text())
UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
QUERIES = sorted({target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]})
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
METRIC = re.compile(r"caas_[a-z_]+|process_[a-z_]+")


def config_for(folder: Path, targets: dict[str, list[int]]) -> Path:
    """The repository's configuration, with these targets in place of names and a shorter interval.

    Args:
        targets: the ports of each job.
    """
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        ports = targets.pop(job["job_name"])
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    assert not targets
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


class Prometheus:
    """A server of its own, in a folder of its own."""

    def __init__(self, folder: Path, targets: dict[str, list[int]]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = LoggedProcess(
            [
                "prometheus",
                f"--config.file={config_for(folder, targets)}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ]
        )
        self.process.wait_for("Server is ready to receive web requests")

    def query(self, expression: str) -> list[Any]:
        """What an expression gives now."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=30)
        body = answer.json()
        assert body["status"] == "success", (expression, body.get("error"))
        found: list[Any] = body["data"]["result"]
        return found

    def wait_for(self, expression: str) -> list[Any]:
        """Wait until an expression gives something."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if found := self.query(expression):
                return found
            threading.Event().wait(0.5)
        raise AssertionError(f"nothing came of {expression}")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with a worker for all lanes and a gateway, both under load."""
    ended = threading.Event()
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        ports = {"caas-worker": [free_port()], "caas-gateway": [free_port()]}
        env = {"CAAS_METRICS_PORT": str(ports["caas-worker"][0])}
        lanes = ",".join(lane.value for lane in Lane)
        stack.start_worker("--loglevel=INFO", queue=lanes, env=env).wait_for("ready.")
        stack.env["CAAS_METRICS_PORT"] = str(ports["caas-gateway"][0])
        gateway = stack.start_gateway()
        server = Prometheus(tmp_path_factory.mktemp("prometheus"), ports)
        load = threading.Thread(target=ask, args=(stack, gateway, ended), daemon=True)
        load.start()
        try:
            yield server
        finally:
            ended.set()
            load.join(DEADLINE_S)
            server.process.stop()


def ask(stack: Stack, gateway: Gateway, ended: threading.Event) -> None:
    client = stack.client(timeout_s=30)
    item = {"userUUID": UUID, "sensitiveData": "x"}
    while not ended.is_set():
        httpx.post(
            f"{gateway.url}/encrypt",
            headers={"Authorization": f"Bearer {stack.keystore.api_key}"},
            json=item,
            timeout=30,
        )
        client.encrypt_many([(UUID, "x")] * 3)
        with suppress(ServiceError):
            client.verify(UUID, "x", "ab" * 48, 9)
        with suppress(ServiceError):
            client.request_items(Operation.ENCRYPT, [item], api_key="none")
        ended.wait(0.1)


def test_it_scrapes_worker_and_gateway(prometheus: Prometheus) -> None:
    """Both jobs of the configuration are up."""
    for job in ("caas-worker", "caas-gateway"):
        prometheus.wait_for(f'up{{job="{job}"}} == 1')


@pytest.mark.parametrize("expression", QUERIES)
def test_the_dashboards_queries_answer(prometheus: Prometheus, expression: str) -> None:
    """Each query of each panel gives at least one value that is a number."""
    found = prometheus.wait_for(expression.replace("$__rate_interval", "10s"))
    assert all(float(sample["value"][1]) == float(sample["value"][1]) for sample in found)


def test_every_metric_of_an_alert_is_one_that_is_told(prometheus: Prometheus) -> None:
    """No alert watches a metric that does not exist."""
    names = {name for rule in ALERTS for name in METRIC.findall(rule["expr"])} - {"caas_"}
    told = set()
    for sample in prometheus.wait_for('{__name__=~"caas_.+"}'):
        told.add(sample["metric"]["__name__"])
    missing = names - told
    assert missing == set()


def test_alerts_are_loaded_and_none_fires(prometheus: Prometheus) -> None:
    """A healthy service fires none of the alerts."""
    prometheus.wait_for('up{job="caas-gateway"} == 1')
    groups = httpx.get(f"{prometheus.url}/api/v1/rules", timeout=30).json()["data"]["groups"]
    assert len(groups[0]["rules"]) == len(ALERTS)
    assert [rule["name"] for rule in groups[0]["rules"] if rule["health"] == "err"] == []
    assert prometheus.query('ALERTS{alertstate="firing"}') == []


@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "config", "prometheus.yml"],
        ["promtool", "test", "rules", "alerts_test.yml"],
    ],
)
def test_promtool_is_content(command: list[str]) -> None:
    """The configuration is sound; each alert fires when it should and at no other time."""
    done = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    """alerts_test.yml has both cases of each rule."""
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = {test["name"] for test in tests}
    wanted = {f"{rule['alert']} {what}" for rule in ALERTS for what in ("fires", "is quiet")}
    assert cases == wanted


def test_the_dashboard_is_provisioned() -> None:
    """Panels, data source and provider name each other."""
    provisioning = DEPLOY / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "caas.yml").read_text())
    (uid,) = {found["uid"] for found in source["datasources"]}
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {uid}
    provider = yaml.safe_load((provisioning / "dashboards" / "caas.yml").read_text())
    assert provider["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"
