"""Before people meet a challenger it answers real questions in the shadow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import feedback.samples
from feedback.clock import FixedClock
from feedback.domain.cycle import CycleOutcome
from feedback.domain.rollout import Route
from feedback.domain.trial import PAIR_CARD
from feedback.errors import GenerationFailedError, UnavailableError
from feedback.ports import Generation, Message
from feedback.prompting import DEFAULT_POLICY
from feedback.samples.company import CLOSING, OPENING
from feedback.store.unit_of_work import Store
from feedback.tone import StyleGuide
from retrain.cycle.shadow import AT_ONCE, ShadowPlan, ShadowReplay
from tests.integration.operating.crowd import Theatre, alike, open_cycle
from tests.integration.operating.stage import NOW

GUIDE = StyleGuide.load(Path(feedback.samples.__file__).parent / "style")
ANOTHER = f"{OPENING} There is another way. {CLOSING}"
QUESTIONS = 60
"""Of which the champion answers about half: only its answers are answered again."""


@dataclass
class Challenger:
    """Answers with a text, or fails."""

    says: str | Callable[[], Exception]
    asked: list[Sequence[Message]] = field(default_factory=list)

    async def __call__(self, _: Route, messages: Sequence[Message], adapter: str) -> Generation:
        assert adapter == "new"
        self.asked.append(messages)
        if not isinstance(self.says, str):
            raise self.says()
        return Generation(
            text=self.says, finish_reason="stop", prompt_tokens=1, completion_tokens=1,
            model="new", endpoint="",
        )  # fmt: skip


async def theatre_with(store: Store, challenger: Challenger, *, votes: bool = False) -> Theatre:
    """A workplace with real questions of the day before, and a challenger in the shadow."""
    theatre = Theatre(store=store, clock=FixedClock(NOW))
    before = await open_cycle(store, "earlier")
    await theatre.meet(await theatre.to_stage(before), alike, QUESTIONS)
    async with store.begin() as tx:
        await tx.connection.exec_driver_sql(
            "update experiments set state = 'FUTILE', ended_at = started_at"
        )
    plan = ShadowPlan(last=20, prompt=DEFAULT_POLICY, votes=votes)
    theatre.shadow = ShadowReplay(store, theatre.clock, challenger, GUIDE, plan)
    return theatre


async def count(store: Store, statement: str) -> int:
    async with store.begin() as tx:
        return int((await tx.connection.exec_driver_sql(statement)).scalar_one())


async def test_the_last_questions_are_answered_once_and_shown_to_reviewers(store: Store) -> None:
    challenger = Challenger(says=ANOTHER)
    theatre = await theatre_with(store, challenger, votes=True)
    cycle = await open_cycle(store, at=theatre.clock.now())
    left = [(await theatre.look(cycle)).reason for _ in range(20 // AT_ONCE - 1)]
    assert left[0] == "16 real questions to answer in the shadow", "a few at each look"
    await theatre.look(cycle)
    assert len(challenger.asked) == 20
    assert challenger.asked[0][-1].content == "How?"
    assert (await theatre.trial()).stage == "CANARY"
    assert await count(store, "select count(distinct interaction_id) from shadow_answers") == 20
    answered = "select count(*) from shadow_answers s join interactions i on i.id = interaction_id"
    assert await count(store, f"{answered} where i.arm = 'challenger'") == 0, "nor others' answers"
    cards = f"select count(*) from outbox where kind = '{PAIR_CARD}'"
    assert await count(store, cards) == 20


async def test_reviewers_never_see_one_question_for_two_challengers(store: Store) -> None:
    theatre = await theatre_with(store, Challenger(says=ANOTHER), votes=True)
    cycle = await open_cycle(store, at=theatre.clock.now())
    await theatre.look(cycle)
    async with store.begin() as tx:
        first = await theatre.trial()
        rival = replace(first, id="e-rival", cycle_id="c-rival")
        mine = await tx.shadows.questions(first, last=20, apart=True)
        apart = await tx.shadows.questions(rival, last=20, apart=True)
        all_of_them = await tx.shadows.questions(rival, last=20)
    assert len(mine) == 20 - AT_ONCE
    assert len(all_of_them) == len(apart) == 20
    answered = {item.id for item in all_of_them} - {item.id for item in apart}
    assert len(answered) == AT_ONCE, "older questions stand in for those"


async def test_what_certainly_does_worse_in_the_shadow_meets_nobody(store: Store) -> None:
    theatre = await theatre_with(store, Challenger(says=lambda: GenerationFailedError("broken")))
    cycle = await open_cycle(store, at=theatre.clock.now())
    result = await theatre.look(cycle)
    for _ in range(20 // AT_ONCE - 1):
        assert result.wait
        result = await theatre.look(cycle)
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "REJECTED_GUARD:error")
    assert (await theatre.trial()).joined_from is None, "nobody ever met it"


async def test_a_server_that_is_away_is_asked_again(store: Store) -> None:
    challenger = Challenger(says=lambda: UnavailableError("restarting"))
    theatre = await theatre_with(store, challenger)
    cycle = await open_cycle(store, at=theatre.clock.now())
    with pytest.raises(UnavailableError):
        await theatre.look(cycle)
    assert await count(store, "select count(*) from shadow_answers") == 0
    challenger.says = ANOTHER
    for _ in range(20 // AT_ONCE):
        await theatre.look(cycle)
    assert (await theatre.trial()).stage == "CANARY"
    assert await count(store, "select count(*) from shadow_answers") == 20
    assert await count(store, f"select count(*) from outbox where kind = '{PAIR_CARD}'") == 0


async def test_blind_votes_reach_the_log(store: Store) -> None:
    theatre = await theatre_with(store, Challenger(says=ANOTHER), votes=True)
    cycle = await open_cycle(store, at=theatre.clock.now())
    for _ in range(20 // AT_ONCE):
        await theatre.look(cycle)
    trial = await theatre.trial()
    async with store.begin() as tx:
        for shadow, _ in (await tx.shadows.of(trial.id))[:3]:
            await tx.shadows.vote(shadow.id, "challenger", by="U1", at=theatre.clock.now())
        rows = await tx.experiments.event_rows(replace(trial))
    voted = [row for row in rows if row["type"] == "pair_vote"]
    assert [row["winner"] for row in voted] == ["challenger"] * 3
