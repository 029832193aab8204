"""Write the lock files: each requirement with version and hashes, and no address of any index.

It keeps what is locked where that still fits; `--upgrade` takes the newest. `bench` as the first
argument locks the environments of the benchmark's peers instead, each from its requirements.in.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = {
    "client.txt": [],
    "worker.txt": ["--extra", "worker", "--extra", "otel"],
    "gateway.txt": ["--extra", "gateway", "--extra", "otel"],
    "flower.txt": ["--extra", "flower"],
    "all.txt": ["--extra", "all"],
    "dev.txt": ["--extra", "all", "--group", "dev", "--group", "browser", "--group", "deploy"],
}
HEADER: Final = "# Made by {made_by}. Install with `pip install --require-hashes`.\n"
COMPILE: Final = (
    *("-m", "uv", "pip", "compile"),
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    # With extras left out, an older pip takes the newest release for `name[extra]`, and then finds
    # it not to be the locked one.
    "--no-strip-extras",
)
_ADDRESS: Final = re.compile(r"://|@ ?file|\s/\w")


def main(arguments: list[str]) -> int:
    """Resolve the project's lock files, or those of the benchmark."""
    if arguments[:1] == ["bench"]:
        return _lock_benchmark(arguments[1:])
    return _lock_project(arguments)


def _lock_project(options: list[str]) -> int:
    """Resolve each lock file in turn, the later ones held to the versions of the largest."""
    folder = ROOT / "requirements"
    for name in reversed(LOCKS):
        pins = [] if name == "dev.txt" else [f"--constraint={folder / 'dev.txt'}"]
        source = ["pyproject.toml", *LOCKS[name], *pins, *options]
        if not _compile(source, folder / name, "`make lock` from pyproject.toml"):
            return 1
    return 0


def _lock_benchmark(options: list[str]) -> int:
    for source in sorted((ROOT / "benchmarks").glob("**/requirements.in")):
        target = source.with_suffix(".txt")
        if not _compile([str(source), *options], target, "`make lock-bench` from requirements.in"):
            return 1
    return 0


def _compile(source: list[str], target: Path, made_by: str) -> bool:
    """Write one lock file; False, and no file, when it would hold an address."""
    subprocess.run(
        [sys.executable, *COMPILE, *source, f"--output-file={target}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    text = target.read_text()
    if _ADDRESS.search(text):
        sys.stderr.write(f"{target.name} holds an address or a path; not kept.\n")
        target.unlink()
        return False
    target.write_text(HEADER.format(made_by=made_by) + text)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
