"""The handle of a bulk job: what another process needs to collect it, as one string.

It holds the job's id, how many messages it went out in, and the key that opens its replies. With
the handle and access to the broker the results can be read for as long as they are kept; the
request can't. Store it as you would the results.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from caas_tasks.errors import InvalidRequestError

MAX_JOB_MESSAGES: Final = 400
"""Most messages of one job: 200,000 items of ordinary size. A handle that says more is none."""

_PREFIX: Final = "caasjob1."
_ID_BYTES: Final = 16
_KEY_BYTES: Final = 32
_COUNT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class JobHandle:
    """A handle taken apart.

    Attributes:
        job_id: as `caas_tasks.message_id.new_id` makes it; 16 bytes.
        messages: how many messages the job went out in.
        reply_key: opens the replies; 32 bytes.
    """

    job_id: bytes
    messages: int
    reply_key: bytes = field(repr=False)

    @classmethod
    def from_text(cls, text: object) -> JobHandle:
        """Parse the text form.

        Raises:
            InvalidRequestError: not a job's handle.
        """
        raw = b""
        if isinstance(text, str) and text.startswith(_PREFIX):
            try:
                raw = binascii.a2b_base64(text[len(_PREFIX) :], strict_mode=True)
            except ValueError:
                raw = b""
        count_end = _ID_BYTES + _COUNT_BYTES
        messages = int.from_bytes(raw[_ID_BYTES:count_end], "big")
        # Whoever can hand us a handle must not choose how much work it is.
        if len(raw) != count_end + _KEY_BYTES or not 1 <= messages <= MAX_JOB_MESSAGES:
            raise InvalidRequestError("The handle is not one of a CaaS job.")
        return cls(raw[:_ID_BYTES], messages, raw[count_end:])

    def to_text(self) -> str:
        """The text form: `caasjob1.` and base64 of id || number of messages || reply key."""
        raw = self.job_id + self.messages.to_bytes(_COUNT_BYTES, "big") + self.reply_key
        return _PREFIX + binascii.b2a_base64(raw, newline=False).decode("ascii")

    def message_ids(self) -> list[str]:
        """The ids of the job's messages, in order."""
        return [message_id(self.job_id, number) for number in range(self.messages)]

    def cipher(self) -> AESGCM:
        """What opens the replies."""
        return AESGCM(self.reply_key)


def message_id(job_id: bytes, number: int) -> str:
    """The id of a job's message: the job's id and the message's number."""
    return f"{job_id.hex()}-{number:08d}"
