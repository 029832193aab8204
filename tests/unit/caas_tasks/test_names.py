"""The names that cross a process boundary never change by accident."""

from __future__ import annotations

from caas_tasks import limits
from caas_tasks.names import SCOPES, Field, Lane, Operation


def test_task_names() -> None:
    """Each operation's task has its name under one prefix."""
    assert {o.value: o.task_name for o in Operation} == {
        "encrypt": "caas.encrypt",
        "verify": "caas.verify",
        "candidates": "caas.candidates",
        "blind_index": "caas.blind_index",
        "wrap": "caas.wrap",
        "hash_password": "caas.hash_password",
        "verify_password": "caas.verify_password",
        "seal": "caas.seal",
        "open": "caas.open",
        "rewrap": "caas.rewrap",
    }


def test_every_operation_is_a_scope() -> None:
    """A scope is an operation's name, one each."""
    assert tuple(o.value for o in Operation) == SCOPES


def test_lanes() -> None:
    """The three lanes are three queues."""
    assert [lane.value for lane in Lane] == ["caas.fast", "caas.password", "caas.bulk"]


def test_only_passwords_have_a_lane_of_their_own() -> None:
    """Everything but the two password operations waits in the fast lane."""
    slow = {operation.value for operation in Operation if operation.lane is Lane.PASSWORD}
    assert slow == {"hash_password", "verify_password"}
    assert all(o.lane is Lane.FAST for o in Operation if o.value not in slow)


def test_field_names() -> None:
    """The field names of payloads are the specification's."""
    names = {name: value for name, value in vars(Field).items() if name.isupper()}
    assert names == {
        "API_KEY": "apiKey",
        "ITEMS": "items",
        "REFERENCE": "reference",
        "USER_UUID": "userUUID",
        "SENSITIVE_DATA": "sensitiveData",
        "ENCRYPTED_DATA": "encrypted_data",
        "KEY_VERSION": "key_version",
        "LEGACY_DIGEST": "legacyDigest",
        "FIELD": "field",
        "VALUE": "value",
        "VALID": "valid",
        "NEEDS_UPDATE": "needs_update",
        "CANDIDATES": "candidates",
        "INDEXES": "indexes",
        "WRAPPED": "wrapped",
        "PASSWORD": "password",
        "HASH": "hash",
        "PLAINTEXT": "plaintext",
        "CONTEXT": "context",
        "TOKEN": "token",
        "CHANGED": "changed",
        "ERROR": "error",
        "CODE": "code",
        "MESSAGE": "message",
        "RETRY_AFTER": "retry_after",
    }


def test_limits_are_those_of_the_specification() -> None:
    """Sizes and times are the documented ones."""
    assert limits.MAX_ITEM_BYTES == 65_536
    assert limits.MAX_CONTEXT_BYTES == 1_024
    assert limits.MAX_HASH_CHARS == 256
    assert limits.MAX_ITEMS == 1_000
    assert limits.MAX_PAYLOAD_BYTES == 1_048_576
    assert limits.MAX_REFERENCE_CHARS == 256
    assert limits.MAX_FIELD_NAME_CHARS == 128
    assert limits.MAX_DIGEST_CHARS == 1_024
    assert limits.MAX_API_KEY_CHARS == 256
    assert limits.MAX_LIFETIME_MS == 90_000_000
    assert limits.CLOCK_TOLERANCE_MS == 5_000
