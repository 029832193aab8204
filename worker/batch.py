"""The items of one authorised request: guess limit, operation, answer, in order.

A bad item never fails its neighbours. The guesses of a batch are reserved together before any of
them is worked on, and those that were right are given back together after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from caas_tasks.errors import ServiceError
from caas_tasks.items import Item, UserItem
from caas_tasks.messages import RefusedItem, error_body, with_reference
from caas_tasks.names import Field, Operation
from worker import incident
from worker.keyring import Keyring, UnknownVersionError
from worker.keystore.document import Tenant
from worker.operations.execute import execute
from worker.operations.means import Means

GUESSES: Final = frozenset({"encrypt", "verify", "candidates", "wrap", "verify_password"})
"""The operations that let a caller test a guess about one user."""

CHECKS: Final = frozenset({"verify", "verify_password"})
"""Those that say whether the guess was right."""


class Reservation(Protocol):
    """Guesses that were asked for together, before any was worked on."""

    @property
    def refusals(self) -> Sequence[ServiceError | None]:
        """For each guess an error when there is none left for its user, or None.

        Empty when none is refused.
        """

    def give_back(self, positions: Sequence[int]) -> None:
        """Undo the reservations of guesses that were right, by their places."""


class GuessLimits(Protocol):
    """Bounds how often a caller may guess about one user (docs/spec.md, section 7)."""

    def reserve(self, tenant: Tenant, users: Sequence[str]) -> Reservation:
        """Take one guess a user off its budget.

        Args:
            users: UUIDs in lower case, one a guess: one that stands here twice is guessed about
                twice.
        """


class Batch:
    """Answers the items of one request.

    Args:
        operation: what is asked for.
        keyring: the keys, the tenant's among them.
        tenant: the tenant's name.
        means: what operations may use; its randomness also makes the ids of internal errors.
        limits: None for no guess limit.
        reread: gives the keyring after a look at the keystore, for an item whose key version the
            keyring has no record of; None tries nothing more.
        check_time: asked before each item; what it raises is that item's error. None for items
            that take no time worth the question.
    """

    __slots__ = (
        "_check_time",
        "_keyring",
        "_keys",
        "_limits",
        "_means",
        "_operation",
        "_reread",
        "_tenant",
    )  # fmt: skip

    def __init__(
        self,
        operation: Operation,
        keyring: Keyring,
        tenant: str,
        means: Means,
        limits: GuessLimits | None = None,
        *,
        reread: Callable[[], Keyring] | None = None,
        check_time: Callable[[], None] | None = None,
    ) -> None:
        self._operation = operation
        self._keyring = keyring
        self._tenant = tenant
        self._keys = keyring.tenant(tenant)
        self._means = means
        self._reread = reread
        self._check_time = check_time
        self._limits = limits if operation.value in GUESSES else None

    def answers(self, items: Sequence[Item | RefusedItem]) -> list[dict[str, Any]]:
        """One answer an item, in order."""
        if self._limits is None:
            return [self._answer(item) for item in items]
        return self._limited(self._limits, items)

    def _limited(
        self, limits: GuessLimits, items: Sequence[Item | RefusedItem]
    ) -> list[dict[str, Any]]:
        users = [item.user_uuid.lower() for item in items if isinstance(item, UserItem)]
        reservation = limits.reserve(self._keyring.tenant_record(self._tenant), users)
        refusals = reservation.refusals
        admitted = _with_refusals(items, refusals) if refusals else items
        answers = [self._answer(item) for item in admitted]
        if self._operation.value in CHECKS:
            right = _right(items, answers)
            if right:
                reservation.give_back(right)
        return answers

    def _answer(self, item: Item | RefusedItem) -> dict[str, Any]:
        if isinstance(item, RefusedItem):
            return with_reference(error_body(item.error), item.reference)
        try:
            answer = self._execute(item)
        except ServiceError as error:
            answer = error_body(error)
        except Exception as error:  # noqa: BLE001 - a bad item never fails its neighbours
            answer = error_body(incident.report(self._operation, error, self._means.random_bytes))
        return with_reference(answer, item.reference)

    def _execute(self, item: Item) -> dict[str, Any]:
        if self._check_time is not None:
            self._check_time()
        try:
            return execute(self._operation, self._keys, item, self._means)
        except UnknownVersionError:
            if self._reread is None:
                raise
        # Another worker's keystore is newer than what this one has read so far. The whole item is
        # worked on again, so that all of it goes by one keystore.
        self._keys = self._reread().tenant(self._tenant)
        return execute(self._operation, self._keys, item, self._means)


def _with_refusals(
    items: Sequence[Item | RefusedItem], refusals: Sequence[ServiceError | None]
) -> list[Item | RefusedItem]:
    """The items, those whose guess is refused as such in their places."""
    places = iter(refusals)
    found: list[Item | RefusedItem] = []
    for item in items:
        refusal = next(places) if isinstance(item, UserItem) else None
        found.append(item if refusal is None else RefusedItem(refusal, item.reference))
    return found


def _right(items: Sequence[Item | RefusedItem], answers: Sequence[Mapping[str, Any]]) -> list[int]:
    """The places, among the guesses, of those that were right.

    Args:
        items: as they came, so that a guess that was refused keeps its place.
    """
    checked = [
        answer for item, answer in zip(items, answers, strict=True) if isinstance(item, UserItem)
    ]
    return [place for place, answer in enumerate(checked) if answer.get(Field.VALID) is True]
