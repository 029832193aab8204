"""A rotation under load: workers with files of their own, changed one after another, and callers.

The operator's keystore is the stack's; each worker reads a copy, as on a host of its own.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caas_cli import keys, keystore_change
from caas_cli.home import Home
from producer_client import Client, Encrypted, KeyUnavailableError, inspect
from rig.process import DEADLINE_S, LoggedProcess
from rig.stack import Stack
from worker.keystore import lifecycle
from worker.keystore.file import write_private

RELOADED: Final = "keystore reloaded"
READY: Final = "ready."
CONTEXT: Final = b"order"


@dataclass
class Host:
    """One worker with its own copy of the keystore."""

    path: Path
    process: LoggedProcess


class Hosts:
    """Workers that each have a copy of the keystore.

    Args:
        count: how many.
    """

    def __init__(self, stack: Stack, count: int) -> None:
        self._stack = stack
        self._made = 0
        self.hosts = [self._start() for _ in range(count)]
        self.wait_until_ready()

    def _start(self) -> Host:
        self._made += 1
        path = self._stack.folder / f"host-{self._made}" / "keystore.age"
        path.parent.mkdir()
        write_private(path, self._stack.keystore.path.read_bytes())
        process = self._stack.start_worker("--loglevel=INFO", env={"CAAS_KEYSTORE": str(path)})
        return Host(path, process)

    def wait_until_ready(self) -> None:
        for host in self.hosts:
            host.process.wait_for(READY)

    def put(self, host: Host) -> None:
        """Bring the operator's file to a worker, which may not have read it yet."""
        write_private(host.path, self._stack.keystore.path.read_bytes())

    def deliver(self, nudge: Callable[[], object]) -> None:
        """Bring the operator's file to one worker after another; each has read it before the next.

        Args:
            nudge: a call: a worker looks at its file when a request comes.
        """
        for host in self.hosts:
            before = host.process.log.count(RELOADED)
            self.put(host)
            end = time.monotonic() + DEADLINE_S
            while host.process.log.count(RELOADED) == before:
                if time.monotonic() > end:
                    raise AssertionError("a worker did not read its new keystore")
                nudge()

    def replace(self, index: int) -> None:
        """Start a worker with the operator's file in the place of another, which then stops."""
        old, new = self.hosts[index], self._start()
        new.process.wait_for(READY)
        self.hosts[index] = new
        old.process.terminate()
        old.process.wait()


@dataclass(frozen=True)
class Stored:
    """What a main server keeps of one user: values whose making the callers remember."""

    user: str
    data: str
    encrypted: Encrypted
    token: str

    @property
    def versions(self) -> set[int]:
        """The key versions of value and token: two, when the promotion came between."""
        return {self.encrypted.key_version, inspect(self.token).key_version}


@dataclass
class Traffic:
    """Callers that make values and check old ones, until told to stop; each error is kept.

    Attributes:
        stored: what was made so far. Threads append to it, and read any of it.
        calls: how many calls of each operation were answered as they should be.
        wrong: what went wrong, in words without values.
    """

    client: Client
    threads: int = 16
    stored: list[Stored] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._progress = threading.Condition()
        self._callers = [
            threading.Thread(target=self._run, args=(seed,), daemon=True)
            for seed in range(self.threads)
        ]

    def make(self, user: str, data: str) -> Stored:
        """Encrypt and seal the data of a user."""
        encrypted = self.client.encrypt(user, data)
        return Stored(user, data, encrypted, self.client.seal(user, data.encode(), CONTEXT))

    def start(self) -> None:
        for caller in self._callers:
            caller.start()

    def wait_for_calls(self, count: int, deadline_s: float = 3 * DEADLINE_S) -> None:
        """Wait until so many calls have been answered since the start."""
        end = time.monotonic() + deadline_s
        with self._progress:
            while self.calls.total() < count and not self.wrong:
                left_s = end - time.monotonic()
                if left_s <= 0:
                    raise AssertionError(f"only {self.calls.total()} calls were answered")
                self._progress.wait(left_s)

    def stop(self) -> None:
        """Let the calls under way end."""
        self._stop.set()
        for caller in self._callers:
            caller.join(DEADLINE_S)

    def _run(self, seed: int) -> None:
        choice = random.Random(seed)
        while not self._stop.is_set():
            try:
                self._one_round(choice)
            except Exception as error:  # noqa: BLE001 - the test looks at what is kept
                self.wrong.append(f"{type(error).__name__}: {error}")
                self._stop.set()
            with self._progress:
                self._progress.notify_all()

    def _one_round(self, choice: random.Random) -> None:
        user = str(uuid.UUID(int=choice.getrandbits(128), version=4))
        new = self.make(user, f"data of {user}")
        self.stored.append(new)
        old = self.stored[choice.randrange(len(self.stored))]
        self._count(encrypt=1, seal=1)
        for stored in (new, old):
            self._check(stored)

    def _check(self, stored: Stored) -> None:
        value, version = stored.encrypted.encrypted_data, stored.encrypted.key_version
        named = self.client.verify(stored.user, stored.data, value, version)
        unnamed = self.client.verify(stored.user, stored.data, value)
        opened = self.client.open(stored.user, stored.token, CONTEXT)
        again = self.client.rewrap(stored.user, stored.token, CONTEXT).token
        reopened = self.client.open(stored.user, again, CONTEXT)
        if not named or not unnamed or {opened, reopened} != {stored.data.encode()}:
            raise AssertionError("an old value was not recognised")
        self._count(verify=2, open=2, rewrap=1)

    def _count(self, **calls: int) -> None:
        with self._progress:
            self.calls.update(calls)


class Rotation:
    """A service whose keys are rotated, step by step, while callers go on.

    Args:
        workers: how many, each with its own copy of the keystore.
    """

    def __init__(self, stack: Stack, workers: int = 3) -> None:
        self._home = Home(stack.folder, stack.keystore.path, stack.keystore.identity_path)
        self.hosts = Hosts(stack, workers)
        self.client = stack.client(timeout_s=DEADLINE_S)
        self.traffic = Traffic(self.client)

    def rotate(self, calls: int) -> None:
        """Add, spread, promote, replace the workers: callers go on until all of it is done.

        Args:
            calls: how many are answered at least; a third of them before anything changes.
        """
        self.traffic.start()
        try:
            self.traffic.wait_for_calls(calls // 3)
            keys.rotate(self._home, keys.Rotation(), dry_run=False)
            self.hosts.deliver(self.client.ping)
            keys.promote(self._home, 2, dry_run=False)
            for index in range(len(self.hosts.hosts)):
                self.hosts.replace(index)
            self.traffic.wait_for_calls(calls)
        finally:
            self.traffic.stop()

    def disable_old(self) -> None:
        """Disable version 1 on every worker, one after another."""
        keystore_change.apply(
            self._home, lambda keystore: lifecycle.disable(keystore, 1), dry_run=False
        )
        self.hosts.deliver(self.client.ping)

    def made_with(self, version: int) -> list[Stored]:
        """What was both encrypted and sealed under a key version."""
        return [one for one in self.traffic.stored if one.versions == {version}]

    def each(self, check: Callable[[Stored], bool], stored: list[Stored]) -> bool:
        """Whether a check holds for every value, many at a time."""
        with ThreadPoolExecutor(self.traffic.threads) as pool:
            return all(pool.map(check, stored))

    def is_verified(self, stored: Stored) -> bool:
        """Whether a value is verified and its token opens."""
        value, version = stored.encrypted.encrypted_data, stored.encrypted.key_version
        opened = self.client.open(stored.user, stored.token, CONTEXT)
        is_valid = self.client.verify(stored.user, stored.data, value, version)
        return bool(is_valid) and opened == stored.data.encode()

    def is_unavailable(self, stored: Stored) -> bool:
        """Whether a value is answered with `key_unavailable`, its token too."""
        value, version = stored.encrypted.encrypted_data, stored.encrypted.key_version
        calls: tuple[Callable[[], object], ...] = (
            lambda: self.client.verify(stored.user, stored.data, value, version),
            lambda: self.client.open(stored.user, stored.token, CONTEXT),
        )
        return all(_is_unavailable(call) for call in calls)


def _is_unavailable(call: Callable[[], object]) -> bool:
    try:
        call()
    except KeyUnavailableError:
        return True
    return False
