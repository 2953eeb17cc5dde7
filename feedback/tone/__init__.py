"""The brand's voice as rules, and whether an answer keeps to its sources."""

from feedback.tone.grounding import Grounding, grounded
from feedback.tone.guide import StyleGuide, ToneScore, ToneScorer
from feedback.tone.rules import Level, StyleRule, Violation

__all__ = [
    "Grounding",
    "Level",
    "StyleGuide",
    "StyleRule",
    "ToneScore",
    "ToneScorer",
    "Violation",
    "grounded",
]
