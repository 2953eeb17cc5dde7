"""Which experiment an operator means: with several challengers on stage it takes a name."""

from collections.abc import Sequence

from feedback.domain.trial import Trial
from feedback.errors import InvalidInputError, NotFoundError
from feedback.store.unit_of_work import Transaction

_LOOKED_BACK = 100
"""Experiments that are found by their challenger's name: nobody remembers older ones by it."""
_NAMED = ("e-", "adapter-")
"""How the ids of experiments and adapters begin: nobody begins a sentence like that."""


async def find(tx: Transaction, name: str) -> Trial:
    """Returns an experiment by its id, or by its challenger's: a running one, else the last.

    Raises:
        NotFoundError: When there is none, naming those that run.
    """
    known = await _known(tx)
    found = next((each for each in known if name in _names(each)), None)
    found = found or await tx.experiments.get(name)
    if found is None:
        raise NotFoundError(f"there is no experiment {name}; running: {_listed(known)}")
    return found


async def named_first(tx: Transaction, text: str) -> tuple[str | None, str]:
    """Splits "<challenger or experiment> because of ..." where the first word is a name.

    Returns:
        The name, None when there is none, and the rest.

    Raises:
        InvalidInputError: When the first word can only be a name, and nothing is called so.
    """
    first, _, rest = text.partition(" ")
    known = await _known(tx)
    if any(first in _names(each) for each in known):
        return first, rest.strip()
    if first.startswith(_NAMED):
        raise InvalidInputError(f"I know no {first}. Being tried: {_listed(known)}.")
    return None, text


def which_one(current: Sequence[Trial]) -> str:
    """Returns the question which of several experiments is meant."""
    names = ", ".join(each.challenger_id for each in current)
    return f"{len(current)} challengers are being tried: {names}. Say which one you mean."


async def _known(tx: Transaction) -> list[Trial]:
    """Returns the experiments that people may name: those that run, then the latest."""
    return [*await tx.experiments.running(), *await tx.experiments.latest(_LOOKED_BACK)]


def _listed(known: Sequence[Trial]) -> str:
    return ", ".join(dict.fromkeys(e.id for e in known if e.ended_at is None)) or "none"


def _names(trial: Trial) -> tuple[str, str]:
    return trial.id, trial.challenger_id
