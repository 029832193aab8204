"""Calls of every operation, each with data of its own, and the right answer to each.

The answers are computed here, by the operations themselves with the same keys and no queue between.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from producer_client import wire
from rig.stack import TENANT, KeystoreFolder
from worker.keyring import Keyring
from worker.operations.execute import execute
from worker.operations.means import Means

_READ: Final[dict[Operation, Callable[[Any], Any]]] = {
    Operation.ENCRYPT: wire.read_encrypted,
    Operation.VERIFY: wire.read_verification,
    Operation.CANDIDATES: wire.read_candidates,
    Operation.BLIND_INDEX: wire.read_blind_indexes,
    Operation.WRAP: wire.read_wrapped,
}


class Question:
    """One call: the name of a client's method and its arguments."""

    def __init__(self, operation: Operation, arguments: tuple[str, ...], item: Any) -> None:
        self.operation = operation
        self.method = operation.name.lower()
        self.arguments = arguments
        self.item = item


class Oracle:
    """Asks and knows the answers. Thread-safe."""

    def __init__(self, keystore: KeystoreFolder) -> None:
        self._tenant = Keyring(keystore.load()).tenant(TENANT)

    def question(self, caller: int, number: int) -> Question:
        """The call that a caller makes as its so-manieth; no two are alike."""
        user_uuid = f"{caller:08x}-0000-4000-8000-{number:012x}"
        data = f"data {number} of caller {caller}"
        match number % 5:
            case 0:
                return self._pair(Operation.CANDIDATES, user_uuid, data)
            case 1:
                item = wire.blind_index_item("email", data)
                return Question(Operation.BLIND_INDEX, ("email", data), item)
            case 2:
                digest = f"{caller:08x}{number:024x}"
                item = wire.wrap_item(user_uuid, digest)
                return Question(Operation.WRAP, (user_uuid, digest), item)
            case 3:
                return self._verify(user_uuid, data, is_right=number % 2 == 0)
            case _:
                return self._pair(Operation.ENCRYPT, user_uuid, data)

    def _pair(self, operation: Operation, user_uuid: str, data: str) -> Question:
        return Question(operation, (user_uuid, data), wire.encrypt_item(user_uuid, data))

    def _verify(self, user_uuid: str, data: str, *, is_right: bool) -> Question:
        stored = self.answer(self._pair(Operation.ENCRYPT, user_uuid, data)).encrypted_data
        given = data if is_right else data + "!"
        item = wire.verify_item(user_uuid, given, stored, None)
        return Question(Operation.VERIFY, (user_uuid, given, stored), item)

    def answer(self, question: Question) -> Any:
        """What the client's method must return."""
        item = parse_item(question.operation, question.item)
        answer = execute(question.operation, self._tenant, item, Means(os.urandom))
        return _READ[question.operation](answer)
