"""docs/http.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caas_tasks.errors import ERRORS_BY_CODE
from caas_tasks.items import ITEM_MODELS
from caas_tasks.limits import MAX_ITEM_BYTES, MAX_ITEMS, MAX_REFERENCE_CHARS
from caas_tasks.names import Operation
from gateway import bodies, problems

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "http.md").read_text()


@pytest.mark.parametrize("operation", list(Operation))
def test_every_operation_is_listed_with_its_fields(operation: Operation) -> None:
    """The row of an operation names the fields that its model has."""
    row = re.search(rf"^\| `POST /{operation.value}` \| ([^|]*) \|", TEXT, re.MULTILINE)
    assert row is not None
    fields = {
        info.alias or name
        for name, info in ITEM_MODELS[operation].model_fields.items()
        if name != "reference"
    }
    assert set(re.findall("`([^`]+)`", row.group(1))) == fields


def test_every_code_is_listed_with_its_status() -> None:
    """The table of errors is the error tree and the two that only routes have."""
    rows = re.findall(r"^\| (\d{3}) \| `([a-z_]+)` \|", TEXT, re.MULTILINE)
    expected = {(str(error.http_status), code) for code, error in ERRORS_BY_CODE.items()}
    assert set(rows) == expected | {
        ("404", problems.NOT_FOUND),
        ("405", problems.METHOD_NOT_ALLOWED),
    }


@pytest.mark.parametrize(
    "limit",
    [
        MAX_ITEM_BYTES,
        MAX_ITEMS,
        MAX_REFERENCE_CHARS,
        bodies.MAX_SINGLE_BODY_BYTES,
        bodies.MAX_BATCH_BODY_BYTES,
        int(bodies.READ_TIMEOUT_S),
    ],
)
def test_every_limit_is_stated(limit: int) -> None:
    """Numbers in the text are those of the code."""
    assert re.search(rf"\b{limit:,}\b", TEXT)
