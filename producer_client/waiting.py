"""Calls that wait for a place in a message: bounded, fair between operations, keys and sizes.

Not thread-safe: the dispatcher uses it under its lock.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from caas_tasks.limits import MAX_PAYLOAD_BYTES
from caas_tasks.names import Operation
from producer_client.calls import PAYLOAD_RESERVE_BYTES, Call
from producer_client.wire import CHUNK_ITEMS

MAX_WAITING_ITEMS: Final = 20_000
"""Items that may wait; a further call waits for room, which is the back-pressure."""

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Bytes of JSON that may wait: so many large items would fill the memory long before 20,000."""

MAX_MESSAGE_ITEMS: Final = CHUNK_ITEMS

_GroupKey = tuple[Operation, str, bool]
_Group = OrderedDict[Call, None]


class WaitingCalls:
    """First in, first out within a group; groups take turns.

    A group is one operation under one API key, since a message has one of each. Calls of many items
    are a group of their own, so that single calls never queue behind a whole `encrypt_many`.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[_GroupKey, _Group] = OrderedDict()
        self.items = 0
        self.size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._groups)

    def has_room(self, call: Call) -> bool:
        """Whether the call may join; one that is alone always may."""
        return not self._groups or (
            self.items + len(call.encoded) <= MAX_WAITING_ITEMS
            and self.size_bytes + call.size_bytes <= MAX_WAITING_BYTES
        )

    def add(self, call: Call) -> None:
        """Join the call's group at its end."""
        self._groups.setdefault(_group_key(call), OrderedDict())[call] = None
        self._count(call, 1)

    def _count(self, call: Call, sign: int) -> None:
        self.items += sign * len(call.encoded)
        self.size_bytes += sign * call.size_bytes

    def remove(self, call: Call) -> None:
        """Take a call out that gave up; nothing happens when it is not here."""
        key = _group_key(call)
        group = self._groups.get(key)
        if group is not None and call in group:
            del group[call]
            self._count(call, -1)
            if not group:
                del self._groups[key]

    def take(self, most_items: int = MAX_MESSAGE_ITEMS) -> list[Call]:
        """The calls of the next message: as many of the next group as fit in one, at least one."""
        key, group = next(iter(self._groups.items()))
        calls: list[Call] = []
        items = size_bytes = 0
        while group:
            call = next(iter(group))
            items += len(call.encoded)
            size_bytes += call.size_bytes
            is_full = items > most_items or size_bytes > MAX_PAYLOAD_BYTES - PAYLOAD_RESERVE_BYTES
            if calls and is_full:
                break
            group.popitem(last=False)
            self._count(call, -1)
            calls.append(call)
        if group:
            self._groups.move_to_end(key)
        else:
            del self._groups[key]
        return calls

    def clear(self) -> list[Call]:
        """Take everything out."""
        calls = [call for group in self._groups.values() for call in group]
        self._groups.clear()
        self.items = self.size_bytes = 0
        return calls


def _group_key(call: Call) -> _GroupKey:
    return call.operation, call.api_key, len(call.encoded) > 1
