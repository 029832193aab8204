"""One request under observation: notes taken on its way, made an outcome at its end."""

from __future__ import annotations

import itertools
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

    __slots__ = ("_api_key", "_at_ms", "_body", "_items", "_key_version", "_keyring", "_marks",
                 "_message_id", "_operation", "_stopwatch", "_user_names")  # fmt: skip

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
        self._marks = [stopwatch()]

    def accepted(
        self, keyring: Keyring, api_key: ApiKey, items: Sequence[Item | RefusedItem]
    ) -> None:
        """The API key is valid; what follows may still be refused."""
        self._keyring, self._api_key, self._items = keyring, api_key, items

    def opened(self) -> None:
        """The payload is there."""
        self._marks.append(self._stopwatch())

    def answered(self, body: Mapping[str, Any]) -> None:
        """The answers are there, or the refusal."""
        self._body = body
        self._marks.append(self._stopwatch())

    def outcome(self, unopened_code: str) -> Outcome:
        """The notes as an outcome, at the end of the request.

        Args:
            unopened_code: the code when no body was ever made.
        """
        answers, refusal = self._answers(unopened_code)
        marks = [*self._marks, self._stopwatch()]
        durations = [after - before for before, after in itertools.pairwise(marks)]
        key, keyring = self._api_key, self._keyring
        return Outcome(
            message_id=self._message_id,
            operation=self._operation,
            at_ms=self._at_ms,
            tenant=key.tenant if key else None,
            api_key_id=key.key_id if key else None,
            key_version=keyring.primary if keyring else None,
            items=len(answers),
            refusal=refusal,
            codes=count_codes(answers) if refusal is None else {refusal: 1},
            users=self._users(),
            duration_s=marks[-1] - marks[0],
            stages=Stages(*durations),
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
