"""What operations are given beside keys and values: randomness, and memory for passwords."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class PasswordMemory:
    """Bounds the memory that password hashes use together: one over the budget waits its turn.

    Args:
        budget_kib: KiB for all that run at once; None for no bound.
    """

    def __init__(self, budget_kib: int | None = None) -> None:
        self._budget_kib = budget_kib
        self._used_kib = 0
        self._freed = threading.Condition()
        # Held by whoever is next: a large hash is not passed by small ones for ever.
        self._turn = threading.Lock()

    def allows(self, memory_kib: int) -> bool:
        """Whether so much could ever be had."""
        return self._budget_kib is None or memory_kib <= self._budget_kib

    @contextmanager
    def reserve(self, memory_kib: int) -> Iterator[None]:
        """Within it so much is in use; waits until it is free. Must be `allows`-ed."""
        with self._turn, self._freed:
            while not self.allows(self._used_kib + memory_kib):
                self._freed.wait()
            self._used_kib += memory_kib
        try:
            yield
        finally:
            with self._freed:
                self._used_kib -= memory_kib
                self._freed.notify()


@dataclass(frozen=True, slots=True)
class Means:
    """What an operation may use beside keys and values.

    Attributes:
        random_bytes: cryptographically secure, such as `os.urandom`.
    """

    random_bytes: Callable[[int], bytes]
    password_memory: PasswordMemory = field(default_factory=PasswordMemory)
