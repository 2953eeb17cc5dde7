"""Compares what stands in Slack and in the database with the reference model."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import bindparam, text

from bot.sandbox.client import SandboxClient, SandboxMessage
from feedback.store.unit_of_work import Store
from tests.acceptance.deliveries.model import Act, Asked, Expected, Opinion

Row = Any


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the database holds about some channels.

    Attributes:
        interactions: By `(channel, question_ts)`.
        arrivals: Ids of inbox rows by `team:channel:ts`; they order a thread's answers.
    """

    interactions: dict[tuple[str, str], Row]
    opinions: dict[str, dict[str, Opinion]]
    history: dict[tuple[str, str], list[Row]]
    arrivals: dict[str, int]
    left_over: list[Row]


async def read(store: Store, channels: Sequence[str]) -> Record:
    """Returns what was recorded about these channels."""
    async with store.begin() as tx:

        async def rows(statement: str) -> Sequence[Row]:
            bound = text(statement)
            if ":channels" in statement:
                bound = bound.bindparams(bindparam("channels", list(channels)))
            return (await tx.connection.execute(bound)).all()

        ours = "select id from interactions where channel = any(:channels)"
        interactions = await rows("select * from interactions where channel = any(:channels)")
        votes = await rows(f"select * from votes where interaction_id in ({ours})")
        history = await rows(f"select * from vote_events where interaction_id in ({ours})")
        arrivals = await rows("select question_key, id from inbox where question_key is not null")
        left_over = await rows("select id, type, state, error from inbox where state <> 'done'")
    opinions: dict[str, dict[str, Opinion]] = defaultdict(dict)
    for row in votes:
        up = None if row.rating is None else row.rating == "up"
        opinions[row.interaction_id][row.user_id] = Opinion(
            up=up, reasons=tuple(row.reasons), comment=row.comment
        )
    acts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in history:
        acts[row.interaction_id, row.user_id].append(row)
    return Record(
        interactions={(row.channel, row.question_ts): row for row in interactions},
        opinions=opinions,
        history=acts,
        arrivals={row.question_key: row.id for row in arrivals},
        left_over=list(left_over),
    )


async def differences(
    expected: Expected, people: SandboxClient, store: Store, team: str
) -> list[str]:
    """Returns every way in which the world differs from the model, in words."""
    record = await read(store, sorted({asked.channel for asked in expected.questions}))
    found = [f"inbox row left over: {row}" for row in record.left_over]
    for channel, root in expected.threads():
        questions = expected.of_thread(channel, root)
        found += [line for asked in questions for line in _recorded(asked, record)]
        if all(asked.deleted for asked in questions):
            continue
        messages = await people.messages(channel=channel, thread_ts=root)
        answers = [message for message in messages if message.is_app]
        found += _said(questions, answers, record)
        found += _in_order(questions, record, team)
    return found


def _said(
    questions: Sequence[Asked], answers: Sequence[SandboxMessage], record: Record
) -> list[str]:
    """Every question is answered exactly once, nothing is half said, nothing else is said."""
    found = []
    for asked in questions:
        mine = [answer for answer in answers if asked.topic in answer.text]
        where = f"{asked.channel} {asked.ts} {asked.topic}"
        if asked.deleted:
            if len(mine) > 1:
                found.append(f"{where}: deleted, and answered {len(mine)} times")
            continue
        if len(mine) != 1:
            found.append(f"{where}: answered {len(mine)} times")
            continue
        row = record.interactions.get((asked.channel, asked.ts))
        if row is not None and row.answer_ts != mine[0].ts:
            found.append(f"{where}: stands at {mine[0].ts}, recorded at {row.answer_ts}")
    found += [f"unfinished: {answer.text!r}" for answer in answers if answer.streaming]
    topics = [asked.topic for asked in questions]
    found += [
        f"nobody asked for {answer.text!r}"
        for answer in answers
        if not any(topic in answer.text for topic in topics)
    ]
    return found


def _in_order(questions: Sequence[Asked], record: Record, team: str) -> list[str]:
    """Within a thread answers stand as asked, unless the earlier question was delivered later."""
    standing = sorted(
        (asked.ts, record.arrivals[f"{team}:{asked.channel}:{asked.ts}"], row.answer_ts)
        for asked in questions
        if (row := record.interactions.get((asked.channel, asked.ts))) is not None
        and row.state == "posted"
    )
    return [
        f"answers out of order: {first} and {second}"
        for first, second in combinations(standing, 2)
        if first[1] < second[1] and first[2] > second[2]
    ]


def _recorded(asked: Asked, record: Record) -> list[str]:
    """The row holds the question as it stands now, and everybody's opinion of the answer."""
    row = record.interactions.get((asked.channel, asked.ts))
    where = f"{asked.channel} {asked.ts} {asked.topic}"
    if asked.deleted:
        if row is None or (row.state == "erased" and not row.question and not row.answer):
            return []
        return [f"{where}: deleted, but kept: {row.state} {row.question!r}"]
    if row is None:
        return [f"{where}: not recorded"]
    found = []
    if row.state != "posted":
        found.append(f"{where}: {row.state} ({row.error})")
    if row.question != asked.text:
        found.append(f"{where}: recorded as {row.question!r}, stands as {asked.text!r}")
    opinions = record.opinions.get(row.id, {})
    if opinions != asked.opinions():
        found.append(f"{where}: opinions {opinions}, expected {asked.opinions()}")
    for user, acts in asked.acts.items():
        found += [f"{where} {user}: {line}" for line in _kept(acts, record.history[row.id, user])]
    return found


def _kept(acts: Sequence[Act], history: Sequence[Row]) -> list[str]:
    """Each act is kept, and none that nobody did; copies under new ids repeat an act's time."""
    found = []
    for source in ("button", "modal", "reaction"):
        done = [act for act in acts if act.source == source]
        sure = sum(act.sure for act in done)
        kept = len({row.event_ts for row in history if row.source == source})
        if not sure <= kept <= len(done):
            found.append(f"{kept} acts by {source} kept, {sure} to {len(done)} were done")
    return found
