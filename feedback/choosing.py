"""Which experiment an operator means: with several challengers on stage it takes a name."""

from collections.abc import Sequence

from feedback.domain.trial import Trial
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Transaction

_LOOKED_BACK = 100
"""Experiments that are found by their challenger's name: nobody remembers older ones by it."""


async def find(tx: Transaction, name: str) -> Trial:
    """Returns an experiment by its id, or by its challenger's: a running one, else the last.

    Raises:
        NotFoundError: When there is none, naming those that run.
    """
    running = await tx.experiments.running()
    known = [*running, *await tx.experiments.latest(_LOOKED_BACK)]
    found = next((each for each in known if name in _names(each)), None)
    found = found or await tx.experiments.get(name)
    if found is None:
        listed = ", ".join(each.id for each in running) or "none"
        raise NotFoundError(f"there is no experiment {name}; running: {listed}")
    return found


async def named_first(tx: Transaction, text: str) -> tuple[str | None, str]:
    """Splits "<challenger or experiment> because of ..." where the first word names a running one.

    Returns:
        The name, None when there is none, and the rest.
    """
    first, _, rest = text.partition(" ")
    if any(first in _names(each) for each in await tx.experiments.running()):
        return first, rest.strip()
    return None, text


def which_one(current: Sequence[Trial]) -> str:
    """Returns the question which of several experiments is meant."""
    names = ", ".join(each.challenger_id for each in current)
    return f"{len(current)} challengers are being tried: {names}. Say which one you mean."


def _names(trial: Trial) -> tuple[str, str]:
    return trial.id, trial.challenger_id
