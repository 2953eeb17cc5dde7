"""What a data set version is built by: every number that changes its content is here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from feedback.errors import ConfigurationError
from retrain.dataset.rows import Source


class TrainOn(StrEnum):
    """Whose text may become training text; the same modes as `Records.trainable`."""

    REVIEWER_AUTHORED = "reviewer_authored"
    CONSENTING = "consenting"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class DatasetPolicy:
    """Rules of cleaning, splitting and mixing.

    Attributes:
        salt: Keys the draw of the held-out groups and the contributors' pseudonyms.
        holdout_share: Share of groups that are held out, 0..1 (20-30 % is usual).
        replay_share: Share of the rows that an epoch shows that are generic dialogue, 0..1.
        replay_variety: Different dialogues for each one that an epoch shows; as many as there are
            epochs, and a run shows none of them twice.
        required_labels: Distinct clean examples that production asks for.
        twin_cosine: Questions whose vectors are at least this near stay on one side.
        twin_jaccard: The same for character 5-grams, which needs no vectors.
        leak_step: The leak check is repeated this far below both thresholds and reported.
        near_duplicate_jaccard: Question and answer both at least this alike make a duplicate.
        conflict_overlap: Answers to one question that share less of their words contradict.
        disabled_cleaners: Names of cleaners that do not run; the manifest says so.
        min_completion_chars: Shorter answers are refused.
        max_question_chars: Longer questions are refused.
        max_completion_chars: Longer answers are refused.
        max_tokens: Limit on question and answer together, where a token counter is given.
        source_weights: How often an epoch shows the rows of a source, by its name; once if absent.
        source_shares: Largest share of the clean rows that a source may give, by its name, 0..1;
            unlimited when not named. `contributor_floor` rows are always allowed.
        contributor_share: Largest share of the clean rows that one person may give, 0..1.
        contributor_floor: Rows that any one person may give whatever their share.
        burst_rows: More rows than this from one person within `burst_seconds` are held.
        burst_seconds: Width of the burst window in seconds.
        train_on: Whose text may train.
        group_same_completion: Also keeps rows with equal answers on one side; for sets in which
            every question has an answer of its own.
    """

    salt: str = "understudy"
    holdout_share: float = 0.25
    replay_share: float = 0.5
    replay_variety: int = 1
    required_labels: int = 5000
    twin_cosine: float = 0.8
    twin_jaccard: float = 0.7
    leak_step: float = 0.1
    near_duplicate_jaccard: float = 0.85
    conflict_overlap: float = 0.5
    disabled_cleaners: frozenset[str] = frozenset()
    min_completion_chars: int = 2
    max_question_chars: int = 4000
    max_completion_chars: int = 4000
    max_tokens: int = 2048
    source_weights: Mapping[str, float] = field(default_factory=dict)
    source_shares: Mapping[str, float] = field(default_factory=dict)
    contributor_share: float = 0.5
    contributor_floor: int = 100
    burst_rows: int = 60
    burst_seconds: float = 600.0
    train_on: TrainOn = TrainOn.ALL
    group_same_completion: bool = False

    def __post_init__(self) -> None:
        """Refuses impossible numbers, all at once.

        Raises:
            ConfigurationError: Naming every wrong field.
        """
        problems = [
            f"{name} must lie strictly between 0 and 1, got {value}"
            for name, value in (
                ("holdout_share", self.holdout_share),
                ("contributor_share", self.contributor_share),
                ("near_duplicate_jaccard", self.near_duplicate_jaccard),
            )
            if not 0 < value < 1
        ]
        if not 0 <= self.replay_share < 1:
            problems.append(f"replay_share must be at least 0 and below 1, got {self.replay_share}")
        if self.replay_variety < 1:
            problems.append(f"replay_variety must be at least 1, got {self.replay_variety}")
        for name, value in (("twin_cosine", self.twin_cosine), ("twin_jaccard", self.twin_jaccard)):
            if not self.leak_step < value < 1:
                problems.append(
                    f"{name} must lie between leak_step ({self.leak_step}) and 1, got {value}"
                )
        problems += _source_problems("weight", self.source_weights, most=10)
        problems += _source_problems("share", self.source_shares, most=1)
        if problems:
            raise ConfigurationError(*problems)

    def replay_beside(self, rows: int) -> int:
        """Returns how many generic dialogues an epoch should show beside so many rows."""
        return round(self.replay_share / (1 - self.replay_share) * rows)

    def to_row(self) -> Mapping[str, Any]:
        """Returns the fields as JSON values, sets sorted."""
        row: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            row[each.name] = sorted(value) if isinstance(value, frozenset) else value
        return row


def _source_problems(name: str, values: Mapping[str, float], most: float) -> list[str]:
    known = sorted(source.value for source in Source)
    unknown = [
        f"no source is called {source!r}; sources are {', '.join(known)}"
        for source in values
        if source not in known
    ]
    return unknown + [
        f"{name} of source {source} must be above 0 and at most {most:g}, got {value}"
        for source, value in values.items()
        if not 0 < value <= most
    ]
