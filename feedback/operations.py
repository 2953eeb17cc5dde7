"""What operators do: the brake, the way back, a word about a pattern.

One place for the command line, Slack and the web page. Every function works in the caller's
transaction and leaves the change, its audit entry and its public notice there: all or nothing.
"""

from collections.abc import Sequence

from feedback.choosing import find
from feedback.domain.operating import (
    BASE,
    FROZEN,
    WAITING_STATES,
    Act,
    Standing,
    model_name,
)
from feedback.domain.pattern import DECIDED, PatternDecision, PatternStatus
from feedback.domain.trial import Trial, Verdict
from feedback.errors import ConflictError, InvalidInputError, NotFoundError
from feedback.store.unit_of_work import Transaction


async def standing(tx: Transaction, experiment: str | None = None) -> Standing:
    """Returns who is on stage now.

    Args:
        tx: The transaction.
        experiment: The one that is meant, by its id or its challenger's; None is the only one.

    Raises:
        NotFoundError: When there is no such experiment.
    """
    champion, version = await tx.adapters.champion()
    previous = await tx.adapters.previous_champion()
    current = await tx.experiments.current()
    trial = await find(tx, experiment) if experiment else await _only(tx, current)
    return Standing(
        champion_id=champion.id if champion else None,
        champion_version=version,
        previous_id=previous.id if previous else None,
        frozen=await tx.switches.get(FROZEN) == "on",
        running=len(current),
        waiting=tuple(each.id for each in current if each.state in WAITING_STATES),
        experiment_id=trial.id if trial else None,
        challenger_id=trial.challenger_id if trial else None,
        state=trial.state if trial else None,
        decision=trial.decision if trial else None,
        paused=trial is not None and trial.paused_at is not None,
    )


async def _only(tx: Transaction, current: Sequence[Trial]) -> Trial | None:
    """Returns the only experiment there is, or the last one if it ended without an answer."""
    if current:
        return current[0] if len(current) == 1 else None
    last = await tx.experiments.last_ended()
    return last if last and last.undecided else None


async def set_brake(tx: Transaction, *, on: bool, act: Act) -> bool:
    """Pulls or releases the brake: while it is on, the champion answers every new turn.

    Returns:
        Whether anything changed; pulling a pulled brake leaves no trace.
    """
    value = "on" if on else "off"
    before = await tx.switches.get(FROZEN) or "off"
    if before == value:
        return False
    await tx.switches.set(FROZEN, value, by=act.by, at=act.at)
    await tx.audit.append(
        subject=f"switch:{FROZEN}",
        from_state=before,
        to_state=value,
        actor=act.by,
        reason=act.reason,
        at=act.at,
    )
    text = (
        ":snowflake: *Frozen* by {who}: the champion answers every new question until it is undone."
        if on
        else ":sunny: *No longer frozen*: {who} released the brake; a running experiment goes on."
    )
    await announce(tx, act, f"brake:{value}", text)
    return True


async def roll_back(tx: Transaction, act: Act, *, version: int | None = None) -> str | None:
    """Makes the previous champion the champion again, or keeps it while a promotion waits.

    Args:
        tx: The transaction.
        act: Who and why.
        version: Of the champion pointer as the person saw it; None takes it as it is.

    Returns:
        The champion now; None is the base model.

    Raises:
        InvalidInputError: When the champion is the base model.
        ConflictError: When the pointer is at another version.
    """
    now = await standing(tx)
    require_undoable(now)
    current, found = await tx.adapters.champion()
    if now.promotion_waits:
        if version not in {None, found}:
            raise ConflictError(f"the champion pointer is at version {found}, not {version}")
        for experiment_id in now.waiting:
            await _withdraw(tx, experiment_id, now.champion_id, act)
        return now.champion_id
    assert current is not None, "required above"
    previous = await tx.adapters.previous_champion()
    target = previous.id if previous else None
    await tx.adapters.promote(
        target, version=found if version is None else version, at=act.at, undo=True
    )
    await tx.audit.append(
        subject="champion",
        from_state=current.id,
        to_state=target or BASE,
        actor=act.by,
        reason=act.reason,
        at=act.at,
    )
    text = f":rewind: *Rolled back* by {{who}}: {model_name(target)} is the champion again."
    await announce(tx, act, f"rollback:{found}", text)
    return target


def require_undoable(now: Standing) -> None:
    """Refuses a rollback where there is nothing to go back from.

    Raises:
        InvalidInputError: With a sentence for the person.
    """
    if now.champion_id is None and not now.promotion_waits:
        raise InvalidInputError("The champion is the base model; there is nothing to undo.")


async def _withdraw(tx: Transaction, experiment_id: str, champion_id: str | None, act: Act) -> None:
    """Takes back a promotion that waits: the scheduler ends the experiment at its next look."""
    trial = await tx.experiments.require(experiment_id)
    await tx.approvals.decide(
        trial.id, trial.version, Verdict.DENIED, by=act.by, reason=act.reason, at=act.at
    )
    told = f"promotion withdrawn: {act.reason}"
    await remark(tx, act, trial.id, trial.state, told, version=trial.version)
    text = (
        f":rewind: *Promotion withdrawn* by {{who}}: {model_name(trial.challenger_id)} does not "
        f"become the champion, {model_name(champion_id)} stays."
    )
    await announce(tx, act, f"withdrawn:{trial.id}:{trial.version}", text)


async def decide_pattern(
    tx: Transaction,
    act: Act,
    pattern_id: str,
    decision: PatternDecision,
    *,
    seen: PatternStatus | None = None,
) -> PatternStatus:
    """Accepts, rejects, resolves or reopens a pattern; deciding the same again changes nothing.

    Args:
        tx: The transaction.
        act: Who and why.
        pattern_id: Which pattern.
        decision: What the person said.
        seen: The status that the person saw; None takes it as it is.

    Returns:
        The pattern's status now.

    Raises:
        NotFoundError: When there is no such pattern.
        ConflictError: When the pattern is no longer as the person saw it.
    """
    found = await tx.patterns.get(pattern_id)
    if found is None:
        raise NotFoundError(f"there is no pattern {pattern_id}")
    wanted = DECIDED[decision]
    if found.status is wanted:
        return wanted
    if not await tx.patterns.decide(pattern_id, wanted, seen=seen or found.status, at=act.at):
        raise ConflictError(f"pattern {pattern_id} is {found.status} meanwhile: look again")
    await tx.audit.append(
        subject=f"pattern:{pattern_id}",
        from_state=found.status,
        to_state=wanted,
        actor=act.by,
        reason=act.reason,
        at=act.at,
    )
    return wanted


async def remark(
    tx: Transaction, act: Act, experiment_id: str, state: str, told: str, **data: int
) -> None:
    """Puts into an experiment's trail what a person did that leaves its state as it is."""
    await tx.audit.append(
        subject=f"experiment:{experiment_id}",
        from_state=state,
        to_state=state,
        actor=act.by,
        reason=told,
        at=act.at,
        data=data,
    )


async def announce(tx: Transaction, act: Act, key: str, text: str) -> None:
    """Owes the operators' channel a notice of what changes traffic."""
    if not act.channel:
        return
    said = text.format(who=act.shown_as or quoted(act.by))
    reason = f"\n>{quoted(act.reason)}" if act.reason else ""
    await tx.outbox.add(
        key=f"{key}:{act.at.isoformat()}",
        kind="slack_message",
        payload={"channel": act.channel, "text": said + reason},
    )


def quoted(text: str) -> str:
    """Returns what a person wrote so that a notice mentions nobody and stays on one line."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(safe.split())
