"""Where a worker gets its keyring from: the keystore file, read again when it has changed.

Looked at when a request comes, at most once a second, and at once for a request that names what the
keyring has no record of. No thread, so every Celery pool works the same. A file that doesn't open
leaves the last good keyring in use and says so once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from worker.keyring import Keyring
from worker.keystore import file
from worker.keystore.errors import KeystoreError

CHECK_INTERVAL_S: Final = 1.0
"""How old a worker's view of the keystore may be, in seconds, when a request comes."""

logger = logging.getLogger(__name__)
_FileStamp = tuple[int, int, int]
_Stamp = tuple[_FileStamp | None, _FileStamp | None]


class KeyringSource:
    """Hands out the current keyring.

    Args:
        keystore_path: the age file.
        identity_path: the identity that opens it.
        monotonic: seconds that never go back, such as `time.monotonic`.

    Raises:
        KeystoreError: the first reading fails; later ones only log.
    """

    def __init__(
        self, keystore_path: Path, identity_path: Path, monotonic: Callable[[], float]
    ) -> None:
        self._path = keystore_path
        self._identity_path = identity_path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._keyring = self._read()
        self._checked_at = monotonic()

    def current(self) -> Keyring:
        """The newest good keyring."""
        if self._monotonic() - self._checked_at >= CHECK_INTERVAL_S:
            self._refresh_once()
        return self._keyring

    def reread(self) -> Keyring:
        """The keyring after a look at the file now.

        A look is one `stat`, and an unchanged file is not read: asking for what does not exist
        makes a worker do no more than that.
        """
        with self._lock:
            self._refresh()
        return self._keyring

    def _refresh_once(self) -> None:
        # One thread looks; the others go on with what there is.
        if self._lock.acquire(blocking=False):
            try:
                self._refresh()
            finally:
                self._lock.release()

    def _refresh(self) -> None:
        self._checked_at = self._monotonic()
        stamp = self._look()
        if stamp == self._stamp:
            return
        # Kept even when reading fails: one bad file is reported once, not at every look.
        self._stamp = stamp
        try:
            self._keyring = self._read()
        except KeystoreError as error:
            logger.error("keystore not reloaded, the last good one stays in use: %s", error)
        else:
            logger.info("keystore reloaded: %r", self._keyring)

    def _read(self) -> Keyring:
        return Keyring(file.load(self._path, file.load_identities(self._identity_path)))

    def _look(self) -> _Stamp:
        # The identity too: it is changed around a re-encryption, and a keystore that was met
        # between the two must be tried again with the identity that opens it.
        return _stamp(self._path), _stamp(self._identity_path)


def _stamp(path: Path) -> _FileStamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
