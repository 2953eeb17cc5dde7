"""Which arm answers a thread: a pure hash, so that everybody who asks gets the same answer.

The thread is the unit of randomisation. Users differ too much from one another to be one, and
several answers of one thread agree too much with one another to count apart.
"""

import hashlib

from feedback.domain.interaction import Arm
from feedback.errors import InvalidInputError

SEPARATOR = "|"
_MANTISSA_BITS = 53


def bucket(salt: str, team: str, channel: str, thread_ts: str) -> float:
    """Returns where a thread falls in [0, 1): `sha256(salt|team|channel|thread_ts)`.

    The first 8 bytes, big-endian, keep their upper 53 bits: all 64 as a float can round to 1.0.

    Args:
        salt: Random per experiment, stored, never reused.
        team: Slack team id.
        channel: Slack channel id.
        thread_ts: The thread's first message, as Slack writes it.

    Raises:
        InvalidInputError: When a part is empty or holds the separator, so that two different
            threads could share one text.
    """
    parts = {"salt": salt, "team": team, "channel": channel, "thread_ts": thread_ts}
    for name, part in parts.items():
        if not part or SEPARATOR in part:
            raise InvalidInputError(
                f"{name} {part!r} cannot be hashed: it must not be empty nor hold {SEPARATOR!r}"
            )
    digest = hashlib.sha256(SEPARATOR.join(parts.values()).encode()).digest()
    number = int.from_bytes(digest[:8], "big") >> (64 - _MANTISSA_BITS)
    return number / float(2**_MANTISSA_BITS)


def assign(*, salt: str, team: str, channel: str, thread_ts: str, share: float) -> Arm:
    """Returns the arm of a new thread at challenger share `share`.

    A thread keeps the arm of its stored row; the hash only serves its first message. A higher
    share moves champion threads to the challenger and never the other way round.

    Raises:
        InvalidInputError: When `share` is no number from 0 to 1 or an id cannot be hashed.
    """
    if not 0.0 <= share <= 1.0:
        raise InvalidInputError(f"share {share!r} is not from 0 to 1")
    return Arm.CHALLENGER if bucket(salt, team, channel, thread_ts) < share else Arm.CHAMPION
