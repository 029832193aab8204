"""What is different between two keystores, in words and without secrets."""

from __future__ import annotations

from collections.abc import Iterator

from caas_cli.output import timestamp
from worker.keystore.document import ApiKey, Keystore, KeyVersion, ServiceKey, State, Tenant


def differences(before: Keystore, after: Keystore) -> list[str]:
    """A line for each difference, most important first."""
    return [
        *_key_versions(before, after),
        *_numbers(before, after),
        *_service_keys(before, after),
        *_api_keys(before, after),
        *_tenants(before, after),
        *_recipients(before, after),
        *(["audit key: made"] if before.audit_key is None and after.audit_key is not None else []),
    ]


def _key_versions(before: Keystore, after: Keystore) -> Iterator[str]:
    old = {record.version: record for record in before.key_versions}
    for record in after.key_versions:
        known = old.get(record.version)
        name = f"key version {record.version}"
        if known is None:
            weak = ", weak algorithms allowed" if record.allow_weak else ""
            yield f"{name}: added, {record.profile.value}, {record.state.value}{weak}"
        else:
            yield from (f"{name}: {what}" for what in _key_version(known, record))


def _key_version(old: KeyVersion, new: KeyVersion) -> Iterator[str]:
    if new.state is State.DESTROYED:
        if old.state is not State.DESTROYED:
            yield "destroyed, its secret is erased"
        return
    if old.state is not new.state:
        yield new.state.value
    if old.destroy_at != new.destroy_at:
        if new.destroy_at is None:
            yield "no longer to be destroyed"
        else:
            yield f"to be destroyed, can be undone until {timestamp(new.destroy_at)}"


def _numbers(before: Keystore, after: Keystore) -> Iterator[str]:
    for what, old, new in (
        ("primary key version", before.primary, after.primary),
        ("minimum version for making", before.minimum_making, after.minimum_making),
        ("minimum version for checking", before.minimum_checking, after.minimum_checking),
    ):
        if old != new:
            yield f"{what}: {old} -> {new}"


def _service_keys(before: Keystore, after: Keystore) -> Iterator[str]:
    old = {key.key_id: key for key in before.service_keys}
    new = {key.key_id: key for key in after.service_keys}
    for key_id, key in new.items():
        if key_id not in old:
            yield f"service key {key_id}: added"
        elif _is_retired(key) and not _is_retired(old[key_id]):
            yield f"service key {key_id}: retired, messages to it still open"
    for key_id in old.keys() - new.keys():
        yield f"service key {key_id}: removed, messages to it no longer open"


def _is_retired(key: ServiceKey) -> bool:
    return key.retired_at is not None


def _api_keys(before: Keystore, after: Keystore) -> Iterator[str]:
    old = {key.key_id: key for key in before.api_keys}
    for key in after.api_keys:
        known = old.get(key.key_id)
        if known is None:
            yield f"API key {key.key_id}: added for tenant {key.tenant}"
        else:
            yield from (f"API key {key.key_id}: {what}" for what in _api_key(known, key))


def _api_key(old: ApiKey, new: ApiKey) -> Iterator[str]:
    if old.revoked_at != new.revoked_at:
        yield "revoked"
    if old.rotated_to != new.rotated_to:
        yield f"rotated to {new.rotated_to}"
    if old.expires_at != new.expires_at:
        yield f"expires {timestamp(new.expires_at) or 'never'}"
    if old.requests_per_s != new.requests_per_s:
        yield f"requests a second: {_limit(old.requests_per_s)} -> {_limit(new.requests_per_s)}"


def _tenants(before: Keystore, after: Keystore) -> Iterator[str]:
    old = {tenant.name: tenant for tenant in before.tenants}
    for tenant in after.tenants:
        known = old.get(tenant.name)
        if known is None:
            yield f"tenant {tenant.name}: added"
        else:
            yield from (f"tenant {tenant.name}: {what}" for what in _tenant(known, tenant))


def _tenant(old: Tenant, new: Tenant) -> Iterator[str]:
    for what, was, becomes in (
        ("guesses a minute", old.guesses_per_minute, new.guesses_per_minute),
        ("guesses a day", old.guesses_per_day, new.guesses_per_day),
    ):
        if was != becomes:
            yield f"{what}: {_limit(was)} -> {_limit(becomes)}"
    if old.password_profile != new.password_profile:
        yield f"password profile: {old.password_profile} -> {new.password_profile}"


def _limit(value: int | None) -> str:
    return "default" if value is None else str(value)


def _recipients(before: Keystore, after: Keystore) -> Iterator[str]:
    for recipient in after.recipients:
        if recipient not in before.recipients:
            yield f"recipient {recipient}: added"
    for recipient in before.recipients:
        if recipient not in after.recipients:
            yield f"recipient {recipient}: removed"
