"""Interactions whose listener died between the acknowledgement and the effect.

Slack never repeats a click, so the stored payload is applied by a worker, without the modal that
its expired trigger would have opened. Effects that happened already are recognised.
"""

import logging
from collections.abc import Callable

from bot.slack.forms import Delivered, subject_of
from bot.slack.listeners.base import Heard
from feedback.errors import PermanentError

_log = logging.getLogger(__name__)


class LateInteractions:
    """Applies stored clicks, submissions and commands."""

    def __init__(self, heard: Heard, *, effects_owed: Callable[[], None]) -> None:
        self._heard = heard
        self._effects_owed = effects_owed

    async def apply(self, stored: Delivered) -> None:
        """Applies a payload once more; whatever is stale, forbidden or unknown is left alone."""
        effect = self._heard.late.get(subject_of(stored))
        if effect is None:
            return
        try:
            await effect(stored)
            self._effects_owed()
        except PermanentError as exc:
            _log.warning("a stored interaction has no effect any more: %s", exc)

    async def give_up(self, stored: Delivered) -> None:
        """Tells the person that it failed for good, where the topic knows how."""
        tell = self._heard.abandoned.get(subject_of(stored))
        if tell is not None:
            await tell(stored)
