"""Tests of what operators run; `make ops` installs what they need."""

from __future__ import annotations

import sys
from pathlib import Path

# Test folders are no packages; the rigs are.
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
