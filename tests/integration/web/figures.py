"""Constants and stored reports of the filled database."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
START = NOW - timedelta(days=41)
XSS = "<script>alert('pwned')</script><img src=x onerror=alert(1)> & \"quotes\""
PROMOTED, RUNNING = "c20260215-030000", "c20260301-030000"
STOPPED = "c20260222-030000"
CHAMPION, CHALLENGER = "adapter-0f3a9c12d4e5", "adapter-7b61ee20c9aa"
TRIAL = f"e-{RUNNING}"
ODD = "i-odd"


def gates(*, stopped: bool) -> dict[str, Any]:
    """A stored gate report."""
    figures = [
        ("correctness", 0.11, 0.81),
        ("on_brand", 0.08, 0.94),
        ("arithmetic", 0.98, 0.95),
        ("facts", 0.91, 0.9),
        ("refusal", 0.97, 0.97),
    ]
    rows = [
        {
            "gate": gate,
            "status": "pass",
            "champion": old,
            "challenger": new,
            "n": 120,
            "gained": 60,
            "lost": 3,
            "margin": 0.05,
            "needed_n": None,
            "reason": f"{gate} went from {old:.0%} to {new:.0%}",
        }
        for gate, old, new in figures
    ]
    if stopped:
        rows[2] |= {
            "status": "fail",
            "challenger": 0.61,
            "reason": "a fall from 98 % to 61 % is beyond the margin of 5 points",
        }
        rows[4] |= {"status": "cannot_tell", "reason": "40 more examples are needed"}
    headline = "stopped by arithmetic (and 1 more)" if stopped else "all 5 gates passed"
    return {"passed": not stopped, "headline": headline, "results": rows}


MANIFEST: dict[str, Any] = {
    "counts": {
        "records": 59,
        "labelled": 59,
        "train": 40,
        "replay": 40,
        "holdout": 6,
        "rejected": 13,
        "held": 2,
    },
    "rejected_by_reason": {"near_duplicate": 7, "arithmetic": 3, "conflict": 2, "placeholder": 1},
    "labels": {"distinct_clean": 21, "required": 20},
    "split": {"holdout_share": 0.21},
    "cleaners": {"ran": ["near_duplicate"], "disabled": []},
    "lineage": {"contributors": {"a": 20, "b": 26}, "redaction_version": "r1"},
}

EVIDENCE: dict[str, Any] = {
    "decision": "NONE",
    "reason": "promote E is 3.41, needs 20",
    "evidence": {
        "primary": 3.41,
        "harm": 0.21,
        "harm_fast": 0.4,
        "srm": 0.9,
        "srm_assigned": 0.9,
        "srm_delivered": 0.7,
        "futility": 0.05,
        "guardrails": {"tone": 0.02, "ground": 0.6, "error": 1.3, "slow": 2.4, "undelivered": 1.0},
        "futility_margin": 0.1,
        "lift": {
            "estimate": 0.14,
            "low": -0.06,
            "high": 0.33,
            "low_one_sided": -0.03,
            "high_one_sided": 0.3,
        },
        "log": {"primary": 1.2},
    },
    "counts": {
        "champion": {
            "assigned": 402,
            "delivered": 398,
            "undelivered": 1,
            "rated": 141,
            "matured": 301,
            "matured_rated": 112,
            "up": 88,
            "down": 61,
            "corrected": 19,
        },
        "challenger": {
            "assigned": 118,
            "delivered": 117,
            "undelivered": 0,
            "rated": 44,
            "matured": 80,
            "matured_rated": 31,
            "up": 36,
            "down": 11,
            "corrected": 4,
        },
        "excluded": 6,
    },
    "waiting_for": [
        {"gate": "evidence", "reason": "promote E is 3.41, needs 20", "needs": {}},
        {"gate": "counts", "reason": "31 of 50 rated and matured challenger threads", "needs": {}},
    ],
    "plan": {
        "thresholds": {
            "primary": 20.0,
            "harm": 20.0,
            "harm_fast": 20.0,
            "futility": 20.0,
            "srm": 1000.0,
            "guardrails": 100.0,
        },
        "ramp": [
            {
                "stage": "CANARY",
                "share": 0.05,
                "min_threads": 20,
                "min_hours": 24.0,
                "max_hours": 72.0,
            },
            {
                "stage": "RAMP",
                "share": 0.25,
                "min_threads": 60,
                "min_hours": 0.0,
                "max_hours": None,
            },
            {
                "stage": "TEST",
                "share": 0.5,
                "min_threads": None,
                "min_hours": 0.0,
                "max_hours": None,
            },
        ],
        "min_rated": 50,
        "min_delivered": 300,
        "timeout_days": 28.0,
    },
}
