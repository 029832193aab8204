"""Results: frozen, and shown without their values."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from producer_client.results import BlindIndex, Encrypted, Verification, Wrapped

VALUE = "f00dcafe" * 12
RESULTS = [Encrypted(VALUE, 3), BlindIndex(VALUE, 3), Wrapped(VALUE, 3)]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_repr_shows_no_value(result: object) -> None:
    """A log line or a traceback with a result in it shows the key version alone."""
    assert repr(result) == f"{type(result).__name__}(key_version=3)"
    assert VALUE not in f"{result} {result!r}"


@pytest.mark.parametrize(
    ("valid", "needs_update"), [(True, False), (True, True), (False, False), (False, True)]
)
def test_truth_of_a_verification_is_its_validity(valid: bool, needs_update: bool) -> None:
    """`if client.verify(…)` lets in whom `.valid` lets in, and nobody else."""
    assert bool(Verification(valid=valid, needs_update=needs_update)) is valid


@pytest.mark.parametrize("result", [*RESULTS, Verification(valid=True, needs_update=False)])
def test_results_are_frozen(result: Encrypted | Verification) -> None:
    """A result can't be changed after the fact."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(result, dataclasses.fields(result)[-1].name, 4)


@pytest.mark.parametrize("result", RESULTS)
def test_results_compare_and_travel(result: object) -> None:
    """Equal results are equal, also after a journey to another process."""
    assert pickle.loads(pickle.dumps(result)) == result
