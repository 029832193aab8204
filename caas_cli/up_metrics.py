"""The metrics of `caas up`: its workers share one port, the gateway has the next."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from caas_cli.home import Home

PORT = "CAAS_METRICS_PORT"
FOLDER = "CAAS_METRICS_DIR"


def environments(
    home: Home, environment: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """What workers and what the gateway get, where metrics are asked for.

    Args:
        environment: of both; `CAAS_METRICS_PORT` is the workers' port.
    """
    port = environment.get(PORT, "")
    if not port.isdecimal() or int(port) == 0:
        return dict(environment), dict(environment)
    # The values of processes that are gone would be counted for ever.
    shutil.rmtree(home.metrics_folder, ignore_errors=True)
    workers = {FOLDER: str(home.metrics_folder), **environment}
    gateway = {**environment, PORT: str(int(port) + 1)}
    gateway.pop(FOLDER, None)
    return workers, gateway
