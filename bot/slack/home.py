"""Gathers what an App Home shows and publishes it."""

from bot.slack.api import SlackApi
from bot.slack.views.home import HomeFacts, home_view
from feedback.domain.correction import Correction
from feedback.domain.interaction import Interaction
from feedback.domain.person import Role
from feedback.store.unit_of_work import Store, Transaction

_SHOWN = 5


class HomePages:
    """Publishes App Homes by role."""

    def __init__(self, store: Store, api: SlackApi, *, label_gate: int) -> None:
        self._store = store
        self._api = api
        self._label_gate = label_gate

    async def publish(self, team: str, user: str) -> None:
        """Publishes somebody's App Home as it is now."""
        async with self._store.begin() as tx:
            facts = await self._facts(tx, team, user)
        await self._api.publish_home(user, home_view(facts))

    async def _facts(self, tx: Transaction, team: str, user: str) -> HomeFacts:
        person = await tx.people.get(team, user)
        questions = await tx.conversations.of_person(team, user, limit=_SHOWN)
        if not person.role.includes(Role.REVIEWER):
            return HomeFacts(role=person.role, questions=questions)
        return await self._reviewer_facts(tx, team, person.role, questions)

    async def _reviewer_facts(
        self, tx: Transaction, team: str, role: Role, questions: list[Interaction]
    ) -> HomeFacts:
        queue: list[Correction] = await tx.corrections.queue(team, limit=_SHOWN)
        return HomeFacts(
            role=role,
            questions=questions,
            queue=queue,
            queue_length=await tx.corrections.queue_length(team),
            labels=await tx.corrections.approved_count(team),
            label_gate=self._label_gate,
            cycle=await _cycle_sentence(tx),
            experiment=await _experiment_sentence(tx),
            frozen=await tx.switches.get("frozen") == "on",
        )


async def _cycle_sentence(tx: Transaction) -> str:
    cycles = await tx.cycles.latest(1)
    if not cycles:
        return HomeFacts.cycle
    cycle = cycles[0]
    began = f"began {cycle.started_at:%Y-%m-%d}"
    if cycle.outcome is None:
        return f"{cycle.state.value}, {began}"
    reason = f": {cycle.reason}" if cycle.reason else ""
    return f"{cycle.outcome.value}{reason} ({began})"


async def _experiment_sentence(tx: Transaction) -> str:
    trials = await tx.experiments.latest(1)
    if not trials:
        return HomeFacts.experiment
    trial = trials[0]
    if trial.ended_at is not None:
        return f"the last one ended on {trial.ended_at:%Y-%m-%d}: {trial.decision or 'no decision'}"
    return (
        f"running since {trial.started_at:%Y-%m-%d}, stage {trial.stage.lower()}, "
        f"{trial.share:.0%} of new threads"
    )
