"""One request under observation: notes taken on its way, made an outcome at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caas_tasks.items import Item, UserItem
from caas_tasks.messages import RefusedItem
from caas_tasks.names import Field, Operation
from worker.keyring import Keyring
from worker.keystore.document import ApiKey
from worker.outcome import Outcome, Stages, count_codes
from worker.user_names import UserNames


class Observation:
    """Notes on one request, taken by the thread that answers it.

    Args:
        operation: what is asked for.
        message_id: as it came.
        at_ms: Unix time in milliseconds.
        stopwatch: seconds that never go back, such as `time.perf_counter`.
        user_names: names the users; None leaves them out.
    """

    __slots__ = ("_answered", "_api_key", "_at_ms", "_began", "_body", "_items", "_keyring",
                 "_message_id", "_opened", "_operation", "_stopwatch", "_user_names")  # fmt: skip

    def __init__(
        self,
        operation: Operation,
        message_id: str,
        at_ms: int,
        stopwatch: Callable[[], float],
        user_names: UserNames | None,
    ) -> None:
        self._operation = operation
        self._message_id = message_id
        self._at_ms = at_ms
        self._stopwatch = stopwatch
        self._user_names = user_names
        self._keyring: Keyring | None = None
        self._api_key: ApiKey | None = None
        self._items: Sequence[Item | RefusedItem] = ()
        self._body: Mapping[str, Any] | None = None
        self._began = stopwatch()
        self._opened = self._answered = 0.0

    def accepted(
        self, keyring: Keyring, api_key: ApiKey, items: Sequence[Item | RefusedItem]
    ) -> None:
        """The API key is valid; what follows may still be refused."""
        self._keyring, self._api_key, self._items = keyring, api_key, items

    def opened(self) -> None:
        """The payload is there."""
        self._opened = self._stopwatch()

    def answered(self, body: Mapping[str, Any]) -> None:
        """The answers are there, or the refusal."""
        self._body = body
        self._answered = self._stopwatch()

    def outcome(self, unopened_code: str) -> Outcome:
        """The notes as an outcome, at the end of the request.

        Args:
            unopened_code: the code when no body was ever made.
        """
        answers, refusal = self._answers(unopened_code)
        ended = self._stopwatch()
        key, keyring = self._api_key, self._keyring
        return Outcome(
            self._message_id,
            self._operation,
            self._at_ms,
            key.tenant if key else None,
            key.key_id if key else None,
            keyring.primary if keyring else None,
            len(answers),
            refusal,
            count_codes(answers) if refusal is None else {refusal: 1},
            self._users(),
            ended - self._began,
            Stages(
                (self._opened or ended) - self._began,
                self._answered - self._opened,
                (ended - self._answered) if self._answered else 0.0,
            ),
        )

    def _answers(self, unopened_code: str) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        if self._body is None:
            return (), unopened_code
        if Field.ERROR in self._body:
            return (), self._body[Field.ERROR][Field.CODE]
        return self._body[Field.ITEMS], None

    def _users(self) -> tuple[str, ...]:
        if self._user_names is None or self._api_key is None:
            return ()
        users = dict.fromkeys(
            item.user_uuid.lower() for item in self._items if isinstance(item, UserItem)
        )
        return self._user_names.for_audit(self._api_key.tenant, users)
