"""When API keys were last used, as workers note it in the broker.

The broker could say anything here: a note helps to find keys that nobody uses and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import redis

from caas_cli import client_env
from caas_cli.home import Home
from caas_cli.output import timestamp
from caas_tasks.errors import ConfigurationError
from caas_tasks.names import API_KEYS_USED
from caas_tasks.redis_connection import connect
from caas_tasks.redis_url import BrokerUrl
from caas_tasks.settings import read_brokers

TIMEOUT_S: Final = 2.0
"""How long a broker may take, in seconds: a listing does not wait for one that is down."""

_LATEST_S: Final = 2**40
LastUses = Mapping[str, int]


def read(home: Home, key_ids: Sequence[str]) -> LastUses | None:
    """Unix times in seconds by key id, of the keys that were used; None if no broker answers."""
    try:
        brokers = read_brokers(client_env.setting(home.client_env, client_env.BROKER_URL))
    except ConfigurationError:
        return None
    answers = [_ask(broker, key_ids) for broker in brokers] if key_ids else [{}]
    found: dict[str, int] = {}
    for answer in answers:
        for key_id, at_s in (answer or {}).items():
            found[key_id] = max(at_s, found.get(key_id, 0))
    return None if all(answer is None for answer in answers) else found


def in_words(used: LastUses | None, key_id: str) -> str:
    """A time, `never` or `unknown`."""
    return "unknown" if used is None else timestamp(used.get(key_id)) or "never"


def _ask(broker: BrokerUrl, key_ids: Sequence[str]) -> LastUses | None:
    try:
        with connect(
            broker, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        ) as connection:
            values = connection.hmget(API_KEYS_USED, list(key_ids))
    except (redis.RedisError, OSError, ValueError):
        return None
    return {
        key_id: int(value)
        for key_id, value in zip(key_ids, values, strict=True)
        if value is not None and value.isdigit() and len(value) <= len(str(_LATEST_S)) - 1
    }
