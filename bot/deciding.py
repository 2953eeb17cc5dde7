"""The use case: people accept, reject or resolve a pattern that the digest shows."""

from dataclasses import dataclass
from datetime import datetime

from feedback.clock import Clock
from feedback.digest import DIGEST
from feedback.domain.operating import Act
from feedback.domain.pattern import PatternDecision, PatternStatus
from feedback.domain.person import Role
from feedback.errors import NotAllowedError
from feedback.operations import decide_pattern
from feedback.store.unit_of_work import Store

IN_SLACK = "set in the digest in Slack"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A click on a button of the digest.

    Attributes:
        seen: The pattern's status when the digest was drawn.
        week: End of the week that the digest tells of.
        message: Channel and ts of the digest; None when only the person sees it.
    """

    team: str
    user: str
    event_id: str
    pattern_id: str
    decision: PatternDecision
    seen: PatternStatus
    week: datetime
    message: tuple[str, str] | None = None
    delivery_id: int | None = None


class PatternDesk:
    """Takes decisions about patterns; workspace and role are checked here, on every call.

    Args:
        home_team: Workspace whose reviewers decide; empty: the only one there is.
    """

    def __init__(self, store: Store, clock: Clock, *, home_team: str = "") -> None:
        self._store = store
        self._clock = clock
        self._home_team = home_team

    async def decide(self, choice: Choice) -> PatternStatus:
        """Stores the decision, its audit entry, and that the digest has to be drawn anew.

        Raises:
            NotAllowedError: For agents, and for other workspaces than the operators'.
            NotFoundError: When there is no such pattern.
            ConflictError: When somebody decided otherwise meanwhile.
        """
        async with self._store.begin() as tx:
            person = await tx.people.get(choice.team, choice.user)
            if not person.role.includes(Role.REVIEWER):
                raise NotAllowedError(f"{choice.user} is {person.role}; deciding needs a reviewer")
            if self._home_team not in {"", choice.team}:
                raise NotAllowedError(f"patterns are decided in {self._home_team}")
            act = Act(by=choice.user, reason=IN_SLACK, at=self._clock.now())
            status = await decide_pattern(
                tx, act, choice.pattern_id, choice.decision, seen=choice.seen
            )
            if choice.message is not None:
                channel, ts = choice.message
                await tx.outbox.add(
                    key=f"digest:{channel}-{ts}:{choice.event_id}",
                    kind=DIGEST,
                    payload={
                        "team": choice.team,
                        "channel": channel,
                        "ts": ts,
                        "at": choice.week.isoformat(),
                    },
                )
            if choice.delivery_id is not None:
                await tx.inbox.finish(choice.delivery_id)
        return status
