"""The operations over HTTP: `POST /<operation>` for one item, `POST /batch/<operation>` for many.

A request goes one way: head, body, API key, shape of the items, client, answer. Endpoints are bare
ASGI applications, since this is the path that every call takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Protocol

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from caas_tasks.encoding import encode_json
from caas_tasks.errors import (
    InternalError,
    InvalidRequestError,
    ServiceError,
    ServiceUnavailableError,
)
from caas_tasks.messages import RefusedItem, error_body, parse_item, parse_items, with_reference
from caas_tasks.names import Field, Operation
from gateway import problems
from gateway.bodies import (
    MAX_BATCH_BODY_BYTES,
    MAX_SINGLE_BODY_BYTES,
    ClientGoneError,
    read_head,
    read_object,
    take_api_key,
)
from gateway.responses import JSON, send_body

BATCH_PREFIX: Final = "/batch/"
KEY_VERSION_HEADER: Final = "CaaS-Key-Version"
INCLUDE_KEY_VERSION: Final = "include=key_version"

_KEY_VERSION_HEADER: Final = KEY_VERSION_HEADER.lower().encode()
_INCLUDE_KEY_VERSION: Final = INCLUDE_KEY_VERSION.encode()
_Answer = dict[str, Any]


class ItemsClient(Protocol):
    """What the gateway needs of `producer_client.AsyncClient`."""

    async def request_items(
        self,
        operation: Operation,
        items: Sequence[_Answer],
        *,
        api_key: str | None = None,
        timeout_s: float | None = None,
    ) -> list[_Answer | ServiceError]:
        """One answer or error an item, in order."""

    async def ping(self, *, timeout_s: float | None = None) -> None:
        """Raise a ServiceError unless broker, a worker and keys fit end to end."""

    async def close(self) -> None:
        """Close connections."""


class ClientSlot:
    """Holds the client while the application runs; empty before and after."""

    __slots__ = ("client",)

    def __init__(self, client: ItemsClient | None = None) -> None:
        self.client = client

    def get(self) -> ItemsClient:
        """The client.

        Raises:
            ServiceUnavailableError: the application has not started or has stopped.
        """
        if self.client is None:
            raise ServiceUnavailableError("The gateway is not running.")
        return self.client


class _Endpoint(ABC):
    """Turns every typed error into a problem; subclasses give the answer."""

    limit_bytes: int

    def __init__(self, operation: Operation, slot: ClientSlot) -> None:
        self._operation = operation
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            head = read_head(scope)
            self._check_query(scope["query_string"])
            body = await read_object(head, receive, self.limit_bytes)
            api_key = take_api_key(head, body)
            answer, headers = await self._answer(scope, api_key, body)
        except ServiceError as error:
            await problems.from_error(error).send(send)
        except ClientGoneError:
            return
        else:
            await send_body(send, 200, JSON, encode_json(answer), headers)

    def _check_query(self, query: bytes) -> None:
        if query:
            raise InvalidRequestError("This path takes no query.")

    @abstractmethod
    async def _answer(
        self, scope: Scope, api_key: str, body: dict[str, Any]
    ) -> tuple[_Answer, list[tuple[bytes, bytes]]]:
        """The answer to a request whose head, body and key were read, and further headers."""


class SingleEndpoint(_Endpoint):
    """One item in, its answer out."""

    limit_bytes = MAX_SINGLE_BODY_BYTES

    async def _answer(
        self, scope: Scope, api_key: str, body: dict[str, Any]
    ) -> tuple[_Answer, list[tuple[bytes, bytes]]]:
        if Field.REFERENCE in body:
            raise InvalidRequestError("A reference is for a batch's items.")
        parse_item(self._operation, body)
        client = self._slot.get()
        answers = await client.request_items(self._operation, [body], api_key=api_key)
        answer = answers[0]
        if isinstance(answer, ServiceError):
            raise answer
        return answer, []


class EncryptEndpoint(SingleEndpoint):
    """`POST /encrypt`, whose published answer has one field; the key version goes in a header."""

    def _check_query(self, query: bytes) -> None:
        if query not in {b"", _INCLUDE_KEY_VERSION}:
            raise InvalidRequestError(f"The only query of this path is {INCLUDE_KEY_VERSION}.")

    async def _answer(
        self, scope: Scope, api_key: str, body: dict[str, Any]
    ) -> tuple[_Answer, list[tuple[bytes, bytes]]]:
        answer, headers = await super()._answer(scope, api_key, body)
        key_version: int = answer[Field.KEY_VERSION]
        headers.append((_KEY_VERSION_HEADER, b"%d" % key_version))
        if not scope["query_string"]:
            answer = {Field.ENCRYPTED_DATA: answer[Field.ENCRYPTED_DATA]}
        return answer, headers


class BatchEndpoint(_Endpoint):
    """Items in, an answer or error for each out, in order; a bad one never fails its neighbours."""

    limit_bytes = MAX_BATCH_BODY_BYTES

    async def _answer(
        self, scope: Scope, api_key: str, body: dict[str, Any]
    ) -> tuple[_Answer, list[tuple[bytes, bytes]]]:
        if body.keys() != {Field.ITEMS}:
            raise InvalidRequestError("A batch has the fields apiKey and items and no other.")
        raw_items = body[Field.ITEMS]
        parsed = parse_items(self._operation, raw_items)
        sent = [
            _without_reference(raw)
            for raw, item in zip(raw_items, parsed, strict=True)
            if not isinstance(item, RefusedItem)
        ]
        answers: list[_Answer | ServiceError] = []
        if sent:
            client = self._slot.get()
            answers = await client.request_items(self._operation, sent, api_key=api_key)
        if len(answers) != len(sent):
            raise InternalError("The worker's answer is not of the expected form.")
        remaining = iter(answers)
        outcomes = [
            (item.error if isinstance(item, RefusedItem) else next(remaining), item.reference)
            for item in parsed
        ]
        return _batch_answer(outcomes), []


def _without_reference(raw: dict[str, Any]) -> dict[str, Any]:
    # The worker has no use for it, and the gateway knows the order.
    if Field.REFERENCE not in raw:
        return raw
    return {name: value for name, value in raw.items() if name != Field.REFERENCE}


def _batch_answer(outcomes: list[tuple[_Answer | ServiceError, str | None]]) -> _Answer:
    failures = sum(isinstance(outcome, ServiceError) for outcome, _ in outcomes)
    status = "partial"
    if failures == 0:
        status = "ok"
    elif failures == len(outcomes):
        status = "failed"
    return {
        Field.ITEMS: [
            with_reference(
                error_body(outcome) if isinstance(outcome, ServiceError) else outcome, reference
            )
            for outcome, reference in outcomes
        ],
        "status": status,
    }


def operation_routes(slot: ClientSlot) -> list[Route]:
    """The routes of all operations, `/encrypt` first, since they are searched in order."""
    singles = [
        Route(
            f"/{operation.value}",
            (EncryptEndpoint if operation is Operation.ENCRYPT else SingleEndpoint)(
                operation, slot
            ),
            methods=["POST"],
        )
        for operation in Operation
    ]
    batches = [
        Route(f"{BATCH_PREFIX}{operation.value}", BatchEndpoint(operation, slot), methods=["POST"])
        for operation in Operation
    ]
    return singles + batches
