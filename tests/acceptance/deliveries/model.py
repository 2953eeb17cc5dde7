"""The reference model: what must be the case in the end, in plain Python.

It knows nothing of the inbox, of workers or of the database; it is told what people did.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["button", "modal", "reaction"]


@dataclass(frozen=True, kw_only=True)
class Act:
    """One act of voting, as a person did it.

    Attributes:
        at: Seconds since the epoch; nobody does two things at once.
        up: Which thumb it concerns.
        added: False when a reaction was taken back.
        sure: Acknowledged. What was not may count or not; the person did the same again.
    """

    source: Source
    at: float
    up: bool
    added: bool = True
    reasons: tuple[str, ...] = ()
    comment: str = ""
    sure: bool = True


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What a person thinks of an answer."""

    up: bool | None
    reasons: tuple[str, ...] = ()
    comment: str = ""


@dataclass(kw_only=True)
class Asked:
    """One question.

    Attributes:
        topic: A word that occurs in this question and in no other, and in its answer.
        text: As it stands now.
        acts: By person, in order.
    """

    channel: str
    ts: str
    root: str
    topic: str
    text: str
    deleted: bool = False
    acts: dict[str, list[Act]] = field(default_factory=dict)

    def act(self, user: str, act: Act) -> None:
        """Notes what somebody did with the answer."""
        self.acts.setdefault(user, []).append(act)

    def opinions(self) -> dict[str, Opinion]:
        """Returns what everybody thinks in the end."""
        return {user: opinion(acts) for user, acts in self.acts.items()}


def opinion(acts: Sequence[Act]) -> Opinion:
    """Returns what acts of one person on one answer come to, by the time of each act.

    The last click counts. Both thumbs as reactions at once are no opinion, and so is none after
    one was taken back. Reasons belong to a thumb down and go with it.
    """
    up: bool | None = None
    thumbs: set[bool] = set()
    reasons: tuple[str, ...] = ()
    comment = ""
    for act in sorted(acts, key=lambda act: act.at):
        if act.source == "reaction":
            if act.added:
                thumbs.add(act.up)
            else:
                thumbs.discard(act.up)
            up = thumbs.copy().pop() if len(thumbs) == 1 else None
        else:
            up = act.up
        if up is False:
            reasons, comment = act.reasons or reasons, act.comment or comment
        else:
            reasons, comment = (), ""
    return Opinion(up=up, reasons=reasons, comment=comment)


@dataclass(kw_only=True)
class Expected:
    """Everything that was asked in one schedule."""

    questions: list[Asked] = field(default_factory=list)

    def threads(self) -> Iterable[tuple[str, str]]:
        """Returns `(channel, root)` of every thread."""
        return dict.fromkeys((asked.channel, asked.root) for asked in self.questions)

    def of_thread(self, channel: str, root: str) -> list[Asked]:
        """Returns the questions of a thread in the order they were asked in."""
        return [q for q in self.questions if (q.channel, q.root) == (channel, root)]
