"""From labelled interactions to one data set version; pure, and the same bytes every time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from feedback.domain.interaction import InteractionRecord
from feedback.errors import InvalidInputError
from retrain.dataset.cleaning import DatasetChecks, clean, require_known, standard_cleaners
from retrain.dataset.pairs import WrongAnswers, wrong_answers
from retrain.dataset.policy import DatasetPolicy
from retrain.dataset.rows import (
    Candidate,
    Disposition,
    HeldOutRow,
    Rejection,
    Render,
    ReplayRow,
    Source,
    TrainingRow,
    candidate_of,
    digest,
    slices_of,
)
from retrain.dataset.similarity import QuestionVectors
from retrain.dataset.split import (
    Assignment,
    LeakCheck,
    Side,
    assign,
    check_leaks,
    twins_across,
)
from retrain.dataset.text_cleaners import ArithmeticCleaner, false_arithmetic


@dataclass(frozen=True, kw_only=True)
class DatasetInput:
    """Everything a build reads besides the policy.

    Attributes:
        records: Interactions; those without a label are counted and left out.
        render: Turns a record into the model's messages.
        checks: Judgements brought in by the caller.
        vectors: Vectors of the texts that `texts_to_embed` names, or None to go by letters alone.
        previous: Every assignment of earlier versions.
        replay: Generic dialogues to draw from.
        redaction_version: The redaction policy that the records went through.
    """

    records: Sequence[InteractionRecord]
    render: Render
    checks: DatasetChecks = field(default_factory=DatasetChecks)
    vectors: QuestionVectors | None = None
    previous: Sequence[Assignment] = ()
    replay: Sequence[ReplayRow] = ()
    redaction_version: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetBuild:
    """One version before it is written.

    Attributes:
        facts: What the manifest says besides file hashes.
        assignments: All assignments ever made; pass them to the next build.
    """

    train: tuple[TrainingRow, ...]
    holdout: tuple[HeldOutRow, ...]
    rejected: tuple[Rejection, ...]
    assignments: tuple[Assignment, ...]
    facts: Mapping[str, Any]


def texts_to_embed(
    records: Sequence[InteractionRecord],
    previous: Sequence[Assignment] = (),
    replay: Sequence[ReplayRow] = (),
    *,
    policy: DatasetPolicy | None = None,
    checks: DatasetChecks | None = None,
) -> list[str]:
    """Returns the distinct questions whose vectors a build needs, sorted.

    Args:
        records: The records of the build.
        previous: Its earlier assignments.
        replay: Its generic dialogues.
        policy: With it, only questions that survive cleaning are named; that costs cleaning twice
            and saves embedding what is thrown away.
        checks: The checks of the build, for `policy`.
    """
    candidates, _ = _candidates(records)
    if policy is not None:
        cleaners = standard_cleaners(policy, checks or DatasetChecks())
        candidates = list(clean(candidates, cleaners, policy.disabled_cleaners).kept)
    return _texts(candidates, previous, replay)


def build(source: DatasetInput, policy: DatasetPolicy) -> DatasetBuild:
    """Builds one version: label, clean, split, mix.

    Raises:
        ConfigurationError: When the policy disables a cleaner that does not exist.
        InvalidInputError: When vectors are missing for a question.
    """
    require_known(policy.disabled_cleaners)
    candidates, superseded = _candidates(source.records)
    cleaners = standard_cleaners(policy, source.checks)
    cleaned = clean(candidates, cleaners, policy.disabled_cleaners)
    _require_vectors(source, cleaned.kept)
    assignments = assign(cleaned.kept, source.previous, policy, source.vectors)
    split = _Split.of(cleaned.kept, assignments, source, policy)
    replay, replay_out = _replay(split, source, policy)
    ran = [c for c in cleaners if c.name not in policy.disabled_cleaners]
    wrong = wrong_answers([c for c, _ in split.train], [c.completion for c in cleaned.kept], ran)
    train = [*_taught(split, wrong, source.render, policy), *replay]
    holdout = [_held_out_row(c, a, source.render) for c, a in split.holdout]
    rejected = [*superseded, *cleaned.rejected, *split.out, *replay_out]
    ledger = {a.key: a for a in (*source.previous, *assignments)}
    return DatasetBuild(
        train=tuple(sorted(train, key=lambda row: row.id)),
        holdout=tuple(sorted(holdout, key=lambda row: row.row.id)),
        rejected=tuple(sorted(rejected, key=lambda r: (r.id, r.reason))),
        assignments=tuple(sorted(ledger.values(), key=lambda a: a.key)),
        facts=_facts(source, policy, split, len(replay), rejected)
        | {
            "pairs": {"usable": len(wrong.by_id), "left_out": wrong.left_out},
            "cleaners": {
                "ran": [cleaner.name for cleaner in ran],
                "disabled": sorted(policy.disabled_cleaners),
            },
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Split:
    train: list[tuple[Candidate, Assignment]]
    holdout: list[tuple[Candidate, Assignment]]
    out: list[Rejection]
    leaks: list[LeakCheck]
    protected: list[str]
    """Every question that must never be trained on, of this and all earlier versions."""

    @classmethod
    def of(
        cls,
        candidates: Sequence[Candidate],
        assignments: Sequence[Assignment],
        source: DatasetInput,
        policy: DatasetPolicy,
    ) -> "_Split":
        pairs = list(zip(candidates, assignments, strict=True))
        train = [pair for pair in pairs if pair[1].side is Side.TRAIN]
        holdout = [pair for pair in pairs if pair[1].side is Side.HOLDOUT]
        out = [_quarantined(c) for c, a in pairs if a.side is Side.QUARANTINE]
        protected = sorted(
            {
                a.question
                for a in (*source.previous, *assignments)
                if a.side is Side.HOLDOUT and a.question
            }
        )
        # Only thresholds that changed since earlier versions can bring twins up here.
        twins = twins_across(
            [c.question for c, _ in train],
            protected,
            source.vectors,
            cosine=policy.twin_cosine,
            jaccard=policy.twin_jaccard,
        )
        leaking = {i for i, _ in twins}
        out += [_leaking(train[i][0].id) for i in sorted(leaking)]
        train = [pair for i, pair in enumerate(train) if i not in leaking]
        leaks = check_leaks([c.question for c, _ in train], protected, policy, source.vectors)
        return cls(train=train, holdout=holdout, out=out, leaks=leaks, protected=protected)


def _candidates(records: Sequence[InteractionRecord]) -> tuple[list[Candidate], list[Rejection]]:
    """Returns the newest labelled version of each interaction, in order of time and id."""
    newest: dict[str, Candidate] = {}
    superseded = []
    for record in records:
        candidate = candidate_of(record)
        if candidate is None:
            continue
        earlier = newest.get(candidate.id)
        if earlier is not None:
            superseded.append(
                Rejection(
                    id=candidate.id,
                    reason="superseded",
                    detail="the same interaction is in the input again; the newest label counts",
                    kept_as=candidate.id,
                )
            )
            if _age(candidate) < _age(earlier):
                continue
        newest[candidate.id] = candidate
    return sorted(newest.values(), key=lambda c: (c.record.ts, c.id)), superseded


def _age(candidate: Candidate) -> tuple[float, str, str]:
    return candidate.contributed_at, candidate.completion, candidate.question


def _replay(
    split: _Split, source: DatasetInput, policy: DatasetPolicy
) -> tuple[list[TrainingRow], list[Rejection]]:
    """Draws generic dialogues until an epoch's rows are `replay_share` of them.

    The more different ones there are, the more rarely each is shown: a few dialogues shown again
    and again are learnt by heart, and the skills they stand for are lost beside them.
    """
    rows = sorted(source.replay, key=lambda row: digest(policy.salt, "replay", row.id))
    check_sums = ArithmeticCleaner.name not in policy.disabled_cleaners
    twins = twins_across(
        [row.question for row in rows],
        split.protected,
        source.vectors,
        cosine=policy.twin_cosine,
        jaccard=policy.twin_jaccard,
    )
    leaking = {i for i, _ in twins}
    shown = policy.replay_beside(len(split.train))
    chosen: list[ReplayRow] = []
    out: list[Rejection] = []
    for index, row in enumerate(rows):
        if len(chosen) == shown * policy.replay_variety:
            break
        false = false_arithmetic(row.question, row.completion) if check_sums else None
        if index in leaking:
            out.append(_leaking(row.id))
        elif false is not None:
            out.append(Rejection(id=row.id, reason=ArithmeticCleaner.name, detail=false))
        else:
            chosen.append(row)
    weight = policy.source_weights.get(Source.REPLAY.value, 1.0)
    weight *= min(1.0, shown / max(1, len(chosen)))
    return [_replay_row(row, weight) for row in chosen], out


def _replay_row(row: ReplayRow, weight: float) -> TrainingRow:
    return TrainingRow(
        id=row.id,
        messages=row.messages,
        completion=row.completion,
        source=Source.REPLAY,
        interaction_ids=(),
        group=f"replay:{row.id}",
        weight=weight,
    )


def _taught(
    split: _Split, wrong: WrongAnswers, render: Render, policy: DatasetPolicy
) -> list[TrainingRow]:
    return [
        replace(
            _training_row(candidate, assignment, render),
            weight=policy.source_weights.get(candidate.source.value, 1.0),
            rejected=wrong.by_id.get(candidate.id, ""),
        )
        for candidate, assignment in split.train
    ]


def _held_out_row(candidate: Candidate, assignment: Assignment, render: Render) -> HeldOutRow:
    extra = candidate.record.extra
    return HeldOutRow(
        row=_training_row(candidate, assignment, render),
        question=candidate.question,
        bot_answer=candidate.record.answer,
        facts=_strings(extra.get("facts")),
        sources=_strings(extra.get("passages")),
        slices=slices_of(candidate),
    )


def _training_row(candidate: Candidate, assignment: Assignment, render: Render) -> TrainingRow:
    return TrainingRow(
        id=candidate.id,
        messages=tuple(render(candidate.record)),
        completion=candidate.completion,
        source=candidate.source,
        interaction_ids=(candidate.interaction_id, *sorted(candidate.merged)),
        group=assignment.group,
    )


def _facts(
    source: DatasetInput,
    policy: DatasetPolicy,
    split: _Split,
    replayed: int,
    rejected: Sequence[Rejection],
) -> dict[str, Any]:
    clean_rows = [c for c, _ in (*split.train, *split.holdout)]
    labelled = sum(candidate_of(record) is not None for record in source.records)
    wanted = policy.replay_beside(len(split.train))
    shown = min(wanted, replayed)
    return {
        "counts": {
            "records": len(source.records),
            "unlabelled": len(source.records) - labelled,
            "labelled": labelled,
            "train": len(split.train),
            "replay": replayed,
            "holdout": len(split.holdout),
            "rejected": len(rejected),
            "held": sum(r.disposition is Disposition.HELD for r in rejected),
        },
        "rejected_by_reason": dict(sorted(Counter(r.reason for r in rejected).items())),
        "labels": _label_progress(len(clean_rows), policy.required_labels),
        "split": {
            "holdout_share": round(len(split.holdout) / max(1, len(clean_rows)), 4),
            "groups": len({a.group for _, a in (*split.train, *split.holdout)}),
            "protected_questions": len(split.protected),
            "leaks": [check.to_row() for check in split.leaks],
        },
        "replay": {
            "wanted": wanted,
            "share": round(shown / max(1, shown + len(split.train)), 4),
            "missing": wanted - shown,
        },
        "lineage": _lineage(clean_rows, source, policy),
        "policy": policy.to_row(),
    }


def _label_progress(labels: int, required: int) -> Mapping[str, Any]:
    return {
        "distinct_clean": labels,
        "required": required,
        "progress": round(labels / required, 4) if required else 1.0,
        "enough": labels >= required,
        "missing": max(0, required - labels),
    }


def _lineage(
    rows: Sequence[Candidate], source: DatasetInput, policy: DatasetPolicy
) -> Mapping[str, Any]:
    contributors = Counter(
        "unknown" if c.contributor is None else digest(policy.salt, "who", c.contributor)[:12]
        for c in rows
    )
    return {
        "interactions": sum(1 + len(c.merged) for c in rows),
        "contributors": dict(sorted(contributors.items())),
        "sources": dict(sorted(Counter(c.source.value for c in rows).items())),
        "embedder": None if source.vectors is None else source.vectors.embedder_id,
        "redaction_version": source.redaction_version,
    }


def _texts(
    candidates: Sequence[Candidate],
    previous: Sequence[Assignment],
    replay: Sequence[ReplayRow],
) -> list[str]:
    asked = {c.question for c in candidates} | {a.question for a in previous if a.question}
    return sorted(asked | {row.question for row in replay})


def _require_vectors(source: DatasetInput, kept: Sequence[Candidate]) -> None:
    if source.vectors is None:
        return
    missing = source.vectors.missing(_texts(kept, source.previous, source.replay))
    if missing:
        raise InvalidInputError(
            f"{len(missing)} questions have no vector, the first is {missing[0][:60]!r}; embed "
            "everything that texts_to_embed names"
        )


def _quarantined(candidate: Candidate) -> Rejection:
    return Rejection(
        id=candidate.id,
        reason="quarantine",
        detail="resembles rows on both sides of the split, so it is neither trained nor evaluated",
        disposition=Disposition.HELD,
    )


def _leaking(row_id: str) -> Rejection:
    return Rejection(
        id=row_id,
        reason="leak",
        detail="its question is nearly one that is held out, so it must not train",
    )


def _strings(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list | tuple) else ()
