"""`caas init --compose`: what `docker-compose.yml` needs beside the installation, all private.

In `CAAS_HOME/compose`: an authority and certificates, the broker's users with random passwords, and
each service's secrets as files; in the current folder an `.env` without any secret. The containers
run as the owner of these files, or as `CONTAINER_ID` when root makes them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from caas_cli import broker_acl, client_env
from caas_cli.certificates import Authority, Issued
from caas_cli.exit_codes import CommandError, ExitCode, UsageError
from caas_cli.home import KEYSTORE_FOLDER, PRIVATE_FOLDER, Home
from caas_cli.init import InitRequest, InitResult
from caas_cli.init import init as init_home
from caas_cli.output import say, say_json, warn
from caas_tasks.errors import ConfigurationError

CONTAINER_ID: Final = 10_001
"""User and group of the containers when root makes the installation: none of them runs as root."""

AUTHORITY_KEY: Final = "ca.key"
"""Signs further certificates; no container gets it."""

DATA_FOLDER: Final = "data"
KEEPERS: Final = ("redis", "prometheus", "grafana", "audit")
"""What keeps data, each in a folder of its own; the audit log is of all workers."""

REDIS_HOST: Final = "redis"
REDIS_PORT: Final = 6379
GATEWAY_HOST: Final = "gateway"
_PASSWORD_BYTES: Final = 32
_LOCAL: Final = ("localhost", "127.0.0.1")
_USERS: Final = {
    "worker": broker_acl.WORKER,
    "client": broker_acl.CLIENT,
    "monitor": broker_acl.MONITOR,
}


def folder(home: Home) -> Path:
    """Where the files are."""
    return home.folder / "compose"


def init(home: Home, request: InitRequest) -> InitResult:
    """Make an installation for containers, with the `.env` in the current folder.

    Raises:
        CommandError: there is an `.env` or an installation already.
        UsageError, ConfigurationError: as `caas_cli.init.init`.
    """
    env_file = Path(".env").absolute()
    for path in (env_file, folder(home)):
        if path.exists():
            text = f"{path} exists already; nothing was changed."
            raise CommandError(text, ExitCode.CONFIGURATION)
    home.make()
    keystore = home.folder / KEYSTORE_FOLDER
    keystore.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    home = Home(home.folder, keystore / "keystore.age", home.identity)
    made = init_home(home, request)
    changes = make(home, env_file, made.client[client_env.SERVER_KEY], datetime.now(UTC))
    client_env.write_changed(home.client_env, changes)
    return replace(made, client={**made.client, **changes})


def make(home: Home, env_file: Path, server_key: str, now: datetime) -> dict[str, str]:
    """Write the files of an installation that was just made; what changes for its main server.

    Raises:
        ConfigurationError: a file can't be written.
    """
    files, changes = _contents(home, server_key, now)
    problem = ""
    try:
        folder(home).mkdir(mode=PRIVATE_FOLDER)
        _write_all(home, env_file, files)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(f"{folder(home)}: {problem}")
    return changes


def renew(home: Home, now: datetime) -> dict[str, str]:
    """Replace authority, certificates and passwords by new ones; what changes for main servers.

    Keys and `.env` stay. Nothing old fits the new: every container is made anew afterwards. Where
    this was interrupted, doing it again makes one whole set.

    Raises:
        CommandError: no installation for containers is here.
        KeystoreError: the keystore can't be read.
        ConfigurationError: a file can't be written.
    """
    from worker.keystore import change, file

    if not folder(home).is_dir():
        text = f"{folder(home)} is not there; `caas init --compose` makes an installation."
        raise CommandError(text, ExitCode.CONFIGURATION)
    keystore = file.load(home.keystore, file.load_identities(home.identity))
    files, changes = _contents(home, change.public_key(keystore).to_text(), now)
    problem = ""
    try:
        # Grafana keeps the password that it was first given in a database of its own.
        del files["grafana-password"]
        for name, content in files.items():
            # Each keeps its owner, the containers' user or who made the installation.
            file.write_private(folder(home) / name, content)
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise ConfigurationError(f"{folder(home)}: {problem}")
    client_env.write_changed(home.client_env, changes)
    return changes


def show_renewed(home: Home, *, is_compose: bool, as_json: bool) -> None:
    """Renew, and say what to do now; no secret is shown.

    Raises:
        UsageError: without --compose.
        CommandError, KeystoreError, ConfigurationError: as `renew`.
    """
    if not is_compose:
        raise UsageError("--renew goes with --compose")
    renewed = sorted(renew(home, datetime.now(UTC)))
    if as_json:
        say_json({"home": str(home.folder), "client_settings_changed": renewed})
        return
    say(f"Made certificates and passwords in {folder(home)} anew.")
    warn("Now: docker compose up --detach --force-recreate; then give main servers client.env.")


def _contents(
    home: Home, server_key: str, now: datetime
) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files by name, and a main server's settings."""
    passwords = {user: secrets.token_urlsafe(_PASSWORD_BYTES) for user in broker_acl.RULES}
    urls = {
        part: f"rediss://{user}:{passwords[user]}@{REDIS_HOST}:{REDIS_PORT}/0"
        for part, user in _USERS.items()
    }
    files = {
        **_certificates(now),
        **{f"{part}-broker-url": url.encode() for part, url in urls.items()},
        "users.acl": broker_acl.acl_file(passwords).encode(),
        "monitor-password": passwords[broker_acl.MONITOR].encode(),
        "server-key": server_key.encode(),
        "flower-password": secrets.token_urlsafe(_PASSWORD_BYTES).encode(),
        "grafana-password": secrets.token_urlsafe(_PASSWORD_BYTES).encode(),
    }
    changes = {
        client_env.BROKER_URL: urls["client"],
        client_env.GATEWAY_URL: f"https://{_LOCAL[0]}:8000",
        "CAAS_BROKER_CA": str(folder(home) / "ca.crt"),
        "CAAS_BROKER_CERT": str(folder(home) / "client.crt"),
        "CAAS_BROKER_KEY": str(folder(home) / "client.key"),
    }
    return files, changes


def _write_all(home: Home, env_file: Path, files: Mapping[str, bytes]) -> None:
    from worker.keystore.file import write_private

    for name, content in files.items():
        write_private(folder(home) / name, content)
    kept = [home.folder / DATA_FOLDER / name for name in KEEPERS]
    for path in (home.folder / DATA_FOLDER, *kept):
        path.mkdir(mode=PRIVATE_FOLDER)
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        uid = gid = CONTAINER_ID
        keystore = home.keystore
        mounted = [path for path in folder(home).iterdir() if path.name != AUTHORITY_KEY]
        for path in (folder(home), *mounted, keystore.parent, keystore, home.identity, *kept):
            os.chown(path, uid, gid)
    write_private(env_file, _environment(home, uid, gid))


def _environment(home: Home, uid: int, gid: int) -> bytes:
    lines = [
        "# Made by `caas init --compose` for docker-compose.yml. No secrets: those are files.",
        f"CAAS_HOME={home.folder}",
        "# Owner of those files; the containers run as this user.",
        f"CONTAINER_UID={uid}",
        f"CONTAINER_GID={gid}",
        "# Addresses of this host that the pages and the gateway are reached at.",
        "GATEWAY_LISTEN=127.0.0.1:8000",
        "FLOWER_LISTEN=127.0.0.1:5555",
        "PROMETHEUS_LISTEN=127.0.0.1:9090",
        "GRAFANA_LISTEN=127.0.0.1:3000",
        "# The broker, for main servers of other hosts that use the client.",
        "REDIS_LISTEN=127.0.0.1:6379",
    ]
    return "\n".join([*lines, ""]).encode()


def _certificates(now: datetime) -> dict[str, bytes]:
    authority = Authority("CaaS installation", now)
    found = {"ca.crt": authority.issued.certificate, AUTHORITY_KEY: authority.issued.key}
    for name in (REDIS_HOST, GATEWAY_HOST):
        found |= _pair(name, authority.issue_server((name, *_LOCAL), now))
    for part, user in _USERS.items():
        found |= _pair(part, authority.issue_client(user, now))
    return found


def _pair(name: str, issued: Issued) -> dict[str, bytes]:
    return {f"{name}.crt": issued.certificate, f"{name}.key": issued.key}
