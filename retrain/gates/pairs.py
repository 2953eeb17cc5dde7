"""Both models' outcomes on the same examples."""

from collections import defaultdict
from dataclasses import dataclass

from feedback.errors import InvalidInputError
from retrain.evals.evaluation import Evaluation
from retrain.gates.statistics import bootstrap_low


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Outcomes of both models on the same examples of one metric.

    Attributes:
        slices: What parts of the whole each example belongs to.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    groups: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...] = ()

    @property
    def n(self) -> int:
        """Examples."""
        return len(self.before)

    @property
    def binary(self) -> bool:
        """Whether every outcome is right or wrong, nothing between."""
        return all(score in {0.0, 1.0} for score in (*self.before, *self.after))

    @property
    def gained(self) -> int:
        """Examples that only the challenger has right (or has more right)."""
        return sum(new > old for old, new in zip(self.before, self.after, strict=True))

    @property
    def lost(self) -> int:
        """Examples that only the champion has right (or has more right)."""
        return sum(new < old for old, new in zip(self.before, self.after, strict=True))

    @property
    def difference(self) -> float:
        """Challenger's mean minus champion's."""
        return (sum(self.after) - sum(self.before)) / self.n

    def low(self, alpha: float) -> float:
        """The lower bound of the mean difference, by paired bootstrap over groups."""
        differences = [new - old for old, new in zip(self.before, self.after, strict=True)]
        return bootstrap_low(differences, self.groups, alpha)

    def by_slice(self) -> "dict[str, Pairs]":
        """Returns the examples of each slice, by its name; what all belong to is no slice."""
        members: defaultdict[str, list[int]] = defaultdict(list)
        for index, names in enumerate(self.slices):
            for name in names:
                members[name].append(index)
        return {
            name: Pairs(
                before=tuple(self.before[i] for i in found),
                after=tuple(self.after[i] for i in found),
                groups=tuple(self.groups[i] for i in found),
            )
            for name, found in sorted(members.items())
            if len(found) < self.n
        }


def pair_up(metric: str, candidate: Evaluation, champion: Evaluation) -> Pairs | None:
    """Pairs the outcomes of one metric; None when one side did not measure it.

    Raises:
        InvalidInputError: When the two were not asked the same examples.
    """
    ours, theirs = candidate.outcomes.get(metric), champion.outcomes.get(metric)
    if not ours or not theirs:
        return None
    before = {outcome.example_id: outcome for outcome in theirs}
    if set(before) != {outcome.example_id for outcome in ours}:
        raise InvalidInputError(
            f"{metric!r} was measured on different examples for {candidate.model!r} and "
            f"{champion.model!r}; evaluate both on the same held-out version"
        )
    return Pairs(
        before=tuple(before[outcome.example_id].score for outcome in ours),
        after=tuple(outcome.score for outcome in ours),
        groups=tuple(outcome.group for outcome in ours),
        slices=tuple(outcome.slices for outcome in ours),
    )
