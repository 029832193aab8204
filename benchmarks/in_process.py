"""The worker's batch function called in process: sealed messages in, sealed replies out, no broker.

Started as `python -m benchmarks.in_process ITEMS`; writes items a second.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import uuid

import pyrage

from benchmarks import work
from caas_tasks.encoding import encode_json
from caas_tasks.envelope import NONCE_BYTES, SECRET_BYTES, ClientSession, seal_request
from caas_tasks.names import SCOPES, Field, Operation
from worker.keyring import Keyring
from worker.keystore import change
from worker.keystore.document import Profile
from worker.service import Service

MESSAGE_ITEMS = 500
OPERATION = Operation.ENCRYPT


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def main(items: int) -> None:
    """Seal the messages, then time the answers alone."""
    identity = pyrage.x25519.Identity.generate()
    keystore = change.new_keystore(
        recipients=[str(identity.to_public())],
        tenant="bench",
        profile=Profile.HARDENED,
        salt_pool=None,
        now_s=int(time.time()),
        random=secrets,
    )
    new = change.add_api_key(
        keystore,
        tenant="bench",
        scopes=SCOPES,
        expires_at=None,
        now_s=int(time.time()),
        random=secrets,
    )
    keyring = Keyring(new.keystore)
    service = Service(lambda: keyring, now_ms, os.urandom)
    session = ClientSession.start(change.public_key(new.keystore), os.urandom(SECRET_BYTES))
    pairs = work.pairs(items)
    messages = []
    for start in range(0, items, MESSAGE_ITEMS):
        portion = [
            {Field.USER_UUID: user_uuid, Field.SENSITIVE_DATA: data}
            for user_uuid, data in pairs[start : start + MESSAGE_ITEMS]
        ]
        payload = encode_json({Field.API_KEY: new.text, Field.ITEMS: portion})
        message_id = str(uuid.uuid4())
        sealed = seal_request(
            session,
            OPERATION.task_name,
            message_id,
            now_ms() + 60_000,
            payload,
            os.urandom(NONCE_BYTES),
        )
        messages.append((message_id, sealed))
    service.answer(OPERATION, *messages[0])
    started = time.perf_counter()
    for message_id, sealed in messages:
        service.answer(OPERATION, message_id, sealed)
    sys.stdout.write(f"{items / (time.perf_counter() - started)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
