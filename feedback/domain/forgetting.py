"""What forgetting a person did, in counts and names of data sets: nothing personal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class MarkedDataset:
    """A data set that was built from rows of the person; its files still hold them.

    Attributes:
        rows: Rows that came from the person, both sides.
        train_rows: Of these, rows that were trained on.
    """

    id: str
    path: str
    rows: int
    train_rows: int


@dataclass(frozen=True, kw_only=True)
class MarkedAdapter:
    """An adapter that was trained on a marked data set."""

    id: str
    dataset_id: str
    state: str


@dataclass(frozen=True, kw_only=True)
class ForgetReport:
    """What was erased, and what erasing a database row cannot undo.

    Attributes:
        alias: Stands for the person in the rows that stay; made anew each time, from nothing.
        erased: How many rows of each kind lost their content.
    """

    alias: str
    erased: Mapping[str, int]
    datasets: tuple[MarkedDataset, ...]
    adapters: tuple[MarkedAdapter, ...]

    def to_row(self) -> dict[str, Any]:
        """Returns JSON."""
        return {
            "alias": self.alias,
            "erased": dict(self.erased),
            "datasets": [asdict(item) for item in self.datasets],
            "adapters": [asdict(item) for item in self.adapters],
        }

    @property
    def told(self) -> str:
        """What the person reads."""
        counts = ", ".join(
            f"{self.erased[name]} {name}"
            for name in ("questions", "corrections", "comments")
            if self.erased.get(name)
        )
        said = f"Done. Erased: {counts or 'there was nothing left to erase'}."
        if self.datasets:
            said += (
                f" {len(self.datasets)} data sets were built from these rows before; they are "
                "marked for the operators, and nothing new is trained from them."
            )
        return said
