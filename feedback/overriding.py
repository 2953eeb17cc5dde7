"""Gathers the facts of a promotion by hand after an experiment that ended undecided."""

from feedback.domain.learning import DeploymentState
from feedback.domain.operating import FROZEN
from feedback.domain.override import OverrideFacts, objections, override_words
from feedback.domain.trial import Trial
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Transaction

_COMING = (DeploymentState.DESIRED, DeploymentState.READY)


async def read_override(tx: Transaction, trial: Trial) -> OverrideFacts:
    """Returns what an override of this experiment depends on, as the record stands.

    Raises:
        NotFoundError: When its adapter is gone from the database.
    """
    adapter = await tx.adapters.get(trial.challenger_id)
    if adapter is None:
        raise NotFoundError(f"adapter {trial.challenger_id} is gone from the database")
    champion, _ = await tx.adapters.champion()
    evaluation = (await tx.training.evaluations(adapter.training_run_id)).get("candidate")
    active = await tx.deployments.active()
    coming = await tx.deployments.in_states(*_COMING)
    return OverrideFacts(
        trial=trial,
        champion_id=champion.id if champion else None,
        frozen=await tx.switches.get(FROZEN) == "on",
        rivals=await tx.experiments.running(),
        blocked_by=await tx.adapters.blocked_by(adapter),
        gates=(evaluation["gates"] if evaluation else None) or {},
        compared=await _compared(tx, adapter.training_run_id),
        served=active is not None
        and active.proven_everywhere
        and adapter.id in active.proven
        and adapter.id in {item.name for item in active.in_use},
        coming=all(adapter.id in {item.name for item in row.adapters} for row in coming),
    )


async def read_objections(tx: Transaction, trial: Trial) -> tuple[str, ...] | None:
    """Returns what stands against a promotion by hand; None unless the experiment is undecided."""
    return objections(await read_override(tx, trial)) if trial.undecided else None


async def by_hand_words(tx: Transaction, trial: Trial) -> str:
    """Returns whether an admin may still promote its challenger; empty unless it is undecided."""
    against = await read_objections(tx, trial)
    return "" if against is None else override_words(against)


async def _compared(tx: Transaction, run_id: str) -> bool:
    """Whether the champion of now was the champion when the run was evaluated."""
    run = await tx.training.get(run_id)
    since = await tx.overview.champion_since()
    trained = (run.finished_at or run.started_at) if run else None
    return since is None or (trained is not None and since <= trained)
