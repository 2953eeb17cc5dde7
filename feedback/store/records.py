"""Interactions joined with what people said of them: the rows that mining and datasets read."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.interaction import (
    TONE_REASONS,
    Arm,
    InteractionRecord,
    Rating,
    Reason,
    Retrieved,
)

# One opinion per person; a tie is no opinion. The newest version of an approved correction wins.
_RATED = text(
    """
    select i.id, i.thread_key, i.asker, extract(epoch from i.asked_at) as ts, i.question, i.answer,
           i.retrieved, i.arm, i.on_brand, i.grounded, i.abstained,
           v.ups, v.downs, v.reasons, c.text as correction,
           exists (select from handoffs h where h.interaction_id = i.id) as handed_off
    from interactions i
    left join (
        select interaction_id,
               count(*) filter (where rating = 'up') as ups,
               count(*) filter (where rating = 'down') as downs,
               array_agg(distinct reason) filter (where reason is not null) as reasons
        from votes left join lateral unnest(reasons) reason on true
        group by interaction_id
    ) v on v.interaction_id = i.id
    left join (
        select distinct on (c.interaction_id) c.interaction_id, cv.text
        from corrections c
        join correction_versions cv on cv.correction_id = c.id and cv.version = c.version
        where c.state in ('proposed', 'claimed', 'second_look', 'approved')
        order by c.interaction_id, c.created_at desc
    ) c on c.interaction_id = i.id
    where i.answer is not null and i.state <> 'stopped'
    order by i.asked_at, i.id
    """
)

_TRAINABLE = text(
    """
    select c.id, c.interaction_id, c.thread_key, c.author, c.source, c.consent,
           extract(epoch from c.created_at) as ts, c.question, c.bot_answer, c.passages,
           c.reasons, cv.text as correction, i.retrieved, c.tags,
           split_part(c.thread_key, ':', 2) as channel,
           (select array_agg(distinct p.label)
            from pattern_members m join patterns p on p.id = m.pattern_id and p.current
            where m.interaction_id = c.interaction_id) as patterns
    from corrections c
    join correction_versions cv on cv.correction_id = c.id and cv.version = c.version
    left join interactions i on i.id = c.interaction_id
    where c.state = 'approved' and c.consent = any(:consents)
    order by c.created_at, c.id
    """
)

# An answer that somebody gave a tone reason is off brand; a text that a reviewer approved, and an
# answer that was liked and never called off in tone, are on brand.
_TONE_TAGS = text(
    """
    select i.answer as text, 0.0 as on_brand from interactions i
    where i.answer is not null and exists (
        select from votes v where v.interaction_id = i.id and v.reasons && :tone)
    union all
    select c.bot_answer, 0.0 from corrections c
    where c.state <> 'withdrawn' and c.reasons && :tone and not exists (
        select from votes v where v.interaction_id = c.interaction_id and v.reasons && :tone)
    union all
    select cv.text, 1.0 from corrections c
    join correction_versions cv on cv.correction_id = c.id and cv.version = c.version
    where c.state = 'approved'
    union all
    select i.answer, 1.0 from interactions i
    where i.answer is not null
      and exists (select from votes v where v.interaction_id = i.id and v.rating = 'up')
      and not exists (select from votes v where v.interaction_id = i.id
                      and (v.rating = 'down' or v.reasons && :tone))
      and not exists (select from corrections c where c.interaction_id = i.id)
    """
)

CONSENTS = {
    "reviewer_authored": ["reviewer_authored"],
    "consenting": ["reviewer_authored", "consenting"],
    "all": ["reviewer_authored", "consenting", "none"],
}
"""Which consents of a correction each mode lets train."""


class SqlRecords:
    """Reads whole-history views; nothing here writes."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rated(self) -> list[InteractionRecord]:
        """Returns every answered question with the majority opinion and its correction."""
        rows = (await self._connection.execute(_RATED)).mappings()
        return [
            InteractionRecord(
                id=row["id"],
                thread_id=row["thread_key"],
                user_id=row["asker"],
                ts=float(row["ts"]),
                question=row["question"],
                answer=row["answer"],
                correction=row["correction"],
                rating=_majority(row["ups"] or 0, row["downs"] or 0),
                reasons=tuple(Reason(reason) for reason in row["reasons"] or ()),
                retrieved=_retrieved(row["retrieved"]),
                arm=Arm(row["arm"]) if row["arm"] else None,
                extra={
                    "on_brand": row["on_brand"],
                    "grounded": row["grounded"],
                    "abstained": row["abstained"],
                    "handed_off": row["handed_off"],
                },
            )
            for row in rows
        ]

    async def trainable(self, consent: str) -> list[InteractionRecord]:
        """Returns approved corrections that may train under a consent mode, oldest first.

        Args:
            consent: `reviewer_authored`, `consenting` or `all`.
        """
        rows = (
            await self._connection.execute(_TRAINABLE, {"consents": CONSENTS[consent]})
        ).mappings()
        return [
            InteractionRecord(
                id=row["id"],
                thread_id=row["thread_key"],
                user_id=row["author"],
                ts=float(row["ts"]),
                question=row["question"],
                answer=row["bot_answer"],
                correction=row["correction"],
                reasons=tuple(Reason(reason) for reason in row["reasons"] or ()),
                retrieved=_retrieved(row["retrieved"] or ()),
                extra={
                    "passages": list(row["passages"]),
                    "sources": list(row["passages"]),
                    "reviewer_id": row["author"],
                    "corrected_at": float(row["ts"]),
                    "interaction_id": row["interaction_id"],
                    "source": row["source"],
                    "consent": row["consent"],
                    "slices": {
                        "channel": _channel(row["channel"]),
                        "pattern": list(row["patterns"] or ()),
                        "tag": list(row["tags"]),
                    },
                },
            )
            for row in rows
        ]

    async def tone_tags(self) -> list[tuple[str, float]]:
        """Returns `(text, 1 or 0)`: what people called on brand, and what they did not."""
        rows = await self._connection.execute(
            _TONE_TAGS, {"tone": sorted(reason.value for reason in TONE_REASONS)}
        )
        return sorted({(row.text, float(row.on_brand)) for row in rows})

    async def label_progress(self) -> int:
        """Returns how many approved corrections there are, before cleaning."""
        count = await self._connection.scalar(
            text("select count(*) from corrections where state = 'approved'")
        )
        return int(count or 0)


def _majority(ups: int, downs: int) -> Rating | None:
    if ups == downs:
        return None
    return Rating.UP if ups > downs else Rating.DOWN


def _channel(channel: str) -> str:
    """A person's own channel is no part of the whole: all of them together are one."""
    return "direct messages" if channel.startswith("D") else channel


def _retrieved(rows: list[Mapping[str, Any]] | tuple[()]) -> tuple[Retrieved, ...]:
    return tuple(
        Retrieved(
            doc_id=str(row["doc_id"]),
            score=float(row["score"]),
            chunk_id=str(row.get("chunk_id", "")),
        )
        for row in rows
    )
