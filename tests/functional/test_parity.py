"""`Client` and `AsyncClient` are one surface, once called and once awaited."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from caas_tasks.names import Operation
from producer_client import AsyncClient, AsyncJob, Client, Job
from producer_client.testing import InMemoryService

USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"

PAIRS = [(Client, AsyncClient), (Job, AsyncJob)]


def public(cls: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(cls) if not name.startswith("_")}


METHODS = [
    (sync, asynchronous, name)
    for sync, asynchronous in PAIRS
    for name, value in public(sync).items()
    if inspect.isfunction(value)
]


def annotation(value: object) -> str:
    """An annotation with the names that differ made equal."""
    return str(value).replace("AsyncJob", "Job")


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_both_have_the_same_public_names(sync: type, asynchronous: type) -> None:
    """What one has, the other has."""
    assert public(sync).keys() == public(asynchronous).keys()


@pytest.mark.parametrize(("sync", "asynchronous", "name"), METHODS)
def test_methods_have_the_same_signature(sync: type, asynchronous: type, name: str) -> None:
    """Names, kinds, defaults and types of arguments are the same, and so is what comes back."""
    one, other = (inspect.signature(getattr(cls, name)) for cls in (sync, asynchronous))
    assert [(p.name, p.kind, p.default, p.annotation) for p in one.parameters.values()] == [
        (p.name, p.kind, p.default, p.annotation) for p in other.parameters.values()
    ]
    assert annotation(one.return_annotation) == annotation(other.return_annotation)


@pytest.mark.parametrize(("sync", "asynchronous", "name"), METHODS)
def test_methods_of_the_asyncio_client_are_awaited(
    sync: type, asynchronous: type, name: str
) -> None:
    """Nothing of the asyncio client blocks, and nothing of the other is awaited."""
    assert not inspect.iscoroutinefunction(getattr(sync, name))
    assert inspect.iscoroutinefunction(getattr(asynchronous, name))


@pytest.mark.parametrize(("sync", "asynchronous", "name"), METHODS)
def test_methods_say_the_same(sync: type, asynchronous: type, name: str) -> None:
    """Both are documented, and the first sentence is one."""
    docs = [inspect.getdoc(getattr(cls, name)) or "" for cls in (sync, asynchronous)]
    assert all(docs)
    firsts = {text.splitlines()[0].replace("AsyncClient", "Client") for text in docs}
    assert len(firsts) == 1


@pytest.mark.parametrize("dunder", ["enter", "exit"])
def test_both_are_context_managers(dunder: str) -> None:
    """One with `with`, the other with `async with`."""
    assert hasattr(Client, f"__{dunder}__")
    assert hasattr(AsyncClient, f"__a{dunder}__")
    assert not hasattr(AsyncClient, f"__{dunder}__")


TOKEN = "caas1." + "A" * 120
Scenario = Callable[[Any], Any]
SCENARIOS: dict[str, Scenario] = {
    "encrypt": lambda client: client.encrypt(USER_UUID, "a"),
    "a wrong UUID": lambda client: client.encrypt("canary", "a"),
    "data of another type": lambda client: client.encrypt(USER_UUID, 7),
    "a lone surrogate": lambda client: client.encrypt(USER_UUID, "\ud800"),
    "too much data": lambda client: client.encrypt(USER_UUID, "x" * 65_537),
    "too many bytes": lambda client: client.encrypt(USER_UUID, "ä" * 65_536),
    "verify": lambda client: client.verify(USER_UUID, "a", "0" * 96),
    "verify with another version": lambda client: client.verify(USER_UUID, "a", "0" * 96, 9),
    "candidates": lambda client: client.candidates(USER_UUID, "a"),
    "blind_index": lambda client: client.blind_index("email", "a"),
    "blind_index of no field": lambda client: client.blind_index("", "a"),
    "wrap": lambda client: client.wrap(USER_UUID, "ab"),
    "wrap of another type": lambda client: client.wrap(USER_UUID, None),
    "hash_password of bytes": lambda client: client.hash_password(USER_UUID, b"a"),
    "verify_password": lambda client: client.verify_password(USER_UUID, "a", None),
    "verify_password of another scheme": lambda client: client.verify_password(
        USER_UUID, "a", "md5$"
    ),
    "seal of text": lambda client: client.seal(USER_UUID, "a"),
    "seal of too much": lambda client: client.seal(USER_UUID, b"a" * 65_537),
    "open": lambda client: client.open(USER_UUID, TOKEN, b"c"),
    "rewrap": lambda client: client.rewrap(USER_UUID, TOKEN),
    "open of too much": lambda client: client.open(USER_UUID, "a" * 87_501),
    "wrap_many": lambda client: client.wrap_many([(USER_UUID, "ab"), None]),
    "seal_many of pairs": lambda client: client.seal_many([(USER_UUID, b"a")]),
    "open_many": lambda client: client.open_many([(USER_UUID, TOKEN, b""), None]),
    "rewrap_many": lambda client: client.rewrap_many([(USER_UUID, TOKEN, b"")]),
    "hash_password_many of nothing": lambda client: client.hash_password_many([None, 7]),
    "encrypt_many": lambda client: client.encrypt_many([(USER_UUID, "a"), (7, "a"), None]),
    "encrypt_many of no iterable": lambda client: client.encrypt_many(7),
    "request_items": lambda client: client.request_items(Operation.ENCRYPT, [{}]),
    "request_items with another key": lambda client: client.request_items(
        Operation.ENCRYPT, [{}], api_key="x"
    ),
    "a timeout of another type": lambda client: client.ping(timeout_s="1"),
    "ping": lambda client: client.ping(),
    "no job": lambda client: client.collect("canary"),
    "a job of nothing": lambda client: client.submit_encrypt_many([]),
    "a job with a bad pair": lambda client: client.submit_encrypt_many([None]),
}


IN_STATE: dict[str, Callable[[InMemoryService], AbstractContextManager[None]]] = {
    "up": lambda _: nullcontext(),
    "outage": lambda service: service.outage(),
    "silence": lambda service: service.silence(),
    "closed": lambda _: nullcontext(),
}


def outcome_of(surface: Any, client: Any, scenario: Scenario) -> tuple[type, str]:
    try:
        result = surface.run(scenario(client))
    except Exception as error:  # noqa: BLE001 - the outcome is what is compared
        return type(error), str(error)
    return type(result), repr(result)


@pytest.mark.parametrize("state", ["up", "outage", "silence", "closed"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_end_a_scenario_alike(
    service: InMemoryService, new_surface: Callable[[str], Any], name: str, state: str
) -> None:
    """The same call in the same state of the world gives the same result or error."""
    outcomes = []
    for surface_name in ("sync", "async"):
        surface = new_surface(surface_name)
        client = surface.client(timeout_s=30.0 if state == "up" else 0.02)
        with IN_STATE[state](service):
            if state == "outage":
                surface.notice_outage(client)
            if state == "closed":
                surface.run(client.close())
            outcomes.append(outcome_of(surface, client, SCENARIOS[name]))
    assert outcomes[0] == outcomes[1]
