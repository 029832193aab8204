"""From a sealed request to a sealed reply: the straight line that every task runs.

Order (docs/spec.md, section 7): sizes, opening, schema, API key, expiry, scope, guess limit,
operation. Nothing leaves this module but sealed text: every exception ends here, and what is logged
of one is its type and where it was raised, never its message, which may hold input.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import (
    NONCE_BYTES,
    UNREADABLE_REPLY,
    SealedRequest,
    SessionKeys,
    seal_reply,
    split_request,
)
from caas_tasks.errors import InternalError, ServiceError, UnreadableMessageError
from caas_tasks.messages import Item, RefusedItem, error_body, parse_request, with_reference
from caas_tasks.names import Field, Operation
from worker import policy
from worker.keyring import Keyring, TenantKeys
from worker.operations.execute import execute

logger = logging.getLogger(__name__)


class Service:
    """Answers sealed requests.

    Args:
        keyring: gives the current keyring; asked once a request.
        now_ms: Unix time in milliseconds.
        random_bytes: cryptographically secure, such as `os.urandom`.
    """

    def __init__(
        self,
        keyring: Callable[[], Keyring],
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._keyring = keyring
        self._now_ms = now_ms
        self._random_bytes = random_bytes

    def answer(self, operation: Operation, message_id: str, sealed: object) -> str:
        """The sealed reply to a sealed request, or `UNREADABLE_REPLY`. Never raises."""
        try:
            keyring = self._keyring()
            request = split_request(sealed)
            keys = keyring.session(request.key_id, request.wrapped)
            payload = request.open(keys, operation.task_name, message_id)
        except UnreadableMessageError:
            return UNREADABLE_REPLY
        except Exception as error:  # noqa: BLE001 - no session to seal with, yet it must answer
            self._internal_error(operation, error)
            return UNREADABLE_REPLY
        return self._seal(
            keys, operation, message_id, self._body(operation, keyring, request, payload)
        )

    def _seal(self, keys: SessionKeys, operation: Operation, message_id: str, body: object) -> str:
        nonce = self._random_bytes(NONCE_BYTES)
        return seal_reply(keys, operation.task_name, message_id, encode_json(body), nonce)

    def _body(
        self, operation: Operation, keyring: Keyring, request: SealedRequest, payload: bytes
    ) -> dict[str, Any]:
        try:
            api_key, items = parse_request(operation, payload)
            now_ms = self._now_ms()
            record = policy.authenticate(keyring, api_key, now_ms)
            policy.check_expiry(request.expiry_ms, now_ms)
            policy.check_scope(record, operation)
            tenant = keyring.tenant(record.tenant)
        except ServiceError as error:
            return error_body(error)
        except Exception as error:  # noqa: BLE001 - Celery would publish what it holds
            return error_body(self._internal_error(operation, error))
        # The guess limit's place: it reserves here, an item at a time, before the work is done.
        return {Field.ITEMS: [self._item(operation, tenant, item) for item in items]}

    def _item(
        self, operation: Operation, tenant: TenantKeys, item: Item | RefusedItem
    ) -> dict[str, Any]:
        if isinstance(item, RefusedItem):
            return with_reference(error_body(item.error), item.reference)
        try:
            answer = execute(operation, tenant, item)
        except ServiceError as error:
            answer = error_body(error)
        except Exception as error:  # noqa: BLE001 - a bad item never fails its neighbours
            answer = error_body(self._internal_error(operation, error))
        return with_reference(answer, item.reference)

    def _internal_error(self, operation: Operation, error: Exception) -> InternalError:
        incident = self._random_bytes(8).hex()
        logger.error(
            "internal error %s in %s: %s at %s",
            incident,
            operation.task_name,
            type(error).__name__,
            _where(error),
        )
        return InternalError(f"Internal error {incident}.")


def _where(error: BaseException) -> str:
    """The frames an exception went through, innermost last, without any value."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename}:{frame.lineno}({frame.name})" for frame in frames)
