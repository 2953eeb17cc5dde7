"""Stops asking a server that is down, so that nobody waits for what cannot come.

A server that hangs costs every question its whole deadline, and one that restarts is met by all
questions at once. After a few failures in a row requests fail at once; after a rest one of them may
find out whether the server is back, and each failed try doubles the rest.

Time is the machine's own: a workspace on simulated time may stand still while servers come back.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from feedback.errors import TimedOutError, UnavailableError, UnderstudyError

_log = logging.getLogger(__name__)

DOWN = (UnavailableError, TimedOutError)
"""What says that a server is down. To be overloaded, or to fail at one answer, does not."""


class CircuitBreaker:
    """One server's breaker: closed (all pass), open (none), or one request on trial.

    Args:
        endpoint: The server's URL, for messages.
        failures: In a row, after which it opens.
        rest_s: Seconds until the first trial.
        longest_rest_s: Where doubling ends.
        monotonic: Real time in seconds.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        failures: int = 5,
        rest_s: float = 1.0,
        longest_rest_s: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._failures = failures
        self._rest_s = rest_s
        self._longest_rest_s = longest_rest_s
        self._monotonic = monotonic
        self._failed = 0
        self._rests = 0
        self._opens_at = 0.0
        self._on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether the server is taken for down."""
        return self._failed >= self._failures

    @asynccontextmanager
    async def guarding(self) -> AsyncIterator[None]:
        """Lets a request through, and learns from how it ends.

        Raises:
            UnavailableError: At once, with the rest as `retry_after`, when the server is down.
        """
        trial = self._admit()
        try:
            yield
        except DOWN as exc:
            self._fail(exc)
            raise
        except UnderstudyError:
            self._answered()
            raise
        else:
            self._answered()
        finally:
            # Who leaves early has learnt nothing: the next one is on trial.
            if trial:
                self._on_trial = False

    def _admit(self) -> bool:
        """Returns whether this request is the one on trial."""
        if not self.is_open:
            return False
        left = self._opens_at - self._monotonic()
        if left > 0 or self._on_trial:
            raise UnavailableError(
                f"{self._endpoint} is taken for down after {self._failed} failures in a row; it is "
                f"tried again in {max(left, 0.0):.1f} s",
                retry_after=max(left, self._rest_s),
            )
        self._on_trial = True
        return True

    def _fail(self, exc: UnderstudyError) -> None:
        self._failed += 1
        if not self.is_open:
            return
        rest = min(self._rest_s * 2**self._rests, self._longest_rest_s)
        if self._opens_at > self._monotonic():
            return  # it was asked before it was known to be down
        self._rests += 1
        self._opens_at = self._monotonic() + rest
        _log.warning("%s is taken for down for %.1f s: %s", self._endpoint, rest, exc)

    def _answered(self) -> None:
        if self.is_open:
            _log.warning("%s is back", self._endpoint)
        self._failed = self._rests = 0
        self._opens_at = 0.0
