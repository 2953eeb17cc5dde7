"""Plays a schedule: people ask, edit, delete and vote, and tell the model what they did."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.slack.views.answers import REASON_MODAL, VOTE_ACTION
from tests.acceptance.deliveries.model import Act, Asked, Expected
from tests.acceptance.deliveries.plans import Asking, Gesture, Manner, Schedule, Talk
from tests.acceptance.deliveries.postman import Interaction, Postman

ANSWER_LIMIT_S = 240.0
MODAL_S = 2.0
REASONS = ("wrong_fact", "outdated", "made_up", "format")


@dataclass(kw_only=True)
class Town:
    """People with channels of their own: every talk takes a fresh one.

    Attributes:
        channels: Ids nobody has talked in yet.
        users: Ids of everybody; an asker and the voters of a talk are different people.
    """

    people: SandboxClient
    postman: Postman
    bot: str
    channels: Iterator[str]
    users: Iterator[str]
    _topics: Iterator[int] = field(default_factory=itertools.count)
    _acts: dict[str, list[Interaction]] = field(default_factory=dict)

    async def play(self, schedule: Schedule) -> Expected:
        """Plays all talks at once; returns what must have come of them."""
        expected = Expected()
        self.postman.noticed = self._notice
        async with asyncio.TaskGroup() as talking:
            for talk in schedule.talks:
                talking.create_task(self._talk(talk, expected, talking))
        return expected

    async def _talk(self, talk: Talk, expected: Expected, talking: asyncio.TaskGroup) -> None:
        asker = next(self.users)
        channel = await self.people.open_dm(user=asker) if talk.direct else next(self.channels)
        root: str | None = None
        earlier: list[Asked] = []
        for plan in talk.questions:
            plain = talk.direct or (bool(earlier) and plan.manner is Manner.PLAIN)
            if earlier and plan.manner is not Manner.AT_ONCE:
                await self._answer(earlier[-1])
            topic = _word(next(self._topics))
            text = f"how does {topic} work?"
            said = text if plain else f"<@{self.bot}> {text}"
            message = await self.people.post(user=asker, channel=channel, text=said, thread_ts=root)
            root = root or message.ts
            asked = Asked(channel=channel, ts=message.ts, root=root, topic=topic, text=text)
            expected.questions.append(asked)
            await self._change(asker, message, asked, plan, plain=plain)
            if not asked.deleted:
                # A person does one thing at a time: nobody votes on two answers at once.
                voters = [next(self.users) for _ in plan.votes]
                if talk.direct:
                    voters = [] if earlier else [asker]
                for voter, gestures in zip(voters, plan.votes, strict=False):
                    talking.create_task(self._vote(voter, asked, gestures))
            earlier.append(asked)

    async def _change(
        self, user: str, message: SandboxMessage, asked: Asked, plan: Asking, *, plain: bool
    ) -> None:
        for number in range(plan.edits):
            asked.text = f"how does {asked.topic} work on day {number + 2}?"
            said = asked.text if plain else f"<@{self.bot}> {asked.text}"
            await self.people.edit(user=user, message=message, text=said)
        if plan.deleted:
            await self.people.delete(user=user, message=message)
            asked.deleted = True

    async def _answer(self, asked: Asked) -> SandboxMessage:
        return await self.people.wait_for_reply(
            channel=asked.channel,
            thread_ts=asked.root,
            after_ts=asked.ts,
            timeout_s=ANSWER_LIMIT_S,
            where=lambda message: asked.topic in message.text and _voteable(message),
        )

    async def _vote(self, user: str, asked: Asked, gestures: tuple[Gesture, ...]) -> None:
        if not gestures:
            return
        answer = await self._answer(asked)
        thumbs: set[bool] = set()
        for gesture in gestures:
            match gesture:
                case Gesture.LIKE | Gesture.DISLIKE:
                    await self._click(user, asked, answer, up=gesture is Gesture.LIKE)
                case Gesture.EXPLAIN:
                    await self._explain(user, asked, answer)
                case Gesture.THUMB_UP | Gesture.THUMB_DOWN:
                    up = gesture is Gesture.THUMB_UP
                    await self._thumb(user, asked, answer, thumbs, up=up)

    async def _click(
        self, user: str, asked: Asked, answer: SandboxMessage, *, up: bool, wait_s: float = 0.0
    ) -> None:
        acked = False
        while not acked:
            done = await self.people.click(
                user=user,
                message=answer,
                action_id=VOTE_ACTION,
                value="positive" if up else "negative",
                wait_view_s=wait_s,
            )
            for seen in self._taken(user):
                at = float(seen.payload["actions"][0]["action_ts"])
                asked.act(user, Act(source="button", at=at, up=up, sure=seen.acked))
            acked = done.acked

    async def _explain(self, user: str, asked: Asked, answer: SandboxMessage) -> None:
        """Thumb down, and then the reasons, if the modal opens: the bot may die before that."""
        await self._click(user, asked, answer, up=False, wait_s=MODAL_S)
        modal = await self.people.modal(user)
        if modal is None or modal["callback_id"] != REASON_MODAL:
            return
        number = len(asked.acts[user])
        reasons, comment = (REASONS[number % len(REASONS)],), f"note {number}"
        outcome = "failed"
        while outcome == "failed":
            submitted = await self.people.submit(
                user=user, values={"reasons": list(reasons), "comment": comment}
            )
            outcome = submitted.outcome
            for seen in self._taken(user):
                act = Act(
                    source="modal",
                    at=seen.sent_at,
                    up=False,
                    reasons=reasons,
                    comment=comment,
                    sure=seen.acked,
                )
                asked.act(user, act)
        assert outcome == "closed", f"the reason modal answered {submitted}"

    async def _thumb(
        self, user: str, asked: Asked, answer: SandboxMessage, thumbs: set[bool], *, up: bool
    ) -> None:
        present = up not in thumbs
        before = time.time()
        await self.people.react(
            user=user, message=answer, name="+1" if up else "-1::skin-tone-3", present=present
        )
        thumbs ^= {up}
        asked.act(user, Act(source="reaction", at=before, up=up, added=present))

    def _notice(self, seen: Interaction) -> None:
        self._acts.setdefault(seen.payload["user"]["id"], []).append(seen)

    def _taken(self, user: str) -> list[Interaction]:
        return self._acts.pop(user, [])


def _voteable(message: SandboxMessage) -> bool:
    return any(block["type"] == "context_actions" for block in message.blocks)


def _word(number: int) -> str:
    """Returns a made-up word of small letters, which no redaction takes for anything."""
    letters = ""
    while True:
        number, rest = divmod(number, 20)
        letters = "bcdfghjklmnpqrstvwxz"[rest] + "aeiou"[rest % 5] + letters
        if number == 0:
            return f"to{letters}pic"
