"""The envelope, byte for byte: each expected message is built by hand from the specification."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from caas_tasks import envelope
from caas_tasks.envelope import (
    ClientSession,
    ServicePublicKey,
    SessionKeys,
    open_reply,
    seal_reply,
    seal_request,
    split_request,
    unwrap_session,
)
from caas_tasks.errors import ConfigurationError, PayloadTooLargeError, UnreadableMessageError

MLKEM = MLKEM768PrivateKey.from_seed_bytes(bytes(range(64)))
X25519 = X25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = MLKEM.public_key().public_bytes_raw() + X25519.public_key().public_bytes_raw()
PRIVATE_KEY = MLKEM768X25519PrivateKey(MLKEM, X25519)
PUBLIC_KEY = ServicePublicKey.from_raw(RAW[:1184], RAW[1184:])
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

SECRET = bytes(range(100, 132))
NONCE = b"nonce-of-12b"
TASK = "caas.encrypt"
ID = "6f1d7c1e-8f0e-4c55-9d55-1f2f3a4b5c6d"
EXPIRY_MS = 0x0102030405060708
PAYLOAD = b'{"apiKey":"caas_x","items":[{}]}'
SESSION = ClientSession.start(PUBLIC_KEY, SECRET)
SEALED = seal_request(SESSION, TASK, ID, EXPIRY_MS, PAYLOAD, NONCE)
REPLY = seal_reply(SESSION.keys, TASK, ID, PAYLOAD, NONCE)

VERSION_AT, KEY_ID_AT, EXPIRY_AT, LENGTH_AT, WRAPPED_AT = 0, 1, 9, 17, 19
NONCE_AT = WRAPPED_AT + 1168
BOX_AT = NONCE_AT + 12


def hkdf(info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(SECRET)


def part(value: bytes) -> bytes:
    """One part of `lp`, written out once more."""
    return len(value).to_bytes(4, "big") + value


def request_aad(task: str = TASK, message_id: str = ID, expiry_ms: int = EXPIRY_MS) -> bytes:
    return (
        b"caas/1/request\x00"
        + part(task.encode())
        + part(message_id.encode())
        + part(PUBLIC_KEY.key_id)
        + part(expiry_ms.to_bytes(8, "big"))
    )


def flip(sealed: str, bit: int) -> str:
    """The sealed text with one bit of its bytes changed."""
    raw = bytearray(base64.b64decode(sealed))
    raw[bit // 8] ^= 1 << (bit % 8)
    return base64.b64encode(raw).decode()


def open_request(sealed: object, task: str = TASK, message_id: str = ID) -> bytes:
    """What a worker does: take apart, unwrap, open."""
    request = split_request(sealed)
    return request.open(unwrap_session(PRIVATE_KEY, request.wrapped), task, message_id)


# --- the service's public key --------------------------------------------------------------------


def test_key_id() -> None:
    """A service key's id is the first eight bytes of the SHA-256 of both raw public keys."""
    assert PUBLIC_KEY.key_id == hashlib.sha256(RAW).digest()[:8]


def test_public_key_text() -> None:
    """The text form is a prefix and the base64 of both raw keys, and is read back."""
    text = "caaspub1." + base64.b64encode(RAW).decode()
    assert PUBLIC_KEY.to_text() == text
    assert ServicePublicKey.from_text(text) == PUBLIC_KEY


def test_public_key_repr_is_short() -> None:
    """The text form of the object is its id; a kilobyte of key would drown a log."""
    assert repr(PUBLIC_KEY) == f"ServicePublicKey(key_id={PUBLIC_KEY.key_id!r})"


def test_sizes_of_the_parts() -> None:
    """ML-KEM-768's public key is 1,184 bytes, X25519's 32, a wrapped secret 1,168."""
    assert (envelope.MLKEM_PUBLIC_BYTES, envelope.X25519_BYTES) == (1184, 32)
    assert envelope.WRAPPED_BYTES == len(SESSION.wrapped) == 1088 + 32 + 32 + 16


KEY_TEXT = PUBLIC_KEY.to_text()
BAD_KEY_TEXTS = {
    "empty": "",
    "no prefix": KEY_TEXT[9:],
    "another prefix": "caaspub2." + KEY_TEXT[9:],
    "cut off": KEY_TEXT[:-4],
    "longer": "caaspub1." + base64.b64encode(RAW + b"abc").decode(),
    "newline": KEY_TEXT + "\n",
    "not base64": KEY_TEXT[:50] + "*" + KEY_TEXT[51:],
    "not ASCII": KEY_TEXT[:50] + "é" + KEY_TEXT[51:],
    "prefix alone": "caaspub1.",
    "out of range": "caaspub1." + base64.b64encode(b"\xff" * 1216).decode(),
}


@pytest.mark.parametrize("text", BAD_KEY_TEXTS.values(), ids=BAD_KEY_TEXTS.keys())
def test_other_public_key_texts(text: str) -> None:
    """Any other text is refused in one sentence, without the text."""
    with pytest.raises(ConfigurationError) as caught:
        ServicePublicKey.from_text(text)
    assert str(caught.value) == "The server key is not a CaaS service public key."
    assert caught.value.__context__ is None


def test_wrapped_secret_opens_with_hpke() -> None:
    """The wrapped secret is plain HPKE in base mode, under the specification's suite and info."""
    assert SUITE.decrypt(PUBLIC_KEY.wrap_secret(SECRET), PRIVATE_KEY, b"caas/1/session") == SECRET


def test_wrapping_is_fresh_each_time() -> None:
    """Two wraps of one secret differ: the encapsulation is drawn anew."""
    assert PUBLIC_KEY.wrap_secret(SECRET) != PUBLIC_KEY.wrap_secret(SECRET)


# --- session keys --------------------------------------------------------------------------------


def test_request_and_reply_keys() -> None:
    """Both keys are HKDF-SHA256 of the secret under their infos."""
    keys = SessionKeys.derive(SECRET)
    box = AESGCM(hkdf(b"caas/1/request")).encrypt(NONCE, PAYLOAD, b"")
    assert keys.request.decrypt(NONCE, box, b"") == PAYLOAD
    box = AESGCM(hkdf(b"caas/1/reply")).encrypt(NONCE, PAYLOAD, b"")
    assert keys.reply.decrypt(NONCE, box, b"") == PAYLOAD


def test_unwrapped_session_is_the_client_s() -> None:
    """Worker and client derive the same keys."""
    keys = unwrap_session(PRIVATE_KEY, SUITE.encrypt(SECRET, _public(), b"caas/1/session"))
    assert open_reply(keys, TASK, ID, REPLY) == PAYLOAD


def _public() -> object:
    return PRIVATE_KEY.public_key()


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_secret_of_another_length(length: int) -> None:
    """A secret of another length than 32 bytes is refused, though HPKE opens it."""
    wrapped = SUITE.encrypt(bytes(length), _public(), b"caas/1/session")
    with pytest.raises(UnreadableMessageError) as caught:
        unwrap_session(PRIVATE_KEY, wrapped)
    assert caught.value == UnreadableMessageError()


@pytest.mark.parametrize("info", [b"", b"caas/1/sessio", b"caas/2/session"])
def test_secret_wrapped_under_another_info(info: bytes) -> None:
    """A secret that was wrapped for another purpose does not open."""
    with pytest.raises(UnreadableMessageError):
        unwrap_session(PRIVATE_KEY, SUITE.encrypt(SECRET, _public(), info))


def test_secret_wrapped_to_another_key() -> None:
    """A secret for another service key does not open, and nothing hangs on the error."""
    other = MLKEM768X25519PrivateKey(MLKEM, X25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(UnreadableMessageError) as caught:
        unwrap_session(other, SESSION.wrapped)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("wrapped", [b"", b"x", SESSION.wrapped[:-1], SESSION.wrapped + b"x"])
def test_wrapped_secret_of_another_length(wrapped: bytes) -> None:
    """A wrapped secret that is cut off or longer does not open."""
    with pytest.raises(UnreadableMessageError):
        unwrap_session(PRIVATE_KEY, wrapped)


def test_sessions_show_no_secret() -> None:
    """Neither the client's nor the worker's view of a session shows a byte in its text form."""
    request = split_request(SEALED)
    for thing in (SESSION, SESSION.keys, request):
        shown = repr(thing)
        assert "wrapped" not in shown
        assert "box" not in shown
        assert "AESGCM" not in shown


# --- requests ------------------------------------------------------------------------------------


def test_request_bytes() -> None:
    """A request is, byte for byte, what the specification says."""
    box = AESGCM(hkdf(b"caas/1/request")).encrypt(NONCE, PAYLOAD, request_aad())
    expected = (
        b"\x01"
        + hashlib.sha256(RAW).digest()[:8]
        + bytes([1, 2, 3, 4, 5, 6, 7, 8])
        + bytes([0x04, 0x90])
        + SESSION.wrapped
        + NONCE
        + box
    )
    assert base64.b64encode(expected).decode() == SEALED


def test_request_is_taken_apart() -> None:
    """Every part comes out of its own place."""
    raw = base64.b64decode(SEALED)
    request = split_request(SEALED)
    assert request.key_id == raw[KEY_ID_AT:EXPIRY_AT] == PUBLIC_KEY.key_id
    assert request.expiry_ms == EXPIRY_MS
    assert request.wrapped == raw[WRAPPED_AT:NONCE_AT] == SESSION.wrapped
    assert request.nonce == raw[NONCE_AT:BOX_AT] == NONCE
    assert request.box == raw[BOX_AT:]


def test_request_opens() -> None:
    """The worker reads what the client sealed."""
    assert open_request(SEALED) == PAYLOAD


@pytest.mark.parametrize(
    ("task", "message_id"),
    [
        ("caas.verify", ID),
        (TASK, ID[:-1] + "0"),
        (TASK, ""),
        ("", ID),
        (ID, TASK),
        (TASK + ID[0], ID[1:]),
    ],
)
def test_request_moved_elsewhere(task: str, message_id: str) -> None:
    """A request under another task name or id does not open."""
    with pytest.raises(UnreadableMessageError) as caught:
        open_request(SEALED, task, message_id)
    assert caught.value == UnreadableMessageError()
    assert caught.value.__context__ is None


def test_key_id_is_authentic() -> None:
    """The key id in the clear header is covered by the box."""
    request = split_request(SEALED)
    assert request.open(SESSION.keys, TASK, ID) == PAYLOAD
    with pytest.raises(UnreadableMessageError):
        replace(request, key_id=bytes(8)).open(SESSION.keys, TASK, ID)


@pytest.mark.parametrize("expiry_ms", [0, EXPIRY_MS + 1, EXPIRY_MS - 1, 2**64 - 1])
def test_expiry_is_authentic(expiry_ms: int) -> None:
    """The broker cannot prolong or shorten a message's life."""
    with pytest.raises(UnreadableMessageError):
        replace(split_request(SEALED), expiry_ms=expiry_ms).open(SESSION.keys, TASK, ID)


def test_reply_key_does_not_open_a_request() -> None:
    """Requests and replies have keys of their own."""
    swapped = SessionKeys(SESSION.keys.reply, SESSION.keys.request)
    with pytest.raises(UnreadableMessageError):
        split_request(SEALED).open(swapped, TASK, ID)


FLIPS = [
    *range(WRAPPED_AT * 8),
    *range(WRAPPED_AT * 8, NONCE_AT * 8, 331),
    *range(NONCE_AT * 8, (BOX_AT + len(PAYLOAD) + 16) * 8, 3),
    (BOX_AT + len(PAYLOAD) + 16) * 8 - 1,
]


def test_no_changed_bit_passes() -> None:
    """One flipped bit, in any region, and the message does not open."""
    opened = []
    for bit in FLIPS:
        try:
            open_request(flip(SEALED, bit))
        except UnreadableMessageError:
            continue
        opened.append(bit)
    assert opened == []


def test_no_cut_passes() -> None:
    """A message cut off anywhere, or with bytes after it, does not open."""
    raw = base64.b64decode(SEALED)
    opened = []
    for end in [*range(40), *range(NONCE_AT - 2, len(raw))]:
        try:
            open_request(base64.b64encode(raw[:end]).decode())
        except UnreadableMessageError:
            continue
        opened.append(end)
    assert opened == []
    with pytest.raises(UnreadableMessageError):
        open_request(base64.b64encode(raw + b"\0").decode())


def test_smallest_request() -> None:
    """An empty payload makes the smallest message; one byte less is not looked at."""
    smallest = seal_request(SESSION, TASK, ID, EXPIRY_MS, b"", NONCE)
    raw = base64.b64decode(smallest)
    assert len(raw) == BOX_AT + 16
    assert open_request(smallest) == b""
    with pytest.raises(UnreadableMessageError):
        split_request(base64.b64encode(raw[:-1]).decode())


def test_largest_request() -> None:
    """A payload of exactly 1 MiB is sealed, taken apart and opened."""
    payload = secrets.token_bytes(1_048_576)
    sealed = seal_request(SESSION, TASK, ID, EXPIRY_MS, payload, NONCE)
    assert len(sealed) == envelope.MAX_REQUEST_CHARS
    assert open_request(sealed) == payload


def test_payload_over_the_limit() -> None:
    """One byte more is refused by the client."""
    with pytest.raises(PayloadTooLargeError) as caught:
        seal_request(SESSION, TASK, ID, EXPIRY_MS, bytes(1_048_577), NONCE)
    assert caught.value.message == "A message is at most 1048576 bytes."


def test_request_over_the_limit() -> None:
    """A longer text is not even decoded by the worker."""
    box = SESSION.keys.request.encrypt(NONCE, bytes(1_048_576 + 3), request_aad())
    raw = base64.b64decode(SEALED)[:BOX_AT] + box
    with pytest.raises(UnreadableMessageError):
        split_request(base64.b64encode(raw).decode())


def test_wrapped_length_is_exact() -> None:
    """A wrapped secret of another length is refused before any cryptography."""
    raw = bytearray(base64.b64decode(SEALED))
    for length in (0, 1167, 1169, 0xFFFF):
        raw[LENGTH_AT:WRAPPED_AT] = length.to_bytes(2, "big")
        with pytest.raises(UnreadableMessageError):
            split_request(base64.b64encode(raw).decode())


@pytest.mark.parametrize("version", [0, 2, 255])
def test_other_versions(version: int) -> None:
    """A message of another version is refused as unreadable, a reply as well."""
    for sealed, read in ((SEALED, split_request), (REPLY, _open_reply)):
        raw = bytearray(base64.b64decode(sealed))
        raw[VERSION_AT] = version
        with pytest.raises(UnreadableMessageError):
            read(base64.b64encode(raw).decode())


def _open_reply(sealed: object) -> bytes:
    return open_reply(SESSION.keys, TASK, ID, sealed)


# --- base64 --------------------------------------------------------------------------------------

ODD_TEXTS = {
    "empty": "",
    "no text": None,
    "bytes": SEALED.encode(),
    "number": 7,
    "list": [SEALED],
    "no padding": seal_request(SESSION, TASK, ID, EXPIRY_MS, b"a", NONCE).rstrip("="),
    "newline": SEALED + "\n",
    "newline inside": SEALED[:76] + "\n" + SEALED[76:],
    "space before": " " + SEALED,
    "padding first": "=" + SEALED,
    "padding alone": "====",
    "more padding": SEALED + "====",
    "URL alphabet": "-_" + SEALED[2:],
    "not ASCII": "é" + SEALED[1:],
    "lone surrogate": "\ud800" + SEALED[1:],
    "NUL": "\0" + SEALED[1:],
    "five characters": "AAAAA",
}


@pytest.mark.parametrize("sealed", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
@pytest.mark.parametrize("read", [split_request, _open_reply])
def test_odd_texts(sealed: object, read: object) -> None:
    """What is not canonical base64 in a string is unreadable, and is not in the error."""
    with pytest.raises(UnreadableMessageError) as caught:
        read(sealed)  # type: ignore[operator]
    assert caught.value == UnreadableMessageError()
    assert caught.value.__context__ is None


def test_one_message_has_one_text() -> None:
    """Trailing bits that decoding would drop are refused, so that a message can't be respelled."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    paddings = set()
    for size in range(3):
        sealed = seal_request(SESSION, TASK, ID, EXPIRY_MS, bytes(size), NONCE)
        text = sealed.rstrip("=")
        padding = sealed[len(text) :]
        if padding:
            paddings.add(padding)
            other = text[:-1] + alphabet[alphabet.index(text[-1]) + 1] + padding
            assert base64.b64decode(other) == base64.b64decode(sealed)
            with pytest.raises(UnreadableMessageError):
                split_request(other)
    assert paddings == {"=", "=="}


@pytest.mark.parametrize("size", range(6))
def test_every_padding_opens(size: int) -> None:
    """Messages of every length modulo three open."""
    payload = bytes(size)
    assert open_request(seal_request(SESSION, TASK, ID, EXPIRY_MS, payload, NONCE)) == payload
    reply = seal_reply(SESSION.keys, TASK, ID, payload, NONCE)
    assert open_reply(SESSION.keys, TASK, ID, reply) == payload


# --- replies -------------------------------------------------------------------------------------


def test_reply_bytes() -> None:
    """A reply is, byte for byte, what the specification says."""
    aad = b"caas/1/reply\x00" + part(TASK.encode()) + part(ID.encode())
    box = AESGCM(hkdf(b"caas/1/reply")).encrypt(NONCE, PAYLOAD, aad)
    assert base64.b64encode(b"\x01" + NONCE + box).decode() == REPLY


def test_reply_opens() -> None:
    """The client reads what the worker sealed."""
    assert open_reply(SESSION.keys, TASK, ID, REPLY) == PAYLOAD


@pytest.mark.parametrize(
    ("task", "message_id"),
    [("caas.verify", ID), (TASK, ID[:-1] + "0"), (ID, TASK), ("", TASK + ID)],
)
def test_reply_to_another_request(task: str, message_id: str) -> None:
    """The broker cannot give one request's reply to another."""
    with pytest.raises(UnreadableMessageError):
        open_reply(SESSION.keys, task, message_id, REPLY)


def test_reply_of_another_session() -> None:
    """A reply under another session's key does not open."""
    with pytest.raises(UnreadableMessageError):
        open_reply(SessionKeys.derive(bytes(32)), TASK, ID, REPLY)


def test_request_is_no_reply() -> None:
    """A client's own request, sent back to it, does not open as a reply."""
    with pytest.raises(UnreadableMessageError):
        open_reply(SESSION.keys, TASK, ID, SEALED)


def test_no_changed_bit_of_a_reply_passes() -> None:
    """One flipped bit, anywhere, and the reply does not open; nor when it is cut off."""
    raw = base64.b64decode(REPLY)
    for bit in range(len(raw) * 8):
        with pytest.raises(UnreadableMessageError):
            open_reply(SESSION.keys, TASK, ID, flip(REPLY, bit))
    for end in range(len(raw)):
        with pytest.raises(UnreadableMessageError):
            open_reply(SESSION.keys, TASK, ID, base64.b64encode(raw[:end]).decode())


def test_smallest_reply() -> None:
    """An empty payload makes the smallest reply, 29 bytes, and opens."""
    reply = seal_reply(SESSION.keys, TASK, ID, b"", NONCE)
    assert len(base64.b64decode(reply)) == 29
    assert open_reply(SESSION.keys, TASK, ID, reply) == b""


def test_reply_up_to_the_limit() -> None:
    """A reply of exactly 4 MiB of text is opened; four characters more are not looked at."""
    size = 4 * 1024 * 1024 // 4 * 3 - 29
    for payload_size, is_read in ((size, True), (size + 1, False)):
        reply = seal_reply(SESSION.keys, TASK, ID, bytes(payload_size), NONCE)
        if is_read:
            assert len(reply) == envelope.MAX_REPLY_CHARS == 4_194_304
            assert len(open_reply(SESSION.keys, TASK, ID, reply)) == payload_size
        else:
            with pytest.raises(UnreadableMessageError):
                open_reply(SESSION.keys, TASK, ID, reply)


def test_unreadable_answer_is_no_reply() -> None:
    """The one unsealed answer cannot be mistaken for a sealed one."""
    assert envelope.UNREADABLE_REPLY == "unreadable"
    with pytest.raises(UnreadableMessageError):
        open_reply(SESSION.keys, TASK, ID, envelope.UNREADABLE_REPLY)


# --- anything at all -----------------------------------------------------------------------------


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_any_text_is_unreadable(sealed: str) -> None:
    """Whatever text comes, taking it apart raises the typed error and nothing else."""
    with pytest.raises(UnreadableMessageError):
        split_request(sealed)


@given(
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=12, max_size=60),
)
def test_well_formed_rubbish_is_taken_apart(key_id: bytes, expiry: bytes, rest: bytes) -> None:
    """Bytes of the right form come apart into their fields, and only opening tells."""
    raw = b"\x01" + key_id + expiry + (1168).to_bytes(2, "big") + bytes(1168) + rest.ljust(28)
    request = split_request(base64.b64encode(raw).decode())
    assert (request.key_id, request.expiry_ms) == (key_id, int.from_bytes(expiry, "big"))
    with pytest.raises(UnreadableMessageError):
        request.open(SESSION.keys, TASK, ID)


@given(st.text(max_size=20), st.text(max_size=20), st.binary(max_size=50))
def test_requests_and_replies_round_trip(task: str, message_id: str, payload: bytes) -> None:
    """Whatever names and payload there are, both directions open."""
    sealed = seal_request(SESSION, task, message_id, EXPIRY_MS, payload, NONCE)
    assert split_request(sealed).open(SESSION.keys, task, message_id) == payload
    reply = seal_reply(SESSION.keys, task, message_id, payload, NONCE)
    assert open_reply(SESSION.keys, task, message_id, reply) == payload
