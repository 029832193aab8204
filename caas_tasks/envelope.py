"""Sealing of requests and replies: the envelope of docs/spec.md, section 6, as pure functions.

What a broker sees of a request is one opaque string. Each client session draws a 32-byte secret and
wraps it to the service's public key with HPKE (RFC 9180, base mode, ML-KEM-768 with X25519), so a
recording of the queue stays closed to a quantum computer too. Request and reply keys come from the
secret by HKDF-SHA256 (RFC 5869); messages are AES-256-GCM with the task's name and the message id
as associated data, so that the broker cannot move a request to another operation or swap replies.

Secrets, nonces and times are arguments. The one exception is HPKE's ephemeral key, which
`cryptography` draws by itself.

    request = 0x01 || service key id (8) || expiry ms (8)
              || wrapped length (2) || wrapped || nonce (12) || box
    reply   = 0x01 || nonce (12) || box

Both travel as standard base64 (RFC 4648, section 4, canonical).
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caas_tasks.encoding import lp
from caas_tasks.errors import ConfigurationError, PayloadTooLargeError, UnreadableMessageError
from caas_tasks.limits import MAX_PAYLOAD_BYTES

VERSION: Final = b"\x01"
SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D, section 8.2
TAG_BYTES: Final = 16
KEY_ID_BYTES: Final = 8
MLKEM_PUBLIC_BYTES: Final = 1184  # FIPS 203, table 3
X25519_BYTES: Final = 32  # RFC 7748
WRAPPED_BYTES: Final = 1120 + SECRET_BYTES + TAG_BYTES  # encapsulation of both KEMs, secret, tag

_HEADER_BYTES: Final = 1 + KEY_ID_BYTES + 8 + 2
_REQUEST_OVERHEAD: Final = _HEADER_BYTES + WRAPPED_BYTES + NONCE_BYTES + TAG_BYTES
MAX_REQUEST_CHARS: Final = 4 * ((MAX_PAYLOAD_BYTES + _REQUEST_OVERHEAD + 2) // 3)
"""Longest sealed request that a worker looks at, in characters of base64."""

MAX_REPLY_CHARS: Final = 4 * 1024 * 1024
"""Longest sealed reply that a client looks at: 1,000 items under many key versions fit."""

UNREADABLE_REPLY: Final = "unreadable"
"""The one answer, unsealed and the same for every cause, to a message that can't be opened."""

_SESSION_INFO: Final = b"caas/1/session"
_REQUEST_INFO: Final = b"caas/1/request"
_REPLY_INFO: Final = b"caas/1/reply"
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PUBLIC_KEY_PREFIX: Final = "caaspub1."


@dataclass(frozen=True, slots=True)
class ServicePublicKey:
    """The service's public key, as main servers are given it in `CAAS_SERVER_KEY`.

    Attributes:
        key_id: the first 8 bytes of the SHA-256 of both raw public keys.
    """

    key_id: bytes
    _raw: bytes = field(repr=False)
    _hpke: MLKEM768X25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def from_raw(cls, mlkem: bytes, x25519: bytes) -> ServicePublicKey:
        """Build from the raw ML-KEM-768 (1,184 bytes) and X25519 (32 bytes) public keys.

        Raises:
            ValueError: a key has the wrong length or is not a valid encoding.
        """
        raw = mlkem + x25519
        hpke = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(mlkem), X25519PublicKey.from_public_bytes(x25519)
        )
        return cls(hashlib.sha256(raw).digest()[:KEY_ID_BYTES], raw, hpke)

    @classmethod
    def from_text(cls, text: str) -> ServicePublicKey:
        """Parse the text form.

        Raises:
            ConfigurationError: not a service public key.
        """
        key: ServicePublicKey | None = None
        if text.startswith(_PUBLIC_KEY_PREFIX):
            try:
                raw = binascii.a2b_base64(text[len(_PUBLIC_KEY_PREFIX) :], strict_mode=True)
                key = cls.from_raw(raw[:MLKEM_PUBLIC_BYTES], raw[MLKEM_PUBLIC_BYTES:])
            except ValueError:
                key = None
        if key is None:
            raise ConfigurationError("The server key is not a CaaS service public key.")
        return key

    def to_text(self) -> str:
        """The text form: `caaspub1.` and base64 of ML-KEM-768 key || X25519 key."""
        return _PUBLIC_KEY_PREFIX + _to_base64(self._raw)

    def wrap_secret(self, secret: bytes) -> bytes:
        """HPKE-seal a session secret to this key; `WRAPPED_BYTES` long."""
        return _SUITE.encrypt(secret, self._hpke, _SESSION_INFO)


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """Request and reply ciphers of one session; `repr` shows nothing of them."""

    request: AESGCM
    reply: AESGCM

    @classmethod
    def derive(cls, secret: bytes) -> SessionKeys:
        """Both keys from a 32-byte session secret by HKDF-SHA256, no salt."""
        return cls(AESGCM(_hkdf(secret, _REQUEST_INFO)), AESGCM(reply_key(secret)))


@dataclass(frozen=True, slots=True, repr=False)
class ClientSession:
    """What a client keeps of a session: the keys, and the wrapped secret of each message."""

    key_id: bytes
    wrapped: bytes
    keys: SessionKeys

    @classmethod
    def start(cls, server_key: ServicePublicKey, secret: bytes) -> ClientSession:
        """Open a session under `server_key` with a fresh random 32-byte `secret`."""
        return cls(server_key.key_id, server_key.wrap_secret(secret), SessionKeys.derive(secret))


@dataclass(frozen=True, slots=True, repr=False)
class SealedRequest:
    """A request taken apart but not opened yet.

    Attributes:
        key_id: which service key the session secret is wrapped to.
        expiry_ms: Unix time in milliseconds; authentic only once the box opens.
        wrapped: the wrapped session secret.
    """

    key_id: bytes
    expiry_ms: int
    wrapped: bytes
    nonce: bytes
    box: bytes

    def open(self, keys: SessionKeys, task_name: str, message_id: str) -> bytes:
        """The payload.

        Raises:
            UnreadableMessageError: not authentic under these keys, task name, id and header.
        """
        associated = _request_aad(task_name, message_id, self.key_id, self.expiry_ms)
        return _open(keys.request, self.nonce, self.box, associated)


def unwrap_session(private_key: MLKEM768X25519PrivateKey, wrapped: bytes) -> SessionKeys:
    """The keys of the session whose secret was wrapped to this service key.

    Raises:
        UnreadableMessageError: the secret was wrapped to another key, or changed.
    """
    secret: bytes | None = None
    try:
        secret = _SUITE.decrypt(wrapped, private_key, _SESSION_INFO)
    except (InvalidTag, ValueError):
        pass
    if secret is None or len(secret) != SECRET_BYTES:
        raise UnreadableMessageError
    return SessionKeys.derive(secret)


def seal_request(
    session: ClientSession,
    task_name: str,
    message_id: str,
    expiry_ms: int,
    payload: bytes,
    nonce: bytes,
) -> str:
    """Seal a payload for one task and message id.

    Args:
        expiry_ms: Unix time in milliseconds after which workers no longer answer it.
        nonce: 12 random bytes, never used twice in a session.

    Raises:
        PayloadTooLargeError: the payload is over `MAX_PAYLOAD_BYTES`.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(f"A message is at most {MAX_PAYLOAD_BYTES} bytes.")
    associated = _request_aad(task_name, message_id, session.key_id, expiry_ms)
    box = session.keys.request.encrypt(nonce, payload, associated)
    return _to_base64(
        b"".join(
            (
                VERSION,
                session.key_id,
                expiry_ms.to_bytes(8, "big"),
                len(session.wrapped).to_bytes(2, "big"),
                session.wrapped,
                nonce,
                box,
            )
        )
    )


def split_request(sealed: object) -> SealedRequest:
    """Take a request apart; sizes first, so that rubbish costs little.

    Raises:
        UnreadableMessageError: not a string, too long, too short, another version or encoding.
    """
    if not isinstance(sealed, str) or len(sealed) > MAX_REQUEST_CHARS:
        raise UnreadableMessageError
    raw = _from_base64(sealed)
    wrapped_end = _HEADER_BYTES + WRAPPED_BYTES
    if len(raw) < _REQUEST_OVERHEAD or raw[:1] != VERSION:
        raise UnreadableMessageError
    if int.from_bytes(raw[_HEADER_BYTES - 2 : _HEADER_BYTES], "big") != WRAPPED_BYTES:
        raise UnreadableMessageError
    return SealedRequest(
        key_id=raw[1 : 1 + KEY_ID_BYTES],
        expiry_ms=int.from_bytes(raw[1 + KEY_ID_BYTES : _HEADER_BYTES - 2], "big"),
        wrapped=raw[_HEADER_BYTES:wrapped_end],
        nonce=raw[wrapped_end : wrapped_end + NONCE_BYTES],
        box=raw[wrapped_end + NONCE_BYTES :],
    )


def seal_reply(
    keys: SessionKeys, task_name: str, message_id: str, payload: bytes, nonce: bytes
) -> str:
    """Seal an answer for the client whose session `keys` belongs to."""
    box = keys.reply.encrypt(nonce, payload, _reply_aad(task_name, message_id))
    return _to_base64(VERSION + nonce + box)


def open_reply(keys: SessionKeys, task_name: str, message_id: str, sealed: object) -> bytes:
    """The payload of a reply.

    Raises:
        UnreadableMessageError: not authentic for this session, task and message id.
    """
    return open_reply_with(keys.reply, task_name, message_id, sealed)


def reply_key(secret: bytes) -> bytes:
    """The reply key of a session secret, for those who open replies later and elsewhere."""
    return _hkdf(secret, _REPLY_INFO)


def open_reply_with(cipher: AESGCM, task_name: str, message_id: str, sealed: object) -> bytes:
    """As `open_reply`, with the reply key's cipher alone."""
    if not isinstance(sealed, str) or len(sealed) > MAX_REPLY_CHARS:
        raise UnreadableMessageError
    raw = _from_base64(sealed)
    if len(raw) < 1 + NONCE_BYTES + TAG_BYTES or raw[:1] != VERSION:
        raise UnreadableMessageError
    nonce, box = raw[1 : 1 + NONCE_BYTES], raw[1 + NONCE_BYTES :]
    return _open(cipher, nonce, box, _reply_aad(task_name, message_id))


def _open(cipher: AESGCM, nonce: bytes, box: bytes, associated: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, box, associated)
    except InvalidTag:
        pass
    raise UnreadableMessageError


def _request_aad(task_name: str, message_id: str, key_id: bytes, expiry_ms: int) -> bytes:
    parts = lp(task_name.encode(), message_id.encode(), key_id, expiry_ms.to_bytes(8, "big"))
    return _REQUEST_INFO + b"\x00" + parts


def _reply_aad(task_name: str, message_id: str) -> bytes:
    return _REPLY_INFO + b"\x00" + lp(task_name.encode(), message_id.encode())


def _hkdf(secret: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


def _to_base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _from_base64(text: str) -> bytes:
    """Strict base64. Non-canonical trailing bits are refused, so that one message has one text."""
    raw: bytes | None = None
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    if raw is None or _to_base64(raw[len(raw) - (len(raw) % 3 or 3) :]) != text[-4:]:
        raise UnreadableMessageError
    return raw
