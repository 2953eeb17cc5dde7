"""What people say about a promotion: yes or no to one that waits, or a request to make one by hand.

Every function works in the caller's transaction, like those of `feedback.operations`.
"""

from feedback.choosing import which_one
from feedback.domain.learning import Adapter
from feedback.domain.operating import NO_REASON, PROMOTABLE_STATES, READY, Act, Standing, model_name
from feedback.domain.override import objections
from feedback.domain.trial import Approval, Ruled, Trial, Verdict
from feedback.errors import ConflictError, InvalidInputError
from feedback.operations import announce, remark
from feedback.overriding import read_override
from feedback.store.unit_of_work import Transaction


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
    present, _ = await tx.adapters.champion()
    refused = _no_verdict(trial, approval, act, verdict) or _overtaken(trial, present)
    if trial is None:
        return Ruled(told=f"Nothing was changed: {refused}", effective=False)
    word = "approval" if verdict is Verdict.GRANTED else "denial"
    reason = act.reason or NO_REASON
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


def _overtaken(trial: Trial | None, champion: Adapter | None) -> str:
    """Returns why an experiment is about to end without a verdict; empty when it is not."""
    now = champion.id if champion else None
    if trial is None or now == trial.champion_id:
        return ""
    return f"{model_name(now)} is the champion by now, and the experiment ends."


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
