"""Nothing secret is repeated: markers go in everywhere, and all that comes out is searched."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rig.canary import Markers, Monitor, dump, search
from rig.process import DEADLINE_S, PROJECT, LoggedProcess, environment
from rig.stack import Stack, free_port

from caas_tasks import api_key
from caas_tasks.names import Lane, Operation
from producer_client import RequestTimeoutError
from producer_client.testing import InMemoryService
from worker.keystore import change

pytestmark = pytest.mark.integration

PROGRAM = Path(__file__).parent / "rig" / "programs" / "canary_calls.py"
LANES = f"{Lane.FAST.value},{Lane.BULK.value}"

OUTCOMES = {
    "encrypt": "ok",
    "verify": "ok",
    "wrong": "ok",
    "candidates": "ok",
    "blind_index": "ok",
    "wrap": "ok",
    "hash_password": "ok",
    "hash_password_many": "ok",
    "verify_password": "ok",
    "wrong_password": "ok",
    "absent_user": "ok",
    "absurd_hash": "invalid_request",
    "no_hash": "invalid_request",
    "seal": "ok",
    "seal_many": "ok",
    "open": "ok",
    "open_many": "ok",
    "rewrap": "ok",
    "other_context": "undecryptable",
    "no_token": "undecryptable",
    "many": "ok",
    "items": "ok",
    "bad_items": "invalid_request",
    "job": "ok",
    "bad_uuid": "invalid_request",
    "unknown_field": "invalid_request",
    "wrong_type": "invalid_request",
    "surrogate": "invalid_request",
    "too_large": "payload_too_large",
    "no_version": "unavailable",
    "crash": "internal",
    "late": "timeout",
    "malformed_key": "unauthorized",
    "unknown_key": "unauthorized",
    "expired_key": "unauthorized",
    "revoked_key": "unauthorized",
    "narrow_key": "forbidden",
    "other_service": "unreadable",
    "no_broker": "unavailable",
}


class Scene:
    """A service with everything that talks switched on, and what was heard of it."""

    def __init__(self, stack: Stack, *, unsealed: bool = False, log_format: str = "text") -> None:
        self.stack = stack
        self.unsealed = unsealed
        self.is_json = log_format == "json"
        self.metrics_ports = {name: free_port() for name in ("worker", "passwords", "gateway")}
        self.markers = Markers()
        now_s = int(time.time())
        self.keys = {
            "unknown_key": api_key.generate(secrets.choice),
            "expired_key": stack.keystore.add_api_key(expires_at=now_s - 60),
            "revoked_key": stack.keystore.add_api_key(),
            "narrow_key": stack.keystore.add_api_key(scopes=["verify"]),
        }
        revoked_id = api_key.parse_id(self.keys["revoked_key"])
        stack.keystore.update(lambda old: change.revoke_api_key(old, revoked_id, now_s))
        plugins = ["rig.plugins.crash", *(["rig.plugins.unsealed"] if unsealed else [])]
        env = {
            "CAAS_LOG_LEVEL": "DEBUG",
            "CAAS_GUESS_LIMITS": "on",
            "CAAS_AUDIT_DIR": str(stack.folder / "audit"),
            "CAAS_LOG_FORMAT": log_format,
        }
        self.worker = stack.start_worker(
            *("-E", "--loglevel=DEBUG"),
            plugins=plugins,
            queue=LANES,
            env={**env, "CAAS_METRICS_PORT": str(self.metrics_ports["worker"])},
        )
        self.passwords = stack.start_password_worker(
            *("-E", "--loglevel=DEBUG", f"--include={','.join(plugins)}"),
            env={**env, "CAAS_METRICS_PORT": str(self.metrics_ports["passwords"])},
        )
        for worker in (self.worker, self.passwords):
            worker.wait_for("ready.")
        self.redis = stack.broker.connect()
        self.monitor = Monitor(self.redis)
        self.evidence: dict[str, bytes] = {}

    def run_client(self) -> dict[str, str]:
        """The program with every call; each call's outcome."""
        others: dict[str, dict[str, Any]] = {
            "malformed_key": {"api_key": self.markers.malformed_key},
            **{name: {"api_key": key} for name, key in self.keys.items()},
            "other_service": {"server_key": InMemoryService().server_key},
            "no_broker": {"broker_url": "redis+socket:///nowhere/broker.sock", "timeout_s": 0.2},
        }
        m, keystore = self.markers, self.stack.keystore
        user = {"userUUID": m.user_uuid}
        stored = keystore.expected_encrypted([(m.user_uuid, m.data)])
        hashed = keystore.expected(Operation.HASH_PASSWORD, **user, password=m.password)
        plaintext, context = (
            base64.b64encode(text.encode()).decode() for text in (m.plaintext, m.context)
        )
        sealed = keystore.expected(Operation.SEAL, **user, plaintext=plaintext, context=context)
        given = {
            "markers": self.markers.__dict__,
            "options": {**self.stack.client_options(), "timeout_s": 30},
            "other_options": others if not self.unsealed else {},
            "stored": stored[0],
            "stored_hash": hashed["hash"],
            "token": sealed["token"],
            "unsealed": self.unsealed,
        }
        done = subprocess.run(
            [sys.executable, str(PROGRAM)],
            input=json.dumps(given).encode(),
            capture_output=True,
            env=environment({}),
            cwd=PROJECT,
            timeout=120,
            check=True,
        )
        self.evidence["client"] = done.stdout + done.stderr
        return dict(line.split() for line in done.stdout.decode().splitlines())

    def look_while_a_message_waits(self) -> None:
        """Dump the broker while the worker stands still and its message is in the queue."""
        os.kill(self.worker.pid, signal.SIGSTOP)
        try:
            with self.stack.client(timeout_s=0.5) as client, pytest.raises(RequestTimeoutError):
                client.encrypt(self.markers.user_uuid, self.markers.data)
            self.evidence["dump with a waiting message"] = dump(self.redis)
        finally:
            os.kill(self.worker.pid, signal.SIGCONT)

    def run_gateway(self) -> list[int]:
        """Requests over HTTP; their statuses. What the gateway says and logs is kept."""
        url, process = self._start_gateway()
        m = self.markers
        item = {"userUUID": m.user_uuid, "sensitiveData": m.data}
        keyed = {**item, "apiKey": self.stack.keystore.api_key}
        bodies: list[tuple[str, bytes]] = [
            ("/encrypt", json.dumps(keyed).encode()),
            ("/encrypt", json.dumps({**keyed, "sensitiveData": m.data + "-crash"}).encode()),
            ("/encrypt", json.dumps({**keyed, m.data: m.data}).encode()),
            ("/encrypt", json.dumps({**keyed, "apiKey": m.malformed_key}).encode()),
            ("/encrypt", json.dumps({**keyed, "apiKey": self.keys["narrow_key"]}).encode()),
            ("/encrypt", b'{"userUUID": "' + m.data.encode()),
            ("/" + m.data, b"{}"),
            *self._protecting_bodies(),
        ]
        said = io.BytesIO()
        statuses = []
        with httpx.Client(base_url=url, timeout=30) as client:
            for path, body in bodies:
                answer = client.post(
                    path, content=body, headers={"Content-Type": "application/json"}
                )
                said.write(repr(answer.headers).encode() + answer.content)
                statuses.append(answer.status_code)
        self._scrape("gateway")
        process.stop()
        self.evidence["gateway's answers"] = said.getvalue()
        self.evidence["gateway's log"] = process.log.encode()
        return statuses

    def _start_gateway(self) -> tuple[str, LoggedProcess]:
        """Its address and process, with all that it can log in either form."""
        self.stack.env["CAAS_METRICS_PORT"] = str(self.metrics_ports["gateway"])
        if not self.is_json:
            # As `caas gateway` runs it: the server's own access log, which has the path, is off.
            started = self.stack.start_gateway("--log-level", "debug", "--no-access-log")
            return started.url, started.process
        port = free_port()
        env = {"CAAS_LOG_FORMAT": "json"}
        process = self.stack.run_beside("gateway", "--port", str(port), env=env)
        process.wait_for("Application startup complete")
        return f"http://127.0.0.1:{port}", process

    def _scrape(self, name: str) -> None:
        """Keep what a part tells Prometheus."""
        told = httpx.get(f"http://127.0.0.1:{self.metrics_ports[name]}/metrics", timeout=DEADLINE_S)
        self.evidence[f"metrics of {name}"] = told.content

    def _protecting_bodies(self) -> list[tuple[str, bytes]]:
        """Requests of the password and seal operations; one of each kind is refused."""
        m = self.markers
        keyed = {"userUUID": m.user_uuid, "apiKey": self.stack.keystore.api_key}
        plaintext = base64.b64encode(m.plaintext.encode()).decode()
        fields: list[tuple[str, dict[str, str]]] = [
            ("/hash_password", {"password": m.password}),
            ("/verify_password", {"password": m.password}),
            ("/verify_password", {"password": m.password, "hash": m.password}),
            ("/seal", {"plaintext": plaintext}),
            ("/seal", {"plaintext": m.plaintext}),
            ("/open", {"token": m.plaintext}),
            ("/rewrap", {"token": m.plaintext, "context": m.context}),
        ]
        return [(path, json.dumps({**keyed, **more}).encode()) for path, more in fields]

    def finish(self) -> set[str]:
        """End the run and search all there is; what was found."""
        inspected = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "worker", "inspect", "reserved"],
            capture_output=True,
            env=environment(self.stack.env),
            cwd=PROJECT,
            timeout=DEADLINE_S,
            check=True,
        )
        self.evidence["inspect"] = inspected.stdout + inspected.stderr
        self.evidence["dump"] = dump(self.redis)
        self.evidence["monitor"] = self.monitor.stop()
        self._scrape("worker")
        self._scrape("passwords")
        self.worker.stop()
        self.evidence["worker"] = self.worker.log.encode()
        self.passwords.stop()
        self.evidence["password worker"] = self.passwords.log.encode()
        audit = sorted((self.stack.folder / "audit").iterdir())
        self.evidence["audit log"] = b"".join(path.read_bytes() for path in audit)
        keys = [self.stack.keystore.api_key, *self.keys.values()]
        return search(self.evidence, self.markers.needles(*keys))


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_marker_is_anywhere(new_stack: Callable[..., Stack], log_format: str) -> None:
    """Through success, every error and a crash, with events and DEBUG logs: no marker shows."""
    scene = Scene(new_stack(), log_format=log_format)
    scene.look_while_a_message_waits()
    assert scene.run_client() == OUTCOMES
    refused = [200, 500, 400, 401, 403, 400, 404]
    assert scene.run_gateway() == [*refused, 200, 200, 400, 200, 400, 422, 400]
    assert scene.finish() == set()
    assert b"celeryev/task" in scene.evidence["monitor"]
    assert b"internal error" in scene.evidence["worker"]
    assert b"caas:guess:" in scene.evidence["monitor"]
    assert b'"outcome":"unauthorized"' in scene.evidence["audit log"]
    assert b'caas_items_total{code="ok"' in scene.evidence["metrics of worker"]
    is_json = [line.startswith(b"{") for line in scene.evidence["worker"].splitlines()]
    assert any(is_json) is scene.is_json
    assert all(scene.evidence.values())


def test_the_search_finds_markers_without_sealing(new_stack: Callable[..., Stack]) -> None:
    """With the sealing switched off the same run shows the markers: the search is not blind."""
    scene = Scene(new_stack(), unsealed=True)
    scene.run_client()
    found = scene.finish()
    expected = {"data", "value", "field_name", "digest", "reference", "user_uuid", "api_key_0"}
    expected |= {"password", "plaintext", "context"}
    assert {f"{name} in monitor" for name in expected} <= found
