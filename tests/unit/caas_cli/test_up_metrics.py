"""Ports and folder of metrics under `caas up`."""

from __future__ import annotations

import pytest

from caas_cli.home import Home
from caas_cli.up_metrics import environments


@pytest.mark.parametrize("port", [None, "", "0", "x"])
def test_without_a_port_nothing_changes(home: Home, port: str | None) -> None:
    """A wrong one is the parts' to refuse."""
    given = {} if port is None else {"CAAS_METRICS_PORT": port}
    assert environments(home, given) == (given, given)


def test_workers_share_a_port_and_the_gateway_has_the_next(home: Home) -> None:
    """Workers through a folder in the home, emptied of what earlier processes left."""
    home.metrics_folder.mkdir(parents=True)
    (home.metrics_folder / "counter_1.db").touch()
    workers, gateway = environments(home, {"CAAS_METRICS_PORT": "9464"})
    assert workers == {
        "CAAS_METRICS_PORT": "9464",
        "CAAS_METRICS_DIR": str(home.metrics_folder),
    }
    assert gateway == {"CAAS_METRICS_PORT": "9465"}
    assert not home.metrics_folder.exists()
