"""The keystore: whether it opens, what is due in it, and whether clients have its public key."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from caas_cli import client_env
from caas_cli.doctor.finding import Finding
from caas_cli.home import Home
from caas_tasks.errors import ConfigurationError

if TYPE_CHECKING:
    from worker.keystore.document import Keystore, KeyVersion

KEYSTORE: Final = "keystore"
GUIDE: Final = "see docs/operations.md"
"""What to do step by step stands there."""

SOON_S: Final = 14 * 24 * 3_600
"""What ends within this time is told, in seconds."""


def keystore(home: Home, now_s: Callable[[], float] = time.time) -> list[Finding]:
    """The keystore of a worker's host; a main server has none."""
    from worker.keystore import change, file
    from worker.keystore.errors import KeystoreError

    is_client_only = not home.keystore.exists() and not home.identity.exists()
    if is_client_only and home.client_env.exists():
        return [Finding(KEYSTORE, True, "not on this host, which has only a client's settings")]
    try:
        opened = file.load(home.keystore, file.load_identities(home.identity))
    except KeystoreError as error:
        return [Finding(KEYSTORE, False, str(error), _way_back(home))]
    now = now_s()
    age_days = max(0, int((now - home.keystore.stat().st_mtime) // 86_400))
    enabled = sum(version.state.value == "enabled" for version in opened.key_versions)
    detail = f"opens: {enabled} enabled key version(s), {len(opened.api_keys)} API key(s)"
    found = [Finding(KEYSTORE, True, f"{detail}, written {age_days} day(s) ago")]
    found += [*_versions(opened), *_destroys(opened, now), *_api_keys(opened, now)]
    server_key = _setting(home, client_env.SERVER_KEY)
    in_use = (key for key in opened.service_keys if key.retired_at is None)
    if server_key and server_key not in {change.public_half(key).to_text() for key in in_use}:
        found.append(
            Finding(
                "server key",
                False,
                "CAAS_SERVER_KEY is of no service key that is in use",
                "`caas service-key list --json` has it; `caas up` brings client.env up to date",
            )
        )
    return found


def _way_back(home: Home) -> str:
    if not home.keystore.exists() and not home.identity.exists():
        return "run `caas init`, or set CAAS_HOME, CAAS_KEYSTORE and CAAS_IDENTITY"
    if not home.identity.exists():
        return f"{GUIDE} (A lost identity); or CAAS_IDENTITY names another file than it should"
    return f"{GUIDE} (Restore from a backup), and don't stop workers that still run"


def _versions(opened: Keystore) -> list[Finding]:
    if opened.primary < opened.minimum_making:
        detail = f"key version {opened.primary} is below the least that may make values"
        return [Finding("key versions", False, detail, "caas key promote, to a later version")]
    if len(opened.recipients) < 2:  # noqa: PLR2004 - the workers' and the recovery one
        detail = "the keystore has one recipient: with its identity all would be lost"
        advice = f"caas key reencrypt-keystore --recipient age1…; {GUIDE} (A lost identity)"
        return [Finding("key versions", False, detail, advice)]
    return []


def _destroys(opened: Keystore, now: float) -> list[Finding]:
    waiting = [version for version in opened.key_versions if version.destroy_at is not None]
    due = [version for version in waiting if (version.destroy_at or 0) <= now]
    overdue = [
        Finding(
            "destroy",
            False,
            f"key version {version.version} is past its grace period and still has its secret",
            "caas key destroy --finish",
        )
        for version in due
    ]
    return overdue + [
        Finding(
            "destroy",
            True,
            f"key version {version.version} is to be destroyed in {_hours(version, now)} h; "
            "until then it can be kept",
        )
        for version in waiting
        if version not in due
    ]


def _hours(version: KeyVersion, now: float) -> int:
    return max(0, int(((version.destroy_at or 0) - now) // 3_600))


def _api_keys(opened: Keystore, now: float) -> list[Finding]:
    ends = [
        key
        for key in opened.api_keys
        if key.expires_at is not None and 0 < key.expires_at - now < SOON_S
    ]
    return [
        Finding(
            "api key",
            False,
            f"{key.key_id} of {key.tenant} expires in {int((key.expires_at or 0) - now) // 86_400} "
            "day(s)",
            "caas apikey rotate, and give the main server the new one",
        )
        for key in ends
        if key.revoked_at is None and key.rotated_to is None
    ]


def _setting(home: Home, name: str) -> str:
    try:
        return client_env.setting(home.client_env, name)
    except ConfigurationError:
        return ""
