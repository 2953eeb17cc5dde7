"""Cleaning: small checks in a list, each with a name that becomes the reason in `rejected.jsonl`.

Order matters and is fixed by `standard_cleaners`: single texts first, then duplicates, then what
can only be judged over all remaining rows. Running the list twice changes nothing the second time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from feedback.errors import ConfigurationError
from retrain.dataset.crowd_cleaners import (
    BurstCleaner,
    ConflictCleaner,
    ContributorShareCleaner,
    ExactDuplicateCleaner,
    NearDuplicateCleaner,
    SourceShareCleaner,
)
from retrain.dataset.policy import DatasetPolicy
from retrain.dataset.rows import Candidate, Rejection
from retrain.dataset.text_cleaners import (
    ArithmeticCleaner,
    ConsentCleaner,
    FactCleaner,
    InjectionCleaner,
    LengthCleaner,
    PlaceholderCleaner,
    PrivacyCleaner,
    StyleCleaner,
)


class Cleaner(Protocol):
    """One reason for which rows are kept out."""

    @property
    def name(self) -> str:
        """Names the cleaner in policies, manifests and `rejected.jsonl`."""
        ...

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns a rejection for every candidate that must not get in."""
        ...


@dataclass(frozen=True, kw_only=True)
class DatasetChecks:
    """Judgements that other parts of the product bring in; None when they are not at hand.

    Attributes:
        leftovers: Names the kinds of personal data and secrets still in a text.
        style: Names the style-guide rules that an answer breaks.
        count_tokens: Counts the tokens of a text with the tokenizer that will train.
    """

    leftovers: Callable[[str], Sequence[str]] | None = None
    style: Callable[[str], Sequence[str]] | None = None
    count_tokens: Callable[[str], int] | None = None


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The outcome of cleaning: every candidate is in exactly one of the two."""

    kept: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]


def standard_cleaners(policy: DatasetPolicy, checks: DatasetChecks) -> list[Cleaner]:
    """Returns all cleaners in their order; those whose check is not at hand are left out."""
    cleaners: list[Cleaner] = [
        ConsentCleaner(train_on=policy.train_on),
        LengthCleaner(policy=policy, count_tokens=checks.count_tokens),
        PlaceholderCleaner(),
        InjectionCleaner(),
    ]
    if checks.leftovers is not None:
        cleaners.append(PrivacyCleaner(leftovers=checks.leftovers))
    if checks.style is not None:
        cleaners.append(StyleCleaner(style=checks.style))
    cleaners += [
        ArithmeticCleaner(),
        FactCleaner(),
        ExactDuplicateCleaner(),
        NearDuplicateCleaner(threshold=policy.near_duplicate_jaccard),
        ConflictCleaner(overlap=policy.conflict_overlap),
        BurstCleaner(rows=policy.burst_rows, seconds=policy.burst_seconds),
        SourceShareCleaner(
            shares=policy.source_shares, floor=policy.contributor_floor, salt=policy.salt
        ),
        ContributorShareCleaner(
            share=policy.contributor_share, floor=policy.contributor_floor, salt=policy.salt
        ),
    ]
    return cleaners


CLEANER_NAMES = (
    ConsentCleaner.name,
    LengthCleaner.name,
    PlaceholderCleaner.name,
    InjectionCleaner.name,
    PrivacyCleaner.name,
    StyleCleaner.name,
    ArithmeticCleaner.name,
    FactCleaner.name,
    ExactDuplicateCleaner.name,
    NearDuplicateCleaner.name,
    ConflictCleaner.name,
    BurstCleaner.name,
    SourceShareCleaner.name,
    ContributorShareCleaner.name,
)
"""Every name that `DatasetPolicy.disabled_cleaners` may hold."""


def require_known(names: frozenset[str]) -> None:
    """Refuses names of cleaners that do not exist: a typo would silently clean nothing less.

    Raises:
        ConfigurationError: Naming the unknown ones and the known ones.
    """
    unknown = sorted(names - set(CLEANER_NAMES))
    if unknown:
        raise ConfigurationError(
            f"no cleaner is called {', '.join(unknown)}; known are {', '.join(CLEANER_NAMES)}"
        )


def clean(
    candidates: Sequence[Candidate], cleaners: Sequence[Cleaner], disabled: frozenset[str]
) -> Cleaned:
    """Runs the enabled cleaners one after the other on what the earlier ones left.

    A duplicate's interaction id lives on in the row that stands for it.
    """
    kept = list(candidates)
    rejected: list[Rejection] = []
    for cleaner in cleaners:
        if cleaner.name in disabled:
            continue
        found = cleaner.check(kept)
        out = {rejection.id for rejection in found}
        merged: dict[str, list[str]] = {}
        by_id = {candidate.id: candidate for candidate in kept}
        for rejection in found:
            if rejection.kept_as is not None:
                gone = by_id[rejection.id]
                merged.setdefault(rejection.kept_as, []).extend([gone.interaction_id, *gone.merged])
        kept = [
            replace(c, merged=(*c.merged, *merged[c.id])) if c.id in merged else c
            for c in kept
            if c.id not in out
        ]
        rejected.extend(found)
    return Cleaned(kept=tuple(kept), rejected=tuple(rejected))
