"""Calls of this service: `Client` and `AsyncClient`."""

from __future__ import annotations

from typing import Any

from producer_client import AsyncClient, Client


class Calls:
    """See `benchmarks.driver.Contender`. Keys and salts differ from run to run: no fixed value."""

    def __init__(self) -> None:
        self._client = Client.from_env()
        self._async_client: Any = None

    def expected(self, _user_uuid: str, _data: str) -> None:
        return None

    def call(self, user_uuid: str, data: str) -> str:
        return self._client.encrypt(user_uuid, data, timeout_s=20).encrypted_data

    def many(self, pairs: list[tuple[str, str]]) -> list[Any]:
        results = self._client.encrypt_many(pairs)
        return [getattr(result, "encrypted_data", None) for result in results]

    async def start(self, _callers: int) -> None:
        self._async_client = AsyncClient.from_env()

    async def acall(self, user_uuid: str, data: str) -> str:
        stored = await self._async_client.encrypt(user_uuid, data, timeout_s=20)
        value: str = stored.encrypted_data
        return value

    async def stop(self) -> None:
        await self._async_client.close()
