"""Between the pipeline and the client: chunks in, outcomes out, and an end to it at any time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from caas_cli.bulk.calling import Caller
from caas_cli.bulk.chunks import Chunk, Outcome
from caas_cli.bulk.operations import BulkOperation
from caas_cli.bulk.progress import Progress

if TYPE_CHECKING:
    from producer_client import Client


class Asking:
    """Asks a client about chunks.

    Args:
        fields: which result fields are wanted, in order.
        patience_s: longest wait for a service that answers nothing.
        progress: is told of waits, and has the clock.

    Attributes:
        progress: the same.
    """

    def __init__(
        self,
        client: Client,
        operation: BulkOperation,
        fields: Iterable[str],
        patience_s: float,
        progress: Progress,
    ) -> None:
        self.progress = progress
        self._client = client
        self._read = operation.reader(fields)
        self._stop = threading.Event()
        timeout_s = min(operation.timeout_s, max(1.0, patience_s))
        self._caller = Caller(
            lambda entries: operation.call(client, entries, timeout_s),
            patience_s=patience_s,
            clock=progress.clock,
            stop=self._stop,
            on_wait=progress.note,
        )

    def ask(self, chunk: Chunk) -> list[Outcome]:
        """The outcomes of a chunk's rows; called in several threads.

        Raises:
            ServiceError: the service stayed away, or refuses the API key.
        """
        entries = [entry for entry in chunk.entries if isinstance(entry, tuple)]
        answered = self._read(self._caller.answer(entries))
        if len(answered) == len(chunk.entries):
            return answered
        rest = iter(answered)
        return [entry if isinstance(entry, str) else next(rest) for entry in chunk.entries]

    def stop(self) -> None:
        """Make every `ask` end soon."""
        self._stop.set()
        self._client.close()
