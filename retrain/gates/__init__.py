"""The gates: what a challenger must show, relative to the champion, before a person sees it.

Improvement where it was asked for, non-inferiority everywhere else, no single never-break item
lost. Too few examples is an outcome of its own and never a pass.
"""

from retrain.gates.decide import decide
from retrain.gates.policy import (
    DEFAULT_RULES,
    NEVER_BREAK,
    Demand,
    GatePolicy,
    GateRule,
    gate_names,
    tiny_base_policy,
)
from retrain.gates.report import GateReport, GateResult, Status

__all__ = [
    "DEFAULT_RULES",
    "NEVER_BREAK",
    "Demand",
    "GatePolicy",
    "GateReport",
    "GateResult",
    "GateRule",
    "Status",
    "decide",
    "gate_names",
    "tiny_base_policy",
]
