"""Standard vectors against the code paths that this project uses: see SOURCES.md."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caas_tasks.envelope import ServicePublicKey, SessionKeys, unwrap_session
from worker.operations import blind_index, derivation, wrap

MLKEM768_X25519 = 0x647A


def text_of(name: str) -> str:
    """A vector file of the package, as text."""
    with cryptography_vectors.open_vector_file(name, "r") as file:
        return str(file.read())


def records(name: str) -> Iterator[dict[str, str]]:
    """The `name = value` records of a vector file, split at its blank lines."""
    record: dict[str, str] = {}
    for line in [*text_of(name).splitlines(), "Count = end"]:
        found = re.match(r"(\w+)\s*=\s*(.*)", line)
        if found is None:
            if line == "FAIL":
                record["FAIL"] = line
            continue
        field, value = found.groups()
        if field in {"COUNT", "Count", "Len"}:
            if len(record) > 1:
                yield record
            record = {}
        record[field] = value.strip()


# --- HKDF-SHA256, RFC 5869 -----------------------------------------------------------------------

HKDF_VECTORS = list(records("KDF/rfc-5869-HKDF-SHA256.txt"))


def rfc5869(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 from HMAC alone, as RFC 5869 writes it."""
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    block, output = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        output += block
    return output[:length]


@pytest.mark.parametrize("vector", HKDF_VECTORS, ids=range(len(HKDF_VECTORS)))
def test_hkdf(vector: dict[str, str]) -> None:
    """The library and this file's own HKDF both give RFC 5869's output."""
    salt, secret, info = (bytes.fromhex(vector[name]) for name in ("salt", "IKM", "info"))
    length, expected = int(vector["L"]), bytes.fromhex(vector["OKM"])
    assert rfc5869(salt, secret, info, length) == expected
    assert HKDF(SHA256(), length, salt or None, info).derive(secret) == expected


def test_hkdf_has_all_three_vectors() -> None:
    """RFC 5869 has three test cases for SHA-256."""
    assert len(HKDF_VECTORS) == 3


@pytest.mark.parametrize(
    ("tenant", "purpose", "tail", "info"),
    [
        ("shop", "select", b"", b"caas/1/select\x00shop\x00"),
        ("shop", "pepper", b"", b"caas/1/pepper\x00shop\x00"),
        ("a-b_9", "index", "émail".encode(), b"caas/1/index\x00a-b_9\x00\xc3\xa9mail"),
    ],
)
def test_derivation_is_hkdf(tenant: str, purpose: str, tail: bytes, info: bytes) -> None:
    """A key version's keys are RFC 5869 over the specification's info, without a salt."""
    root = bytes(range(32))
    assert derivation.derive(root, tenant, purpose, tail) == rfc5869(b"", root, info, 32)


def test_session_keys_are_hkdf() -> None:
    """A session's keys are RFC 5869 over the envelope's infos, without a salt."""
    secret = bytes(range(32))
    keys = SessionKeys.derive(secret)
    for cipher, info in ((keys.request, b"caas/1/request"), (keys.reply, b"caas/1/reply")):
        box = AESGCM(rfc5869(b"", secret, info, 32)).encrypt(bytes(12), b"data", b"aad")
        assert cipher.decrypt(bytes(12), box, b"aad") == b"data"


# --- HMAC-SHA256 and HMAC-SHA384, RFC 4231 -------------------------------------------------------

HMAC_VECTORS = [
    (name, vector)
    for name in ("sha256", "sha384")
    for vector in records(f"HMAC/rfc-4231-{name}.txt")
]


@pytest.mark.parametrize(("name", "vector"), HMAC_VECTORS, ids=range(len(HMAC_VECTORS)))
def test_hmac(name: str, vector: dict[str, str]) -> None:
    """Both ways of the standard library that the operations use give RFC 4231's output."""
    key, message, expected = (bytes.fromhex(vector[field]) for field in ("Key", "Msg", "MD"))
    assert hmac.digest(key, message, name) == expected
    assert hmac.new(key, message, getattr(hashlib, name)).digest() == expected


ASCII_HMAC = [
    vector
    for name, vector in HMAC_VECTORS
    if name == "sha384" and bytes.fromhex(vector["Msg"]).isascii()
]


@pytest.mark.parametrize("vector", ASCII_HMAC, ids=range(len(ASCII_HMAC)))
def test_blind_index_is_hmac(vector: dict[str, str]) -> None:
    """A blind index is HMAC-SHA384 of its value alone, so the vectors apply as they are."""
    key, value = bytes.fromhex(vector["Key"]), bytes.fromhex(vector["Msg"]).decode()
    assert blind_index.blind_index(key, value) == vector["MD"]


def test_wrap_is_hmac() -> None:
    """A wrapped digest is HMAC-SHA384 with the specification's prefix and the user's bytes."""
    user = bytes(range(16))
    expected = hmac.digest(b"k" * 32, b"wrap\x00" + user + b"AbC", "sha384").hex()
    assert wrap.wrap(b"k" * 32, user, "AbC") == expected


# --- AES-256-GCM, NIST CAVS ----------------------------------------------------------------------


def gcm(name: str) -> list[dict[str, str]]:
    """The vectors with the nonce and tag lengths that the envelope has."""
    return [
        vector
        for vector in records(f"ciphers/AES/GCM/{name}.rsp")
        if len(vector["IV"]) == 24 and len(vector["Tag"]) == 32
    ]


def test_gcm_encrypts() -> None:
    """Every CAVS encryption with a 12-byte nonce and a 16-byte tag comes out."""
    vectors = gcm("gcmEncryptExtIV256")
    for vector in vectors:
        key, nonce, data, aad, box, tag = (
            bytes.fromhex(vector[field]) for field in ("Key", "IV", "PT", "AAD", "CT", "Tag")
        )
        assert AESGCM(key).encrypt(nonce, data, aad) == box + tag
    assert len(vectors) >= 300


def test_gcm_decrypts() -> None:
    """Every CAVS decryption of that form succeeds or is refused as it should be."""
    vectors = gcm("gcmDecrypt256")
    refused = 0
    for vector in vectors:
        key, nonce, aad, box, tag = (
            bytes.fromhex(vector[field]) for field in ("Key", "IV", "AAD", "CT", "Tag")
        )
        if "FAIL" in vector:
            refused += 1
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, box + tag, aad)
        else:
            assert AESGCM(key).decrypt(nonce, box + tag, aad) == bytes.fromhex(vector["PT"])
    assert refused > 50
    assert len(vectors) >= 300


# --- HPKE with MLKEM768-X25519 -------------------------------------------------------------------

HPKE: dict[str, Any] = next(
    vector
    for vector in json.loads(text_of("HPKE/hpke-pq-test-vectors.json"))
    if vector["kem_id"] == MLKEM768_X25519 and vector["kdf_id"] == 1
)
CHACHA20_POLY1305, AES_256_GCM = 3, 2


def hpke_private_key() -> MLKEM768X25519PrivateKey:
    """The vector's private key: a seed that SHAKE256 stretches to both keys' own."""
    seeds = hashlib.shake_256(bytes.fromhex(HPKE["skRm"])).digest(96)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(seeds[:64]),
        X25519PrivateKey.from_private_bytes(seeds[64:]),
    )


def key_schedule(aead: int, info: bytes) -> tuple[bytes, bytes]:
    """RFC 9180's key and base nonce in base mode from the vector's shared secret."""
    suite = b"HPKE" + b"".join(n.to_bytes(2, "big") for n in (MLKEM768_X25519, 1, aead))

    def extract(salt: bytes, label: bytes, secret: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")

    def expand(label: bytes, length: int) -> bytes:
        text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(secret, text + b"\x01", "sha256")[:length]

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(bytes.fromhex(HPKE["shared_secret"]), b"secret", b"")
    return expand(b"key", 32), expand(b"base_nonce", 12)


def test_key_schedule_of_this_file() -> None:
    """This file's key schedule gives the vector's own key and nonce."""
    key, nonce = key_schedule(CHACHA20_POLY1305, bytes.fromhex(HPKE["info"]))
    assert (key.hex(), nonce.hex()) == (HPKE["key"], HPKE["base_nonce"])


def test_first_message_of_the_vector() -> None:
    """The schedule's key and nonce open the vector's own first message."""
    first = {name: bytes.fromhex(value) for name, value in HPKE["encryptions"][0].items()}
    key, nonce = key_schedule(CHACHA20_POLY1305, bytes.fromhex(HPKE["info"]))
    assert nonce == first["nonce"]
    assert ChaCha20Poly1305(key).decrypt(nonce, first["ct"], first["aad"]) == first["pt"]


def test_library_opens_what_the_vector_encapsulates() -> None:
    """The library opens a message under the vector's suite, private key and encapsulation."""
    info = bytes.fromhex(HPKE["info"])
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    key, nonce = key_schedule(CHACHA20_POLY1305, info)
    box = ChaCha20Poly1305(key).encrypt(nonce, b"data", b"")
    opened = suite.decrypt(bytes.fromhex(HPKE["enc"]) + box, hpke_private_key(), info)
    assert opened == b"data"


def test_session_secret_from_the_vector() -> None:
    """A secret sealed by hand to the vector's encapsulation is unwrapped by the worker's code."""
    secret = bytes(range(32))
    key, nonce = key_schedule(AES_256_GCM, b"caas/1/session")
    wrapped = bytes.fromhex(HPKE["enc"]) + AESGCM(key).encrypt(nonce, secret, b"")
    keys = unwrap_session(hpke_private_key(), wrapped)
    box = keys.reply.encrypt(bytes(12), b"data", b"")
    assert SessionKeys.derive(secret).reply.decrypt(bytes(12), box, b"") == b"data"


def test_public_key_of_the_vector() -> None:
    """The vector's public key is both raw keys in this project's order."""
    raw = bytes.fromhex(HPKE["pkRm"])
    key = ServicePublicKey.from_raw(raw[:1184], raw[1184:])
    assert key.key_id == hashlib.sha256(raw).digest()[:8]
    assert len(key.wrap_secret(bytes(32))) == len(bytes.fromhex(HPKE["enc"])) + 48
