"""Messages on their way: when they are sent again, and how their answers find the calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caas_tasks.encoding import encode_json
from caas_tasks.envelope import UNREADABLE_REPLY, seal_reply
from caas_tasks.errors import (
    ForbiddenError,
    InternalError,
    RateLimitedError,
    ServiceError,
    UnreadableMessageError,
)
from caas_tasks.names import Lane, Operation
from producer_client.calls import ThreadCall
from producer_client.flights import Flight, payload, read_answers, read_item
from producer_client.transport import OutgoingMessage

MESSAGE_ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"


def make_call(items: int = 1, deadline: float = 10.0) -> ThreadCall:
    return ThreadCall(Operation.ENCRYPT, "kéy\n", [{"v": "x"}] * items, deadline)


def make_flight(world: Any, calls: list[ThreadCall]) -> Flight:
    message = OutgoingMessage(Operation.ENCRYPT, Lane.FAST, MESSAGE_ID, "sealed")
    return Flight(message, world.session, list(calls))


def seal(world: Any, body: bytes, message_id: str = MESSAGE_ID) -> str:
    return seal_reply(world.session.keys, "caas.encrypt", message_id, body, bytes(12))


def test_payload_is_json_with_the_items_of_all_calls() -> None:
    """A message's payload has one API key, escaped, and the items in their order."""
    calls = [ThreadCall(Operation.ENCRYPT, 'k"é\n', [{"n": n}] * 2, 1.0) for n in range(2)]
    assert json.loads(payload([*calls])) == {
        "apiKey": 'k"é\n',
        "items": [{"n": 0}, {"n": 0}, {"n": 1}, {"n": 1}],
    }


def test_calls_know_their_message(world: Any) -> None:
    """A call in flight leads to its message, which is not sent after its latest deadline."""
    calls = [make_call(deadline=3.0), make_call(deadline=7.0)]
    flight = make_flight(world, calls)
    assert [call.flight for call in calls] == [flight, flight]
    assert flight.deadline == 7.0


def test_waits_between_resends_double_up_to_five_seconds(world: Any) -> None:
    """A silent worker is asked ever less often."""
    flight = make_flight(world, [make_call()])
    waits = []
    for _ in range(5):
        flight.mark_sent(100.0)
        waits.append(flight.due_at - 100.0)
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_message_that_was_not_taken_is_tried_soon_and_its_waits_start_anew(world: Any) -> None:
    """An outage does not leave a message waiting long for its first resend."""
    flight = make_flight(world, [make_call()])
    for _ in range(4):
        flight.mark_sent(100.0)
    flight.mark_unsent(100.0)
    assert flight.due_at == pytest.approx(100.1)
    flight.mark_sent(101.0)
    assert flight.due_at == 102.0


def test_answers_are_dealt_out_in_order(world: Any) -> None:
    """Each call gets the answers to its own items."""
    calls = [make_call(2), make_call(1), make_call(3)]
    flight = make_flight(world, calls)
    assert flight.deliver([{"n": n} for n in range(6)]) == calls
    assert [call.outcome for call in calls] == [
        [{"n": 0}, {"n": 1}],
        [{"n": 2}],
        [{"n": 3}, {"n": 4}, {"n": 5}],
    ]


def test_call_that_left_gets_nothing(world: Any) -> None:
    """Only those who still wait are woken; their answers do not shift."""
    gone, stays = make_call(2), make_call(1)
    flight = make_flight(world, [gone, stays])
    flight.calls.discard(gone)
    assert flight.deliver([{"n": n} for n in range(3)]) == [stays]
    assert (gone.outcome, stays.outcome) == (None, [{"n": 2}])


@pytest.mark.parametrize("count", [0, 2, 4])
def test_wrong_number_of_answers_fails_every_call(world: Any, count: int) -> None:
    """No answer may land at another item."""
    calls = [make_call(2), make_call(1)]
    make_flight(world, calls).deliver([{}] * count)
    assert {type(call.outcome) for call in calls} == {InternalError}


def test_error_of_the_whole_message_is_every_calls(world: Any) -> None:
    """What a message is refused with reaches all its calls."""
    calls = [make_call(2), make_call(1)]
    make_flight(world, calls).deliver(ForbiddenError())
    assert [call.outcome for call in calls] == [ForbiddenError(), ForbiddenError()]


def test_authentic_reply_is_read(world: Any) -> None:
    """A sealed reply opens to its answers."""
    flight = make_flight(world, [make_call()])
    assert flight.read(seal(world, b'{"items":[{"a":1}]}')) == [{"a": 1}]


def test_unreadable_reply_is_a_typed_error(world: Any) -> None:
    """The one unsealed answer is an error and nothing else."""
    assert make_flight(world, [make_call()]).read(UNREADABLE_REPLY) == UnreadableMessageError()


def test_reply_under_another_id_is_refused(world: Any) -> None:
    """A reply is bound to its message."""
    with pytest.raises(UnreadableMessageError):
        make_flight(world, [make_call()]).read(seal(world, b"{}", MESSAGE_ID.replace("6", "7")))


def test_refusal_of_a_message_is_read() -> None:
    """An error in the place of answers becomes its exception, with its seconds."""
    body = {"error": {"code": "rate_limited", "message": "Too many.", "retry_after": 7}}
    assert read_answers(encode_json(body)) == RateLimitedError("Too many.", retry_after_s=7)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"null", b"[]", b"7", b'{"items":null}', b'{"items":{}}', b'{"items":[1]}'],
)
def test_body_of_another_form_is_an_internal_error(body: bytes) -> None:
    """A worker's answer that is no answer is told as what it is."""
    assert isinstance(read_answers(body), InternalError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "forbidden", "message": "No."}, ForbiddenError("No.")),
        ({"code": "unheard_of", "message": "No."}, InternalError()),
        ({}, InternalError()),
        ("text", InternalError()),
    ],
)
def test_error_in_an_items_place_is_read(error: object, expected: ServiceError) -> None:
    """An item's error becomes its exception; an unknown one is internal."""
    assert read_item({"error": error}) == expected


def test_answer_in_an_items_place_is_kept() -> None:
    """An answer is handed on as it is."""
    answer = {"encrypted_data": "ab"}
    assert read_item(answer) is answer


def test_answered_calls_are_freed_at_once(world: Any) -> None:
    """No call and its message hold each other: all would wait for the garbage collector."""
    call = make_call()
    flight = make_flight(world, [call])
    flight.deliver([{"v": 1}])
    assert call.flight is None
