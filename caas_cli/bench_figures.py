"""The figures that `caas capacity` plans with, and the machine that they are of."""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from pathlib import Path
from typing import Any, Final

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import (
    NONCE_BYTES,
    SECRET_BYTES,
    ClientSession,
    ServicePublicKey,
    seal_request,
)
from caas_tasks.names import Field, Operation
from caas_tasks.stored_forms import (
    DEFAULT_ARGON2_PROFILE,
    PASSWORD_DIGEST_BYTES,
    PASSWORD_PROFILES,
    Argon2Parameters,
)
from caas_tasks.task_message import task_body, task_headers, task_properties

HASHES: Final = 3
ENVELOPE_BYTES: Final = 250
"""What kombu writes around body, headers and properties, and Redis keeps beside a list's entry."""

MS_PER_S: Final = 1e3
_DATA_BYTES: Final = 32


def figures(
    lone: dict[str, Any], server_key: str, api_key: str, worker_rss_kib: int
) -> dict[str, float | int | None]:
    """What `caas_cli.capacity.Figures` takes; None where it could not be measured here.

    Args:
        lone: the measurement of one caller.
        worker_rss_kib: 0 when unknown.
    """
    cost = PASSWORD_PROFILES[DEFAULT_ARGON2_PROFILE]
    return {
        "lone_call_ms": lone["p50_ms"],
        "worker_us": lone["worker_cpu_us"],
        "broker_us": lone["broker_cpu_us"],
        "password_cpu_ms": password_cpu_ms(cost),
        "password_memory_kib": cost.memory_kib,
        "worker_rss_kib": worker_rss_kib or None,
        "message_bytes": message_bytes(server_key, api_key),
    }


def password_cpu_ms(cost: Argon2Parameters) -> float | None:
    """CPU milliseconds of one hash in this process; None where no worker could run."""
    try:
        from worker.operations.argon2id import argon2id
    except ImportError:
        return None
    secret, salt = bytes(48), bytes(16)
    argon2id(secret, salt, cost, PASSWORD_DIGEST_BYTES, threads=1)  # once before, for the memory
    before_s = time.process_time()
    for _ in range(HASHES):
        argon2id(secret, salt, cost, PASSWORD_DIGEST_BYTES, threads=1)
    return MS_PER_S * (time.process_time() - before_s) / HASHES


def message_bytes(server_key: str, api_key: str) -> int:
    """About what one waiting message of one short item takes in the broker."""
    session = ClientSession.start(ServicePublicKey.from_text(server_key), os.urandom(SECRET_BYTES))
    message_id = str(uuid.uuid4())
    item = {Field.USER_UUID: message_id, Field.SENSITIVE_DATA: "x" * _DATA_BYTES}
    payload = encode_json({Field.API_KEY: api_key, Field.ITEMS: [item]})
    task = Operation.ENCRYPT.task_name
    sealed = seal_request(session, task, message_id, 0, payload, os.urandom(NONCE_BYTES))
    parts = (
        task_body(sealed),
        json.dumps(task_headers(task, message_id)),
        json.dumps(task_properties(message_id, uuid.uuid4().hex)),
    )
    return sum(map(len, parts)) + ENVELOPE_BYTES


def machine() -> dict[str, Any]:
    """What the client ran on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
