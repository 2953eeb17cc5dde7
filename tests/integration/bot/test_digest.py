"""The weekly digest in the sandbox workspace: posted, decided on, drawn anew."""

from datetime import UTC, datetime

from bot.sandbox.gestures import SandboxMessage
from bot.slack.orders import COMMAND
from feedback.clock import SystemClock
from feedback.digest import DIGEST
from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternKind,
    PatternStatus,
    Verdict,
)
from tests.integration.bot.conftest import AMIRA, GRACE, HENRIK, SUPPORT, Workplace
from tests.waiting import until


async def told(place: Workplace) -> SandboxMessage:
    """Mines one pattern from a real answer and has it told."""
    answer = await place.interaction(await place.ask())
    now = SystemClock().now()
    pattern = Pattern(
        id="pat-1",
        kind=PatternKind.MISSING_KNOWLEDGE,
        label="export, report",
        keywords=("export",),
        size=1,
        users=1,
        verdict=Verdict.DOCUMENT,
        verdict_reasons=("Nothing retrieved answers it.",),
        draft="# export\n- How do I export a report?",
        example_ids=(answer.id,),
        member_ids=(answer.id,),
        score=1.0,
        first_seen=answer.asked_at.timestamp(),
        last_seen=answer.asked_at.timestamp(),
        centroid=(1.0,),
    )
    async with place.store.begin() as tx:
        await tx.patterns.save(
            MiningResult(patterns=(pattern,), unclustered=()),
            previous=(),
            failures=1,
            embedder_id="e",
            policy={},
            at=now,
        )
        at = datetime.fromtimestamp(int(now.timestamp()) + 1, UTC)
        await tx.outbox.add("digest:week:0", DIGEST, {"channel": SUPPORT, "at": at.isoformat()})
    place.bot.notices.wake()
    return await digest(place, "Accept the fix")


async def digest(place: Workplace, words: str) -> SandboxMessage:
    """Waits until the digest says something."""
    found: list[SandboxMessage] = []

    async def says() -> bool:
        messages = await place.people.messages(channel=SUPPORT)
        found[:] = [message for message in messages if words in str(message.blocks)]
        return bool(found)

    await until(says)
    return found[0]


async def status(place: Workplace) -> PatternStatus:
    async with place.store.begin() as tx:
        pattern = await tx.patterns.get("pat-1")
    assert pattern is not None
    return pattern.status


async def test_a_reviewer_decides_and_everybody_sees_it(workplace: Workplace) -> None:
    people = workplace.people
    posted = await told(workplace)
    await people.click(user=AMIRA, message=posted, action_id="pattern_accept")
    refused = await people.wait_for_ephemeral(user=AMIRA, channel=SUPPORT, thread_ts=posted.ts)
    assert "role does not permit" in refused.text
    assert await status(workplace) is PatternStatus.OPEN

    await people.click(user=GRACE, message=posted, action_id="pattern_accept")
    accepted = await digest(workplace, "It is made")
    assert accepted.ts == posted.ts, "drawn anew, not posted again"
    assert await status(workplace) is PatternStatus.ACCEPTED

    await people.click(user=HENRIK, message=accepted, action_id="pattern_resolve")
    await digest(workplace, "What fixes changed")
    async with workplace.store.begin() as tx:
        entries = await tx.audit.entries(subject="pattern:pat-1")
    assert {(e.actor, e.to_state) for e in entries} == {(GRACE, "accepted"), (HENRIK, "resolved")}


async def test_a_reviewer_looks_and_decides_in_private(workplace: Workplace) -> None:
    people = workplace.people
    await told(workplace)
    await people.command(user=HENRIK, channel=SUPPORT, command=COMMAND, text="patterns")
    shown = await people.wait_for_ephemeral(user=HENRIK, channel=SUPPORT)
    assert "export, report" in str(shown.blocks)
    await people.click(user=HENRIK, message=shown, action_id="pattern_reject")
    said = await people.wait_for_ephemeral(user=HENRIK, channel=SUPPORT, after_ts=shown.ts)
    assert "Rejected" in said.text
    assert await status(workplace) is PatternStatus.REJECTED
    await workplace.settle()
