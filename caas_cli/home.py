"""`CAAS_HOME`: one installation's files, all private to its owner.

| file                  | holds                                                                  |
|-----------------------|------------------------------------------------------------------------|
| keystore.age          | the keystore                                                           |
| identity.txt          | the age identity that opens it, which workers need                     |
| recovery-identity.txt | a second identity that opens it, to be moved off the machine           |
| client.env            | what a main server is given                                            |
| flower.env            | the login of `caas flower`                                             |
| audit/                | the audit log of the workers that `caas up` runs                       |
| keystore/, compose/   | the keystore and the other files of an installation in containers      |
| broker/, broker.sock  | the embedded broker's folder and socket                                |
| up.lock, init.lock    | held while `caas up` or `caas init` runs                               |
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from caas_cli.exit_codes import CommandError, ExitCode
from caas_tasks.settings import CaasSettings, load_settings

PRIVATE_FOLDER: Final = 0o700
KEYSTORE_FOLDER: Final = "keystore"
"""Where the keystore is when containers mount it: its folder, since it is replaced at each change,
and that folder alone."""

PRIVATE_FILE: Final = 0o600


class CliSettings(CaasSettings):
    """Where the command line works."""

    home: Path = Field(
        default=Path(".caas"),
        description="Folder of one installation: keystore, identity, client.env.",
    )
    keystore: Path | None = Field(
        default=None, description="The keystore, an age file; keystore.age in CAAS_HOME if not set."
    )
    identity: Path | None = Field(
        default=None,
        description="The age identity that opens it; identity.txt in CAAS_HOME if not set.",
    )


@dataclass(frozen=True, slots=True)
class Home:
    """The absolute paths of one installation's files."""

    folder: Path
    keystore: Path
    identity: Path

    @classmethod
    def from_env(cls) -> Home:
        """The home that the environment names.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        settings = load_settings(CliSettings)
        # Child processes may run elsewhere: every path is absolute from here on.
        folder = settings.home.expanduser().absolute()
        alone = folder / KEYSTORE_FOLDER
        usual = (alone if alone.is_dir() else folder) / "keystore.age"
        return cls(
            folder=folder,
            keystore=(settings.keystore or usual).expanduser().absolute(),
            identity=(settings.identity or folder / "identity.txt").expanduser().absolute(),
        )

    @property
    def recovery_identity(self) -> Path:
        """The second identity, made by `caas init` unless a recipient was given."""
        return self.folder / "recovery-identity.txt"

    @property
    def client_env(self) -> Path:
        """What a main server is given."""
        return self.folder / "client.env"

    @property
    def gateway_server_key(self) -> Path:
        """The public key that the gateway is given in an installation in containers."""
        return self.folder / "compose" / "server-key"

    @property
    def pending_client_env(self) -> Path:
        """`client.env` of an `init` that has not finished."""
        return self.folder / ".client.env.pending"

    @property
    def flower_env(self) -> Path:
        """The login of `caas flower`, made at its first start."""
        return self.folder / "flower.env"

    @property
    def audit_folder(self) -> Path:
        """The audit log that `caas up` has its workers write."""
        return self.folder / "audit"

    @property
    def metrics_folder(self) -> Path:
        """Where the workers of `caas up` keep the values of their metrics."""
        return self.folder / "metrics"

    @property
    def broker_folder(self) -> Path:
        """The embedded broker's working folder."""
        return self.folder / "broker"

    @property
    def broker_socket(self) -> Path:
        """The embedded broker's socket."""
        return self.folder / "broker.sock"

    def make(self) -> None:
        """Make the folder, for its owner alone; an empty one is made so.

        Raises:
            CommandError: it can't be made, or others may enter it.
        """
        problem = ""
        try:
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.chmod(PRIVATE_FOLDER)
            if self.folder.stat().st_mode & 0o077:
                problem = f"is open to other users; chmod 700 {self.folder}"
        except OSError as error:
            problem = f"cannot be made: {error.strerror}"
        if problem:
            raise CommandError(f"home {self.folder}: {problem}", ExitCode.CONFIGURATION)

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Hold `<what>.lock`; the kernel lets go of it when the process ends, however it ends.

        Raises:
            CommandError: another process holds it.
        """
        path = self.folder / f"{what}.lock"
        descriptor = -1
        problem = ""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            problem = f"its lock cannot be taken: {error.strerror}"
        if problem:
            raise CommandError(f"home {self.folder}: {problem}", ExitCode.CONFIGURATION)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                problem = f"`caas {what}` is already running here"
            if problem:
                raise CommandError(f"home {self.folder}: {problem}", ExitCode.UNAVAILABLE)
            yield
        finally:
            os.close(descriptor)
