"""What operators do to one experiment: no new thread joins it for a while.

Threads that take part keep their arm, and their outcomes go on counting; so do harm and the clock
of the time-out. The brake (`feedback.operations.set_brake`) is for everything at once.
"""

from feedback.choosing import find, only
from feedback.domain.operating import Act
from feedback.domain.trial import PAUSABLE_STATES, Trial
from feedback.errors import InvalidInputError
from feedback.operations import announce, remark
from feedback.store.unit_of_work import Transaction


async def set_pause(tx: Transaction, act: Act, *, on: bool, experiment: str | None = None) -> str:
    """Pauses an experiment, or lets it go on; doing it twice leaves no trace.

    Args:
        tx: The transaction.
        act: Who and why.
        on: Pause it.
        experiment: Which one, by its id or its challenger's; None is the only one.

    Returns:
        What came of it, in a sentence for the person.

    Raises:
        InvalidInputError: When there is nothing to pause, or several and none was named.
        NotFoundError: When there is no such experiment.
    """
    trial = await _trial(tx, experiment)
    if trial.state not in PAUSABLE_STATES:
        raise InvalidInputError(_too_late(trial))
    if not await tx.experiments.pause(trial.id, by=act.by if on else None, at=act.at):
        return f"{trial.id} is {'paused already' if on else 'not paused'}."
    done = "paused" if on else "resumed"
    told = f"{done}: {act.reason}"
    await remark(tx, act, trial.id, trial.state, told, version=trial.version, paused=on)
    text = (
        f":double_vertical_bar: *Paused* by {{who}}: no new thread joins the experiment of "
        f"{trial.challenger_id}."
        if on
        else f":arrow_forward: *Resumed* by {{who}}: new threads join the experiment of "
        f"{trial.challenger_id} again."
    )
    await announce(tx, act, f"pause:{trial.id}:{done}", text)
    if on:
        return (
            f"Paused: new threads go to the champion. Threads that met {trial.challenger_id} keep "
            "it, and what people say of them still counts."
        )
    return f"Resumed: new threads join the experiment of {trial.challenger_id} again."


async def _trial(tx: Transaction, experiment: str | None) -> Trial:
    if experiment is not None:
        return await find(tx, experiment)
    current = await tx.experiments.current()
    if not current:
        raise InvalidInputError("No experiment is running, so there is nothing to pause.")
    return only(current)


def _too_late(trial: Trial) -> str:
    if trial.ended_at is not None:
        return f"{trial.id} is over ({trial.state}); there is nothing to pause."
    return (
        f"{trial.id} is in {trial.state}: its promotion is decided, and cannot be paused. Roll it "
        "back, or freeze everything."
    )
