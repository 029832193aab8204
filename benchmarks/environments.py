"""The peers' virtual environments, made from their locked and hashed requirements.

    python -m benchmarks.environments

makes what is missing or out of date; `make lock-bench` resolves the requirements anew. Each peer
has an environment of its own in `benchmarks/.venvs/`, and so has the plot: what one needs never
holds another back.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.contenders import ROOT

VENVS: Final = ROOT / "benchmarks" / ".venvs"
STAMP: Final = ".installed"
Say = Callable[[str], None]


def folders() -> dict[str, Path]:
    """Where each environment's requirements are, by the environment's name."""
    found = sorted((ROOT / "benchmarks").rglob("requirements.in"))
    return {path.parent.name: path.parent for path in found if VENVS not in path.parents}


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return VENVS / name / "bin" / "python"


def make(names: list[str], say: Say) -> None:
    """Make the named environments that are missing or whose requirements have changed."""
    for name in names:
        wanted = folders()[name] / "requirements.txt"
        digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
        stamp = VENVS / name / STAMP
        if stamp.exists() and stamp.read_text() == digest:
            continue
        say(f"making the environment of {name} ...")
        _run(sys.executable, "-m", "venv", "--clear", str(VENVS / name))
        options = ("--disable-pip-version-check", "--quiet", "--require-hashes")
        _run(str(python_of(name)), "-m", "pip", "install", *options, "-r", str(wanted))
        stamp.write_text(digest)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    make(list(folders()), print)
