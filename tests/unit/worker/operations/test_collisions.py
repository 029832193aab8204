"""No two different inputs to a keyed computation are encoded alike.

Each computation is an HMAC or HKDF, so its output stands for the bytes that were put together: two
outputs are equal only when those bytes are. The inputs drawn are near each other on purpose: few
characters, short texts, users that differ in a byte, separators and prefixes within the texts.
"""

from __future__ import annotations

from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from worker.operations import blind_index, hardened, wrap
from worker.operations.derivation import derive
from worker.operations.digests import STRONG

SELECT, PEPPER, ROOT = b"s" * 32, b"p" * 32, b"r" * 32
SALTS = ("salt", "salt-", "a longer salt of the pool")
USER = bytes(range(16))

USERS = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.sampled_from([USER, USER[:-1] + b"\0", b"\0" + USER[1:], bytes(16), b"digest\0" + USER[7:]]),
)
DATA = st.text(alphabet="ab\0é", max_size=4) | st.sampled_from(["digest\0", "wrap\0", "a" * 200])
DIGESTS = st.text(alphabet="ab0$", min_size=1, max_size=4)
FIELDS = st.text(alphabet="ab\0é", min_size=1, max_size=4)
TENANTS = st.text(alphabet="ab-", min_size=1, max_size=3)
PURPOSES = st.sampled_from(["select", "pepper", "index", "password", "seal"])


def encrypted(user: bytes, text: str) -> str:
    return hardened.encrypt(SELECT, PEPPER, STRONG, SALTS, user, text.encode())


def wrapped(user: bytes, text: str) -> str:
    return wrap.wrap(PEPPER, user, text)


def indexed(tenant: str, field: str, value: str) -> str:
    return blind_index.blind_index(derive(ROOT, tenant, "index", field.encode()), value)


def pairs_of(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    """Two inputs that differ, and now and then the same one twice."""
    return st.tuples(strategy, strategy) | strategy.map(lambda one: (one, one))


@given(pairs_of(st.tuples(USERS, DATA)))
@example(((USER, "a"), (USER, "a\0")))
def test_encrypt_does_not_collide(pair: Any) -> None:
    """Two users or data that differ have two values, whatever algorithms and salts they have."""
    one, other = pair
    assert (encrypted(*one) == encrypted(*other)) is (one == other)


@given(st.tuples(USERS, st.sampled_from(STRONG)), DATA, DATA)
def test_encrypt_does_not_collide_under_any_algorithm(chosen: Any, one: str, other: str) -> None:
    """The same of each algorithm by itself."""
    user, algorithm = chosen
    values = [
        hardened.encrypt(SELECT, PEPPER, (algorithm,), SALTS, user, text.encode())
        for text in (one, other)
    ]
    assert (values[0] == values[1]) is (one == other)


@given(pairs_of(st.tuples(USERS, DIGESTS)))
@example(((USER, "a"), (USER, "a0")))
def test_wrap_does_not_collide(pair: Any) -> None:
    """Two users or legacy digests that differ have two values."""
    one, other = pair
    assert (wrapped(*one) == wrapped(*other)) is (one == other)


@given(USERS, DATA, USERS, DIGESTS)
def test_encrypt_and_wrap_do_not_meet(user: bytes, data: str, other: bytes, digest: str) -> None:
    """They share a key; the prefix of each keeps its values apart from the other's."""
    assert encrypted(user, data) != wrapped(other, digest)


@given(pairs_of(st.tuples(TENANTS, FIELDS, DATA)))
@example((("a", "b", "c"), ("a", "bc", "")))
def test_blind_index_does_not_collide(pair: Any) -> None:
    """Two tenants, fields or values that differ have two indexes."""
    one, other = pair
    assert (indexed(*one) == indexed(*other)) is (one == other)


@given(pairs_of(st.tuples(TENANTS, PURPOSES, st.binary(max_size=4))))
@example((("a", "index", b"\0b"), ("a", "index", b"b")))
def test_derived_keys_do_not_collide(pair: Any) -> None:
    """Two tenants, purposes or tails that differ have two keys."""
    one, other = pair
    assert (derive(ROOT, *one) == derive(ROOT, *other)) is (one == other)


@given(TENANTS, PURPOSES, st.binary(max_size=4), st.binary(min_size=32, max_size=32))
def test_roots_have_keys_of_their_own(
    tenant: str, purpose: str, tail: bytes, other_root: bytes
) -> None:
    """Another key version's root gives another key."""
    assume(other_root != ROOT)
    assert derive(ROOT, tenant, purpose, tail) != derive(other_root, tenant, purpose, tail)
