"""How long `caas up` takes until it is ready, and how long the import of the client takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Final

from benchmarks.contenders import ROOT
from benchmarks.stage import free_port, stop

READY_S: Final = 60.0
_IMPORT: Final = (
    "import time; t = time.perf_counter(); import producer_client; print(time.perf_counter() - t)"
)


def until_ready_s(home: Path) -> float:
    """Seconds from the start of `caas up` until its gateway says that all is ready."""
    port = free_port()
    environment = {**os.environ, "CAAS_HOME": str(home)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "caas_cli", "up", "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while time.perf_counter() - started < READY_S:
            if _is_ready(port):
                return time.perf_counter() - started
            time.sleep(0.02)
    finally:
        stop(process)
    raise RuntimeError("`caas up` was not ready in time.")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def import_s() -> float:
    """Seconds that `import producer_client` takes in a new process."""
    return float(subprocess.check_output([sys.executable, "-c", _IMPORT], cwd=ROOT))
