"""What operations are given beside keys and values: randomness, and room for passwords."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class PasswordRoom:
    """A worker's memory and cores, shared between the password hashes that run at once.

    A hash over the memory waits its turn. It gets the cores that no other hash has, one where there
    are none left: all for a lone one, which ends the sooner, one each under load.

    Args:
        memory_kib: KiB for all that run at once; None for no bound.
        cores: how many this process may run on.
    """

    def __init__(self, memory_kib: int | None = None, cores: int = 1) -> None:
        self._memory_kib = memory_kib
        self._cores = cores
        self._used_kib = 0
        self._threads = 0
        self._freed = threading.Condition()
        # Held by whoever is next: a large hash is not passed by small ones for ever.
        self._turn = threading.Lock()

    def allows(self, memory_kib: int) -> bool:
        """Whether so much memory could ever be had."""
        return self._memory_kib is None or memory_kib <= self._memory_kib

    @contextmanager
    def reserve(self, memory_kib: int, most_threads: int = 1) -> Iterator[int]:
        """Within it so much memory is in use; waits until it is free. Must be `allows`-ed.

        Args:
            most_threads: more would be of no use.

        Yields:
            How many threads to compute with, at least 1.
        """
        with self._turn, self._freed:
            while not self.allows(self._used_kib + memory_kib):
                self._freed.wait()
            self._used_kib += memory_kib
            threads = max(1, min(most_threads, self._cores - self._threads))
            self._threads += threads
        try:
            yield threads
        finally:
            with self._freed:
                self._used_kib -= memory_kib
                self._threads -= threads
                self._freed.notify()


@dataclass(frozen=True, slots=True)
class Means:
    """What an operation may use beside keys and values.

    Attributes:
        random_bytes: cryptographically secure, such as `os.urandom`.
    """

    random_bytes: Callable[[int], bytes]
    password_room: PasswordRoom = field(default_factory=PasswordRoom)
