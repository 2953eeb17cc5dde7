"""The weekly rhythm as a rule on the Clock, so that simulated weeks work like real ones."""

from datetime import UTC, datetime

from apscheduler.triggers.cron import CronTrigger

from feedback.clock import require_aware
from feedback.errors import ConfigurationError


class CycleSchedule:
    """A cron expression in UTC, asked about any two moments.

    Args:
        expression: Five fields.
        setting: The variable that holds it, for the message.
    """

    def __init__(self, expression: str, setting: str = "UNDERSTUDY_RETRAIN__SCHEDULE") -> None:
        try:
            self._trigger = CronTrigger.from_crontab(expression, timezone=UTC)
        except ValueError as exc:
            raise ConfigurationError(
                f"{setting}={expression!r} is not a cron expression: {exc}; "
                "write five fields such as '0 3 * * sun'"
            ) from exc

    def next_after(self, moment: datetime) -> datetime:
        """Returns the first scheduled moment after `moment`."""
        require_aware(moment)
        following: datetime = self._trigger.get_next_fire_time(moment, moment)
        return following

    def due(self, last: datetime, now: datetime) -> bool:
        """Whether a scheduled moment lies in (last, now]: missed ones count once."""
        return self.next_after(last) <= now
