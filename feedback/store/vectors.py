"""Vectors of what was asked, answered and corrected, kept while text and embedder are the same."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from sqlalchemy import TextClause, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.knowledge.repository import Vector
from feedback.mining.remembered import Part, TextKey
from feedback.store.tables.feedback import interaction_vectors

_ROWS = 2_000
"""Rows fetched at a time: a whole history at once would be held twice."""

# As bytes: parsing 384 numbers a row from text takes longer than everything else.
_KEPT = text(
    """
    select interaction_id, part, text_sha256, vector_send(embedding) as embedding
    from interaction_vectors where embedder_id = :embedder
    """
)
_HEADER_BYTES = 4  # pgvector's: the width and a reserved word

_HELD: Sequence[TextClause] = (
    text("select id from interactions where id = any(:ids) order by id for share"),
    text("select id from corrections where interaction_id = any(:ids) order by id for share"),
)
_PRESENT = text(
    """
    select id, 'question' as part, question as said from interactions where id = any(:ids)
    union all
    select id, 'answer', answer from interactions where id = any(:ids) and answer is not null
    union all
    select c.interaction_id, 'correction', cv.text from corrections c
    join correction_versions cv on cv.correction_id = c.id and cv.version = c.version
    where c.interaction_id = any(:ids) and c.state <> 'withdrawn'
    """
)
_OTHERS = text(
    """
    delete from interaction_vectors v where not exists (
        select from unnest(cast(:ids as text[]), cast(:parts as text[])) w(id, part)
        where w.id = v.interaction_id and w.part = v.part)
    """
)


class SqlVectors:
    """What mining need not embed again; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def kept(self, embedder_id: str, texts: Mapping[TextKey, str]) -> dict[str, Vector]:
        """Returns the known vectors by text, of those texts that are still the same.

        Args:
            embedder_id: The space; vectors of another one are left out.
            texts: What is needed, by where it stands.
        """
        known: dict[str, Vector] = {}
        statement = _KEPT.execution_options(yield_per=_ROWS)
        async with self._connection.stream(statement, {"embedder": embedder_id}) as rows:
            async for row in rows:
                said = texts.get((row.interaction_id, Part(row.part)))
                if said is not None and _digest(said) == row.text_sha256:
                    raw = bytes(row.embedding)[_HEADER_BYTES:]
                    known[said] = np.frombuffer(raw, dtype=">f4").astype(np.float32)
        return known

    async def keep(
        self, embedder_id: str, texts: Mapping[TextKey, str], vectors: Mapping[str, Vector]
    ) -> None:
        """Keeps vectors; of a text that was erased or changed meanwhile none is kept.

        Args:
            embedder_id: Their space.
            texts: Where each text stands.
            vectors: By text.
        """
        present = await self._present({interaction_id for interaction_id, _ in texts})
        rows = [
            {
                "interaction_id": key[0],
                "part": key[1].value,
                "embedder_id": embedder_id,
                "text_sha256": _digest(said),
                "embedding": vectors[said],
            }
            for key, said in texts.items()
            if (*key, said.strip()) in present
        ]
        if not rows:
            return
        statement = insert(interaction_vectors)
        renewed = {
            name: statement.excluded[name] for name in ("embedder_id", "text_sha256", "embedding")
        }
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["interaction_id", "part"], set_=renewed
            ),
            rows,
        )

    async def keep_only(self, keys: Collection[TextKey]) -> None:
        """Drops the vectors of everything else: withdrawn corrections, unanswered questions."""
        wanted = list(keys)
        await self._connection.execute(
            _OTHERS,
            {"ids": [key[0] for key in wanted], "parts": [key[1].value for key in wanted]},
        )

    async def _present(self, ids: Collection[str]) -> set[tuple[str, Part, str]]:
        """Reads texts as they stand; nobody erases them before the end of the transaction."""
        bind = {"ids": list(ids)}
        for statement in _HELD:
            await self._connection.execute(statement, bind)
        rows = await self._connection.execute(_PRESENT, bind)
        return {(row.id, Part(row.part), row.said.strip()) for row in rows}


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()
