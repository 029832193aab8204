"""What can be wrong with a keystore or an identity file."""

from __future__ import annotations

from caas_tasks.errors import ConfigurationError


class KeystoreError(ConfigurationError):
    """A keystore can't be read, written or changed; one line, no secret."""
