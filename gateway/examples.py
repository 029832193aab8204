"""One example request and answer for each operation, for the OpenAPI document and its page.

The values are of the right form and belong to nobody; the first is the published example of the
classic profile.
"""

from __future__ import annotations

from typing import Any, Final

from caas_tasks.names import Field, Operation

API_KEY: Final = "caas_<id>_<secret>"
USER_UUID: Final = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
DATA: Final = "example sensitive data"
DIGEST: Final = (
    "35db2f10e244a19686cf929071a80ac7029ad03cff2b7aeb"
    "ff4bac148c7dd32f64cf96c0b4122eb61f4ced1bba6672c1"
)
KEY_VERSION: Final = 1
_LEGACY_DIGEST: Final = "5f4dcc3b5aa765d61d8327deb882cf99"
HASH: Final = (
    "$caas-argon2id$v=19$m=65536,t=3,p=4,k=1$AAECAwQFBgcICQoLDA0ODw"
    "$QlV0K2vXxJ0fMNn6cWb7xw1yb3QhT2pQm1nq8rO5s6U"
)
SEALED: Final = (
    "caas1.AAAAAQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3"
    "ODk6Ozw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A"
)
PLAINTEXT: Final = "ZXhhbXBsZSBhZGRyZXNz"
CONTEXT: Final = "YWRkcmVzcw=="
_USER: Final = {Field.USER_UUID: USER_UUID}
_SENSITIVE: Final = {**_USER, Field.SENSITIVE_DATA: DATA}
_PASSWORD: Final = {**_USER, Field.PASSWORD: "correct horse battery staple"}
_TOKEN: Final = {**_USER, Field.TOKEN: SEALED, Field.CONTEXT: CONTEXT}
_ENCRYPTED: Final = {Field.ENCRYPTED_DATA: DIGEST, Field.KEY_VERSION: KEY_VERSION}

ITEMS: Final[dict[Operation, dict[str, Any]]] = {
    Operation.ENCRYPT: _SENSITIVE,
    Operation.VERIFY: {**_SENSITIVE, **_ENCRYPTED},
    Operation.CANDIDATES: _SENSITIVE,
    Operation.BLIND_INDEX: {Field.FIELD: "email", Field.VALUE: "ada@example.org"},
    Operation.WRAP: {**_USER, Field.LEGACY_DIGEST: _LEGACY_DIGEST},
    Operation.HASH_PASSWORD: _PASSWORD,
    Operation.VERIFY_PASSWORD: {**_PASSWORD, Field.HASH: HASH},
    Operation.SEAL: {**_USER, Field.PLAINTEXT: PLAINTEXT, Field.CONTEXT: CONTEXT},
    Operation.OPEN: _TOKEN,
    Operation.REWRAP: _TOKEN,
}
ANSWERS: Final[dict[Operation, dict[str, Any]]] = {
    Operation.ENCRYPT: _ENCRYPTED,
    Operation.VERIFY: {Field.VALID: True, Field.NEEDS_UPDATE: False},
    Operation.CANDIDATES: {Field.CANDIDATES: [_ENCRYPTED]},
    Operation.BLIND_INDEX: {Field.INDEXES: [{"index": DIGEST, Field.KEY_VERSION: KEY_VERSION}]},
    Operation.WRAP: {Field.WRAPPED: DIGEST, Field.KEY_VERSION: KEY_VERSION},
    Operation.HASH_PASSWORD: {Field.HASH: HASH},
    Operation.VERIFY_PASSWORD: {Field.VALID: True, Field.NEEDS_UPDATE: True, Field.HASH: HASH},
    Operation.SEAL: {Field.TOKEN: SEALED},
    Operation.OPEN: {Field.PLAINTEXT: PLAINTEXT},
    Operation.REWRAP: {Field.TOKEN: SEALED, Field.CHANGED: False},
}
SUMMARIES: Final[dict[Operation, str]] = {
    Operation.ENCRYPT: "The value to store for a user's data",
    Operation.VERIFY: "Whether data is what a stored value was made from",
    Operation.CANDIDATES: "The value under every enabled key version, newest first",
    Operation.BLIND_INDEX: "A searchable value under every enabled key version, newest first",
    Operation.WRAP: "A legacy digest made safe without the data",
    Operation.HASH_PASSWORD: "What to store for a user's password",
    Operation.VERIFY_PASSWORD: "Whether a password is what a stored hash was made from",
    Operation.SEAL: "A token that only the same user and context open again",
    Operation.OPEN: "The plaintext of a token",
    Operation.REWRAP: "A token under the newest key version, never the plaintext",
}


def single_answer(operation: Operation) -> dict[str, Any]:
    """The answer of `POST /<operation>`: that of `encrypt` has its one published field."""
    if operation is Operation.ENCRYPT:
        return {Field.ENCRYPTED_DATA: DIGEST}
    return ANSWERS[operation]
