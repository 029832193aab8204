"""A worker with this plugin can let no file grow beyond its first line: its disk is full."""

from __future__ import annotations

import resource
import signal

ROOM_BYTES = 400
"""A first line of an audit log takes some 250 bytes, a request's some 400."""

# Without this the kernel would end the process, which a full disk does not.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, ROOM_BYTES))
