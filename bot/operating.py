"""The use case: operators see and steer the loop from Slack, and people have their data forgotten.

Roles are checked here, on every call. What changes traffic and cannot be undone by the opposite
word is shown first and done on a confirmation: bound to what was shown, to the person, and to five
minutes. An order or a click closes its delivery in the transaction of its effect, so that the
listener and a worker that takes over never both act.
"""

import secrets
from datetime import datetime, timedelta

from bot.orders import NEEDS, STEERS, Answer, Help, Order, Reply, Said, Status, Verb
from feedback.choosing import named_first
from feedback.clock import Clock
from feedback.digest import read_digest
from feedback.domain.operating import (
    FROZEN,
    NO_REASON,
    Act,
    Confirmation,
    OperatorAct,
    Standing,
    changes,
    model_name,
)
from feedback.domain.person import Role
from feedback.errors import ConflictError, InvalidInputError, NotAllowedError
from feedback.forgetting import forget
from feedback.operations import require_undoable, roll_back, set_brake, standing
from feedback.pausing import set_pause
from feedback.promoting import promote, require_promotable
from feedback.store.cycles import NEXT_CYCLE_AT, SCHEDULER_LOOKED_AT
from feedback.store.unit_of_work import Store, Transaction
from feedback.why import WhyPolicy, read_why

CONFIRM_WITHIN = timedelta(minutes=5)
"""A confirmation is good for this long, and an order that comes late is still obeyed."""


class TakenOverError(ConflictError):
    """Another worker handles this delivery already."""


class OperatorDesk:
    """Everything `/understudy` does."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: WhyPolicy,
        *,
        channel: str = "",
        home_team: str = "",
        many_workspaces: bool = False,
    ) -> None:
        """Creates the desk.

        Args:
            store: The record.
            clock: Confirmations expire by it.
            policy: Of "why (not) this week".
            channel: Operators' channel for public notices; empty posts none.
            home_team: Workspace whose admins steer; empty: the only one there is.
            many_workspaces: Anybody may install the bot: then nobody steers without a home team.
        """
        self._store = store
        self._clock = clock
        self._policy = policy
        self._channel = channel
        self._home_team = home_team
        self._many_workspaces = many_workspaces

    async def run(self, order: Order) -> Reply:
        """Obeys an order, or asks for a confirmation.

        Raises:
            NotAllowedError: When the person's role does not permit it.
            InvalidInputError: With a sentence for the person, when it cannot be done.
            TakenOverError: When another worker is at it.
            RetryableError: When it may succeed later; nothing was changed.
        """
        async with self._store.begin() as tx:
            await _take(tx, order.delivery_id)
            role = await self.require(tx, order.team, order.user, order.verb)
            if order.target not in {None, order.user} and not role.includes(Role.ADMIN):
                raise NotAllowedError(f"{order.user} may not have {order.target} forgotten")
            match order.verb:
                case Verb.HELP:
                    return Help(role=role)
                case Verb.STATUS:
                    return await self._status(tx)
                case Verb.WHY:
                    return await read_why(tx, self._policy, self._clock.now())
                case Verb.PATTERNS:
                    return await read_digest(tx, self._clock.now())
                case Verb.FREEZE | Verb.UNFREEZE | Verb.PAUSE | Verb.RESUME:
                    return await self._hold(tx, order)
                case _:
                    return await self._ask(tx, order)

    async def answer(self, answer: Answer) -> Said:
        """Does what was confirmed, if it is still what was shown.

        Raises:
            NotAllowedError: When the person lost the role meanwhile.
            TakenOverError: When another worker is at it.
            RetryableError: When it may succeed later; nothing was changed.
        """
        try:
            async with self._store.begin() as tx:
                await _take(tx, answer.delivery_id)
                return Said(text=await self._decide(tx, answer))
        except TakenOverError:
            raise
        except ConflictError:
            async with self._store.begin() as tx:
                if answer.delivery_id is not None:
                    await tx.inbox.finish(answer.delivery_id)
            return Said(
                text="Nothing was changed: somebody else was faster. Look again before you act."
            )

    async def _decide(self, tx: Transaction, answer: Answer) -> str:
        asked = await tx.confirmations.take(
            answer.confirmation_id, team=answer.team, user=answer.user
        )
        if asked is None:
            return "I cannot find what you wanted to confirm. Nothing was changed."
        if asked.decided_at is not None:
            return f"That was decided already: {asked.outcome}"
        outcome = await self._outcome(tx, asked, answer)
        await tx.confirmations.decide(asked.id, outcome, at=self._clock.now())
        return outcome

    async def _outcome(self, tx: Transaction, asked: Confirmation, answer: Answer) -> str:
        if not answer.yes:
            return "Cancelled. Nothing was changed."
        if self._clock.now() >= asked.expires_at:
            minutes = int(CONFIRM_WITHIN.total_seconds() // 60)
            return (
                f"Nothing was changed: a confirmation is good for {minutes} minutes, and this one "
                f"is older. Type `/understudy {asked.act}` to look again."
            )
        await self.require(tx, asked.team, asked.user_id, Verb(asked.act))
        if asked.act is OperatorAct.FORGET:
            return await self._forget(tx, asked, answer)
        return await self._steer(tx, asked)

    async def _steer(self, tx: Transaction, asked: Confirmation) -> str:
        shown = Standing.from_row(asked.shown)
        moved = changes(shown, await standing(tx, shown.experiment_id), asked.act)
        if moved:
            return (
                f"Nothing was changed, because things moved since you looked: {'; '.join(moved)}. "
                f"Type `/understudy {asked.act}` to look again."
            )
        act = self.act(asked.user_id, asked.reason)
        try:
            if asked.act is OperatorAct.PROMOTE:
                return await promote(tx, act, seen=shown)
            now = await roll_back(tx, act, version=shown.champion_version)
        except InvalidInputError as exc:
            return f"Nothing was changed. {exc}"
        if shown.promotion_waits:
            return f"Done: the promotion is withdrawn, {model_name(now)} stays the champion."
        return f"Done: {model_name(now)} is the champion again, from the next question on."

    async def _forget(self, tx: Transaction, asked: Confirmation, answer: Answer) -> str:
        target = str(asked.shown["user"])
        if target != asked.user_id:
            person = await tx.people.get(asked.team, asked.user_id)
            if not person.role.includes(Role.ADMIN):
                raise NotAllowedError(f"{asked.user_id} may not have {target} forgotten")
        report = await forget(
            tx,
            team=asked.team,
            user=target,
            by=asked.user_id,
            at=self._clock.now(),
            event_id=answer.event_id,
        )
        return report.told

    async def _hold(self, tx: Transaction, order: Order) -> Said:
        """Holds one experiment or everything, or lets it go on."""
        if order.verb in {Verb.PAUSE, Verb.RESUME}:
            which, reason = await named_first(tx, order.reason)
            act = self.act(order.user, reason or NO_REASON)
            on = order.verb is Verb.PAUSE
            return Said(text=await set_pause(tx, act, on=on, experiment=which))
        act = self.act(order.user, order.reason or NO_REASON)
        on = order.verb is Verb.FREEZE
        if await set_brake(tx, on=on, act=act):
            text = (
                "Frozen: the champion answers every new question. `/understudy unfreeze` ends it."
                if on
                else "No longer frozen."
            )
            return Said(text=text)
        return Said(text="It is frozen already." if on else "It is not frozen.")

    async def _ask(self, tx: Transaction, order: Order) -> Confirmation:
        """Stores what the person is about to be shown."""
        act = OperatorAct(order.verb)
        shown, reason = {"user": order.target or order.user}, order.reason
        if act is not OperatorAct.FORGET:
            which = None
            if act is OperatorAct.PROMOTE:
                which, reason = await named_first(tx, reason)
            seen = await standing(tx, which)
            await _require_possible(tx, act, seen, reason)
            shown = seen.to_row()
        now = self._clock.now()
        confirmation = Confirmation(
            id=secrets.token_hex(12),
            team=order.team,
            user_id=order.user,
            act=act,
            shown=shown,
            reason=reason,
            asked_at=now,
            expires_at=now + CONFIRM_WITHIN,
        )
        await tx.confirmations.add(confirmation)
        return confirmation

    async def _status(self, tx: Transaction) -> Status:
        cycles = await tx.cycles.latest(5)
        active = await tx.deployments.active()
        return Status(
            now=self._clock.now(),
            standing=await standing(tx),
            champion_since=await tx.overview.champion_since(),
            served=tuple(sorted(active.proven)) if active else (),
            brake=await tx.overview.switch(FROZEN),
            trials=tuple(await tx.experiments.current()),
            cycles=tuple(await tx.cycles.open_cycles()),
            last=next((cycle for cycle in cycles if cycle.ended_at is not None), None),
            next_cycle_at=_moment(await tx.switches.get(NEXT_CYCLE_AT)),
            labels=await tx.overview.labels(self._policy.consent),
            label_gate=self._policy.thresholds.label_gate,
            backlog=await tx.overview.backlog(),
            looked_at=_moment(await tx.switches.get(SCHEDULER_LOOKED_AT)),
        )

    async def require(self, tx: Transaction, team: str, user: str, verb: Verb) -> Role:
        """Returns the role of somebody who may say this.

        Raises:
            NotAllowedError: When they may not.
            InvalidInputError: When nobody may, for want of a setting.
        """
        role = (await tx.people.get(team, user)).role
        if not role.includes(NEEDS[verb]):
            raise NotAllowedError(f"{user} is {role}; {verb} needs {NEEDS[verb]}")
        if verb in STEERS and self._many_workspaces and not self._home_team:
            raise InvalidInputError(
                "I serve several workspaces, and none of them is named as the operators' one: set "
                "`UNDERSTUDY_SLACK__OPERATORS_TEAM` first."
            )
        if verb in STEERS and self._home_team not in {"", team}:
            raise NotAllowedError(f"{verb} is for the admins of {self._home_team}, not of {team}")
        return role

    def act(self, user: str, reason: str) -> Act:
        """Returns an act of somebody, now."""
        return Act(
            by=user,
            reason=reason,
            at=self._clock.now(),
            shown_as=f"<@{user}>",
            channel=self._channel,
        )


async def _require_possible(tx: Transaction, act: OperatorAct, seen: Standing, reason: str) -> None:
    """Refuses what could not be done anyway, before anybody confirms it."""
    if not reason:
        raise InvalidInputError(
            f"Please say why, it goes into the audit trail: `/understudy {act} because ...`"
        )
    if act is OperatorAct.PROMOTE:
        await require_promotable(tx, seen)
    else:
        require_undoable(seen)


async def _take(tx: Transaction, delivery_id: int | None) -> None:
    if delivery_id is not None and not await tx.inbox.finish(delivery_id):
        raise TakenOverError(f"delivery {delivery_id} is handled by a worker already")


def _moment(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored else None
