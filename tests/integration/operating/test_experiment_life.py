"""An experiment on the record: every way through its table, and what stops it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.clock import FixedClock
from feedback.domain.cycle import Cycle, CycleOutcome
from feedback.domain.learning import AdapterState
from feedback.domain.operating import FROZEN, Act
from feedback.domain.trial import Verdict
from feedback.errors import ConflictError
from feedback.operations import roll_back, set_brake, standing
from feedback.promoting import decide_promotion, promote
from feedback.store.leadership import Leadership
from feedback.store.unit_of_work import Store
from tests.integration.operating.crowd import (
    Theatre,
    alike,
    better,
    keep_file,
    open_cycle,
    worse,
)
from tests.integration.operating.stage import NOW, OPERATORS
from tests.integration.operating.test_traffic import notices

ADMIN = Act(by="U0ADMIN", reason="clear enough", at=NOW, channel=OPERATORS)


@pytest.fixture
def theatre(store: Store) -> Theatre:
    return Theatre(store=store, clock=FixedClock(NOW))


async def states(store: Store, name: str = "new") -> list[str]:
    """Where the experiment has been, by its audit trail, which must be whole."""
    async with store.begin() as tx:
        entries = await tx.audit.entries(subject=f"experiment:e-c-{name}")
        await tx.audit.verify()
    return [e.to_state for e in entries[::-1] if e.to_state != e.from_state]


async def champion(store: Store) -> tuple[str | None, str | None]:
    async with store.begin() as tx:
        found, _ = await tx.adapters.champion()
        return (found.id if found else None), await tx.switches.get(FROZEN)


async def proven(theatre: Theatre, *, name: str = "new", by: str = "schedule") -> None:
    """Takes an experiment to the moment at which the next look proves it."""
    cycle = await open_cycle(theatre.store, name, by=by, at=theatre.clock.now())
    await theatre.meet(await theatre.to_stage(cycle), better)


async def held_back(theatre: Theatre, name: str = "new") -> None:
    """Takes an experiment to its holdback."""
    await proven(theatre, name=name)
    cycle = await cycle_of(theatre, name)
    assert (await theatre.look(cycle)).outcome is None
    assert (await theatre.promote(cycle)).outcome is CycleOutcome.PROMOTED


async def cycle_of(theatre: Theatre, name: str = "new") -> Cycle:
    async with theatre.store.begin() as tx:
        found = await tx.cycles.get(f"c-{name}")
    assert found is not None
    return found


async def test_the_whole_way_to_champion(theatre: Theatre) -> None:
    await held_back(theatre)
    trial = await theatre.trial()
    assert (trial.stage, trial.share, trial.joined_from) == ("HOLDBACK", 0.8, theatre.clock.now())
    await theatre.meet(trial, alike, 30)
    assert (await theatre.watch()) is not None
    theatre.wait(days=2)
    await theatre.watch()
    assert await states(theatre.store) == [
        "QUEUED", "OFFLINE_OK", "LOADED", "CANARY", "RAMP", "TEST", "PROMOTING", "HOLDBACK",
        "CHAMPION",
    ]  # fmt: skip
    assert await champion(theatre.store) == ("new", None)
    assert await theatre.watch() is None
    assert "for good" in (await notices(theatre.store))[-1]


async def test_a_promoted_champion_that_turns_out_worse_is_taken_back(theatre: Theatre) -> None:
    await held_back(theatre)
    await theatre.meet(await theatre.trial(), worse, 160)
    await theatre.watch()
    assert (await states(theatre.store))[-1] == "ROLLED_BACK"
    assert await champion(theatre.store) == (None, None)
    assert (
        "*Taken back*: the base model is the champion again" in (await notices(theatre.store))[-1]
    )
    async with theatre.store.begin() as tx:
        adapter = await tx.adapters.get("new")
        assert adapter is not None
        assert adapter.state is AdapterState.BLOCKED
        # Another one from the same dataset is not tried again.
        twin = replace(adapter, id="twin", sha256="other")
        assert await tx.adapters.blocked_by(twin) == "new"
        assert await tx.adapters.blocked_by(replace(twin, dataset_id="fresh")) is None


async def test_two_promotions_taken_back_within_a_month_freeze_everything(theatre: Theatre) -> None:
    for name in ("new", "newer"):
        await held_back(theatre, name)
        assert (await champion(theatre.store))[1] is None
        await theatre.meet(await theatre.trial(name), worse, 160)
        await theatre.watch()
    assert await champion(theatre.store) == (None, "on")


async def test_freezing_while_it_is_watched_takes_it_back(theatre: Theatre) -> None:
    await held_back(theatre)
    async with theatre.store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
    await theatre.watch()
    assert (await states(theatre.store))[-1] == "ROLLED_BACK"
    assert (await champion(theatre.store))[0] is None


async def test_a_rollback_by_hand_ends_the_watch(theatre: Theatre) -> None:
    await held_back(theatre)
    async with theatre.store.begin() as tx:
        assert await roll_back(tx, ADMIN) is None
    await theatre.watch()
    assert (await states(theatre.store))[-1] == "ROLLED_BACK"


async def test_the_next_experiment_waits_until_the_stage_is_free(theatre: Theatre) -> None:
    await held_back(theatre)
    second = await open_cycle(theatre.store, "second", at=theatre.clock.now())
    waiting = await theatre.look(second)
    assert waiting.wait
    assert "e-c-new has the stage (holdback)" in waiting.reason
    theatre.wait(days=2)
    await theatre.watch()
    await theatre.look(second)
    trial = await theatre.trial("second")
    assert (trial.state, trial.champion_id) == ("CANARY", "new")


async def test_without_offline_gates_nobody_meets_it(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store, passed=False)
    result = await theatre.look(cycle)
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "CANCELLED")
    assert "passed every gate" in result.reason
    assert await states(theatre.store) == ["QUEUED", "CANCELLED"]


async def test_an_adapter_that_is_not_served_is_given_up_after_three_looks(
    theatre: Theatre,
) -> None:
    cycle = await open_cycle(theatre.store)
    async with theatre.store.begin() as tx:
        active = await tx.deployments.active()
        assert active is not None
        await tx.deployments.checked(active.id, {"adapters": {}})
    assert [(await theatre.look(cycle)).wait for _ in range(3)] == [True, True, False]
    assert await states(theatre.store) == ["QUEUED", "OFFLINE_OK", "INVALID"]


async def test_an_adapter_file_changed_in_mid_test_makes_it_invalid(
    theatre: Theatre, tmp_path: Path
) -> None:
    cycle = await open_cycle(theatre.store)
    file = await keep_file(theatre.store, "new", tmp_path, b"the weights that were evaluated")
    trial = await theatre.to_stage(cycle)
    await theatre.meet(trial, better, 20)
    await asyncio.to_thread(file.write_bytes, b"others that nobody evaluated")
    result = await theatre.look(cycle)
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "INVALID")
    assert "file changed" in result.reason
    assert (await champion(theatre.store))[0] is None


async def test_lost_threads_of_one_arm_freeze_everything(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.meet(await theatre.to_stage(cycle), alike, 300, lost=0.6)
    result = await theatre.look(cycle)
    assert result.gate == "FREEZE_SRM"
    assert (await states(theatre.store))[-1] == "INVALID"
    assert (await champion(theatre.store))[1] == "on"


async def test_a_breach_ends_it_at_the_look_that_sees_it(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.meet(await theatre.to_stage(cycle), alike, 100, bad=0.7)
    result = await theatre.look(cycle)
    assert result.gate == "REJECTED_GUARD:tone"
    assert (await states(theatre.store))[-1] == "REJECTED_GUARD"


async def test_zero_traffic_holds_says_so_and_ends_without_a_promotion(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.to_stage(cycle)
    theatre.wait(days=2)
    waiting = await theatre.look(cycle)
    assert waiting.wait
    row = (await theatre.trial()).evidence or {}
    assert "no new thread for" in row["waiting_for"][-1]["reason"]
    await theatre.look(cycle)
    assert sum(":zzz: new: no new thread" in told for told in await notices(theatre.store)) == 1
    theatre.wait(days=60)
    ended = await theatre.look(cycle)
    assert (ended.outcome, ended.gate) == (CycleOutcome.ENDED, "INCONCLUSIVE")
    assert (await champion(theatre.store))[0] is None


async def test_frozen_it_moves_neither_up_the_ramp_nor_to_the_champion(theatre: Theatre) -> None:
    await proven(theatre)
    cycle = await cycle_of(theatre)
    async with theatre.store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
    assert "frozen" in (await theatre.look(cycle)).reason
    async with theatre.store.begin() as tx:
        await set_brake(tx, on=False, act=ADMIN)
    assert (await theatre.look(cycle)).outcome is None
    async with theatre.store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
    stopped = await theatre.promote(cycle)
    assert stopped.wait
    assert (await champion(theatre.store))[0] is None


async def test_harm_that_shows_while_frozen_is_not_overlooked(theatre: Theatre) -> None:
    await proven(theatre)
    cycle = await cycle_of(theatre)
    async with theatre.store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
    assert (await theatre.look(cycle)).wait
    await theatre.meet(await theatre.trial(), worse, 400)
    assert (await theatre.look(cycle)).gate == "REJECTED_HARM"


async def test_other_evidence_from_the_same_log_freezes_everything(theatre: Theatre) -> None:
    cycle = await open_cycle(theatre.store)
    await theatre.meet(await theatre.to_stage(cycle), alike, 40)
    await theatre.look(cycle)
    assert (await champion(theatre.store))[1] is None
    async with theatre.store.begin() as tx:
        await tx.connection.exec_driver_sql(
            "update experiments set evidence = jsonb_set(evidence, '{evidence,log,primary}', '2.5')"
        )
    theatre.wait(minutes=1)
    await theatre.look(cycle)
    assert (await champion(theatre.store))[1] == "on"


async def test_an_older_leader_cannot_write(theatre: Theatre) -> None:
    old, new = Leadership(theatre.store.engine), Leadership(theatre.store.engine)
    cycle = await open_cycle(theatre.store)
    assert await old.hold()
    await old.release()
    assert await new.hold()
    theatre.term = old.term
    with pytest.raises(ConflictError, match="another scheduler leads"):
        await theatre.look(cycle)
    theatre.term = new.term
    await theatre.look(cycle)
    await new.release()
    assert (await theatre.trial()).state == "CANARY"


async def say(
    theatre: Theatre, verdict: Verdict, by: str = "U0ADMIN", version: int | None = None
) -> str:
    trial = await theatre.trial()
    act = replace(ADMIN, by=by, at=theatre.clock.now())
    async with theatre.store.begin() as tx:
        ruled = await decide_promotion(tx, act, trial.id, version or trial.version, verdict)
    assert ruled.effective != ruled.told.startswith("Nothing was changed")
    return ruled.told


@pytest.fixture
async def ready(theatre: Theatre) -> Theatre:
    """A proven challenger that waits for a person; U0MAKER asked for the experiment."""
    theatre.approval = True
    await proven(theatre, by="U0MAKER")
    assert (await theatre.look(await cycle_of(theatre))).wait
    assert (await theatre.trial()).state == "READY"
    return theatre


async def test_an_approval_promotes_once(ready: Theatre) -> None:
    assert "you asked for this" in await say(ready, Verdict.GRANTED, by="U0MAKER")
    older = (await ready.trial()).version - 1
    assert "nobody asks" in await say(ready, Verdict.GRANTED, version=older)
    assert (await say(ready, Verdict.GRANTED)).startswith("Approved: new")
    assert "already" in await say(ready, Verdict.GRANTED, by="U0OTHER")
    assert "already" in await say(ready, Verdict.DENIED, by="U0OTHER")
    cycle = await cycle_of(ready)
    result = await ready.look(cycle)
    assert result.outcome is None
    assert "approved by U0ADMIN: clear enough" in result.reason
    assert "already" in await say(ready, Verdict.GRANTED, version=older + 1)
    await ready.promote(cycle)
    assert (await champion(ready.store))[0] == "new"
    async with ready.store.begin() as tx:
        entries = await tx.audit.entries(subject="experiment:e-c-new", limit=50)
        assert await tx.audit.verify() > 10
    without = [e for e in entries if "without effect" in e.reason]
    assert len(without) >= 4, "whoever is refused leaves a trace"


async def test_the_word_promote_approves_what_waits(ready: Theatre) -> None:
    async with ready.store.begin() as tx:
        said = await promote(tx, replace(ADMIN, at=ready.clock.now()), seen=await standing(tx))
    assert said.startswith("Approved: new")
    assert "approved by U0ADMIN" in (await ready.look(await cycle_of(ready))).reason


async def test_looks_do_not_make_a_card_stale(ready: Theatre) -> None:
    version = (await ready.trial()).version
    await ready.meet(await ready.trial(), better, 10)
    assert (await ready.look(await cycle_of(ready))).wait
    after = await ready.trial()
    assert (after.version, after.decision) == (version, "PROMOTE")


async def test_an_expired_approval_has_no_effect_and_the_test_goes_on(ready: Theatre) -> None:
    ready.wait(hours=73)
    assert "it expired" in await say(ready, Verdict.GRANTED)
    cycle = await cycle_of(ready)
    await ready.look(cycle)
    assert (await states(ready.store))[-2:] == ["READY", "TEST"]
    await ready.meet(await ready.trial(), better, 60)
    await ready.look(cycle)
    assert (await states(ready.store))[-1] == "READY", "it is proven anew"
    assert len(await approvals(ready.store)) == 2, "one card for each time"
    assert "nobody approved the promotion in time" in str(await notices(ready.store))


async def approvals(store: Store) -> list[int]:
    async with store.begin() as tx:
        rows = await tx.connection.exec_driver_sql("select version from approvals order by 1")
        return [row[0] for row in rows]


async def test_a_denial_ends_it(ready: Theatre) -> None:
    assert (await say(ready, Verdict.DENIED)).startswith("Noted")
    result = await ready.look(await cycle_of(ready))
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "CANCELLED")
    assert "U0ADMIN denied" in result.reason


async def test_harm_while_it_waits_ends_it(ready: Theatre) -> None:
    await ready.meet(await ready.trial(), worse, 400)
    asked = (await ready.trial()).version
    result = await ready.look(await cycle_of(ready))
    assert result.gate == "REJECTED_HARM"
    assert "moved on" in await say(ready, Verdict.GRANTED, version=asked)
    assert (await champion(ready.store))[0] is None


async def test_a_rollback_while_a_promotion_waits_keeps_the_champion(ready: Theatre) -> None:
    async with ready.store.begin() as tx:
        assert await roll_back(tx, ADMIN) is None
    result = await ready.look(await cycle_of(ready))
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "CANCELLED")
    assert "*Promotion withdrawn*" in str(await notices(ready.store))


async def test_a_rollback_between_decision_and_swap_keeps_the_champion(theatre: Theatre) -> None:
    await proven(theatre)
    cycle = await cycle_of(theatre)
    await theatre.look(cycle)
    assert (await theatre.trial()).state == "PROMOTING"
    async with theatre.store.begin() as tx:
        await roll_back(tx, ADMIN)
    result = await theatre.promote(cycle)
    assert (result.outcome, result.gate) == (CycleOutcome.ENDED, "CANCELLED")
    assert "withdrew the promotion" in result.reason
    assert (await champion(theatre.store))[0] is None
