"""What both clients share, without I/O: construction, deadlines, the probe, single answers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import ServicePublicKey
from caas_tasks.errors import (
    InvalidRequestError,
    ServiceError,
    UnauthorizedError,
)
from caas_tasks.limits import MAX_API_KEY_CHARS
from caas_tasks.names import Lane, Operation
from caas_tasks.settings import load_settings
from producer_client import wire
from producer_client.calls import Call
from producer_client.dispatcher import Dispatcher
from producer_client.flights import read_item
from producer_client.job_handle import JobHandle
from producer_client.jobs import prepare
from producer_client.settings import (
    DEFAULT_PASSWORD_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    ClientSettings,
    checked_timeout_s,
)
from producer_client.sharding import open_transport
from producer_client.tracing import CallTracer, open_tracer
from producer_client.transport import JobStore, OutgoingMessage, Transport

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


class BaseClient:
    """Construction and the parts of a call that wait for nothing.

    Args:
        broker_url: as `CAAS_BROKER_URL`, one address or several; the settings of its security are
            taken from the environment.
        api_key: this main server's key; None for a front that gets one with each request.
        server_key: the service's public key, `caaspub1.…`.
        timeout_s: seconds that a call waits, unless it says otherwise.
        password_timeout_s: the same for `hash_password` and `verify_password`.
        transport: instead of the broker, such as `producer_client.testing` gives.
        tracer: OpenTelemetry's, for a span of each call; None for no traces.

    Raises:
        ConfigurationError: an argument is not of its form; values are not repeated.
    """

    PROBE: Final[tuple[Operation, list[wire.WireItem], str]] = (
        Operation.ENCRYPT,
        [{"userUUID": "00000000-0000-0000-0000-000000000000", "sensitiveData": ""}],
        "probe",
    )
    """A request that only a worker which opens our messages can refuse: its API key is none."""

    def __init__(
        self,
        *,
        broker_url: str = "",
        api_key: str | None,
        server_key: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        password_timeout_s: float = DEFAULT_PASSWORD_TIMEOUT_S,
        transport: Transport | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        public_key = ServicePublicKey.from_text(server_key)
        self._timeout_s = checked_timeout_s(timeout_s)
        self._password_timeout_s = checked_timeout_s(password_timeout_s)
        self._api_key = None if api_key is None else _checked_api_key(api_key)
        self._server_key = public_key
        self._transport: Transport = transport or open_transport(broker_url)
        calls = None if tracer is None else CallTracer(tracer)
        # Neither lane waits for the other, nor reads for it: a quick call whose reply a password's
        # caller reads would be woken by another thread.
        self._dispatchers: Final = {
            Lane.FAST: Dispatcher(self._transport, public_key, Lane.FAST, calls),
            Lane.PASSWORD: Dispatcher(self._transport.twin(), public_key, Lane.PASSWORD, calls),
        }

    @classmethod
    def from_env(cls) -> Self:
        """A client from `CAAS_BROKER_URL`, `CAAS_API_KEY`, `CAAS_SERVER_KEY` and `CAAS_TIMEOUT_S`.

        Raises:
            ConfigurationError: a variable is missing or wrong; names it.
        """
        settings = load_settings(ClientSettings)
        return cls(
            broker_url=settings.broker_url.get_secret_value(),
            api_key=settings.api_key.get_secret_value(),
            server_key=settings.server_key,
            timeout_s=settings.timeout_s,
            password_timeout_s=settings.password_timeout_s,
            tracer=open_tracer() if settings.tracing else None,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(timeout_s={self._timeout_s})"

    @property
    def _jobs(self) -> JobStore:
        return self._transport.jobs

    def _prepare_job(
        self, pairs: Iterable[tuple[str | UUID, str]]
    ) -> tuple[JobHandle, list[OutgoingMessage]]:
        return prepare(self._server_key, self._key(None), pairs)

    def _key(self, api_key: str | None) -> str:
        if api_key is not None:
            return _checked_api_key(api_key)
        if self._api_key is None:
            raise UnauthorizedError
        return self._api_key

    def _deadline(self, timeout_s: float | None, lane: Lane = Lane.FAST) -> float:
        default_s = self._password_timeout_s if lane is Lane.PASSWORD else self._timeout_s
        wait_s = default_s if timeout_s is None else checked_timeout_s(timeout_s)
        return time.monotonic() + wait_s

    def _abandon(self, calls: Iterable[Call | ServiceError | None]) -> None:
        """Free the places of those calls that nobody will wait for any more."""
        for call in calls:
            if isinstance(call, Call):
                self._of(call).give_up(call)

    def _close_lanes(self) -> None:
        """Close both, whatever becomes of either; the callers of both fail before any is closed."""
        with ExitStack() as exits:
            for dispatcher in self._dispatchers.values():
                exits.callback(dispatcher.close)
            for dispatcher in self._dispatchers.values():
                dispatcher.end()

    def _of(self, call: Call) -> Dispatcher:
        return self._dispatchers[call.operation.lane]

    @staticmethod
    def _only(answers: list[wire.Answer]) -> Any:
        answer = read_item(answers[0])
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    @staticmethod
    def _check_probe(outcome: ServiceError | None) -> None:
        """Raise what stands between the client and a worker; `unauthorized` means nothing does."""
        if outcome is not None and not isinstance(outcome, UnauthorizedError):
            raise outcome


def _checked_api_key(api_key: object) -> str:
    if not isinstance(api_key, str):
        raise InvalidRequestError("apiKey must be a string.")
    if len(api_key) > MAX_API_KEY_CHARS:
        raise UnauthorizedError
    encode_json(api_key)  # refuses a lone surrogate here, not inside a message with others' items
    return api_key
