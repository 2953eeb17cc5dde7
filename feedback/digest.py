"""Reads the week in patterns from the record."""

from datetime import datetime

from feedback.domain.digest import Digest, digest
from feedback.store.unit_of_work import Transaction

DIGEST = "pattern_digest"
"""Outbox kind: `{channel, at, team?, ts?}`; with `ts` that message is drawn anew."""


async def read_digest(tx: Transaction, at: datetime) -> Digest:
    """Returns the digest of the week before `at`, with today's decisions."""
    patterns = await tx.patterns.current()
    return digest(patterns, await tx.patterns.counts(at), at, tone=await tx.patterns.tone())
