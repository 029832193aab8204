"""Calls of every kind with the markers that stand on standard input; logs all it meets at DEBUG.

Each outcome's code is printed as a line, `ok` for an answer.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

from caas_tasks.names import Operation
from producer_client import Client, ServiceError

logger = logging.getLogger("canary")


def main() -> None:
    """Run the calls."""
    given = json.load(sys.stdin)
    if given["unsealed"]:
        import rig.plugins.unsealed  # noqa: F401 - switches sealing off in this process
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    options = given["options"]
    with Client(**options) as client:
        for name, call in _calls(client, given["markers"], given).items():
            _run(name, call)
    for name, changed in given["other_options"].items():
        with Client(**{**options, **changed}) as client:
            data, user = given["markers"]["data"], given["markers"]["user_uuid"]
            _run(name, lambda client=client, data=data, user=user: client.encrypt(user, data))


def _run(name: str, call: Callable[[], Any]) -> None:
    try:
        result = call()
    except ServiceError as error:
        logger.exception("call %s failed", name)
        sys.stdout.write(f"{name} {error.code}" + "\n")
    else:
        failed = (
            [item for item in result if isinstance(item, ServiceError)]
            if isinstance(result, list)
            else []
        )
        # Plaintext is what was asked for: showing it would be the caller's own doing.
        is_long = "items" in name or name.startswith("open")
        logger.debug("call %s: %r", name, len(result) if is_long else result)
        sys.stdout.write(f"{name} {failed[0].code if failed else 'ok'}" + "\n")


def _calls(client: Client, m: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
    user, data, stored = m["user_uuid"], m["data"], given["stored"]
    item = {"userUUID": user, "sensitiveData": data, "reference": m["reference"]}
    bad_item = {"userUUID": data, "sensitiveData": data, "reference": m["reference"]}
    password, stored_hash, token = m["password"], given["stored_hash"], given["token"]
    plaintext, context = m["plaintext"].encode(), m["context"].encode()
    items = lambda *some: client.request_items(Operation.ENCRYPT, some)  # noqa: E731
    return {
        "encrypt": lambda: client.encrypt(user, data),
        "verify": lambda: client.verify(user, data, stored),
        "wrong": lambda: client.verify(user, data + "x", stored),
        "candidates": lambda: client.candidates(user, data),
        "blind_index": lambda: client.blind_index(m["field_name"], m["value"]),
        "wrap": lambda: client.wrap(user, m["digest"]),
        "hash_password": lambda: client.hash_password(user, password),
        "hash_password_many": lambda: client.hash_password_many([(user, password)] * 3),
        "verify_password": lambda: client.verify_password(user, password, stored_hash),
        "wrong_password": lambda: client.verify_password(user, password + "x", stored_hash),
        "absent_user": lambda: client.verify_password(user, password, None),
        "absurd_hash": lambda: client.verify_password(
            user, password, stored_hash.replace("m=8", "m=4294967295")
        ),
        "no_hash": lambda: client.verify_password(user, password, password),
        "seal": lambda: client.seal(user, plaintext, context),
        "seal_many": lambda: client.seal_many([(user, plaintext, context)] * 3),
        "open": lambda: client.open(user, token, context),
        "open_many": lambda: client.open_many([(user, token, context)]),
        "rewrap": lambda: client.rewrap(user, token, context),
        "other_context": lambda: client.open(user, token, plaintext),
        "no_token": lambda: client.open(user, m["plaintext"], context),
        "many": lambda: client.encrypt_many([(user, data)] * 3),
        "items": lambda: items(item, item),
        "bad_items": lambda: items(item, bad_item),
        "job": lambda: client.submit_encrypt_many([(user, data)] * 3).collect(timeout_s=30),
        "bad_uuid": lambda: client.encrypt(data, data),
        "unknown_field": lambda: items({**item, data: data}),
        "wrong_type": lambda: items({**item, "sensitiveData": [data]}),
        "surrogate": lambda: client.encrypt(user, data + "\ud800"),
        "too_large": lambda: client.encrypt(user, data * 4_000),
        "no_version": lambda: client.verify(user, data, stored, key_version=99),
        "crash": lambda: client.encrypt(user, data + "-crash"),
        "late": lambda: client.encrypt(user, data, timeout_s=0.000_001),
    }


main()
