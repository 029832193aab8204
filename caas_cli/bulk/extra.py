"""What CSV and JSON lines don't need comes with an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from caas_cli.exit_codes import CommandError, ExitCode


@contextmanager
def needing_extra() -> Iterator[None]:
    """Around imports of what `caas[bulk]` brings.

    Raises:
        CommandError: it is not installed.
    """
    is_missing = False
    try:
        yield
    except ImportError:
        is_missing = True
    if is_missing:
        raise CommandError(
            "Parquet files and SQL tables need an extra: pip install 'caas[bulk]'",
            ExitCode.CONFIGURATION,
        )
