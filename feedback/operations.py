"""What operators do: the brake, the way back, a promotion by hand, a word about a pattern.

One place for the command line, Slack and the web page. Every function works in the caller's
transaction and leaves the change, its audit entry and its public notice there: all or nothing.
"""

from collections.abc import Sequence

from feedback.choosing import find, which_one
from feedback.domain.operating import (
    BASE,
    FROZEN,
    PROMOTABLE_STATES,
    READY,
    WAITING_STATES,
    Act,
    Standing,
    model_name,
)
from feedback.domain.override import objections
from feedback.domain.pattern import DECIDED, PatternDecision, PatternStatus
from feedback.domain.trial import Approval, Ruled, Trial, Verdict
from feedback.errors import ConflictError, InvalidInputError, NotFoundError
from feedback.overriding import read_override
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


async def decide_promotion(
    tx: Transaction, act: Act, experiment_id: str, version: int, verdict: Verdict
) -> Ruled:
    """Grants or denies a promotion that waits for a person; whoever is refused leaves a trace.

    Args:
        tx: The transaction.
        act: Who and why.
        experiment_id: Which experiment.
        version: Its version on the card that the person saw.
        verdict: What they say.

    Returns:
        What came of it; store the transaction even when that is nothing.
    """
    trial = await tx.experiments.get(experiment_id)
    approval = await tx.approvals.get(experiment_id, version, lock=True)
    refused = _no_verdict(trial, approval, act, verdict)
    if trial is None:
        return Ruled(told=f"Nothing was changed: {refused}", effective=False)
    word = "approval" if verdict is Verdict.GRANTED else "denial"
    reason = act.reason or "no reason given"
    said = f"{word} without effect: {refused}" if refused else f"{word}: {reason}"
    await remark(tx, act, trial.id, trial.state, said, version=version)
    if refused:
        return Ruled(told=f"Nothing was changed: {refused}", effective=False)
    await tx.approvals.decide(experiment_id, version, verdict, by=act.by, reason=reason, at=act.at)
    challenger, champion = model_name(trial.challenger_id), model_name(trial.champion_id)
    told = (
        f"Noted: {challenger} does not become the champion, {champion} stays."
        if verdict is Verdict.DENIED
        else f"Approved: {challenger} becomes the champion at the scheduler's next look."
    )
    return Ruled(told=told, effective=True)


def _no_verdict(trial: Trial | None, approval: Approval | None, act: Act, verdict: Verdict) -> str:
    """Returns why a verdict has no effect, empty when it has one."""
    if trial is None or approval is None:
        return "nobody asks for such an approval."
    if approval.verdict is not None:
        said = "approved" if approval.verdict is Verdict.GRANTED else "denied"
        return f"it was {said} by {approval.decided_by} already."
    if trial.version != approval.version or trial.state != READY:
        return "the experiment moved on since this card was posted."
    if act.at >= approval.expires_at:
        return f"it expired on {approval.expires_at:%Y-%m-%d %H:%M} UTC."
    if verdict is Verdict.GRANTED and act.by == trial.author:
        return "you asked for this experiment, so somebody else has to approve it."
    return ""


async def promote(tx: Transaction, act: Act, *, seen: Standing) -> str:
    """Approves the promotion that waits, or asks the scheduler for one by hand.

    Returns:
        What came of it, in a sentence for the person.

    Raises:
        InvalidInputError: When there is nothing to promote, or not yet.
        ConflictError: When a request waits already.
    """
    if seen.state == READY and seen.experiment_id is not None:
        await require_promotable(tx, seen)
        trial = await tx.experiments.get(seen.experiment_id)
        version = trial.version if trial else 0
        granted = Verdict.GRANTED
        return (await decide_promotion(tx, act, seen.experiment_id, version, granted)).told
    await request_promotion(tx, act, seen=seen)
    return (
        f"Asked for: {seen.challenger_id} becomes the champion at the scheduler's next look, if it "
        "is still proven to be served."
    )


async def request_promotion(tx: Transaction, act: Act, *, seen: Standing) -> int:
    """Asks the scheduler to promote a challenger: while it is tested, or when that ended undecided.

    Args:
        tx: The transaction.
        act: Who and why.
        seen: What the person saw; the scheduler compares the champion's version once more.

    Returns:
        The request's id.

    Raises:
        InvalidInputError: When there is nothing to promote, or not yet.
        ConflictError: When a request waits already.
    """
    await require_promotable(tx, seen)
    assert seen.experiment_id is not None, "required above"
    request_id = await tx.promotion_requests.add(
        seen.experiment_id,
        champion_version=seen.champion_version,
        by=act.by,
        reason=act.reason,
        at=act.at,
    )
    if request_id is None:
        raise ConflictError(
            f"Somebody asked to promote {seen.challenger_id} already; the scheduler takes it at "
            "its next look."
        )
    await remark(
        tx,
        act,
        seen.experiment_id,
        seen.state or "",
        f"promotion by hand requested: {act.reason}",
        request=request_id,
        champion_version=seen.champion_version,
    )
    over = ", over an experiment that ended undecided" if seen.undecided else ""
    text = f":arrow_up: {{who}} asked to *promote* {seen.challenger_id} by hand{over}."
    await announce(tx, act, f"promotion-request:{request_id}", text)
    return request_id


async def require_promotable(tx: Transaction, now: Standing) -> None:
    """Refuses a promotion by hand that the rules do not allow.

    Raises:
        InvalidInputError: With a sentence for the person: what stands against it, and what to do;
            or which challengers there are, when several are on stage and none was named.
    """
    if now.undecided:
        await _require_override(tx, now)
        return
    if now.experiment_id is None:
        if current := await tx.experiments.current():
            raise InvalidInputError(which_one(current))
        raise InvalidInputError(
            "No experiment is running, so there is no challenger to promote. "
            "`/understudy why` says what is missing."
        )
    if now.state not in PROMOTABLE_STATES | {READY}:
        raise InvalidInputError(
            f"The experiment is in {now.state}: too few people have met the challenger. "
            f"A promotion by hand is allowed from {' or '.join(sorted(PROMOTABLE_STATES))} on."
        )
    if now.frozen:
        raise InvalidInputError(
            "Traffic is frozen, and nothing moves forward while it is. Unfreeze it first."
        )
    if now.paused:
        raise InvalidInputError(
            "The experiment is paused, and nothing moves forward while it is. Resume it first."
        )


async def _require_override(tx: Transaction, now: Standing) -> None:
    trial = await tx.experiments.get(now.experiment_id or "")
    assert trial is not None, "it was read in this transaction"
    against = objections(await read_override(tx, trial))
    if against:
        raise InvalidInputError(
            f"The experiment of {trial.challenger_id} ended undecided, and it cannot be promoted "
            f"by hand: {'; '.join(against)}."
        )


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
