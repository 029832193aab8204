"""Order, bounds, and what happens when something ends early."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from caas_cli.bulk import pipeline
from caas_cli.bulk.chunks import Chunk, InputError, Settled
from caas_tasks.errors import ServiceUnavailableError


def chunks(count: int, read: list[int] | None = None) -> Iterator[Chunk]:
    for number in range(count):
        if read is not None:
            read.append(number)
        yield Chunk(number + 1, [number], [("user", str(number))])


def test_chunks_are_settled_in_order_whatever_is_answered_first() -> None:
    """The first answer comes last here."""
    others_done = threading.Barrier(3)
    settled: list[int] = []

    def ask(chunk: Chunk) -> list[object]:
        if chunk.first_row <= 3:
            others_done.wait(30)
        return [(chunk.first_row,)]

    pipeline.run(
        chunks(20),
        ask,  # type: ignore[arg-type]
        lambda done: settled.append(done.chunk.first_row),
        under_way=3,
        stop=lambda: None,
    )
    assert settled == list(range(1, 21))


def test_no_more_chunks_are_read_than_may_be_under_way() -> None:
    """However slow the service is, memory stays bounded."""
    read: list[int] = []
    ahead: list[int] = []

    def settle(done: Settled) -> None:
        ahead.append(len(read) - done.chunk.first_row + 1)

    pipeline.run(
        chunks(30, read),
        lambda chunk: [(chunk.first_row,)],
        settle,
        under_way=4,
        stop=lambda: None,
    )
    assert (len(ahead), max(ahead) <= 4) == (30, True)


def test_what_was_read_before_a_broken_input_is_settled() -> None:
    """Then the input's error is raised."""
    settled: list[int] = []

    def broken() -> Iterator[Chunk]:
        yield from chunks(3)
        raise InputError("broken")

    with pytest.raises(InputError):
        pipeline.run(
            broken(),
            lambda chunk: [(chunk.first_row,)],
            lambda done: settled.append(done.chunk.first_row),
            under_way=8,
            stop=lambda: None,
        )
    assert settled == [1, 2, 3]


def test_nothing_behind_a_chunk_that_failed_is_settled() -> None:
    """A service that stayed away for one chunk: the order would have a hole."""
    settled: list[int] = []
    stopped: list[bool] = []

    def ask(chunk: Chunk) -> list[object]:
        if chunk.first_row == 3:
            raise ServiceUnavailableError
        return [()]

    with pytest.raises(ServiceUnavailableError):
        pipeline.run(
            chunks(10),
            ask,  # type: ignore[arg-type]
            lambda done: settled.append(done.chunk.first_row),
            under_way=4,
            stop=lambda: stopped.append(True),
        )
    assert (settled, stopped) == ([1, 2], [True])


def test_an_interrupt_stops_those_who_ask() -> None:
    """They wait for `stop`, and the run doesn't wait for their answers."""
    stop = threading.Event()

    def ask(chunk: Chunk) -> list[object]:
        if chunk.first_row > 1:
            stop.wait(30)
        return [()]

    def settle(done: Settled) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(chunks(10), ask, settle, under_way=4, stop=stop.set)  # type: ignore[arg-type]
    assert stop.is_set()


def test_no_key_is_shown_for_a_row_whose_cells_may_be_shifted() -> None:
    """Others show theirs."""
    chunk = Chunk(11, [0, 1, 2], ["malformed_row", "nul", ("u", "v")], ["secret", "k2", "k3"])
    settled = Settled.of(chunk, ["malformed_row", "nul", ("x",)])
    assert settled.failures() == [(11, "", "malformed_row"), (12, "k2", "nul")]
