"""Step BUILDING: one immutable dataset version from the approved corrections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from feedback.clock import Clock
from feedback.domain.correction import card_effect
from feedback.domain.cycle import Cycle, CycleOutcome, StepResult
from feedback.domain.interaction import InteractionRecord
from feedback.domain.learning import DatasetExample, DatasetVersion
from feedback.ports import Embedder, Message
from feedback.prompting import PromptPolicy, build_messages
from feedback.store.unit_of_work import Store
from retrain.dataset.build import DatasetBuild, DatasetInput, build, texts_to_embed
from retrain.dataset.cleaning import DatasetChecks
from retrain.dataset.files import DatasetFiles, render_files, write_dataset
from retrain.dataset.policy import DatasetPolicy
from retrain.dataset.rows import ReplayRow
from retrain.dataset.similarity import QuestionVectors
from retrain.dataset.split import Assignment


@dataclass(frozen=True, kw_only=True)
class DatasetSources:
    """What a build needs besides the record.

    Attributes:
        replay: Draws that many generic dialogues, which keep the base's skills.
        consent: Which corrections may train (see PrivacySettings).
        redaction_version: Goes into the manifest.
    """

    replay: Callable[[int], Sequence[ReplayRow]]
    checks: DatasetChecks
    prompt: PromptPolicy
    consent: str
    redaction_version: str


class BuildingStep:
    """Builds, writes and records a version; the same rows give the same version again."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        embedder: Embedder,
        sources: DatasetSources,
        policy: DatasetPolicy,
        folder: Path,
    ) -> None:
        self._store = store
        self._clock = clock
        self._embedder = embedder
        self._sources = sources
        self._policy = policy
        self._folder = folder

    async def __call__(self, cycle: Cycle) -> StepResult:
        """Builds the version this cycle trains on."""
        policy = replace(self._policy, disabled_cleaners=frozenset(cycle.options.disabled_cleaners))
        async with self._store.begin() as tx:
            records = await tx.records.trainable(self._sources.consent)
            previous = [Assignment.from_row(row) for row in await tx.datasets.sides()]
        built = await self._build(records, previous, policy)
        files = render_files(built)
        path = self._folder / files.version[:16]
        write_dataset(files, path)
        await self._record(built, files, path)
        labels = files.manifest["labels"]
        context = {
            "dataset_id": files.version,
            "dataset_path": str(path),
            "dataset_rows": len(built.train),
        }
        if not labels["enough"]:
            return StepResult(
                reason=f"only {labels['distinct_clean']} of {labels['required']} distinct, clean "
                f"labels are left after cleaning ({_rejections(files)})",
                outcome=CycleOutcome.NOT_NEEDED,
                gate="labels",
                context=context,
            )
        return StepResult(
            reason=f"dataset {files.version[:12]}: {len(built.train)} rows to train, "
            f"{len(built.holdout)} held out, {len(built.rejected)} rejected ({_rejections(files)})",
            context=context,
        )

    async def _build(
        self,
        records: Sequence[InteractionRecord],
        previous: Sequence[Assignment],
        policy: DatasetPolicy,
    ) -> DatasetBuild:
        # Some dialogues resemble held-out questions and are left out: draw a few more.
        wanted = policy.replay_beside(len(records)) * policy.replay_variety
        replay = self._sources.replay(round(wanted * 1.2))
        texts = texts_to_embed(records, previous, replay)
        vectors = await self._embedder.embed(texts)
        return build(
            DatasetInput(
                records=records,
                render=self._render,
                checks=self._sources.checks,
                vectors=QuestionVectors.of(self._embedder.id, texts, vectors),
                previous=previous,
                replay=replay,
                redaction_version=self._sources.redaction_version,
            ),
            policy,
        )

    def _render(self, record: InteractionRecord) -> list[Message]:
        return build_messages(
            record.question, record.extra["passages"], policy=self._sources.prompt
        )

    async def _record(self, built: DatasetBuild, files: DatasetFiles, path: Path) -> None:
        counts = files.manifest["counts"]
        version = DatasetVersion(
            id=files.version,
            path=path,
            labels=files.manifest["labels"]["distinct_clean"],
            train_rows=len(built.train),
            holdout_rows=counts["holdout"],
            rejected_rows=counts["rejected"],
            manifest=files.manifest,
            created_at=self._clock.now(),
        )
        examples = [
            DatasetExample(
                example_id=row.id,
                side=side,
                source=row.source,
                interaction_ids=row.interaction_ids,
            )
            for side, rows in (("train", built.train), ("holdout", [h.row for h in built.holdout]))
            for row in rows
        ]
        async with self._store.begin() as tx:
            await tx.datasets.add(version, examples)
            await tx.datasets.add_sides([item.to_row() for item in built.assignments])
            # Two reviewers said yes to two truths: an admin sees both and decides.
            held = {r.id: r.rivals for r in built.rejected if r.rivals}
            for correction in await tx.reviewing.reopen(held):
                await tx.outbox.add(*card_effect(correction))


def _rejections(files: DatasetFiles) -> str:
    reasons = files.manifest["rejected_by_reason"]
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none"
