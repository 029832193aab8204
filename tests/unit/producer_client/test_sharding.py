"""Several brokers as one: messages are spread, a broker that is away is left out and comes back."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

import pytest

from caas_tasks.errors import ConfigurationError, ServiceUnavailableError
from caas_tasks.names import Lane, Operation
from producer_client.redis_transport import RedisTransport
from producer_client.sharded_jobs import ShardedJobStore
from producer_client.sharding import REMEMBERED, ShardedTransport, open_transport
from producer_client.transport import IncomingReply, OutgoingMessage

SAFETY_S = 30.0


def message(name: str) -> OutgoingMessage:
    return OutgoingMessage(Operation.ENCRYPT, Lane.FAST, name, "sealed")


class Store:
    """A job store in memory that can be away."""

    def __init__(self) -> None:
        self.is_away = False
        self.open: set[str] = set()
        self.done: dict[str, str] = {}
        self.asked = 0

    def _check(self) -> None:
        self.asked += 1
        if self.is_away:
            raise ServiceUnavailableError

    def enter(self, messages: Sequence[OutgoingMessage]) -> None:
        self._check()
        self.open |= {each.message_id for each in messages}

    def finish(self) -> None:
        self.done |= dict.fromkeys(self.open, "result")
        self.open = set()

    def results(self, job_ids: Sequence[str]) -> list[str | None]:
        self._check()
        return [self.done.get(each) for each in job_ids]

    def count_results(self, job_ids: Sequence[str]) -> int:
        self._check()
        return sum(each in self.done for each in job_ids)

    def count_open(self, job_ids: Sequence[str]) -> int:
        self._check()
        return sum(each in self.open for each in job_ids)

    def cancel(self, job_ids: Sequence[str]) -> None:
        self._check()
        self.open -= set(job_ids)
        for each in job_ids:
            self.done.pop(each, None)

    def close(self) -> None:
        pass


class Carrier:
    """A transport that notes what it sends, and gives what a test puts in."""

    def __init__(self) -> None:
        self.is_away = False
        self.sent: list[str] = []
        self.replies: queue.Queue[list[IncomingReply] | None] = queue.Queue()
        self.is_closed = False
        self.jobs: Any = Store()

    def send(self, sent: OutgoingMessage) -> None:
        if self.is_away:
            raise ServiceUnavailableError
        self.sent.append(sent.message_id)

    def receive(self, timeout_s: float) -> list[IncomingReply]:
        found = self.replies.get(timeout=SAFETY_S)
        if found is None:
            raise ServiceUnavailableError("away")
        return found

    def interrupt(self) -> None:
        self.replies.put([])

    def close(self) -> None:
        self.is_closed = True

    def reset_after_fork(self) -> None:
        self.jobs = Store()

    def twin(self) -> Carrier:
        return Carrier()


@pytest.fixture
def carriers() -> list[Carrier]:
    return [Carrier(), Carrier()]


@pytest.fixture
def transport(carriers: list[Carrier], clock: Any) -> Any:
    made = ShardedTransport(carriers, clock.monotonic)
    yield made
    made.close()


def test_messages_are_spread(transport: ShardedTransport, carriers: list[Carrier]) -> None:
    """Each broker gets its turn."""
    for number in range(6):
        transport.send(message(str(number)))
    assert [len(carrier.sent) for carrier in carriers] == [3, 3]


def test_unreachable_broker_is_left_out(
    transport: ShardedTransport, carriers: list[Carrier], clock: Any
) -> None:
    """After one refusal all messages go to the other, until it is time to try again."""
    carriers[0].is_away = True
    transport.send(message("the other's turn"))
    with pytest.raises(ServiceUnavailableError):
        transport.send(message("refused"))
    before = len(carriers[1].sent)
    for number in range(10):
        transport.send(message(f"later-{number}"))
    assert len(carriers[1].sent) == before + 10
    carriers[0].is_away = False
    clock.forward(1.1)
    for number in range(2):
        transport.send(message(f"again-{number}"))
    assert len(carriers[0].sent) == 1


def test_rest_grows_and_ends(
    transport: ShardedTransport, carriers: list[Carrier], clock: Any
) -> None:
    """A broker that stays away is tried ever more rarely, and at least every 15 seconds."""
    carriers[0].is_away = True
    tries = 0
    for number in range(200):
        try:
            transport.send(message(str(number)))
        except ServiceUnavailableError:
            tries += 1
        clock.forward(0.5)
    assert 8 <= tries <= 12


def test_resend_goes_to_another_broker(
    transport: ShardedTransport, carriers: list[Carrier]
) -> None:
    """A broker that takes messages and answers none costs one wait."""
    transport.send(message("same"))
    transport.send(message("same"))
    assert [carrier.sent for carrier in carriers] == [["same"], ["same"]]
    first = carriers[1]  # the first turn
    for number in range(4):
        transport.send(message(str(number)))
    assert first.sent == ["same"]


def test_all_away_is_tried_all_the_same(
    transport: ShardedTransport, carriers: list[Carrier]
) -> None:
    """With every broker left out, the one whose rest ends first is tried."""
    for carrier in carriers:
        carrier.is_away = True
    for number in range(4):
        with pytest.raises(ServiceUnavailableError):
            transport.send(message(str(number)))
    for carrier in carriers:
        carrier.is_away = False
    transport.send(message("back"))
    assert sum(carrier.sent.count("back") for carrier in carriers) == 1


def test_replies_of_all_come(transport: ShardedTransport, carriers: list[Carrier]) -> None:
    """Whichever broker a reply comes by, it is received."""
    for number, carrier in enumerate(carriers):
        carrier.replies.put([IncomingReply(str(number), "sealed")])
    found = {transport.receive(SAFETY_S)[0].message_id for _ in carriers}
    assert found == {"0", "1"}


def test_one_reader_fails_and_the_other_goes_on(
    transport: ShardedTransport, carriers: list[Carrier]
) -> None:
    """A broker that is away holds no reply of another back."""
    carriers[0].replies.put(None)
    carriers[1].replies.put([IncomingReply("1", "sealed")])
    assert transport.receive(SAFETY_S)[0].message_id == "1"


def test_no_broker_at_all(transport: ShardedTransport, carriers: list[Carrier]) -> None:
    """When none can be reached the caller is told, and why."""
    for carrier in carriers:
        carrier.replies.put(None)
    caught: list[str] = []
    while not caught:
        try:
            assert transport.receive(0.01) == []
        except ServiceUnavailableError as error:
            caught.append(str(error))
    assert caught == ["away"]


def test_closing_ends_a_receive(transport: ShardedTransport, carriers: list[Carrier]) -> None:
    """Who waits is let go, and every connection closed."""
    transport.interrupt()
    assert transport.receive(SAFETY_S) == []
    transport.close()
    assert all(carrier.is_closed for carrier in carriers)


def test_memory_is_bounded(transport: ShardedTransport) -> None:
    """What was sent long ago is forgotten."""
    for number in range(REMEMBERED + 10):
        transport.send(message(str(number)))
    assert len(transport._sent_by) == REMEMBERED


def test_fork(transport: ShardedTransport, carriers: list[Carrier]) -> None:
    """A child has job stores and inboxes of its own."""
    before = transport.jobs
    transport.reset_after_fork()
    assert transport.jobs is not before
    transport.send(message("in the child"))


def test_open_transport() -> None:
    """One address gives the plain transport, several a sharded one, a wrong one an error."""
    assert isinstance(open_transport("redis://localhost"), RedisTransport)
    several = open_transport("redis://localhost:1, redis://localhost:2")
    assert isinstance(several, ShardedTransport)
    several.close()
    with pytest.raises(ConfigurationError):
        open_transport("redis://localhost:1, http://canary")


JOB = [message(f"{'a' * 32}-{number:08d}") for number in range(3)]
IDS = [each.message_id for each in JOB]


@pytest.fixture
def stores() -> list[Store]:
    return [Store(), Store(), Store()]


def test_job_is_found_wherever_it_is(stores: list[Store]) -> None:
    """Whoever holds the handle finds the job, in any order of the brokers."""
    ShardedJobStore(stores).enter(JOB)
    assert sorted(len(store.open) for store in stores) == [0, 0, 3]
    for store in stores:
        store.finish()
    for order in (stores, stores[::-1]):
        other = ShardedJobStore(order)
        assert other.results(IDS) == ["result"] * 3
        assert (other.count_results(IDS), other.count_open(IDS)) == (3, 0)
    ShardedJobStore(stores).cancel(IDS)
    assert all(store.done == {} for store in stores)


def test_job_goes_to_a_broker_that_is_there(stores: list[Store]) -> None:
    """A broker that is away is passed over."""
    stores[0].is_away = stores[1].is_away = True
    for _ in range(3):
        ShardedJobStore(stores).enter(JOB)
    assert len(stores[2].open) == 3
    stores[2].is_away = True
    with pytest.raises(ServiceUnavailableError):
        ShardedJobStore(stores).enter(JOB)


def test_unknown_job_is_told_only_when_all_were_asked(stores: list[Store]) -> None:
    """With a broker away, what no other knows may be there."""
    jobs = ShardedJobStore(stores)
    assert (jobs.count_open(IDS), jobs.count_results(IDS)) == (0, 0)
    stores[1].is_away = True
    with pytest.raises(ServiceUnavailableError):
        jobs.count_open(IDS)


def test_broker_of_a_job_is_remembered(stores: list[Store]) -> None:
    """After the first question only the job's own broker is asked."""
    jobs = ShardedJobStore(stores)
    jobs.enter(JOB)
    for store in stores:
        store.is_away = not store.open
    assert jobs.count_open(IDS) == 3


def test_twin_has_carriers_of_its_own(transport: ShardedTransport, carriers: list[Carrier]) -> None:
    """It goes to as many brokers, and shares no connection and no inbox."""
    twin = transport.twin()
    for number in range(2):
        twin.send(message(str(number)))
    assert [carrier.sent for carrier in carriers] == [[], []]
    assert [len(shard.transport.sent) for shard in twin._shards] == [1, 1]  # type: ignore[attr-defined]
    twin.close()
