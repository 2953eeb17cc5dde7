"""A promotion's card and a blind pair, clicked by real people in the real sandbox."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.experimenting import Comparison, ExperimentDesk, Side
from bot.operating import OperatorDesk
from bot.sandbox.gestures import SandboxMessage
from feedback.clock import SystemClock
from feedback.domain.person import Role
from feedback.domain.trial import APPROVAL_CARD, PAIR_CARD, Approval, ShadowAnswer, Trial, Verdict
from feedback.errors import ConflictError
from feedback.settings import load_settings
from feedback.why import WhyPolicy
from tests.integration.bot.conftest import GRACE, HENRIK, INES, REVIEW, Workplace
from tests.integration.operating.stage import add_adapter
from tests.waiting import until

NOW = datetime.now(UTC)
WHY = WhyPolicy.of(load_settings({}))
OTHER = "Choose Export in Settings. Then choose CSV."


async def stored(place: Workplace, *, author: str = "schedule") -> Trial:
    """An experiment whose promotion waits for a person."""
    trial = Trial(
        id="e-1", cycle_id="c-1", challenger_id="new", champion_id=None, salt="s", policy={},
        slow_ms=None, state="READY", stage="TEST", share=0.5, version=7, author=author,
        evidence={"reason": "better, and every gate is open"}, started_at=NOW,
    )  # fmt: skip
    async with place.store.begin() as tx:
        await add_adapter(tx, "new")
        await tx.experiments.add(trial)
        await tx.approvals.ask(
            Approval(
                experiment_id="e-1", version=7, asked_at=NOW, expires_at=NOW + timedelta(hours=72)
            )
        )
        await tx.outbox.add(
            "approval:e-1:7",
            APPROVAL_CARD,
            {"experiment_id": "e-1", "version": 7, "channel": REVIEW},
        )
    return trial


async def approval(place: Workplace) -> Approval:
    async with place.store.begin() as tx:
        found = await tx.approvals.get("e-1", 7)
    assert found is not None
    return found


async def card(place: Workplace, words: str) -> SandboxMessage:
    return await place.people.wait_for_message(channel=REVIEW, where=lambda m: words in m.text)


async def test_an_admin_approves_and_nobody_else_does(workplace: Workplace) -> None:
    await stored(workplace)
    people = workplace.people
    waiting = await card(workplace, "is proven")
    assert "version 7" in str(waiting.blocks)
    await people.click(user=INES, message=waiting, action_id="promotion_grant")
    told = await people.wait_for_ephemeral(user=INES, channel=REVIEW, thread_ts=waiting.ts)
    assert "role does not permit" in told.text
    assert (await approval(workplace)).verdict is None

    async with workplace.store.begin() as tx:
        await tx.people.set_role(workplace.team, GRACE, Role.ADMIN, at=NOW)
    await people.click(user=GRACE, message=waiting, action_id="promotion_grant")
    decided = await card(workplace, "approved by")
    assert f"<@{GRACE}>" in decided.text
    assert "promotion_grant" not in str(decided.blocks)
    found = await approval(workplace)
    assert (found.verdict, found.decided_by) == (Verdict.GRANTED, GRACE)


async def compared(place: Workplace) -> ShadowAnswer:
    """A real answer, and what the challenger would have said, in a card for reviewers."""
    answer = await place.interaction(await place.ask())
    await stored(place)
    shadow = ShadowAnswer(
        id="pair-1", experiment_id="e-1", interaction_id=answer.id, answer=OTHER, grounded=True,
        on_brand=1.0, error=None, latency_ms=5.0, first="challenger", answered_at=NOW,
    )  # fmt: skip
    async with place.store.begin() as tx:
        assert await tx.shadows.add(shadow)
        await tx.outbox.add("pair:pair-1:1", PAIR_CARD, {"pair_id": "pair-1", "team": place.team})
    return shadow


async def vote(place: Workplace) -> tuple[str | None, str | None]:
    async with place.store.begin() as tx:
        found = await tx.shadows.pair("pair-1")
    assert found is not None
    return found[0].winner, found[0].voted_by


@pytest.mark.parametrize(
    ("action", "winner"),
    [("pair_first", "challenger"), ("pair_second", "champion"), ("pair_neither", "tie")],
)
async def test_a_reviewer_compares_blind_and_once(
    workplace: Workplace, action: str, winner: str
) -> None:
    await compared(workplace)
    people = workplace.people
    pair = await card(workplace, "Which answer is better?")
    shown = str(pair.blocks)
    assert shown.index(OTHER) < shown.index("Open Settings, then Export")
    assert not [word for word in ("champion", "challenger", "e-1", "new") if word in shown]
    async with workplace.store.begin() as tx:
        await tx.people.set_role(workplace.team, INES, Role.AGENT, at=NOW)
    await people.click(user=INES, message=pair, action_id=action)
    await people.wait_for_ephemeral(user=INES, channel=REVIEW, thread_ts=pair.ts)
    assert await vote(workplace) == (None, None), "agents do not vote"

    await people.click(user=GRACE, message=pair, action_id=action)

    async def thanked() -> bool:
        messages = await people.messages(channel=REVIEW)
        return any("Thank you" in str(m.blocks) and m.ts == pair.ts for m in messages)

    await until(thanked)
    assert await vote(workplace) == (winner, GRACE)
    desk = ExperimentDesk(
        workplace.store, SystemClock(), OperatorDesk(workplace.store, SystemClock(), WHY)
    )
    late = Comparison(team=workplace.team, user=HENRIK, pair_id="pair-1", side=Side.SECOND)
    with pytest.raises(ConflictError):
        await desk.compare(late)
    assert await vote(workplace) == (winner, GRACE)
