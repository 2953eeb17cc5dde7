"""One entry of the audit trail as people read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """Who moved what from where to where, and why.

    Attributes:
        subject: What was moved: `cycle:<id>`, `experiment:<id>`, `champion`, `switch:<name>`.
        hash: Chains this entry to the one before it.
    """

    id: int
    hash: str
    subject: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    data: Mapping[str, Any]
    at: datetime
