"""Erases what is stored about a person; what must stay is counted under an alias.

Content goes: questions with their answers, corrections, comments, notes, names, deliveries, words
in patterns, samples in evaluations. Shape stays: that somebody asked, voted or reviewed, when, and
in which arm, because experiments and splits rest on it. The alias comes from nothing, so that no
row leads back to the person.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.forgetting import ForgetReport, MarkedAdapter, MarkedDataset
from feedback.errors import UnavailableError
from feedback.store.imports import IMPORT_TEAM

_OWN = """
    (payload #>> '{body,event,user}' = :user or payload #>> '{body,event,message,user}' = :user
     or payload #>> '{body,event,previous_message,user}' = :user
     or payload #>> '{body,user,id}' = :user or payload #>> '{body,user_id}' = :user)
    and payload::text like :team_like
"""

# Rows in hand are the business of whoever holds their lease; everything else is emptied, also
# deliveries of others that name the person, once the work on them is over.
_EMPTY_DELIVERIES = text(
    f"""
    update inbox set payload = '{{}}', error = null,
           state = case when state in ('ready', 'parked') then 'done' else state end,
           done_at = coalesce(done_at, clock_timestamp())
    where payload <> '{{}}' and event_id is distinct from :delivery
      and ((state <> 'leased' and {_OWN})
           or (state not in ('leased', 'ready', 'parked') and payload::text like :user_like
               and payload::text like :team_like))
    """  # noqa: S608 - composed of constants only
)
_IN_HAND = text(
    f"""
    select count(*) from inbox
    where state = 'leased' and event_id is distinct from :delivery and {_OWN}
    """  # noqa: S608 - composed of constants only
)

_ASKED = text("select id from interactions where team = any(:teams) and asker = :user for update")

# Their own corrections, those of their questions, and those whose present text they wrote.
_CORRECTED = text(
    """
    select c.id from corrections c
    join correction_versions cv on cv.correction_id = c.id and cv.version = c.version
    where c.interaction_id = any(:asked)
       or (c.team = any(:teams) and :user in (c.author, cv.editor, c.taught_from))
    for update of c
    """
)

CONTENT_STEPS: Sequence[tuple[str, TextClause]] = (
    (
        "questions",
        text(
            """
            update interactions set state = 'erased', question = '', answer = null,
                   retrieved = '[]', error = null, asker = :alias
            where id = any(:asked)
            """
        ),
    ),
    (
        "corrections",
        text(
            """
            update corrections set state = 'withdrawn', question = '', bot_answer = '',
                   passages = '{}', tags = '{}', row_version = row_version + 1
            where id = any(:corrected)
            """
        ),
    ),
    (
        "versions",
        text(
            """
            update correction_versions set text = ''
            where text <> '' and (correction_id = any(:corrected) or (editor = :user and exists (
                select from corrections c where c.id = correction_id and c.team = any(:teams))))
            """
        ),
    ),
    (
        "notes",
        text(
            """
            update reviews set note = ''
            where note <> '' and (correction_id = any(:corrected) or (reviewer = :user and exists (
                select from corrections c where c.id = correction_id and c.team = any(:teams))))
            """
        ),
    ),
    (
        "comments",
        text(
            """
            update votes set comment = ''
            where comment <> '' and (interaction_id = any(:asked) or (user_id = :user and exists (
                select from interactions i
                where i.id = interaction_id and i.team = any(:teams))))
            """
        ),
    ),
    (
        "comments kept as history",
        text(
            """
            update vote_events set comment = ''
            where comment <> '' and (interaction_id = any(:asked) or (user_id = :user and exists (
                select from interactions i
                where i.id = interaction_id and i.team = any(:teams))))
            """
        ),
    ),
    (
        "vectors",
        text(
            """
            delete from interaction_vectors
            where interaction_id = any(:asked) or (part = 'correction' and interaction_id in (
                select c.interaction_id from corrections c where c.id = any(:corrected)))
            """
        ),
    ),
    (
        "split questions",
        text(
            """
            update split_assignments s set question = ''
            where (s.row_id = any(:asked) or s.row_id = any(:corrected)) and s.question =
                (select min(t.question) from split_assignments t where t.row_id = s.row_id)
              and s.question <> ''
            """
        ),
    ),
    (
        "split questions of edits",
        text(
            """
            delete from split_assignments
            where (row_id = any(:asked) or row_id = any(:corrected)) and question <> ''
            """
        ),
    ),
    (
        "answers in the shadow",
        text(
            """
            update shadow_answers set answer = ''
            where answer <> '' and interaction_id = any(:asked)
            """
        ),
    ),
    (
        "names",
        text(
            """
            update people set names = '{}', consented = false, forgotten_at = :at
            where team = any(:teams) and user_id = :user
            """
        ),
    ),
    (
        "effects",
        text(
            """
            update outbox set payload = '{}', error = null,
                   done_at = coalesce(done_at, clock_timestamp())
            where payload <> '{}' and (
                payload ->> 'interaction_id' = any(:asked)
                or payload ->> 'correction_id' = any(:corrected)
                or (done_at is not null and payload::text like :user_like))
            """
        ),
    ),
    (
        "what they looked at",
        text("delete from pane_contexts where team = any(:teams) and user_id = :user"),
    ),
    (
        "confirmations",
        text(
            """
            update confirmations set shown = '{}', reason = '',
                   user_id = case when user_id = :user then :alias else user_id end,
                   decided_at = coalesce(decided_at, :at)
            where team = any(:teams) and (user_id = :user or shown ->> 'user' = :user)
            """
        ),
    ),
)

# Shared threads keep their placeholder map: their numbers still mean the others.
_ALIASES = (
    """
    update threads set started_by = :alias where team = any(:teams) and started_by = :user
    """,
    """
    update threads t set placeholders = '{}'
    where exists (select from interactions i where i.thread_key = t.key and i.asker = :alias)
      and not exists (select from interactions i where i.thread_key = t.key and i.asker <> :alias)
    """,
    """
    update assignments set user_id = :alias
    where user_id = :user and split_part(thread_key, ':', 1) = any(:teams)
    """,
    """
    update corrections set author = :alias where team = any(:teams) and author = :user
    """,
    """
    update corrections set taught_from = :alias where team = any(:teams) and taught_from = :user
    """,
    """
    update corrections set claimed_by = null, row_version = row_version + 1,
           state = case when state = 'claimed' then 'proposed' else state end
    where team = any(:teams) and claimed_by = :user
    """,
    """
    update corrections set skipped_by = array_replace(skipped_by, :user, :alias)
    where team = any(:teams) and :user = any(skipped_by)
    """,
    """
    update correction_versions set editor = :alias
    where editor = :user and exists (
        select from corrections c where c.id = correction_id and c.team = any(:teams))
    """,
    """
    update reviews set reviewer = :alias
    where reviewer = :user and exists (
        select from corrections c where c.id = correction_id and c.team = any(:teams))
    """,
    """
    update handoffs set
           asker = case when asker = :user then :alias else asker end,
           taken_by = case when taken_by = :user then :alias else taken_by end,
           answered_by = case when answered_by = :user then :alias else answered_by end,
           on_call = case when on_call = :user then '' else on_call end
    where team = any(:teams) and :user in (asker, taken_by, answered_by, on_call)
    """,
    """
    update votes set user_id = :alias
    where user_id = :user and exists (
        select from interactions i where i.id = interaction_id and i.team = any(:teams))
    """,
    """
    update shadow_answers set voted_by = :alias
    where voted_by = :user and exists (
        select from interactions i where i.id = interaction_id and i.team = any(:teams))
    """,
    """
    update vote_events set user_id = :alias
    where user_id = :user and exists (
        select from interactions i where i.id = interaction_id and i.team = any(:teams))
    """,
)

# A pattern's words are its members' words: those that no other member uses go, and so do drafts,
# which quote questions. The next mining writes them anew.
_PATTERNS = text(
    """
    select p.id, p.keywords,
           coalesce((select string_agg(lower(i.question), ' ') from pattern_members m
                     join interactions i on i.id = m.interaction_id
                     where m.pattern_id = p.id
                       and not m.interaction_id = any(:asked)), '') as others
    from patterns p
    where exists (select from pattern_members m
                  where m.pattern_id = p.id and m.interaction_id = any(:asked))
       or p.example_ids && :asked or p.evidence_ids && :asked
    """
)
_PATTERN = text(
    """
    update patterns set keywords = :keywords, label = :label, draft = '', verdict_reasons = '{}',
           example_ids = array(select x from unnest(example_ids) x where not x = any(:asked)),
           evidence_ids = array(select x from unnest(evidence_ids) x where not x = any(:asked))
    where id = :id
    """
)
_MEMBERS = text("delete from pattern_members where interaction_id = any(:asked)")

_MARK = text(
    """
    with theirs as (
        select dataset_id, count(*) as rows, count(*) filter (where side = 'train') as train_rows
        from dataset_examples
        where interaction_ids && :asked or interaction_ids && :corrected
           or example_id = any(:corrected)
        group by dataset_id
    )
    update dataset_versions d set forgotten_rows = d.forgotten_rows + theirs.rows
    from theirs where d.id = theirs.dataset_id
    returning d.id, d.path, theirs.rows, theirs.train_rows
    """
)
_TRAINED = text(
    "select id, dataset_id, state from adapters where dataset_id = any(:datasets) order by id"
)
_SAMPLES = text(
    """
    update evaluations e set metrics = (
        select coalesce(jsonb_object_agg(key, case when jsonb_typeof(value) = 'object'
               then jsonb_set(value, '{failures}', '[]', false) else value end), '{}')
        from jsonb_each(e.metrics))
    from training_runs r
    where r.id = e.training_run_id and r.dataset_id = any(:datasets)
    """
)


class SqlForgetting:
    """Forgetting; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def erase(
        self, team: str, user: str, *, alias: str, at: datetime, event_id: str | None = None
    ) -> ForgetReport:
        """Erases a person's content everywhere; a second time finds nothing and changes nothing.

        Args:
            team: Their workspace; imported transcripts name people of it too.
            user: Their Slack user id.
            alias: Stands for them from now on.
            at: Now, of the record's clock.
            event_id: Of the delivery that asks for this, which its handler closes.

        Raises:
            UnavailableError: While a question of theirs is being answered.
        """
        bind: dict[str, Any] = {
            "teams": sorted({team, IMPORT_TEAM}),
            "user": user,
            "alias": alias,
            "at": at,
            "delivery": event_id,
            "user_like": f"%{user}%",
            "team_like": f"%{team}%",
        }
        erased = {"deliveries": await self._change(_EMPTY_DELIVERIES, bind)}
        if await self._connection.scalar(*_fitting(_IN_HAND, bind)):
            raise UnavailableError(
                f"something of {user} is being worked on; forget them when that is over"
            )
        bind["asked"] = await self._ids(_ASKED, bind)
        bind["corrected"] = await self._ids(_CORRECTED, bind)
        datasets = await self._mark(bind)
        erased["patterns"] = await self._patterns(bind)
        for name, statement in CONTENT_STEPS:
            erased[name] = await self._change(statement, bind)
        for change in _ALIASES:
            await self._change(text(change), bind)
        adapters = await self._adapters([item.id for item in datasets])
        return ForgetReport(alias=alias, erased=erased, datasets=datasets, adapters=adapters)

    async def _mark(self, bind: dict[str, Any]) -> tuple[MarkedDataset, ...]:
        rows = await self._connection.execute(*_fitting(_MARK, bind))
        found = sorted((MarkedDataset(**row) for row in rows.mappings()), key=lambda item: item.id)
        ids = [item.id for item in found]
        await self._connection.execute(_SAMPLES, {"datasets": ids})
        return tuple(found)

    async def _adapters(self, datasets: Sequence[str]) -> tuple[MarkedAdapter, ...]:
        rows = await self._connection.execute(_TRAINED, {"datasets": list(datasets)})
        return tuple(MarkedAdapter(**row) for row in rows.mappings())

    async def _patterns(self, bind: dict[str, Any]) -> int:
        rows = (await self._connection.execute(*_fitting(_PATTERNS, bind))).mappings().all()
        for row in rows:
            kept = [word for word in row["keywords"] if word.lower() in row["others"]]
            await self._connection.execute(
                _PATTERN,
                {
                    "id": row["id"],
                    "keywords": kept,
                    "label": ", ".join(kept),
                    "asked": bind["asked"],
                },
            )
        await self._connection.execute(*_fitting(_MEMBERS, bind))
        return len(rows)

    async def _ids(self, statement: TextClause, bind: dict[str, Any]) -> list[str]:
        return list(await self._connection.scalars(*_fitting(statement, bind)))

    async def _change(self, statement: TextClause, bind: dict[str, Any]) -> int:
        return (await self._connection.execute(*_fitting(statement, bind))).rowcount


def _fitting(statement: TextClause, bind: dict[str, Any]) -> tuple[TextClause, dict[str, Any]]:
    """Returns a statement with those of the values that it names."""
    return statement, {name: bind[name] for name in statement.compile().params}
