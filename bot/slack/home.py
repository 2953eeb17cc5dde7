"""Gathers what an App Home shows and publishes it."""

import asyncio
from dataclasses import replace

from bot.slack.api import SlackApi
from bot.slack.errors import Outcome, SlackRefusedError
from bot.slack.views.blocks import Block
from bot.slack.views.home import AdminFacts, HomeFacts, ReviewFacts, home_view
from feedback.domain.correction import Correction
from feedback.domain.person import Role
from feedback.domain.reviewing import agreement
from feedback.domain.trial import stage_words
from feedback.errors import UnderstudyError
from feedback.store.unit_of_work import Store, Transaction

_SHOWN = 5


class HomePages:
    """Publishes App Homes by role."""

    def __init__(self, store: Store, api: SlackApi, *, label_gate: int) -> None:
        self._store = store
        self._api = api
        self._label_gate = label_gate

    async def publish(self, team: str, user: str, *, seen: str | None = None) -> None:
        """Publishes somebody's App Home as it is now.

        Args:
            team: Their workspace.
            user: Whose.
            seen: Hash of the view that they look at. When another one was published since, what
                it shows may be newer: everything is read again.
        """
        try:
            await self._api.publish_home(user, await self._view(team, user), seen=seen)
        except SlackRefusedError as exc:
            if exc.outcome is not Outcome.READ_AGAIN:
                raise
            await self._api.publish_home(user, await self._view(team, user))

    async def _view(self, team: str, user: str) -> Block:
        async with self._store.begin() as tx:
            person = await tx.people.get(team, user)
            questions = await tx.conversations.of_person(team, user, limit=_SHOWN)
            handoffs = await tx.handoffs.of_interactions([item.id for item in questions])
            reviewer, admin = (person.role.includes(r) for r in (Role.REVIEWER, Role.ADMIN))
            review = await self._review(tx, team, user, admin=admin) if reviewer else None
            rights = await _admin(tx, team) if admin else None
        if review is not None:
            review = await self._linked(review)
        return home_view(
            HomeFacts(
                role=person.role,
                questions=questions,
                handoffs=handoffs,
                review=review,
                admin=rights,
            )
        )

    async def _review(self, tx: Transaction, team: str, user: str, *, admin: bool) -> ReviewFacts:
        return ReviewFacts(
            queue=await tx.reviewing.queue_of(team, user, admin=admin, limit=_SHOWN),
            waiting=await tx.corrections.queue_length(team),
            imported=await tx.reviewing.imported(),
            own=agreement(await tx.reviewing.pairs(team, user)),
            team=agreement(await tx.reviewing.pairs(team)),
            labels=await tx.corrections.approved_count(team),
            label_gate=self._label_gate,
            cycle=await _cycle_sentence(tx),
            experiment=await _experiment_sentence(tx),
            frozen=await tx.switches.get("frozen") == "on",
        )

    async def _linked(self, facts: ReviewFacts) -> ReviewFacts:
        """Returns the facts with links to the cards, as far as Slack gives them."""
        links = await asyncio.gather(*(self._link(item) for item in facts.queue))
        found = {item.id: link for item, link in zip(facts.queue, links, strict=True) if link}
        return replace(facts, links=found)

    async def _link(self, item: Correction) -> str | None:
        if item.card_channel is None or item.card_ts is None:
            return None
        try:
            return await self._api.permalink(item.card_channel, item.card_ts)
        except UnderstudyError:
            return None  # the page shows without it


async def _admin(tx: Transaction, team: str) -> AdminFacts:
    return AdminFacts(people=await tx.people.privileged(team), channels=await tx.channels.all(team))


async def _cycle_sentence(tx: Transaction) -> str:
    cycles = await tx.cycles.latest(1)
    if not cycles:
        return ReviewFacts.cycle
    cycle = cycles[0]
    began = f"began {cycle.started_at:%Y-%m-%d}"
    if cycle.outcome is None:
        return f"{cycle.state.value}, {began}"
    reason = f": {cycle.reason}" if cycle.reason else ""
    return f"{cycle.outcome.value}{reason} ({began})"


async def _experiment_sentence(tx: Transaction) -> str:
    if current := await tx.experiments.current():
        return "; ".join(
            f"{trial.challenger_id} since {trial.started_at:%Y-%m-%d}, {stage_words(trial)}"
            for trial in current
        )
    last = await tx.experiments.last_ended()
    if last is None:
        return ReviewFacts.experiment
    return f"the last one ended on {last.ended_at:%Y-%m-%d}: {last.decision or 'no decision'}"
