"""The gates: what a challenger must show, relative to the champion, before a person sees it.

Improvement where it was asked for, non-inferiority everywhere else, no single never-break item
lost. Too few examples is an outcome of its own and never a pass.
"""

from retrain.gates.decide import decide
from retrain.gates.policy import (
    DEFAULT_RULES,
    NEVER_BREAK,
    SLICES,
    Demand,
    GatePolicy,
    GateRule,
    tiny_base_policy,
)
from retrain.gates.report import GateReport, GateResult, SliceResult, Status

__all__ = [
    "DEFAULT_RULES",
    "NEVER_BREAK",
    "SLICES",
    "Demand",
    "GatePolicy",
    "GateReport",
    "GateResult",
    "GateRule",
    "SliceResult",
    "Status",
    "decide",
    "tiny_base_policy",
]
