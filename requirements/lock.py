"""Write the lock files: each requirement with version and hashes, and no address of any index.

It keeps what is locked where that still fits; `--upgrade` takes the newest.
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
HEADER: Final = (
    "# Made by `make lock` from pyproject.toml. Install with `pip install --require-hashes`.\n"
)
COMPILE: Final = (
    "uv",
    "pip",
    "compile",
    "pyproject.toml",
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


def main(options: list[str]) -> int:
    """Resolve each lock file in turn, the later ones held to the versions of the largest."""
    folder = ROOT / "requirements"
    for name in reversed(LOCKS):
        target = folder / name
        pins = [] if name == "dev.txt" else [f"--constraint={folder / 'dev.txt'}"]
        subprocess.run(
            [
                sys.executable,
                "-m",
                *COMPILE,
                *LOCKS[name],
                *pins,
                *options,
                f"--output-file={target}",
            ],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        text = target.read_text()
        if _ADDRESS.search(text):
            sys.stderr.write(f"{name} holds an address or a path; not kept.\n")
            target.unlink()
            return 1
        target.write_text(HEADER + text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
