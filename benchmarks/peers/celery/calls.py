"""Calls of plain Celery: `delay().get()`."""

from __future__ import annotations

from celery import group

from benchmarks.peers.celery.app import digest


class Calls:
    """See `benchmarks.driver.Contender`."""

    def call(self, user_uuid: str, data: str) -> str:
        value: str = digest.delay(user_uuid, data).get(timeout=20)
        return value

    def many(self, pairs: list[tuple[str, str]]) -> list[str]:
        values: list[str] = group(digest.s(*pair) for pair in pairs).apply_async().get(timeout=120)
        return values
