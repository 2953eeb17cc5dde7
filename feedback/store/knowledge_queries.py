"""The statements of a search, written by hand: BM25 over postings, vectors in exact order."""

from sqlalchemy import text

_VISIBLE = """
    c.removed_at is null
    and (d.audience is null or d.audience = cast(:audience as text))
    and (d.expires_at is null or d.expires_at > cast(:at as timestamptz))
"""

# Both legs in one statement: a round trip costs more than either. What one leg ranks and the other
# does not still gets the other's score. Few documents are hidden from a search, so the best `pool`
# chunks nearly always hold `limit` visible ones; joining every matching chunk to its document would
# cost several times the ranking itself. Adding zero keeps the planner from the approximate index:
# exact order for small sets.
CANDIDATES = {
    exact: text(
        f"""
        with matched as materialized (
            select p.chunk_number as number, sum(p.impact * u.weight) as lexical
            from postings p
            join unnest(cast(:terms as text[]), cast(:weights as real[])) u(term, weight)
                using (term)
            group by p.chunk_number
        ),
        pool as materialized (
            select c.number, c.chunk_id, m.lexical, ({_VISIBLE}) as visible
            from (select * from matched order by lexical desc limit :pool) m
            join chunks c using (number)
            join documents d on d.doc_id = c.doc_id
        ),
        by_terms as (
            select number from pool where visible order by lexical desc, chunk_id limit :limit
        ),
        by_vector as (
            select c.number
            from chunks c
            join documents d on d.doc_id = c.doc_id
            where {_VISIBLE}
            order by (c.embedding <=> cast(:vector as vector)) {"+ 0, c.chunk_id" if exact else ""}
            limit :limit
        )
        select c.chunk_id, coalesce(m.lexical, 0) as lexical,
            1 - (c.embedding <=> cast(:vector as vector)) as cosine,
            (select count(*) from pool) as pooled,
            (select count(*) from by_terms) as visible
        from (select number from by_terms union select number from by_vector) best
        join chunks c using (number)
        left join matched m using (number)
        """  # noqa: S608  (constants of this module only)
    )
    for exact in (True, False)
}

RECOUNT = text(
    """
    insert into terms (term, chunks)
    select u.term, count(p.chunk_number)
    from unnest(cast(:terms as text[])) u(term) left join postings p using (term)
    group by u.term
    on conflict (term) do update set chunks = excluded.chunks
    """
)
