"""A tenant's keys over chosen key versions, and operations run on them."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

import pytest

from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from worker.keyring import Keyring, TenantKeys
from worker.keystore.document import Keystore
from worker.operations.digests import STRONG
from worker.operations.execute import execute
from worker.operations.means import Means

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def keys_of(new_keystore: Callable[..., Keystore]) -> Callable[..., TenantKeys]:
    """Makes keys: `keys_of(2, primary=1, states={2: "disabled"}, tenant="shop")`."""

    def make(
        versions: int = 1,
        *,
        primary: int = 1,
        states: dict[int, str] | None = None,
        tenant: str = "shop",
        profile: str = "cheapest",
        **fields: Any,
    ) -> TenantKeys:
        def record(number: int) -> dict[str, Any]:
            state = (states or {}).get(number, "enabled")
            is_gone = state == "destroyed"
            return {
                "version": number,
                "profile": "hardened",
                "state": state,
                "root": None if is_gone else base64.b64encode(bytes([number]) * 32),
                "cipher_pool": STRONG,
                "salt_pool": () if is_gone else ("a salt",),
                "created_at": 1,
            }

        changed = new_keystore().changed(
            key_versions=tuple(record(number) for number in range(1, versions + 1)),
            primary=primary,
            tenants=({"name": tenant, "created_at": 1, "password_profile": profile},),
            **fields,
        )
        return Keyring(changed).tenant(tenant)

    return make


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs an operation: `run(Operation.SEAL, keys, userUUID=…, plaintext=…)`."""

    def run(
        operation: Operation, keys: TenantKeys, means: Means | None = None, **fields: Any
    ) -> dict[str, Any]:
        return execute(operation, keys, parse_item(operation, fields), means or Means(os.urandom))

    return run
