"""Calls of dramatiq: send, then block for the result."""

from __future__ import annotations

from benchmarks.peers.dramatiq.app import backend, digest


class Calls:
    """See `benchmarks.driver.Contender`."""

    def call(self, user_uuid: str, data: str) -> str:
        message = digest.send(user_uuid, data)
        value: str = message.get_result(backend=backend, block=True, timeout=20_000)
        return value
