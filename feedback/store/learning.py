"""Dataset versions, training runs, adapters, evaluations and the champion pointer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetExample,
    DatasetVersion,
    RunState,
    TrainingRun,
)
from feedback.errors import ConflictError
from feedback.store.tables.base import to_domain
from feedback.store.tables.learning import (
    adapters,
    champion,
    dataset_examples,
    dataset_versions,
    evaluations,
    split_assignments,
    training_runs,
)


class SqlDatasets:
    """Dataset versions with their lineage, and the sides that never change."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, version: DatasetVersion, examples: Sequence[DatasetExample]) -> None:
        """Stores a version once; building the same content again changes nothing."""
        values = {**asdict(version), "path": str(version.path)}
        added = await self._connection.scalar(
            upsert(dataset_versions)
            .values(**values)
            .on_conflict_do_nothing()
            .returning(dataset_versions.c.id)
        )
        if added is None or not examples:
            return
        await self._connection.execute(
            insert(dataset_examples),
            [
                {
                    "dataset_id": version.id,
                    "example_id": example.example_id,
                    "side": example.side,
                    "source": example.source,
                    "interaction_ids": list(example.interaction_ids),
                }
                for example in examples
            ],
        )

    async def add_sides(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Stores split assignments; one that is known already keeps its first side."""
        if rows:
            await self._connection.execute(
                upsert(split_assignments).on_conflict_do_nothing(), [dict(row) for row in rows]
            )

    async def get(self, dataset_id: str) -> DatasetVersion | None:
        """Returns one version."""
        statement = select(dataset_versions).where(dataset_versions.c.id == dataset_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return to_domain(DatasetVersion, {**row, "path": Path(row["path"])}) if row else None

    async def sides(self) -> list[Mapping[str, Any]]:
        """Returns every split assignment ever made, as rows of `splits.jsonl`."""
        statement = select(split_assignments).order_by(split_assignments.c.row_id)
        return [dict(row) for row in (await self._connection.execute(statement)).mappings()]

    async def sources(self, dataset_id: str) -> list[tuple[str, int]]:
        """Returns where the rows to train on came from, and how many of each."""
        statement = (
            select(dataset_examples.c.source, func.count())
            .where(dataset_examples.c.dataset_id == dataset_id, dataset_examples.c.side == "train")
            .group_by(dataset_examples.c.source)
            .order_by(func.count().desc(), dataset_examples.c.source)
        )
        return [(row[0], int(row[1])) for row in await self._connection.execute(statement)]

    async def interaction_ids(self, dataset_id: str, *, limit: int) -> list[str]:
        """Returns interactions that a version's rows to train on came from, at most `limit`."""
        statement = (
            select(func.unnest(dataset_examples.c.interaction_ids))
            .where(dataset_examples.c.dataset_id == dataset_id, dataset_examples.c.side == "train")
            .distinct()
            .order_by(func.unnest(dataset_examples.c.interaction_ids))
            .limit(limit)
        )
        return list(await self._connection.scalars(statement))

    async def latest(self, limit: int = 20) -> list[DatasetVersion]:
        """Returns the newest versions first."""
        statement = (
            select(dataset_versions).order_by(dataset_versions.c.created_at.desc()).limit(limit)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(DatasetVersion, {**row, "path": Path(row["path"])}) for row in rows]


class SqlTrainingRuns:
    """Training runs and what was measured on their adapters."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def start(self, run: TrainingRun) -> None:
        """Stores a run once."""
        await self._connection.execute(
            upsert(training_runs).values(**asdict(run)).on_conflict_do_nothing()
        )

    async def progress(self, run_id: str, progress: Mapping[str, Any]) -> None:
        """Stores the newest progress report."""
        await self._connection.execute(
            update(training_runs)
            .where(training_runs.c.id == run_id)
            .values(progress=dict(progress))
        )

    async def finish(
        self,
        run_id: str,
        *,
        state: RunState,
        at: datetime,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Stores how a run ended."""
        await self._connection.execute(
            update(training_runs)
            .where(training_runs.c.id == run_id)
            .values(
                state=state,
                finished_at=at,
                error=error,
                result=dict(result) if result is not None else None,
            )
        )

    async def get(self, run_id: str) -> TrainingRun | None:
        """Returns one run."""
        statement = select(training_runs).where(training_runs.c.id == run_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return to_domain(TrainingRun, {**row, "state": RunState(row["state"])}) if row else None

    async def latest(self, limit: int = 20) -> list[TrainingRun]:
        """Returns the newest runs first."""
        statement = select(training_runs).order_by(training_runs.c.started_at.desc()).limit(limit)
        rows = (await self._connection.execute(statement)).mappings()
        return [to_domain(TrainingRun, {**row, "state": RunState(row["state"])}) for row in rows]

    async def add_evaluation(
        self,
        run_id: str,
        subject: str,
        metrics: Mapping[str, Any],
        *,
        at: datetime,
        gates: Mapping[str, Any] | None = None,
        report_path: str | None = None,
    ) -> None:
        """Stores what was measured on `subject` (`champion` or `candidate`) of a run."""
        values = {
            "metrics": dict(metrics),
            "gates": dict(gates) if gates is not None else None,
            "report_path": report_path,
            "created_at": at,
        }
        await self._connection.execute(
            upsert(evaluations)
            .values(training_run_id=run_id, subject=subject, **values)
            .on_conflict_do_update(index_elements=["training_run_id", "subject"], set_=values)
        )

    async def evaluations(self, run_id: str) -> dict[str, RowMapping]:
        """Returns the evaluations of a run by subject."""
        statement = select(evaluations).where(evaluations.c.training_run_id == run_id)
        rows = (await self._connection.execute(statement)).mappings()
        return {row["subject"]: row for row in rows}


class SqlAdapters:
    """Adapters and the pointer that says which one is the champion."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, adapter: Adapter) -> None:
        """Stores an adapter once; one that was given up and is made again is kept again."""
        values = {**asdict(adapter), "path": str(adapter.path)}
        await self._connection.execute(
            upsert(adapters)
            .values(**values)
            .on_conflict_do_update(
                index_elements=["id"],
                set_={"path": values["path"], "collected_at": None},
                where=adapters.c.collected_at.is_not(None),
            )
        )

    async def get(self, adapter_id: str) -> Adapter | None:
        """Returns one adapter."""
        statement = select(adapters).where(adapters.c.id == adapter_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return to_adapter(row) if row else None

    async def latest(self, limit: int = 20) -> list[Adapter]:
        """Returns the newest adapters first."""
        statement = select(adapters).order_by(adapters.c.created_at.desc()).limit(limit)
        return [to_adapter(row) for row in (await self._connection.execute(statement)).mappings()]

    async def blocked_by(self, adapter: Adapter) -> str | None:
        """Returns the adapter that was taken back and forbids this one, None when none does.

        The same weights, or others that were trained on the same dataset, are not tried again.
        """
        found: str | None = await self._connection.scalar(
            select(adapters.c.id)
            .where(
                adapters.c.state == AdapterState.BLOCKED,
                (adapters.c.sha256 == adapter.sha256)
                | (adapters.c.dataset_id == adapter.dataset_id),
            )
            .limit(1)
        )
        return found

    async def mark(self, adapter_id: str, state: AdapterState) -> None:
        """Stores what was decided about an adapter."""
        await self._connection.execute(
            update(adapters).where(adapters.c.id == adapter_id).values(state=state)
        )

    async def champion(self) -> tuple[Adapter | None, int]:
        """Returns the champion (None is the base model) and the pointer's version."""
        row = (await self._connection.execute(select(champion))).mappings().first()
        if row is None:
            return None, 0
        current = await self.get(row["adapter_id"]) if row["adapter_id"] else None
        return current, row["version"]

    async def previous_champion(self) -> Adapter | None:
        """Returns the champion before this one, None when that was the base model."""
        previous = await self._connection.scalar(select(champion.c.previous_adapter_id))
        return await self.get(previous) if previous else None

    async def promote(
        self, adapter_id: str | None, *, version: int, at: datetime, undo: bool = False
    ) -> None:
        """Points the champion at an adapter (None: the base model) by compare-and-set.

        Args:
            adapter_id: The new champion.
            version: Of the pointer, as it was read.
            at: Time of the swap.
            undo: A rollback: the champion that is left is never offered as "previous" again.

        Raises:
            ConflictError: When the pointer is no longer at `version`.
        """
        current, stored = await self.champion()
        if stored != version:
            raise ConflictError(f"the champion pointer is at version {stored}, not {version}")
        values = {
            "adapter_id": adapter_id,
            "previous_adapter_id": current.id if current and not undo else None,
            "version": version + 1,
            "since": at,
        }
        done = await self._connection.scalar(
            upsert(champion)
            .values(id=1, **values)
            .on_conflict_do_update(
                index_elements=["id"], set_=values, where=champion.c.version == version
            )
            .returning(champion.c.version)
        )
        if done is None:
            raise ConflictError(f"the champion pointer left version {version}")
        if current is not None:
            await self.mark(current.id, AdapterState.RETIRED)
        if adapter_id is not None:
            await self._crown(adapter_id)

    async def _crown(self, adapter_id: str) -> None:
        """Marks the champion, unless its files were given up in the same moment."""
        crowned = await self._connection.scalar(
            update(adapters)
            .where(adapters.c.id == adapter_id, adapters.c.collected_at.is_(None))
            .values(state=AdapterState.CHAMPION)
            .returning(adapters.c.id)
        )
        if crowned is None:
            raise ConflictError(f"the files of {adapter_id} are gone; train it again")


def to_adapter(row: RowMapping) -> Adapter:
    """Returns a stored adapter."""
    return to_domain(
        Adapter, {**row, "path": Path(row["path"]), "state": AdapterState(row["state"])}
    )
