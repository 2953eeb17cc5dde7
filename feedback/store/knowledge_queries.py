"""The statements of a search, written by hand: BM25 over postings, vectors in exact order."""

from sqlalchemy import text

_VISIBLE = """
    c.removed_at is null
    and (d.audience is null or d.audience = cast(:audience as text))
    and (d.expires_at is null or d.expires_at > cast(:at as timestamptz))
"""

BY_TERMS = text(
    f"""
    select c.chunk_id, found.score, ({_VISIBLE}) as visible
    from (
        select p.chunk_number, sum(p.impact * u.weight) as score
        from postings p
        join unnest(cast(:terms as text[]), cast(:weights as real[])) u(term, weight)
            using (term)
        group by p.chunk_number
        order by score desc
        limit :pool
    ) found
    join chunks c on c.number = found.chunk_number
    join documents d on d.doc_id = c.doc_id
    order by found.score desc, c.chunk_id
    """  # noqa: S608  (constants of this module only)
)

# Adding zero keeps the planner from the approximate index: exact order for small sets.
BY_VECTOR = {
    exact: text(
        f"""
        select c.chunk_id, 1 - (c.embedding <=> cast(:vector as vector)) as score
        from chunks c
        join documents d on d.doc_id = c.doc_id
        where {_VISIBLE}
        order by (c.embedding <=> cast(:vector as vector)) {"+ 0, c.chunk_id" if exact else ""}
        limit :limit
        """  # noqa: S608  (constants of this module only)
    )
    for exact in (True, False)
}

SCORES = text(
    """
    select c.chunk_id, 1 - (c.embedding <=> cast(:vector as vector)) as cosine,
        coalesce((
            select sum(p.impact * u.weight)
            from postings p
            join unnest(cast(:terms as text[]), cast(:weights as real[])) u(term, weight)
                using (term)
            where p.chunk_number = c.number
        ), 0) as lexical
    from chunks c
    where c.chunk_id = any(cast(:ids as text[])) and c.removed_at is null
    """
)

RECOUNT = text(
    """
    insert into terms (term, chunks)
    select u.term, count(p.chunk_number)
    from unnest(cast(:terms as text[])) u(term) left join postings p using (term)
    group by u.term
    on conflict (term) do update set chunks = excluded.chunks
    """
)
