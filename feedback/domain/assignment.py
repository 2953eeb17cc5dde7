"""Which arm answers a thread: a pure hash, so that everybody who asks gets the same answer.

The thread is the unit of randomisation. Users differ too much from one another to be one, and
several answers of one thread agree too much with one another to count apart.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

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


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Where one thread falls when the champion and several challengers share the traffic.

    Attributes:
        winner: Position of the challenger that gets the thread; None is the champion.
        us: For each challenger, where the thread falls in [0, 1) among the threads that go to it
            or to the champion: below its share where it got the thread. None where another
            challenger did: then the thread tells nothing about this one.
    """

    winner: int | None
    us: tuple[float | None, ...]


def split(shares: Sequence[float]) -> tuple[float, ...]:
    """Returns what part of all new threads each challenger gets; the champion gets the rest.

    A share is a challenger's among the threads that go to it or to the champion, whatever the
    others have: with odds o_k = share_k / (1 - share_k) it gets o_k / (1 + sum o) of all. Equal
    shares of one half split the traffic equally among all; one challenger gets its share.

    Raises:
        InvalidInputError: When a share is not from 0 to below 1.
    """
    for share in shares:
        if not 0.0 <= share < 1.0:
            raise InvalidInputError(f"share {share!r} is not from 0 to below 1")
    odds = [share / (1.0 - share) for share in shares]
    return tuple(each / (1.0 + sum(odds)) for each in odds)


def draw(u: float, shares: Sequence[float]) -> Draw:
    """Draws the arm of a new thread, once for all challengers.

    The unit interval is cut into the challengers' parts (`split`), in order, and the champion's.

    Args:
        u: Where the thread falls (`bucket`).
        shares: Of the challengers, in their order.

    Raises:
        InvalidInputError: When a share is not from 0 to below 1.
    """
    parts = split(shares)
    ends = list(accumulate(parts, initial=0.0))
    champions = 1.0 - ends[-1]
    winner = next((k for k, end in enumerate(ends[1:]) if u < end), None)

    def among(k: int) -> float | None:
        if winner not in {None, k}:
            return None
        within = u - ends[k] if winner == k else parts[k] + u - ends[-1]
        return within / (parts[k] + champions)

    return Draw(winner=winner, us=tuple(among(k) for k in range(len(shares))))
