"""What operators do to traffic: the brake, the way back, and a promotion by hand.

One place for the command line, Slack and the web page. Every function works in the caller's
transaction and leaves the change, its audit entry and its public notice there: all or nothing.
"""

from feedback.domain.operating import (
    BASE,
    FROZEN,
    PROMOTABLE_STATES,
    Act,
    Standing,
    model_name,
)
from feedback.errors import ConflictError, InvalidInputError
from feedback.store.unit_of_work import Transaction


async def standing(tx: Transaction) -> Standing:
    """Returns who is on stage now."""
    champion, version = await tx.adapters.champion()
    previous = await tx.adapters.previous_champion()
    trials = await tx.experiments.latest(1)
    trial = trials[0] if trials and trials[0].ended_at is None else None
    return Standing(
        champion_id=champion.id if champion else None,
        champion_version=version,
        previous_id=previous.id if previous else None,
        frozen=await tx.switches.get(FROZEN) == "on",
        experiment_id=trial.id if trial else None,
        challenger_id=trial.challenger_id if trial else None,
        state=trial.state if trial else None,
        decision=trial.decision if trial else None,
    )


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
    await _announce(tx, act, f"brake:{value}", text)
    return True


async def roll_back(tx: Transaction, act: Act, *, version: int | None = None) -> str | None:
    """Makes the previous champion the champion again.

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
    current, found = await tx.adapters.champion()
    if current is None:
        raise InvalidInputError("The champion is the base model; there is nothing to undo.")
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
    await _announce(tx, act, f"rollback:{found}", text)
    return target


async def request_promotion(tx: Transaction, act: Act, *, seen: Standing) -> int:
    """Asks the scheduler to promote the challenger of the running experiment.

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
    require_promotable(seen)
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
    await tx.audit.append(
        subject=f"experiment:{seen.experiment_id}",
        from_state=seen.state or "",
        to_state=seen.state or "",
        actor=act.by,
        reason=f"promotion by hand requested: {act.reason}",
        at=act.at,
        data={"request": request_id, "champion_version": seen.champion_version},
    )
    text = f":arrow_up: {{who}} asked to *promote* {seen.challenger_id} by hand."
    await _announce(tx, act, f"promotion-request:{request_id}", text)
    return request_id


def require_promotable(now: Standing) -> None:
    """Refuses a promotion by hand that the rules do not allow.

    Raises:
        InvalidInputError: With a sentence for the person.
    """
    if now.experiment_id is None:
        raise InvalidInputError(
            "No experiment is running, so there is no challenger to promote. "
            "`/understudy why` says what is missing."
        )
    if now.state not in PROMOTABLE_STATES:
        raise InvalidInputError(
            f"The experiment is in {now.state}: too few people have met the challenger. "
            f"A promotion by hand is allowed from {' or '.join(sorted(PROMOTABLE_STATES))} on."
        )
    if now.frozen:
        raise InvalidInputError(
            "Traffic is frozen, and nothing moves forward while it is. Unfreeze it first."
        )


async def _announce(tx: Transaction, act: Act, key: str, text: str) -> None:
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
