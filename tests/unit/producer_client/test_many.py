"""`encrypt_many`'s bookkeeping: portions out, results in order, one error a bad pair."""

from __future__ import annotations

from typing import Any

import pytest

from caas_tasks.errors import (
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    KeyUnavailableError,
    PayloadTooLargeError,
    RequestTimeoutError,
    UnauthorizedError,
)
from caas_tasks.names import Operation
from producer_client import wire
from producer_client.calls import Call
from producer_client.many import ENCRYPT, Portion, portions_of
from producer_client.results import Encrypted

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
GOOD = (USER_UUID, "data")


def portion_of(*pairs: Any) -> Portion[Encrypted]:
    portion = Portion(ENCRYPT)
    for pair in pairs:
        portion.add(pair)
    return portion


def answer(text: str) -> dict[str, Any]:
    return {"encrypted_data": text, "key_version": 1}


@pytest.mark.parametrize(
    "pair",
    [None, 7, "ab", (USER_UUID,), (USER_UUID, "a", "b"), {USER_UUID: "a"}, (USER_UUID, b"x")],
)
def test_what_is_no_pair_has_its_error_in_its_place(pair: object) -> None:
    """A bad pair is not sent, and does not keep the others from being sent."""
    portion = portion_of(GOOD, pair, list(GOOD))
    assert len(portion.items) == 2
    assert len(portion) == 3
    first, bad, last = portion.settle([answer("aa"), answer("bb")])
    assert (first, last) == (Encrypted("aa", 1), Encrypted("bb", 1))
    assert isinstance(bad, InvalidRequestError)


def test_error_in_place_holds_no_frames() -> None:
    """An error that is kept does not keep the data of the frames it went through."""
    portion = portion_of((USER_UUID, "x" * 70_000))
    (error,) = portion.settle([])
    assert isinstance(error, PayloadTooLargeError)
    assert error.__traceback__ is None
    assert portion.first_error() is error


def test_portion_of_good_pairs_has_no_error() -> None:
    """Nothing is refused without a reason."""
    assert portion_of(GOOD).first_error() is None


def test_error_of_an_item_stands_in_its_place() -> None:
    """An item that the worker refused is an error object among results."""
    body = {"error": {"code": "key_unavailable", "message": "Gone."}}
    assert portion_of(GOOD, GOOD).settle([body, answer("aa")]) == [
        KeyUnavailableError("Gone."),
        Encrypted("aa", 1),
    ]


def test_odd_answer_is_an_error_in_its_place() -> None:
    """An answer of another form fails its own item only."""
    odd, good = portion_of(GOOD, GOOD).settle([{"what": 1}, answer("aa")])
    assert isinstance(odd, InternalError)
    assert odd.__traceback__ is None
    assert good == Encrypted("aa", 1)


def test_failed_message_is_the_error_of_each_pair_that_was_sent() -> None:
    """A timeout stands in every place, except where a pair has an error of its own."""
    late = RequestTimeoutError()
    first, bad, last = portion_of(GOOD, None, GOOD).settle(late)
    assert (first, last) == (late, late)
    assert isinstance(bad, InvalidRequestError)


@pytest.mark.parametrize("error", [UnauthorizedError(), ForbiddenError()])
def test_refused_api_key_is_raised(error: Exception) -> None:
    """What every further portion would be refused with ends the whole."""
    with pytest.raises(type(error)):
        portion_of(GOOD).settle(error)  # type: ignore[arg-type]


def test_portions_are_bounded_in_items() -> None:
    """Many pairs become full portions and a rest."""
    counts = [len(portion) for portion in portions_of(ENCRYPT, [GOOD] * 1_201)]
    assert counts == [500, 500, 201]


def test_no_pairs_are_no_portion() -> None:
    """Nothing is sent for nothing."""
    assert list(portions_of(ENCRYPT, [])) == []


def test_pairs_are_read_as_they_are_needed() -> None:
    """An endless iterable is no problem."""
    read = []

    def endless() -> Any:
        while True:
            read.append(1)
            yield GOOD

    portions = portions_of(ENCRYPT, endless())
    next(portions)
    assert len(read) == wire.CHUNK_ITEMS


@pytest.mark.parametrize("character", ["x", "ä", "\U0001f512", "\x01"])
def test_every_portion_fits_in_a_message(character: str) -> None:
    """However JSON writes the text, a portion is never refused as too large."""
    sizes = [65_535, 65_535, 65_536, 0, 300, *[50_000] * 20]
    portions = list(portions_of(ENCRYPT, ((USER_UUID, character * size) for size in sizes)))
    assert sum(map(len, portions)) == len(sizes)
    for portion in portions:
        Call(Operation.ENCRYPT, "key", portion.items, 1.0)


def test_bad_pairs_do_not_count_as_bytes() -> None:
    """A portion of nothing but bad pairs is bounded by their number."""
    bad: Any = [None] * 501
    assert [len(portion) for portion in portions_of(ENCRYPT, bad)] == [500, 1]
