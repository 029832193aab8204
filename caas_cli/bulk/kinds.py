"""The kinds of files."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """The kinds of files; an output is of its input's kind."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
