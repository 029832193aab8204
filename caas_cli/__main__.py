"""`python -m caas_cli`, the same as `caas`."""

from __future__ import annotations

from caas_cli.main import main

main()
