"""`/understudy` on a real database: roles, confirmations, and exactly one effect."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.operating import CONFIRM_WITHIN, OperatorDesk, TakenOverError
from bot.orders import Answer, Help, Order, Reply, Said, Status, Verb
from bot.slack.views.operating import render
from feedback.clock import FixedClock
from feedback.domain.delivery import Delivery
from feedback.domain.operating import Act, Confirmation
from feedback.domain.person import Person, Role
from feedback.domain.trial import UNDECIDED
from feedback.domain.why import Thresholds, WhyReport
from feedback.errors import InvalidInputError, NotAllowedError
from feedback.operations import set_brake, standing
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy
from tests.integration.operating.crowd import GAIN
from tests.integration.operating.stage import NOW, OPERATORS, add_adapter, set_stage
from tests.integration.operating.test_traffic import notices

TEAM, ADMIN, REVIEWER, AGENT = "T0TEAM", "U0ADMIN", "U0REVIEW", "U0AGENT"
POLICY = WhyPolicy(
    thresholds=Thresholds(label_gate=100, min_fine_tune_failures=10), consent="reviewer_authored"
)


class Desk:
    """A desk with people around it."""

    def __init__(self, store: Store, *, home_team: str = "") -> None:
        self.store = store
        self.clock = FixedClock(NOW)
        self.desk = OperatorDesk(store, self.clock, POLICY, channel=OPERATORS, home_team=home_team)
        self.number = 0

    async def say(
        self, user: str, verb: Verb, reason: str = "because", target: str | None = None
    ) -> Reply:
        self.number += 1
        return await self.desk.run(
            Order(
                team=TEAM,
                user=user,
                verb=verb,
                event_id=f"order-{self.number}",
                reason=reason,
                target=target,
            )
        )

    async def ask(
        self, verb: Verb, *, user: str = ADMIN, reason: str = "because", target: str | None = None
    ) -> Confirmation:
        asked = await self.say(user, verb, reason, target)
        assert isinstance(asked, Confirmation)
        return asked

    async def click(self, asked: Confirmation, *, user: str = ADMIN, yes: bool = True) -> str:
        self.number += 1
        said = await self.desk.answer(
            Answer(
                team=TEAM,
                user=user,
                confirmation_id=asked.id,
                yes=yes,
                event_id=f"click-{self.number}",
            )
        )
        return said.text


@pytest.fixture
async def desk(store: Store) -> Desk:
    async with store.begin() as tx:
        people = [
            Person(team=TEAM, user_id=user, role=role)
            for user, role in ((ADMIN, Role.ADMIN), (REVIEWER, Role.REVIEWER), (AGENT, Role.AGENT))
        ]
        await tx.people.sync(people, at=NOW)
    return Desk(store)


@pytest.mark.parametrize(
    ("user", "verb", "allowed"),
    [
        (AGENT, Verb.HELP, True),
        (AGENT, Verb.STATUS, False),
        (AGENT, Verb.WHY, False),
        (AGENT, Verb.FREEZE, False),
        (AGENT, Verb.FORGET, True),
        (REVIEWER, Verb.STATUS, True),
        (REVIEWER, Verb.WHY, True),
        (REVIEWER, Verb.FREEZE, False),
        (REVIEWER, Verb.PAUSE, False),
        (REVIEWER, Verb.RESUME, False),
        (REVIEWER, Verb.UNFREEZE, False),
        (REVIEWER, Verb.PROMOTE, False),
        (REVIEWER, Verb.ROLLBACK, False),
        (ADMIN, Verb.FREEZE, True),
        ("U0NOBODY", Verb.FREEZE, False),
    ],
)
async def test_roles(desk: Desk, user: str, verb: Verb, allowed: bool) -> None:
    if allowed:
        await desk.say(user, verb)
        return
    with pytest.raises(NotAllowedError):
        await desk.say(user, verb)
    async with desk.store.begin() as tx:
        assert await tx.audit.entries() == []


async def test_only_admins_have_others_forgotten(desk: Desk) -> None:
    with pytest.raises(NotAllowedError):
        await desk.ask(Verb.FORGET, user=REVIEWER, target=AGENT)
    asked = await desk.ask(Verb.FORGET, user=REVIEWER, target=REVIEWER)
    assert asked.shown == {"user": REVIEWER}
    asked = await desk.ask(Verb.FORGET, target=AGENT)
    assert "nothing left to erase" in await desk.click(asked)


async def test_steering_may_be_kept_to_one_workspace(store: Store, desk: Desk) -> None:
    guest = Desk(store, home_team="T0HOME")
    with pytest.raises(NotAllowedError):
        await guest.say(ADMIN, Verb.FREEZE)
    assert isinstance(await guest.say(ADMIN, Verb.STATUS), Status)


async def test_nobody_steers_many_workspaces_without_a_home(store: Store, desk: Desk) -> None:
    many = OperatorDesk(store, desk.clock, POLICY, many_workspaces=True)
    order = Order(team=TEAM, user=ADMIN, verb=Verb.FREEZE, event_id="e")
    with pytest.raises(InvalidInputError, match="OPERATORS_TEAM"):
        await many.run(order)
    assert isinstance(await many.run(replace(order, verb=Verb.STATUS)), Status)


async def test_freeze_and_unfreeze(desk: Desk) -> None:
    first, again = await desk.say(ADMIN, Verb.FREEZE), await desk.say(ADMIN, Verb.FREEZE, "")
    assert isinstance(first, Said)
    assert isinstance(again, Said)
    assert "Frozen" in first.text
    assert "already" in again.text
    await desk.say(ADMIN, Verb.UNFREEZE)
    async with desk.store.begin() as tx:
        entries = await tx.audit.entries(subject="switch:frozen")
        assert not (await tx.routing.route()).frozen
    assert [(e.to_state, e.actor, e.reason) for e in entries] == [
        ("off", ADMIN, "because"),
        ("on", ADMIN, "because"),
    ]
    assert len(await notices(desk.store)) == 2


async def test_pause_and_resume(desk: Desk) -> None:
    with pytest.raises(InvalidInputError, match="nothing to pause"):
        await desk.say(ADMIN, Verb.PAUSE)
    await set_stage(desk.store)
    said = [await desk.say(ADMIN, verb) for verb in (Verb.PAUSE, Verb.PAUSE, Verb.RESUME)]
    assert [reply.text.split(":")[0] for reply in said if isinstance(reply, Said)] == [
        "Paused", "e-c1 is paused already.", "Resumed",
    ]  # fmt: skip
    status = await desk.say(REVIEWER, Verb.STATUS)
    assert isinstance(status, Status)
    assert [trial.paused_at for trial in status.trials] == [None]
    async with desk.store.begin() as tx:
        entries = await tx.audit.entries(subject="experiment:e-c1")
    assert [(e.actor, e.reason) for e in entries] == [
        (ADMIN, "resumed: because"), (ADMIN, "paused: because"),
    ]  # fmt: skip


async def test_help_status_and_why(desk: Desk) -> None:
    await set_stage(desk.store)
    helped = await desk.say(AGENT, Verb.HELP)
    assert helped == Help(role=Role.AGENT)
    status = await desk.say(REVIEWER, Verb.STATUS)
    assert isinstance(status, Status)
    assert [trial.challenger_id for trial in status.trials] == ["new"]
    assert (status.standing.challenger_id, status.label_gate) == ("new", 100)
    report = await desk.say(REVIEWER, Verb.WHY)
    assert isinstance(report, WhyReport)
    assert {gate.gate for gate in report.training.closed} == {"labels", "patterns", "running cycle"}


async def test_a_promotion_is_asked_for_once(desk: Desk) -> None:
    await set_stage(desk.store)
    asked = await desk.ask(Verb.PROMOTE)
    assert "Asked for: new" in await desk.click(asked)
    assert "decided already: Asked for" in await desk.click(asked)
    async with desk.store.begin() as tx:
        waiting = await tx.promotion_requests.waiting("e-c1")
    assert waiting is not None
    assert (waiting.requested_by, waiting.reason) == (ADMIN, "because")
    second = await desk.ask(Verb.PROMOTE)
    assert "somebody else was faster" in await desk.click(second)


async def end_undecided(desk: Desk, *, lowest_lift: float) -> None:
    await set_stage(desk.store)
    lift = {"lift": {"low_one_sided": lowest_lift}}
    async with desk.store.begin() as tx:
        trial = await tx.experiments.get("e-c1")
        assert trial is not None
        over = replace(
            trial, state=UNDECIDED, decision=UNDECIDED, ended_at=NOW, evidence={"evidence": lift}
        )
        await tx.experiments.advance(trial, over, NOW)
        gates = {"passed": True, "headline": "all gates passed", "results": [GAIN]}
        await tx.training.add_evaluation("r-new", "candidate", {}, at=NOW, gates=gates)


async def test_an_undecided_experiment_is_gone_over_by_a_word_and_a_click(desk: Desk) -> None:
    await end_undecided(desk, lowest_lift=0.01)
    asked = await desk.ask(Verb.PROMOTE)
    assert "Asked for: new" in await desk.click(asked)
    async with desk.store.begin() as tx:
        request = await tx.promotion_requests.latest()
    assert request is not None
    assert (request.requested_by, request.reason) == (ADMIN, "because")


async def test_a_word_is_not_enough_where_a_loss_is_not_ruled_out(desk: Desk) -> None:
    await end_undecided(desk, lowest_lift=-0.12)
    with pytest.raises(InvalidInputError, match=r"as low as -0\.120 and must surely be above"):
        await desk.say(ADMIN, Verb.PROMOTE)


async def test_a_rollback_is_done_once(desk: Desk) -> None:
    async with desk.store.begin() as tx:
        for number, name in enumerate(("one", "two", "three")):
            await add_adapter(tx, name)
            await tx.adapters.promote(name, version=number, at=NOW)
    asked = await desk.ask(Verb.ROLLBACK)
    assert "two is the champion again" in await desk.click(asked)
    assert "decided already" in await desk.click(asked)
    async with desk.store.begin() as tx:
        assert (await standing(tx)).champion_id == "two"


async def test_a_confirmation_expires(desk: Desk) -> None:
    await set_stage(desk.store)
    asked = await desk.ask(Verb.PROMOTE)
    desk.clock.advance(CONFIRM_WITHIN)
    assert "good for 5 minutes" in await desk.click(asked)
    await nothing_was_asked(desk)
    again = await desk.ask(Verb.PROMOTE)
    desk.clock.advance(CONFIRM_WITHIN - timedelta(seconds=1))
    assert "Asked for" in await desk.click(again)


async def test_a_stale_confirmation_says_what_changed(desk: Desk) -> None:
    await set_stage(desk.store)
    asked = await desk.ask(Verb.PROMOTE)
    async with desk.store.begin() as tx:
        await add_adapter(tx, "other")
        await tx.adapters.promote("other", version=0, at=NOW)
        await set_brake(tx, on=True, act=Act(by="x", reason="", at=NOW))
    said = await desk.click(asked)
    assert "the champion was the base model and is other now" in said
    assert "traffic was frozen" in said
    await nothing_was_asked(desk)


async def test_a_confirmation_is_its_persons_own(desk: Desk) -> None:
    await set_stage(desk.store)
    asked = await desk.ask(Verb.PROMOTE)
    assert "cannot find" in await desk.click(asked, user=REVIEWER)
    assert "Cancelled" in await desk.click(asked, yes=False)
    assert "decided already" in await desk.click(asked)
    await nothing_was_asked(desk)


async def test_a_lost_role_is_noticed_at_the_confirmation(desk: Desk) -> None:
    await set_stage(desk.store)
    asked = await desk.ask(Verb.PROMOTE)
    async with desk.store.begin() as tx:
        await tx.people.set_role(TEAM, ADMIN, Role.AGENT, at=NOW)
    with pytest.raises(NotAllowedError):
        await desk.click(asked)
    await nothing_was_asked(desk)


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.ROLLBACK])
async def test_a_reason_is_asked_for(desk: Desk, verb: Verb) -> None:
    with pytest.raises(InvalidInputError, match="say why"):
        await desk.say(ADMIN, verb, reason="")


async def test_what_cannot_be_done_is_not_confirmed(desk: Desk) -> None:
    with pytest.raises(InvalidInputError, match="No experiment"):
        await desk.say(ADMIN, Verb.PROMOTE)
    with pytest.raises(InvalidInputError, match="nothing to undo"):
        await desk.say(ADMIN, Verb.ROLLBACK)


async def test_one_of_several_challengers_is_named_before_the_reason(desk: Desk) -> None:
    await set_stage(desk.store)
    async with desk.store.begin() as tx:
        (first,) = await tx.experiments.running()
        await add_adapter(tx, "rival")
        rival = replace(first, id="e-c2", cycle_id="c2", challenger_id="rival", stage="")
        await tx.experiments.add(rival)
    for verb in (Verb.PROMOTE, Verb.PAUSE):
        with pytest.raises(InvalidInputError, match="2 challengers are being tried: new, rival"):
            await desk.say(ADMIN, verb)
    with pytest.raises(InvalidInputError, match="say why"):
        await desk.say(ADMIN, Verb.PROMOTE, reason="rival")
    asked = await desk.ask(Verb.PROMOTE, reason="rival because it is kinder")
    assert (asked.shown["experiment_id"], asked.reason) == ("e-c2", "because it is kinder")
    assert "Asked for: rival" in await desk.click(asked)
    paused = await desk.say(ADMIN, Verb.PAUSE, reason="e-c1 new numbers are due")
    assert isinstance(paused, Said)
    assert "Threads that met new keep it" in paused.text
    async with desk.store.begin() as tx:
        entries = await tx.audit.entries(subject="experiment:e-c1")
        await tx.connection.execute(
            text("update experiments set state = 'FUTILE', ended_at = now() where id = 'e-c1'")
        )
    assert entries[0].reason == "paused: new numbers are due"
    with pytest.raises(InvalidInputError, match="e-c1 is over"):
        await desk.say(ADMIN, Verb.PAUSE, reason="new it is rude")
    with pytest.raises(InvalidInputError, match=r"I know no adapter-nwe\. Being tried: e-c2"):
        await desk.say(ADMIN, Verb.PAUSE, reason="adapter-nwe it is rude")
    async with desk.store.begin() as tx:
        assert (await tx.experiments.require("e-c2")).paused_at is None, "nobody meant this one"


async def test_a_rollback_says_that_it_withdraws_and_notices_when_there_is_nothing_to(
    desk: Desk,
) -> None:
    await set_stage(desk.store)
    async with desk.store.begin() as tx:
        await tx.connection.execute(text("update experiments set state = 'READY'"))
    asked = await desk.ask(Verb.ROLLBACK)
    shown = render(asked)[0]
    assert shown == (
        "Withdraw the promotion that waits (e-c1)? *the base model* stays the champion."
    )
    async with desk.store.begin() as tx:
        await tx.connection.execute(text("update experiments set state = 'TEST'"))
    assert "the promotion that waits was e-c1 and is none now" in await desk.click(asked)


async def test_forgetting_leaves_no_name_in_the_confirmation(desk: Desk) -> None:
    asked = await desk.ask(Verb.FORGET, user=AGENT)
    assert "Done" in await desk.click(asked, user=AGENT)
    async with desk.store.begin() as tx:
        rows = (await tx.connection.execute(text("select * from confirmations"))).mappings().all()
    assert AGENT not in str(rows)
    assert rows[0]["outcome"].startswith("Done")


async def test_a_delivery_that_a_worker_took_is_left_to_it(desk: Desk) -> None:
    async with desk.store.begin() as tx:
        number = await tx.inbox.add(Delivery(event_id="e", type="command", payload={"body": {}}))
        await tx.inbox.claim("worker", lease_s=60)
    order = Order(
        team=TEAM, user=ADMIN, verb=Verb.FREEZE, event_id="e", reason="x", delivery_id=number
    )
    with pytest.raises(TakenOverError):
        await desk.desk.run(order)
    async with desk.store.begin() as tx:
        assert not (await tx.routing.route()).frozen


async def nothing_was_asked(desk: Desk) -> None:
    async with desk.store.begin() as tx:
        assert await tx.promotion_requests.latest() is None


async def test_two_clicks_at_once_have_one_effect(desk: Desk) -> None:
    await set_stage(desk.store)
    asked = await desk.ask(Verb.PROMOTE)
    said = await asyncio.gather(*(desk.click(asked) for _ in range(4)))
    assert sum(text.startswith("Asked for") for text in said) == 1
    assert sum("decided already" in text for text in said) == 3


async def test_two_admins_at_once_roll_back_once(desk: Desk) -> None:
    async with desk.store.begin() as tx:
        await tx.people.sync([Person(team=TEAM, user_id="U0SECOND", role=Role.ADMIN)], at=NOW)
        for number, name in enumerate(("one", "two", "three")):
            await add_adapter(tx, name)
            await tx.adapters.promote(name, version=number, at=NOW)
    mine = await desk.ask(Verb.ROLLBACK)
    theirs = await desk.ask(Verb.ROLLBACK, user="U0SECOND")
    said = await asyncio.gather(desk.click(mine), desk.click(theirs, user="U0SECOND"))
    assert sum(text.startswith("Done") for text in said) == 1
    assert sum(text.startswith("Nothing was changed") for text in said) == 1
    async with desk.store.begin() as tx:
        assert (await standing(tx)).champion_version == 4
        assert len(await tx.audit.entries(subject="champion")) == 1
