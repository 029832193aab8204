"""The key lifecycle as a state machine: whatever operators do in whatever order, promises hold.

A plain model beside it says what each step should do; the keystore's rules must agree with it, and
values that were made on the way stay verifiable exactly as long as their version is in use.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from caas_tasks.errors import KeyUnavailableError
from caas_tasks.messages import parse_item
from caas_tasks.names import Operation
from worker.keyring import Keyring
from worker.keystore import change, document, lifecycle, transfer, upkeep
from worker.keystore.document import Keystore, Profile, State
from worker.keystore.errors import KeystoreError
from worker.operations.execute import execute
from worker.operations.means import Means, PasswordRoom

START_S = 1_760_000_000
USER_UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA = {"userUUID": USER_UUID, "sensitiveData": "a secret"}
VERSIONS = st.integers(min_value=1, max_value=6)
MAX_VERSIONS = 5


Rule = Callable[[Keystore], Keystore]


class Source:
    """Known randomness in the shape of `secrets`."""

    def __init__(self) -> None:
        self._random = random.Random(1)

    def token_bytes(self, nbytes: int, /) -> bytes:
        return self._random.randbytes(nbytes)

    def choice(self, seq: str, /) -> str:
        return self._random.choice(seq)


@dataclass
class Known:
    """What the model knows of a version; `destroy_at` counts while it is disabled."""

    state: State = State.ENABLED
    destroy_at: int | None = None


class KeyLifecycle(RuleBasedStateMachine):
    """Operators' steps, a clock, writings of the keystore, and values made in between."""

    @initialize()
    def begin(self) -> None:
        self.source = Source()
        self.now_s = START_S
        self.keystore = change.new_keystore(
            recipients=["age1unused"],
            tenant="shop",
            profile=Profile.HARDENED,
            salt_pool=("a salt",),
            now_s=START_S,
            random=self.source,  # type: ignore[arg-type] # `choice` of a text is all that is asked
        )
        self.model = {1: Known()}
        self.primary = 1
        self.minimums = {"making": 1, "checking": 1}
        self.values: dict[int, str] = {}
        self.exports: list[tuple[document.KeyVersion, ...]] = []

    def try_to(self, allowed: bool, changed: Rule) -> bool:
        """Apply a rule that must be refused exactly when the model does not allow it."""
        before = self.keystore
        try:
            self.keystore = changed(before)
        except KeystoreError:
            assert not allowed
            assert self.keystore is before
            return False
        assert allowed
        return True

    def run(self, operation: Operation, fields: dict[str, Any]) -> dict[str, Any]:
        """A worker's answer with the keystore as it is."""
        keys = Keyring(self.keystore).tenant("shop")
        means = Means(self.source.token_bytes, PasswordRoom())
        return execute(operation, keys, parse_item(operation, fields), means)

    def usable(self, version: int) -> bool:
        known = self.model.get(version)
        return known is not None and known.state is State.ENABLED

    def is_due(self, version: int) -> bool:
        at = self.model[version].destroy_at
        return at is not None and at <= self.now_s

    @rule()
    def add(self) -> None:
        if len(self.model) >= MAX_VERSIONS:
            return
        self.try_to(
            True,
            lambda keystore: lifecycle.add_version(
                keystore,
                profile=Profile.HARDENED,
                salt_pool=("a salt",),
                cipher_pool=None,
                allow_weak=False,
                now_s=self.now_s,
                random=self.source,  # type: ignore[arg-type] # as above
            ),
        )
        self.model[len(self.model) + 1] = Known()

    @rule(version=VERSIONS)
    def promote(self, version: int) -> None:
        allowed = (
            self.usable(version)
            and version != self.primary
            and version >= max(self.minimums.values())
        )
        if self.try_to(allowed, lambda keystore: lifecycle.promote(keystore, version)):
            self.primary = version

    @rule(version=VERSIONS)
    def disable(self, version: int) -> None:
        allowed = self.usable(version) and version != self.primary
        if self.try_to(allowed, lambda keystore: lifecycle.disable(keystore, version)):
            self.model[version].state = State.DISABLED

    @rule(version=VERSIONS)
    def enable(self, version: int) -> None:
        known = self.model.get(version)
        allowed = known is not None and known.state is State.DISABLED and not self.is_due(version)
        if self.try_to(allowed, lambda keystore: lifecycle.enable(keystore, version, self.now_s)):
            self.model[version] = Known()

    @rule(version=VERSIONS, grace_s=st.integers(min_value=0, max_value=20))
    def destroy(self, version: int, grace_s: int) -> None:
        known = self.model.get(version)
        allowed = (
            known is not None
            and version != self.primary
            and known.state is not State.DESTROYED
            and known.destroy_at is None
        )
        if self.try_to(
            allowed,
            lambda keystore: lifecycle.schedule_destruction(keystore, version, self.now_s, grace_s),
        ):
            self.model[version] = Known(State.DISABLED, self.now_s + grace_s)

    @rule(version=VERSIONS)
    def undo(self, version: int) -> None:
        known = self.model.get(version)
        allowed = known is not None and known.destroy_at is not None and not self.is_due(version)
        if self.try_to(
            allowed, lambda keystore: lifecycle.undo_destruction(keystore, version, self.now_s)
        ):
            self.model[version].destroy_at = None

    @rule(which=st.sampled_from(["making", "checking"]), version=VERSIONS)
    def set_minimum(self, which: str, version: int) -> None:
        if self.try_to(
            version <= self.primary,
            lambda keystore: lifecycle.set_minimums(keystore, **{which: version}),
        ):
            self.minimums[which] = version

    @rule(seconds=st.integers(min_value=1, max_value=15))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule()
    def write(self) -> None:
        """Any writing erases what is due; the file says the same when it is read again."""
        kept = upkeep.keep_up(self.keystore, self.now_s, self.source.token_bytes)
        self.keystore = document.decode(document.encode(kept))
        for version in self.model:
            if self.is_due(version):
                self.model[version] = Known(State.DESTROYED)

    @rule()
    def export(self) -> None:
        self.exports.append(transfer.read(transfer.export(self.keystore, ())))

    @rule()
    def bring_back(self) -> None:
        """An old export never revives what was destroyed, and changes nothing that is here."""
        if not self.exports:
            return
        records = self.exports[-1]
        allowed = all(self.model[record.version].state is not State.DESTROYED for record in records)
        before = self.keystore
        self.try_to(allowed, lambda keystore: transfer.import_versions(keystore, records))
        assert self.keystore == before

    @rule()
    def make(self) -> None:
        made = self.run(Operation.ENCRYPT, DATA)
        assert made["key_version"] == self.primary
        assert (
            self.values.setdefault(self.primary, made["encrypted_data"]) == made["encrypted_data"]
        )

    @invariant()
    def keystore_is_as_the_model_says(self) -> None:
        found = {
            record.version: (record.state, record.destroy_at)
            for record in self.keystore.key_versions
        }
        assert found == {n: (known.state, known.destroy_at) for n, known in self.model.items()}
        assert self.keystore.primary == self.primary
        assert (self.keystore.minimum_making, self.keystore.minimum_checking) == (
            self.minimums["making"],
            self.minimums["checking"],
        )

    @invariant()
    def primary_can_make_and_be_checked(self) -> None:
        assert self.usable(self.primary)
        assert self.primary >= max(self.minimums.values())

    @invariant()
    def secrets_are_there_until_destroyed(self) -> None:
        for record in self.keystore.key_versions:
            assert (record.root is None) == (record.state is State.DESTROYED)

    @invariant()
    def old_values_are_verified_while_their_version_is_in_use(self) -> None:
        for version, value in self.values.items():
            stored = {"encrypted_data": value, "key_version": version}
            in_use = self.usable(version) and version >= self.minimums["checking"]
            try:
                answer = self.run(Operation.VERIFY, {**DATA, **stored})
            except KeyUnavailableError:
                assert not in_use
            else:
                assert in_use
                assert answer == {"valid": True, "needs_update": version != self.primary}


KeyLifecycle.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestKeyLifecycle = KeyLifecycle.TestCase
