"""What is installed, and who may read the files of an installation."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import Final

from caas_cli.doctor.finding import Finding
from caas_cli.home import Home

DISTRIBUTIONS: Final = (
    *("caas", "celery", "kombu", "redis", "packaging"),
    *("cryptography", "pydantic", "pyrage"),
)
AUDIT_DIR: Final = "CAAS_AUDIT_DIR"
MIN_FREE_BYTES: Final = 256 << 20
"""Free space below which the audit log is near to refusing requests."""


def versions() -> list[Finding]:
    """The releases of what a call runs on."""
    found = {"python": platform.python_version()}
    missing = []
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return [
            Finding("versions", False, f"missing: {', '.join(missing)}", "pip install 'caas[all]'")
        ]
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    return [Finding("versions", True, text)]


def files(home: Home) -> list[Finding]:
    """Whether others may read what is private, and what should not be on this machine."""
    found = []
    private = (
        *(home.folder, home.keystore, home.identity, home.client_env, home.flower_env),
        *(home.recovery_identity, home.audit_folder),
    )
    for path in private:
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            fix = f"chmod {'700' if path.is_dir() else '600'} {path}"
            found.append(Finding("permissions", False, f"{path} is {mode:o}, open to others", fix))
    if not found:
        found.append(Finding("permissions", True, f"{home.folder} and its files are private"))
    if home.recovery_identity.exists():
        # True of every new installation, so a note and no fault.
        note = f"{home.recovery_identity} is on this machine; move it to a safe place"
        found.append(Finding("recovery", True, note))
    return found


def audit(home: Home) -> list[Finding]:
    """Whether the audit log can go on being written, where there is one."""
    named = os.environ.get(AUDIT_DIR)
    folder = Path(named) if named else home.audit_folder
    if not folder.is_dir():
        if not named:
            return []
        advice = f"mkdir -m 700 {folder}; workers refuse requests that they can't account for"
        return [Finding("audit", False, f"{AUDIT_DIR}: {folder} is no folder", advice)]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [Finding("audit", False, f"{folder} can't be written", f"chown it to {os.getuid()}")]
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{folder} has {free_bytes >> 20:,} MiB left"
    if free_bytes < MIN_FREE_BYTES:
        return [Finding("audit", False, detail, "make room: a full disk refuses every request")]
    return [Finding("audit", True, detail)]
