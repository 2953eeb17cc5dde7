"""Which experiment an operator means: with several challengers on stage it takes a name."""

from collections.abc import Sequence

from feedback.domain.trial import Trial
from feedback.errors import InvalidInputError, NotFoundError
from feedback.store.unit_of_work import Transaction

_NAMED = ("e-", "adapter-")
"""How the ids of experiments and adapters begin: nobody begins a sentence like that."""


async def find(tx: Transaction, name: str) -> Trial:
    """Returns an experiment by its id, or by its challenger's: a running one, else the last.

    Raises:
        NotFoundError: When there is none, naming those that run.
    """
    found = await tx.experiments.named(name)
    if found is None:
        raise NotFoundError(f"there is no experiment {name}; running: {await _running(tx)}")
    return found


async def named_first(tx: Transaction, text: str) -> tuple[str | None, str]:
    """Splits "<challenger or experiment> because of ..." where the first word is a name.

    Returns:
        The name, None when there is none, and the rest.

    Raises:
        InvalidInputError: When the first word can only be a name, and nothing is called so.
    """
    first, _, rest = text.partition(" ")
    if await tx.experiments.named(first) is not None:
        return first, rest.strip()
    if first.startswith(_NAMED):
        raise InvalidInputError(f"I know no {first}. Being tried: {await _running(tx)}.")
    return None, text


def only(trials: Sequence[Trial]) -> Trial:
    """Returns the only one of some experiments.

    Raises:
        InvalidInputError: When there are several: asks which one is meant.
    """
    if len(trials) > 1:
        raise InvalidInputError(which_one(trials))
    return trials[0]


def which_one(trials: Sequence[Trial]) -> str:
    """Returns the question which of several experiments is meant."""
    names = ", ".join(each.challenger_id for each in trials)
    return f"{len(trials)} challengers are being tried: {names}. Say which one you mean."


async def _running(tx: Transaction) -> str:
    return ", ".join(each.id for each in await tx.experiments.running()) or "none"
