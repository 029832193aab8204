"""Calls of huey: enqueue, then block for the result."""

from __future__ import annotations

from benchmarks.peers.huey.app import digest


class Calls:
    """See `benchmarks.driver.Contender`."""

    def call(self, user_uuid: str, data: str) -> str:
        value: str = digest(user_uuid, data).get(blocking=True, timeout=20)
        return value
