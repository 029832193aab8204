"""`caas doctor`: looks at everything a call depends on, and says of each fault what to do."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Final

from caas_cli import client_env, requests
from caas_cli.exit_codes import one_line
from caas_cli.home import Home
from caas_cli.output import say, say_json
from caas_tasks.broker_fault import reason_of
from caas_tasks.errors import (
    CaasError,
    ConfigurationError,
    RequestTimeoutError,
    ServiceUnavailableError,
    UnreadableMessageError,
)
from caas_tasks.limits import CLOCK_TOLERANCE_MS
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.settings import read_brokers

PING_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 3.0
BROKER: Final = "broker"
DISTRIBUTIONS: Final = (
    "celery",
    "kombu",
    "redis",
    "packaging",
    "cryptography",
    "pydantic",
    "pyrage",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        detail: what was found.
        advice: what to do, empty when all is well.
    """

    name: str
    is_ok: bool
    detail: str
    advice: str = ""


def examine(home: Home) -> list[Finding]:
    """Look at everything, in the order in which a call needs it. One fault hides no other."""
    found = [*_versions(home), *_files(home), *_keystore(home), *_brokers(home)]
    is_reachable = all(finding.is_ok for finding in found if finding.name == BROKER)
    if is_reachable:
        return [*found, *_worker(home)]
    return [*found, Finding("worker", False, "not asked", "see the broker above, then ask again")]


def show(findings: list[Finding], *, as_json: bool) -> None:
    """Print the findings."""
    if as_json:
        say_json([asdict(finding) for finding in findings])
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        say(f"{'ok ' if finding.is_ok else 'BAD'}  {finding.name:<{width}}  {finding.detail}")
        if finding.advice:
            say(f"     {'':<{width}}  -> {finding.advice}")


def _versions(_home: Home) -> list[Finding]:
    versions = {"python": platform.python_version()}
    missing = []
    for name in DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    if missing:
        return [
            Finding("versions", False, f"missing: {', '.join(missing)}", "pip install 'caas[all]'")
        ]
    return [Finding("versions", True, text)]


def _files(home: Home) -> list[Finding]:
    found = []
    private = (home.folder, home.keystore, home.identity, home.client_env, home.recovery_identity)
    for path in private:
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            fix = f"chmod {'700' if path.is_dir() else '600'} {path}"
            found.append(Finding("permissions", False, f"{path} is {mode:o}, open to others", fix))
    if not found:
        found.append(Finding("permissions", True, f"{home.folder} and its files are private"))
    if home.recovery_identity.exists():
        # True of every new installation, so a note and no fault.
        note = f"{home.recovery_identity} is on this machine; move it to a safe place"
        found.append(Finding("recovery", True, note))
    return found


def _keystore(home: Home) -> list[Finding]:
    from worker.keystore import change, file, upkeep
    from worker.keystore.document import State
    from worker.keystore.errors import KeystoreError

    if not home.keystore.exists() and home.client_env.exists():
        return [Finding("keystore", True, "not on this host, which has only a client's settings")]
    try:
        keystore = file.load(home.keystore, file.load_identities(home.identity))
    except KeystoreError as error:
        advice = "run `caas init`, or set CAAS_HOME, CAAS_KEYSTORE and CAAS_IDENTITY"
        return [Finding("keystore", False, str(error), advice)]
    enabled = sum(version.state is State.ENABLED for version in keystore.key_versions)
    detail = f"opens: {enabled} enabled key version(s), {len(keystore.api_keys)} API key(s)"
    found = [Finding("keystore", True, detail)]
    server_key = _setting(home, client_env.SERVER_KEY)
    due = [record for record in keystore.key_versions if upkeep.is_due(record, time.time())]
    if due:
        found.append(
            Finding(
                "destruction",
                False,
                f"{len(due)} key version(s) past the grace period still have their secret",
                "caas key destroy --finish",
            )
        )
    handed_out = {
        change.public_half(key).to_text() for key in keystore.service_keys if key.retired_at is None
    }
    if server_key and server_key not in handed_out:
        found.append(
            Finding(
                "server key",
                False,
                "CAAS_SERVER_KEY is of no service key that is in use",
                "`caas service-key list --json` has it; `caas up` brings client.env up to date",
            )
        )
    return found


def _setting(home: Home, name: str) -> str:
    try:
        return client_env.setting(home.client_env, name)
    except ConfigurationError:
        return ""


def _brokers(home: Home) -> list[Finding]:
    try:
        brokers = read_brokers(client_env.setting(home.client_env, client_env.BROKER_URL))
    except ConfigurationError as error:
        return [Finding(BROKER, False, str(error), "set CAAS_BROKER_URL, or run `caas init`")]
    return [finding for broker in brokers for finding in _broker(broker)]


def _broker(url: BrokerUrl) -> list[Finding]:
    import redis

    problem = ""
    found: list[Finding] = []
    try:
        with connect(
            url, socket_timeout=CONNECT_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            found = _ask_broker(connection, url.display)
    except (redis.RedisError, OSError, ValueError) as error:
        problem = reason_of(error)
    if problem:
        advice = "start it (`caas up` brings its own), or correct CAAS_BROKER_URL"
        return [Finding(BROKER, False, f"{url.display} does not answer: {problem}", advice)]
    return found


def _ask_broker(connection: Any, display: str) -> list[Finding]:
    connection.ping()
    before_s = time.time()
    seconds, microseconds = connection.time()
    after_s = time.time()
    server: dict[str, Any] = connection.info("server")
    version = server.get("valkey_version") or server.get("redis_version")
    skew_s = (before_s + after_s) / 2 - (seconds + microseconds / 1_000_000)
    limit_s = CLOCK_TOLERANCE_MS / 1_000
    is_close = abs(skew_s) <= limit_s
    return [
        Finding(BROKER, True, f"{display} answers, version {version}"),
        Finding(
            "clock",
            is_close,
            f"{abs(skew_s):.3f} s {'ahead of' if skew_s > 0 else 'behind'} the broker's host",
            "" if is_close else f"set both clocks by NTP: {limit_s:g} s apart is the most",
        ),
    ]


def _worker(home: Home) -> list[Finding]:
    problem: CaasError
    try:
        with requests.client(home) as client:
            started_s = time.perf_counter()
            client.ping(timeout_s=PING_TIMEOUT_S)
            took_ms = (time.perf_counter() - started_s) * 1_000
            return [Finding("worker", True, f"answers end to end in {took_ms:.1f} ms")]
    except CaasError as error:
        problem = error
    return [Finding("worker", False, one_line(problem), _worker_advice(problem))]


def _worker_advice(error: CaasError) -> str:
    if isinstance(error, RequestTimeoutError):
        return "start a worker: `caas worker`, or `caas up` for everything"
    if isinstance(error, UnreadableMessageError):
        return "the workers have another keystore than CAAS_SERVER_KEY belongs to"
    if isinstance(error, ServiceUnavailableError):
        return "see the broker above"
    return "set what is missing, or run `caas init`"
