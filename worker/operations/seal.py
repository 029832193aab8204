"""Sealing: data that comes back, for one user and one purpose (docs/spec.md, section 5).

Each message has a key of its own, derived from a random salt, so that the nonce may be zero and
the number of messages under a user's key needs no bound. AES-GCM alone commits to no key: one
ciphertext can be made that opens under two. The commitment, derived beside the key, binds the token
to one, and is compared before anything is decrypted.
"""

from __future__ import annotations

import hmac
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caas_tasks.base64_field import encode_base64
from caas_tasks.encoding import lp, uuid_bytes
from caas_tasks.errors import UndecryptableError
from caas_tasks.items import OpenItem, RewrapItem, SealItem, TokenItem
from caas_tasks.names import Field
from caas_tasks.stored_forms import COMMITMENT_BYTES, MESSAGE_SALT_BYTES, Token, parse_token
from worker.operations.keys import TenantKeys, VersionKeys
from worker.operations.means import Means

_KEY_BYTES: Final = 32
_INFO: Final = b"caas/1/seal-message"
_AAD_DOMAIN: Final = b"caas/1/seal\x00"
_NONCE: Final = bytes(12)  # each key encrypts one message


def associated_data(tenant: str, uuid: bytes, context: bytes) -> bytes:
    """What a token is bound to beside its key."""
    return _AAD_DOMAIN + lp(tenant.encode(), uuid, context)


def seal_token(
    seal_key: bytes, key_version: int, message_salt: bytes, plaintext: bytes, bound_to: bytes
) -> Token:
    """Encrypt under a message key of its own.

    Args:
        seal_key: `K("seal", uuid)`, 32 bytes.
        message_salt: 32 random bytes, never used before.
        bound_to: of `associated_data`.
    """
    key, commitment = _message_keys(seal_key, message_salt)
    box = AESGCM(key).encrypt(_NONCE, plaintext, bound_to)
    return Token(key_version, message_salt, commitment, box)


def open_token(seal_key: bytes, token: Token, bound_to: bytes) -> bytes:
    """The plaintext.

    Raises:
        UndecryptableError: the token is not authentic under this key and for this user, tenant and
            context: one error for every cause.
    """
    key, commitment = _message_keys(seal_key, token.message_salt)
    plaintext = None
    if hmac.compare_digest(commitment, token.commitment):
        try:
            plaintext = AESGCM(key).decrypt(_NONCE, token.box, bound_to)
        except InvalidTag:
            pass
    if plaintext is None:
        raise UndecryptableError
    return plaintext


def _message_keys(seal_key: bytes, message_salt: bytes) -> tuple[bytes, bytes]:
    both = HKDF(
        algorithm=SHA256(), length=_KEY_BYTES + COMMITMENT_BYTES, salt=message_salt, info=_INFO
    ).derive(seal_key)
    return both[:_KEY_BYTES], both[_KEY_BYTES:]


def seal(tenant: TenantKeys, item: SealItem, means: Means) -> dict[str, Any]:
    """A token under the primary version."""
    text = _new_token(tenant, item.user_uuid, item.plaintext, item.context, means)
    return {Field.TOKEN: text}


def open_item(tenant: TenantKeys, item: OpenItem, _means: Means) -> dict[str, Any]:
    """The plaintext of a token.

    Raises:
        UndecryptableError: not authentic for this tenant, user and context, or no token at all.
        KeyUnavailableError: its key version is not enabled.
    """
    return {Field.PLAINTEXT: encode_base64(_opened(tenant, item)[0])}


def rewrap(tenant: TenantKeys, item: RewrapItem, means: Means) -> dict[str, Any]:
    """The token under the primary version; the same one when it is that already.

    Raises:
        UndecryptableError, KeyUnavailableError: as `open_item`.
    """
    plaintext, keys = _opened(tenant, item)
    if keys.version == tenant.primary.version:
        return {Field.TOKEN: item.token, Field.CHANGED: False}
    text = _new_token(tenant, item.user_uuid, plaintext, item.context, means)
    return {Field.TOKEN: text, Field.CHANGED: True}


def _new_token(
    tenant: TenantKeys, user_uuid: str, plaintext: bytes, context: bytes, means: Means
) -> str:
    keys, uuid = tenant.primary, uuid_bytes(user_uuid)
    return seal_token(
        keys.seal_key(uuid),
        keys.version,
        means.random_bytes(MESSAGE_SALT_BYTES),
        plaintext,
        associated_data(tenant.name, uuid, context),
    ).to_text()


def _opened(tenant: TenantKeys, item: TokenItem) -> tuple[bytes, VersionKeys]:
    token = parse_token(item.token)
    if token is None:
        raise UndecryptableError
    keys, uuid = tenant.at(token.key_version), uuid_bytes(item.user_uuid)
    bound_to = associated_data(tenant.name, uuid, item.context)
    return open_token(keys.seal_key(uuid), token, bound_to), keys
