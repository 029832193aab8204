"""What the Dockerfile puts into each image: enough to run it, no pip, no compiler, nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rig.process import PROJECT, environment

pytestmark = pytest.mark.ops

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
TARGETS = ("worker", "gateway", "flower")
COPY = re.compile(r"^COPY (\w+)/ /opt/caas/lib/python3.11/site-packages/", re.MULTILINE)
STARTS = {
    "worker": "import worker.tasks, worker.pulse, worker.bulk, caas_cli.worker_command",
    "gateway": "import gateway.app, gateway.tls, uvicorn, caas_cli.gateway_command",
    "flower": "import caas_cli.flower_server",
}


def stage(name: str) -> str:
    """The lines of one stage."""
    found = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    return next(text for text in found if text.partition("\n")[0].endswith(f" AS {name}"))


@pytest.mark.parametrize("target", TARGETS)
def test_image_has_what_it_needs(target: str, tmp_path: Path) -> None:
    """With what is copied into it and its own requirements alone, a target starts."""
    bare = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    python = bare / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    lock = PROJECT / "requirements" / f"{target}.txt"
    assert f"-r requirements/{target}.txt" in stage(f"build-{target}")
    subprocess.run([*uv, "--require-hashes", "-r", str(lock)], check=True)
    for package in COPY.findall(stage("build") + stage(f"build-{target}")):
        shutil.copytree(PROJECT / package, tmp_path / "code" / package)
    env = environment({"PYTHONPATH": str(tmp_path / "code")})
    for code in (STARTS[target], "from caas_cli.main import app"):
        subprocess.run([python, "-c", code], env=env, cwd=tmp_path, check=True)


def test_only_the_worker_has_the_workers_code() -> None:
    """Gateway and Flower hold no operation and no keystore code."""
    assert "worker" in COPY.findall(stage("build-worker"))
    for other in ("build", "build-gateway", "build-flower"):
        assert "worker" not in COPY.findall(stage(other))


def test_requirements_are_hashed_and_prebuilt() -> None:
    """Nothing is installed without its hash, and nothing compiled."""
    installs = [line for line in DOCKERFILE.splitlines() if " install " in line]
    assert len(installs) == len(TARGETS)
    assert all("--require-hashes --only-binary=:all:" in line for line in installs)


def test_images_have_no_pip_and_run_as_a_plain_user() -> None:
    """The base that all targets stand on has no pip, and a user without rights."""
    base = stage("base")
    assert "rm -rf /usr/local/lib/python3.11/site-packages/*" in base
    assert "/usr/local/bin/pip*" in base
    assert "USER 10001:10001" in base
    for target in TARGETS:
        assert stage(target).startswith(f"base AS {target}")
        assert "HEALTHCHECK" in stage(target)
        assert "USER" not in stage(target)


def test_build_context_holds_no_secret() -> None:
    """Docker is sent nothing but what the Dockerfile copies."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {"requirements", *COPY.findall(DOCKERFILE)}
    assert lines[1] == "*"
    assert kept == copied
