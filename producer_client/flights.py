"""Messages that are on their way: what was sent, for whom, and when it is sent again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from pydantic_core import from_json

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import UNREADABLE_REPLY, ClientSession, open_reply
from caas_tasks.errors import InternalError, ServiceError, UnreadableMessageError, error_from_wire
from caas_tasks.names import Field
from producer_client.calls import Call
from producer_client.transport import OutgoingMessage
from producer_client.wire import Answer

FIRST_RESEND_S: Final = 1.0
"""Wait before a message is sent a second time under the same id; it doubles up to the maximum."""

MAX_RESEND_S: Final = 5.0

RETRY_SEND_S: Final = 0.1
"""Wait before a message that the broker did not take is tried again."""


class Flight:
    """A sealed message and the calls whose items are in it.

    Attributes:
        calls: those still waiting; a call that gave up is taken out.
        deadline: the latest of theirs; after it the message is not sent again.
        due_at: monotonic seconds at which the message is sent again.
        sent_at: when it was last sent.
    """

    __slots__ = ("_first_wait_s", "_wait_s", "calls", "deadline", "due_at", "message", "order",
                 "sent_at", "session")  # fmt: skip

    def __init__(
        self,
        message: OutgoingMessage,
        session: ClientSession,
        calls: list[Call],
        first_resend_s: float = FIRST_RESEND_S,
    ) -> None:
        self.message = message
        self.session = session
        self.order = calls
        self.calls = set(calls)
        self.deadline = max(call.deadline for call in calls)
        self.sent_at = 0.0
        self.due_at = float("inf")
        self._wait_s = self._first_wait_s = first_resend_s
        for call in calls:
            call.flight = self

    @property
    def patience_s(self) -> float:
        """How long a lane may stand still before a due message counts as lost, in seconds."""
        return self._first_wait_s / 2

    def mark_sent(self, now: float) -> None:
        """The broker took the message: wait longer before each further resend."""
        self.sent_at = now
        self.due_at = now + self._wait_s
        self._wait_s = min(max(MAX_RESEND_S, self._first_wait_s), 2 * self._wait_s)

    def mark_unsent(self, now: float) -> None:
        """The broker did not take it."""
        self.due_at = now + RETRY_SEND_S
        self._wait_s = self._first_wait_s

    def read(self, sealed: str) -> list[Answer] | ServiceError:
        """The reply's answers, or the error that the whole message was answered with.

        Raises:
            UnreadableMessageError: the reply is not authentic; it says nothing about the request.
        """
        if sealed == UNREADABLE_REPLY:
            return UnreadableMessageError()
        payload = open_reply(
            self.session.keys, self.message.operation.task_name, self.message.message_id, sealed
        )
        return read_answers(payload)

    def deliver(self, answers: list[Answer] | ServiceError) -> list[Call]:
        """Give each waiting call its answers; the calls to wake."""
        total = sum(len(call.encoded) for call in self.order)
        if isinstance(answers, list) and len(answers) != total:
            answers = InternalError("The worker's answer is not of the expected form.")
        start = 0
        answered = []
        for call in self.order:
            end = start + len(call.encoded)
            if call in self.calls:
                call.outcome = answers if isinstance(answers, ServiceError) else answers[start:end]
                # Else call and flight hold each other, and only the garbage collector frees them.
                call.flight = None
                answered.append(call)
            start = end
        return answered


def read_answers(payload: bytes) -> list[Answer] | ServiceError:
    """The answers of an opened reply, or the error that the whole message was answered with."""
    body: object = None
    with suppress(ValueError):
        body = from_json(payload)
    if isinstance(body, dict):
        error = body.get(Field.ERROR)
        if error is not None:
            return _error(error)
        answers = body.get(Field.ITEMS)
        if isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
            return answers
    return InternalError("The worker's answer is not of the expected form.")


def read_item(answer: Answer) -> Answer | ServiceError:
    """One item's answer, or the error in its place."""
    error = answer.get(Field.ERROR)
    return answer if error is None else _error(error)


def _error(error: Any) -> ServiceError:
    if not isinstance(error, dict):
        return InternalError()
    return error_from_wire(
        error.get(Field.CODE), error.get(Field.MESSAGE), error.get(Field.RETRY_AFTER)
    )


def payload(calls: list[Call]) -> bytes:
    """The payload of a message with the items of some calls, all under one API key."""
    items = b",".join(encoded for call in calls for encoded in call.encoded)
    return b'{"%s":%s,"%s":[%s]}' % (
        Field.API_KEY.encode(),
        encode_json(calls[0].api_key),
        Field.ITEMS.encode(),
        items,
    )
