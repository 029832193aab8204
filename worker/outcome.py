"""What became of a request, for those who keep account of it: the audit log and the metrics.

An outcome holds ids, names, counts and times, and of a user a keyed hash: never a value that came
in or went out (docs/spec.md, section 6).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from caas_tasks.names import Field, Operation

OK: Final = "ok"
"""The code of an item that has its result."""


class Stages(NamedTuple):
    """Where the time of a request went, in seconds.

    Attributes:
        open_s: from the message to its payload, the keyring included.
        work_s: checks and operations.
        seal_s: from the answers to the sealed reply.
    """

    open_s: float = 0.0
    work_s: float = 0.0
    seal_s: float = 0.0


class Outcome(NamedTuple):
    """One request and what became of it.

    Attributes:
        message_id: as it came with the message; not checked, of any length.
        operation: what was asked for.
        at_ms: Unix time in milliseconds when the worker took the message.
        tenant: of the API key; None when the key was not accepted.
        api_key_id: the same.
        key_version: the primary key version; None when the API key was not accepted.
        items: how many items the request has; 0 when it was refused as a whole.
        refusal: the code that the request was refused with as a whole, or None.
        codes: how many items ended with which code, `ok` among them; for a request that was refused
            as a whole its code, once.
        users: what the audit log calls the items' users, each once; empty without user names.
        duration_s: from the message to its sealed reply.
        stages: the parts of it.
    """

    message_id: str
    operation: Operation
    at_ms: int
    tenant: str | None
    api_key_id: str | None
    key_version: int | None
    items: int
    refusal: str | None
    codes: Mapping[str, int]
    users: tuple[str, ...]
    duration_s: float
    stages: Stages

    def refused(self, code: str) -> Outcome:
        """The same request, refused as a whole after its work was done."""
        return self._replace(items=0, refusal=code, codes={code: 1})


class Observer(Protocol):
    """Is told of every request before its reply leaves the worker.

    Called in the thread that answers, from several at once in a pool of threads.
    """

    def observe(self, outcome: Outcome) -> None:
        """Take note.

        Raises:
            Exception: the reply must not leave; the request is answered with `unavailable`. One
                that is no `ServiceError` is logged as a fault of the worker.
        """


def count_codes(answers: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many of a batch's answers have which code, `ok` for those that are no error."""
    errors = [answer[Field.ERROR] for answer in answers if Field.ERROR in answer]
    if not errors:
        return {OK: len(answers)}
    codes = dict(Counter(error[Field.CODE] for error in errors))
    return {OK: len(answers) - len(errors), **codes} if len(errors) < len(answers) else codes
