"""Derivation, selection, digests, wrapping and blind indexes, each built by hand once more."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from Crypto.Hash import RIPEMD160
from hypothesis import given
from hypothesis import strategies as st

from worker.operations import blind_index, classic, derivation, digests, hardened, wrap

USER = bytes(range(16))
UUID = "4dbcbcfe-4800-40a8-badf-c26b73af230c"
SELECT, PEPPER = b"s" * 32, b"p" * 32
SALTS = tuple(f"salt-{n}-é" for n in range(7))


def by_hand(ciphers: tuple[str, ...], cipher: int, salt: int, data: bytes) -> str:
    """The hardened value, written out from the specification."""
    inner_key = SALTS[salt].encode() + USER
    inner = hmac.new(inner_key, data, getattr(hashlib, ciphers[cipher])).digest()
    return hmac.new(PEPPER, b"digest\x00" + USER + inner, hashlib.sha384).hexdigest()


# --- derivation ----------------------------------------------------------------------------------


def test_roots_have_32_bytes() -> None:
    """A root has as many bits as the keys that come from it."""
    assert derivation.ROOT_BYTES == 32


@pytest.mark.parametrize(
    ("tail", "info"),
    [((), b"caas/1/select\x00shop-1\x00"), ((b"\xc3x",), b"caas/1/select\x00shop-1\x00\xc3x")],
)
def test_derivation_by_hand(tail: tuple[bytes, ...], info: bytes) -> None:
    """A key is RFC 5869 without a salt over purpose, tenant and tail: one block, 32 bytes."""
    root = bytes(range(32))
    extracted = hmac.new(bytes(32), root, hashlib.sha256).digest()
    expected = hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
    assert derivation.derive(root, "shop-1", "select", *tail) == expected


def test_keys_are_separated() -> None:
    """Another root, tenant, purpose or tail gives another key, each of 32 bytes."""
    root = bytes(32)
    keys = {
        derivation.derive(root, "a", "select"),
        derivation.derive(b"\x01" + root[1:], "a", "select"),
        derivation.derive(root, "b", "select"),
        derivation.derive(root, "a", "pepper"),
        derivation.derive(root, "a", "select", b"x"),
        derivation.derive(root, "ax", "select"),
    }
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}


# --- hardened ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ciphers", "salts"), [(1, 1), (8, 256), (3, 7), (2, 65_536)])
def test_selection_by_hand(ciphers: int, salts: int) -> None:
    """The first eight bytes choose the cipher, the next eight the salt, scaled to the pool."""
    s = hmac.new(SELECT, USER, hashlib.sha256).digest()
    expected = (
        int.from_bytes(s[:8], "big") * ciphers // 2**64,
        int.from_bytes(s[8:16], "big") * salts // 2**64,
    )
    assert hardened.select(SELECT, USER, ciphers, salts) == expected


@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 65_536),
)
def test_selection_stays_in_the_pool(key: bytes, user: bytes, size: int) -> None:
    """Whatever the key and the user, both indexes lie in their pools."""
    cipher, salt = hardened.select(key, user, size, size)
    assert 0 <= cipher < size
    assert 0 <= salt < size


def test_selection_reaches_the_whole_pool() -> None:
    """Over many users every cipher and salt is chosen."""
    found = [hardened.select(SELECT, n.to_bytes(16, "big"), 8, 16) for n in range(1_000)]
    assert {cipher for cipher, _ in found} == set(range(8))
    assert {salt for _, salt in found} == set(range(16))


@pytest.mark.parametrize("name", digests.STRONG)
@pytest.mark.parametrize("data", [b"", b"data", "é\U0001f511".encode(), b"x" * 65_536])
def test_hardened_value_by_hand(name: str, data: bytes) -> None:
    """Under each algorithm the value is the specification's, 96 hex characters."""
    _, salt = hardened.select(SELECT, USER, 1, len(SALTS))
    found = hardened.encrypt(SELECT, PEPPER, (name,), SALTS, USER, data)
    assert found == by_hand((name,), 0, salt, data)
    assert len(found) == 96


def test_hardened_value_uses_the_selection() -> None:
    """With whole pools the selected cipher and salt are the ones used."""
    cipher, salt = hardened.select(SELECT, USER, len(digests.STRONG), len(SALTS))
    found = hardened.encrypt(SELECT, PEPPER, digests.STRONG, SALTS, USER, b"data")
    assert found == by_hand(digests.STRONG, cipher, salt, b"data")


# --- digests -------------------------------------------------------------------------------------


def test_pools() -> None:
    """The strong algorithms stand in the specification's order; three are weak."""
    assert digests.STRONG == (
        "blake2b",
        "blake2s",
        "sha256",
        "sha384",
        "sha512",
        "sha3_256",
        "sha3_384",
        "sha3_512",
    )
    assert digests.WEAK == ("md5", "sha1", "ripemd160")


@pytest.mark.parametrize("name", [*digests.STRONG, "md5", "sha1"])
def test_digest_modules(name: str) -> None:
    """A name gives hashlib's algorithm of that name."""
    assert digests.digest_module(name) is getattr(hashlib, name)


def test_ripemd160() -> None:
    """RIPEMD-160 works as HMAC's algorithm: RFC 2286's first test case."""
    assert digests.digest_module("ripemd160") is RIPEMD160
    found = hmac.new(b"\x0b" * 20, b"Hi There", digests.digest_module("ripemd160"))
    assert found.hexdigest() == "24cb4bd67d20fc1a5d2ed7732dcc39377f0a5668"


@pytest.mark.parametrize("name", ["", "SHA256", "crc32", "sha224", "new", "pbkdf2_hmac"])
def test_other_digests(name: str) -> None:
    """A name of no pool gives nothing, though hashlib may have something of that name."""
    with pytest.raises(KeyError):
        digests.digest_module(name)


# --- classic -------------------------------------------------------------------------------------

HASHES = [
    "blake2b",
    "blake2s",
    "blake3",
    "md5",
    "ripemd160",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
]
LENGTHS = [128, 64, 64, 32, 40, 40, 56, 64, 96, 128]


def test_cipher_names() -> None:
    """Fifty ciphers, ten algorithms by five arrangements, in the order that selection counts in."""
    expected = [f"{name}_version{number}" for name in HASHES for number in range(1, 6)]
    assert list(classic.CIPHER_NAMES) == expected
    assert len(classic.CIPHERS) == 50


ARRANGED = ["data" + "salt", "atad" + "salt", "data" + "tlas", "atad" + "tlas", "tlasatad"]
EXCEPTIONS = {3: "datatlas", 19: "datasalt", 24: "datasalt"}


@pytest.mark.parametrize("number", range(50))
def test_cipher(number: int) -> None:
    """Each cipher hashes its own arrangement of data and salt, the three exceptions theirs."""
    hash_function, arrange = classic.CIPHERS[number]
    assert arrange("data", "salt") == EXCEPTIONS.get(number, ARRANGED[number % 5])
    digest = hash_function(b"abc")
    assert len(digest) == LENGTHS[number // 5]
    name = HASHES[number // 5]
    if name not in {"blake3", "ripemd160"}:
        assert digest == hashlib.new(name, b"abc", usedforsecurity=False).hexdigest()


def test_hashes_that_hashlib_lacks() -> None:
    """BLAKE3 and RIPEMD-160 give their published digests of `abc`."""
    assert classic.CIPHERS[10][0](b"abc") == (
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
    )
    assert classic.CIPHERS[20][0](b"abc") == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"


def test_classic_hashes_where_a_policy_forbids_weak_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call says that it is not for security, or a FIPS build would refuse the old values."""
    real = hashlib.new

    def strict(name: str, data: bytes, *, usedforsecurity: bool = True) -> Any:
        if usedforsecurity:
            raise ValueError
        return real(name, data, usedforsecurity=False)

    monkeypatch.setattr(hashlib, "new", strict)
    assert classic.CIPHERS[15][0](b"abc") == "900150983cd24fb0d6963f7d28e17f72"


def test_classic_selection_reads_the_text_as_it_came() -> None:
    """Upper case is another user to the existing service, and stays so."""
    assert classic.select(UUID, 278) == 257
    assert classic.select(UUID.upper(), 278) != 257


def test_classic_selection_stays_in_the_pool() -> None:
    """Both ends of a pool are reached and never passed."""
    found = {classic.select(f"{n:08x}{UUID[8:]}", 3) for n in range(200)}
    assert found == {0, 1, 2}
    assert classic.select(UUID, 1) == 0


def test_reversal_is_by_character() -> None:
    """Text is reversed before it is encoded, so a character of several bytes stays whole."""
    _, arrange = classic.CIPHERS[4]
    assert arrange("aé", "\U0001f511b") == "b\U0001f511éa"


# --- wrap and blind index ------------------------------------------------------------------------


def test_wrap_by_hand() -> None:
    """A wrapped digest is one HMAC over a prefix, the user and the digest as it came."""
    expected = hmac.new(PEPPER, b"wrap\x00" + USER + b"aBc$/.", hashlib.sha384).hexdigest()
    assert wrap.wrap(PEPPER, USER, "aBc$/.") == expected


def test_blind_index_by_hand() -> None:
    """A blind index is one HMAC over the value's UTF-8."""
    expected = hmac.new(SELECT, "é".encode(), hashlib.sha384).hexdigest()
    assert blind_index.blind_index(SELECT, "é") == expected
