"""From a sealed request to a sealed reply: the straight line that every task runs.

Order (docs/spec.md, section 7): sizes, opening, schema, API key, expiry, scope, the key's own
limit, guess limit, operation. Nothing leaves this module but sealed text: every exception ends
here. Observers are told of each request before its reply leaves, and can keep it from leaving.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from caas_tasks.errors import ServiceError, ServiceUnavailableError, UnreadableMessageError
from caas_tasks.messages import error_body, parse_request
from caas_tasks.names import Field, Lane, Operation
from worker import incident, policy
from worker.batch import Batch, GuessLimits
from worker.key_guard import KeyGuard
from worker.keyring import Keyring
from worker.observation import Observation
from worker.operations.means import Means, PasswordRoom
from worker.outcome import Observer, Outcome
from worker.user_names import UserNames


class Service:
    """Answers sealed requests.

    Args:
        keyring: gives the current keyring; asked once a request.
        now_ms: Unix time in milliseconds.
        random_bytes: cryptographically secure, such as `os.urandom`.
        reread: gives the keyring after a look at the keystore; asked when a request names a service
            key or a key version that the current keyring has no record of.
        observers: told of each request, in this order, before its reply leaves.
        user_names: names the users of outcomes; None leaves them out.
        limits: the guess limit; None for no limit.
        key_guard: the API keys' own limits; None for none.
        password_room: what password hashes share; None for no bound on memory, and one core.
        stopwatch: seconds that never go back; only asked when there are observers.
    """

    def __init__(
        self,
        keyring: Callable[[], Keyring],
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        *,
        reread: Callable[[], Keyring] | None = None,
        observers: Sequence[Observer] = (),
        user_names: UserNames | None = None,
        limits: GuessLimits | None = None,
        key_guard: KeyGuard | None = None,
        password_room: PasswordRoom | None = None,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._keyring = keyring
        self._reread = reread or keyring
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._means = Means(random_bytes, password_room or PasswordRoom())
        self._observers = tuple(observers)
        self._user_names = user_names
        self._limits = limits
        self._key_guard = key_guard
        self._stopwatch = stopwatch

    def answer(self, operation: Operation, message_id: str, sealed: object) -> str:
        """The sealed reply to a sealed request, or `UNREADABLE_REPLY`. Never raises."""
        if not self._observers:
            return self._answer(operation, message_id, sealed, None)[0]
        observation = Observation(
            operation,
            message_id,
            self._now_ms(),
            self._stopwatch,
            self._user_names,
        )
        reply, keys = self._answer(operation, message_id, sealed, observation)
        if self._tell(observation.outcome(UnreadableMessageError.code)) or keys is None:
            return reply
        return self._seal(keys, operation, message_id, error_body(_unaccounted()))

    def _answer(
        self, operation: Operation, message_id: str, sealed: object, seen: Observation | None
    ) -> tuple[str, SessionKeys | None]:
        """The reply, and the session's keys when the request could be opened."""
        try:
            keyring = self._keyring()
            request = split_request(sealed)
            if not keyring.has_service_key(request.key_id):
                keyring = self._reread()
            keys = keyring.session(request.key_id, request.wrapped)
            payload = request.open(keys, operation.task_name, message_id)
        except UnreadableMessageError:
            return UNREADABLE_REPLY, None
        except Exception as error:  # noqa: BLE001 - no session to seal with, yet it must answer
            incident.report(operation, error, self._random_bytes)
            return UNREADABLE_REPLY, None
        if seen is not None:
            seen.opened()
        body = self._body(operation, keyring, request, payload, seen)
        if seen is not None:
            seen.answered(body)
        return self._seal(keys, operation, message_id, body), keys

    def _seal(self, keys: SessionKeys, operation: Operation, message_id: str, body: object) -> str:
        nonce = self._random_bytes(NONCE_BYTES)
        return seal_reply(keys, operation.task_name, message_id, encode_json(body), nonce)

    def _body(
        self,
        operation: Operation,
        keyring: Keyring,
        request: SealedRequest,
        payload: bytes,
        seen: Observation | None,
    ) -> dict[str, Any]:
        try:
            api_key, items = parse_request(operation, payload)
            now_ms = self._now_ms()
            record = policy.authenticate(keyring, api_key, now_ms)
            if seen is not None:
                seen.accepted(keyring, record, items)
            policy.check_expiry(request.expiry_ms, now_ms)
            policy.check_scope(record, operation)
            guard = self._key_guard
            admitted = items if guard is None else guard.admit(record, items, now_ms)
            batch = self._batch(operation, keyring, record.tenant, request.expiry_ms)
            return {Field.ITEMS: batch.answers(admitted)}
        except ServiceError as error:
            return error_body(error)
        except Exception as error:  # noqa: BLE001 - Celery would publish what it holds
            return error_body(incident.report(operation, error, self._random_bytes))

    def _batch(self, operation: Operation, keyring: Keyring, tenant: str, expiry_ms: int) -> Batch:
        def check_time() -> None:
            policy.check_expiry(expiry_ms, self._now_ms())

        # A message of many passwords would be worked on for minutes after its caller went.
        is_slow = operation.lane is Lane.PASSWORD
        return Batch(
            operation,
            keyring,
            tenant,
            self._means,
            self._limits,
            reread=self._reread,
            check_time=check_time if is_slow else None,
        )

    def _tell(self, outcome: Outcome) -> bool:
        """Tell every observer; whether all let the reply go."""
        may_leave = True
        for observer in self._observers:
            try:
                observer.observe(outcome)
            except Exception as error:  # noqa: BLE001 - what an observer raises keeps a reply back
                if not isinstance(error, ServiceError):
                    incident.report(outcome.operation, error, self._random_bytes)
                may_leave = False
                outcome = outcome.refused(ServiceUnavailableError.code)
        return may_leave


def _unaccounted() -> ServiceUnavailableError:
    return ServiceUnavailableError("The service could not keep account of the request.")
