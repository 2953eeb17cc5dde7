"""Which findings of redaction keep a row out of training."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from feedback.redaction import ENTITY_TYPES, NameDirectory, Redactor

PERSONAL = ENTITY_TYPES - {"DATE_TIME", "URL", "ZIP_CODE"}
"""Types that never belong in training text. Dates, links and post codes are what support answers
are made of, and name nobody by themselves."""


def leftover_check(directory: NameDirectory | None = None) -> Callable[[str], Sequence[str]]:
    """Returns the check that names the personal data and secrets still in a text.

    Args:
        directory: The workspace's people; without it only listed and cued names are found.
    """
    redactor = Redactor(directory, entities=PERSONAL)

    @lru_cache(maxsize=100_000)
    def find(text: str) -> tuple[str, ...]:
        return tuple(span.type for span in redactor.find(text))

    return find
