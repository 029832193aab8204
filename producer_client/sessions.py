"""The client's session secret: drawn once an hour or 2^20 messages (docs/spec.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from caas_tasks.envelope import SECRET_BYTES, ClientSession, ServicePublicKey

MAX_AGE_S: Final = 3_600.0
MAX_MESSAGES: Final = 2**20


class SessionSource:
    """Hands out the current session. Not thread-safe: the dispatcher calls it under its send lock.

    Args:
        monotonic: seconds that never go back.
        random_bytes: cryptographically secure.
    """

    def __init__(
        self,
        server_key: ServicePublicKey,
        monotonic: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._server_key = server_key
        self._monotonic = monotonic
        self._random_bytes = random_bytes
        self._session: ClientSession | None = None
        self._started_at = 0.0
        self._messages = 0

    def current(self) -> ClientSession:
        """The session to seal the next message with."""
        now = self._monotonic()
        session = self._session
        if session is None or self._messages >= MAX_MESSAGES or now - self._started_at >= MAX_AGE_S:
            session = ClientSession.start(self._server_key, self._random_bytes(SECRET_BYTES))
            self._session, self._started_at, self._messages = session, now, 0
        self._messages += 1
        return session
