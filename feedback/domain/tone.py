"""How much of what was answered is in the house voice."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ToneRate:
    """The on-brand rate of some answers.

    Attributes:
        answers: How many were judged.
        rate: 0..1; None when the learnt scorer tells too little to say.
        low: Lower end of the 95 % interval, where a learnt scorer's errors were corrected for;
            None where rules alone judged, which count every answer exactly.
        high: Its upper end.
    """

    answers: int
    rate: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class ToneWeek:
    """The on-brand rate of the week before a run of mining, and of the week before that.

    Attributes:
        before: None when nothing was answered then.
    """

    lately: ToneRate
    before: ToneRate | None = None

    @property
    def sentence(self) -> str:
        """What people read of it; the interval stands where a learnt scorer was corrected for."""
        rate = self.lately.rate
        if rate is None:
            return (
                f"{_answers(self.lately)} of the last week were judged, and the learnt scorer errs "
                "too often to give a rate: tag more answers and learn it anew."
            )
        told = (
            f"{rate:.0%} of {_answers(self.lately)} of the last week {_verb(self.lately)} on brand"
        )
        if self.lately.low is not None and self.lately.high is not None:
            told += f" (95% interval {self.lately.low:.0%} to {self.lately.high:.0%})"
        if self.before is not None and self.before.rate is not None:
            told += f", {self.before.rate:.0%} the week before"
        return f"{told}."


def _answers(rate: ToneRate) -> str:
    return "1 answer" if rate.answers == 1 else f"{rate.answers} answers"


def _verb(rate: ToneRate) -> str:
    return "is" if rate.answers == 1 else "are"
