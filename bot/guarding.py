"""Checks every answer before people see it: tone by the style guide, facts by the passages."""

from collections.abc import Sequence

from bot.answering import Quality
from feedback.tone.grounding import grounded
from feedback.tone.guide import StyleGuide


class StyleGuard:
    """Implements the answering guard."""

    def __init__(self, guide: StyleGuide) -> None:
        self._guide = guide

    def check(self, answer: str, passages: Sequence[str], *, question: str) -> Quality:
        """Returns the answer's tone, and whether the passages support it."""
        supported: bool | None = None
        if passages:
            supported = grounded(
                answer, passages, question=question, boilerplate=self._guide.required
            ).supported
        return Quality(on_brand=self._guide.score(answer).on_brand, grounded=supported)
