"""`caas init`: a new installation, in an order that survives a crash at any point.

Identities are written and flushed first, so that no keystore ever exists whose identity is lost;
then the client's settings under a temporary name; then the keystore, which makes the installation
exist; then the settings get their real name. Run again after a crash, `init` goes on with what is
there. Nothing that exists is ever overwritten.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyrage

from caas_cli import broker, client_env
from caas_cli.exit_codes import CommandError, ExitCode, UsageError
from caas_cli.home import Home
from caas_cli.output import say, say_json, timestamp, warn
from caas_tasks.errors import ConfigurationError
from caas_tasks.names import SCOPES
from worker.keystore import change, file
from worker.keystore.document import Profile
from worker.keystore.errors import KeystoreError

DEFAULT_TENANT: Final = "shop"
DEFAULT_GATEWAY_URL: Final = "http://127.0.0.1:8000"
MAX_SALT_POOL_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class InitRequest:
    """What the operator asked for.

    Attributes:
        salt_pool: a JSON file with the existing service's salts, for the classic profile alone.
        recovery_recipient: `age1…`, whose identity is kept elsewhere; None makes one here.
    """

    profile: str = "hardened"
    salt_pool: Path | None = None
    tenant: str = DEFAULT_TENANT
    recovery_recipient: str | None = None


@dataclass(frozen=True, slots=True)
class InitResult:
    """What was made. `client` holds the API key, which is shown once."""

    home: Home
    tenant: str
    profile: str
    made_recovery_identity: bool
    client: dict[str, str] = field(repr=False)


def init(home: Home, request: InitRequest) -> InitResult:
    """Make an installation.

    Raises:
        UsageError: options that don't go together.
        CommandError: there is an installation already, or another `init` is running.
        ConfigurationError: a file can't be read or written, or the request is malformed.
    """
    salts = _salts(request)
    _check_recipient(request.recovery_recipient)
    home.make()
    with home.locked("init"):
        _refuse_existing(home)
        return _make(home, request, salts)


def show(result: InitResult, *, as_json: bool) -> None:
    """Print what was made and what the main server must be given; the API key this once."""
    if as_json:
        say_json(
            {
                "home": str(result.home.folder),
                "tenant": result.tenant,
                "profile": result.profile,
                "recovery_identity": _recovery_path(result),
                "client": result.client,
            }
        )
    else:
        say(f"Made {result.home.folder} (tenant {result.tenant}, profile {result.profile}).")
        say(f"\nThe main server needs these settings; they are also in {result.home.client_env}.")
        say("The API key is shown this once.\n")
        say(client_env.render(result.client).decode())
    if result.made_recovery_identity:
        warn(
            f"Move {result.home.recovery_identity} off this machine, to a safe place: "
            "it opens the keystore when identity.txt is lost."
        )
    if result.profile == Profile.CLASSIC:
        warn(
            "The classic profile is weak: its values have no secret key in them, and many can be "
            "guessed offline by whoever has the salts. Use it only to move to hardened."
        )


def _recovery_path(result: InitResult) -> str | None:
    return str(result.home.recovery_identity) if result.made_recovery_identity else None


def finish_interrupted(home: Home) -> None:
    """Give the client's settings their name when a crash came just before that step."""
    pending = home.pending_client_env
    if home.keystore.exists() and pending.exists() and not home.client_env.exists():
        pending.replace(home.client_env)


def _make(home: Home, request: InitRequest, salts: tuple[str, ...] | None) -> InitResult:
    now_s = int(time.time())
    recipients = [_identity(home.identity, now_s)]
    makes_recovery = request.recovery_recipient is None
    recipients.append(request.recovery_recipient or _identity(home.recovery_identity, now_s))
    keystore = change.new_keystore(
        recipients=recipients,
        tenant=request.tenant,
        profile=Profile(request.profile),
        salt_pool=salts,
        now_s=now_s,
        random=secrets,
    )
    added = change.add_api_key(
        keystore, tenant=request.tenant, scopes=SCOPES, expires_at=None, now_s=now_s, random=secrets
    )
    client = {
        client_env.BROKER_URL: os.environ.get(client_env.BROKER_URL) or broker.prepare(home).url,
        client_env.API_KEY: added.text,
        client_env.SERVER_KEY: change.public_key(added.keystore).to_text(),
        client_env.GATEWAY_URL: DEFAULT_GATEWAY_URL,
    }
    _write(home.pending_client_env, client_env.render(client))
    file.create(home.keystore, added.keystore)
    home.pending_client_env.replace(home.client_env)
    return InitResult(home, request.tenant, request.profile, makes_recovery, client)


def _refuse_existing(home: Home) -> None:
    finish_interrupted(home)
    for path in (home.keystore, home.client_env):
        if path.exists():
            raise CommandError(
                f"{path} exists already; nothing was changed. Choose another CAAS_HOME.",
                ExitCode.CONFIGURATION,
            )


def _identity(path: Path, now_s: int) -> str:
    """The recipient of the identity at `path`, which is made when it isn't there."""
    if path.exists():
        return str(file.load_identities(path)[0].to_public())
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    text = f"# created: {timestamp(now_s)}\n# public key: {recipient}\n{identity}\n"
    _write(path, text.encode())
    return recipient


def _write(path: Path, content: bytes) -> None:
    problem = ""
    try:
        file.write_private(path, content)
    except OSError as error:
        problem = f"{path}: cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(problem)


def _check_recipient(recipient: str | None) -> None:
    if recipient is not None and not file.is_recipient(recipient):
        raise UsageError("--recovery-recipient: not an age X25519 recipient (age1…)")


def _salts(request: InitRequest) -> tuple[str, ...] | None:
    if request.profile == Profile.CLASSIC and request.salt_pool is None:
        raise UsageError("--profile classic needs --salt-pool FILE, the existing service's salts")
    if request.profile == Profile.HARDENED and request.salt_pool is not None:
        raise UsageError(
            "--salt-pool goes with --profile classic; hardened salts are always random"
        )
    if request.salt_pool is None:
        return None
    return read_salts(request.salt_pool)


def read_salts(path: Path) -> tuple[str, ...]:
    """A salt pool from a JSON file.

    Raises:
        ConfigurationError: the file can't be read, or isn't a salt pool. No salt is repeated.
    """
    problem = ""
    value: object = None
    try:
        with path.open("rb") as salt_file:
            raw = salt_file.read(MAX_SALT_POOL_BYTES + 1)
        if len(raw) > MAX_SALT_POOL_BYTES:
            problem = f"is over {MAX_SALT_POOL_BYTES} bytes"
        else:
            value = json.loads(raw)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        problem = "is not valid JSON"
    if not problem:
        try:
            return change.check_salt_pool(value)
        except KeystoreError as error:
            problem = str(error)
    raise ConfigurationError(f"salt pool {path}: {problem}")
