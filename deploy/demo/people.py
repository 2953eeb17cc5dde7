"""Simulated people act through the sandbox API, as its page does: ask, thumb, correct, approve."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from bot.sandbox.client import Acted, SandboxClient, SandboxMessage
from bot.slack.posting import EVENT_TYPE
from bot.slack.views.answers import CORRECT_ACTION, VOTE_ACTION
from bot.slack.views.reviews import APPROVE_ACTION, REJECT_ACTION
from deploy.demo.cast import Cast, Reviewer
from deploy.demo.script import Asked, Place
from feedback.domain.interaction import Reason
from feedback.errors import UnavailableError
from feedback.samples import Company, is_on_brand, is_right
from feedback.samples.company import CLOSING, OPENING

T = TypeVar("T")
_AT_ONCE = 8
_REPLY_S = 90.0


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A question with the answer it got."""

    asked: Asked
    message: SandboxMessage
    text: str
    right: bool
    on_brand: bool

    @property
    def good(self) -> bool:
        """What a fair person would say of it."""
        return self.right and (self.on_brand or self.asked.intent is None)


@dataclass(kw_only=True)
class Tally:
    """What people did, for the report."""

    asked: int = 0
    thumbs: int = 0
    corrected: int = 0
    approved: int = 0
    rejected: int = 0
    wrong_corrections: int = field(default=0)


class People:
    """Everybody in the play, acting at most a few at a time."""

    def __init__(
        self, client: SandboxClient, cast: Cast, company: Company, rng: random.Random
    ) -> None:
        self._client = client
        self._cast = cast
        self._company = company
        self._rng = rng
        self._seen_card = "0"
        self._threads: list[SandboxMessage] = []
        self._direct: dict[str, str] = {}
        self._modal_locks: dict[str, asyncio.Lock] = {}
        self.tally = Tally()

    async def ask_all(
        self, questions: Iterable[Asked], done: Callable[[], None] = lambda: None
    ) -> list[Answered]:
        """Asks questions, several at a time, and waits for every answer."""
        return await self._each(questions, self.ask, done)

    async def ask(self, asked: Asked) -> Answered:
        """Asks one question and waits for its answer.

        Raises:
            TimedOutError: When no answer came.
        """
        posted, root = await self._post(asked)
        message = await self._client.wait_for_reply(
            channel=posted.channel,
            thread_ts=root,
            after_ts=posted.ts,
            timeout_s=_REPLY_S,
            where=lambda reply: _answers(reply) and answer_text(reply) != "",
        )
        if asked.place is Place.CHANNEL:
            self._threads.append(posted)
        self.tally.asked += 1
        text = answer_text(message)
        right = is_right(text, asked.intent) if asked.intent else _probe_right(asked, text)
        return Answered(
            asked=asked, message=message, text=text, right=right, on_brand=is_on_brand(text)
        )

    async def judge_all(
        self,
        answers: Iterable[Answered],
        share: float,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Lets a share of the askers thumb; bad answers get reasons in the modal."""

        async def judge(answer: Answered) -> None:
            if self._rng.random() < share:
                await self.thumb(answer)

        await self._each(answers, judge, done)

    async def thumb(self, answer: Answered) -> None:
        """Thumbs up or down as the asker."""
        user = answer.asked.user
        async with self._modal(user):
            if answer.good:
                await self._client.click(
                    user=user, message=answer.message, action_id=VOTE_ACTION, value="positive"
                )
            else:
                opened = await self._client.click(
                    user=user,
                    message=answer.message,
                    action_id=VOTE_ACTION,
                    value="negative",
                    wait_view_s=10.0,
                )
                _require_modal(opened, "the reason modal")
                await self._client.submit(user=user, values=_reasons(answer))
        self.tally.thumbs += 1

    async def correct_all(
        self, answers: Iterable[Answered], done: Callable[[], None] = lambda: None
    ) -> None:
        """Reviewers write better answers for the bad ones; one of them is often wrong."""

        async def correct(answer: Answered) -> None:
            reviewer = self._rng.choice(self._cast.reviewers)
            # Nobody else sees a direct message: there the asker writes what a reviewer told them.
            private = answer.asked.place is Place.DIRECT
            author = answer.asked.user if private else reviewer.user
            await self.correct(answer, author, self._better(answer, reviewer))

        await self._each([a for a in answers if not a.good and a.asked.intent], correct, done)

    async def correct(self, answer: Answered, user: str, text: str) -> None:
        """Opens the correction form, fills it, and confirms the difference shown."""
        async with self._modal(user):
            opened = await self._client.click(
                user=user, message=answer.message, action_id=CORRECT_ACTION, wait_view_s=10.0
            )
            _require_modal(opened, "the correction form")
            reasons = [Reason.OFF_BRAND if answer.right else Reason.WRONG_FACT]
            submitted = await self._client.submit(
                user=user, values={"answer": text, "reasons": [r.value for r in reasons]}
            )
            if submitted.outcome not in {"updated", "pushed"}:
                raise UnavailableError(f"the correction was not taken: {submitted}")
            await self._client.submit(user=user, values={})
        self.tally.corrected += 1

    async def review_all(self, expected: int, done: Callable[[], None] = lambda: None) -> None:
        """Reviewers work through the new cards; who looks rejects what is plainly wrong."""
        cards = await self._new_cards(expected)

        async def review(card: SandboxMessage) -> None:
            author = _author(card)
            others = [r for r in self._cast.reviewers if r.user != author]
            reviewer = self._rng.choice(others)
            refuses = reviewer.looks and not self._plausible(card)
            action = REJECT_ACTION if refuses else APPROVE_ACTION
            await self._client.click(user=reviewer.user, message=card, action_id=action)
            if refuses:
                self.tally.rejected += 1
            else:
                self.tally.approved += 1

        await self._each(cards, review, done)

    async def approve_all(self, expected: int, reviewer: Reviewer) -> int:
        """One reviewer approves every new card; returns how many."""
        cards = await self._new_cards(expected)

        async def approve(card: SandboxMessage) -> None:
            await self._client.click(user=reviewer.user, message=card, action_id=APPROVE_ACTION)
            self.tally.approved += 1

        await self._each(cards, approve, lambda: None)
        return len(cards)

    def _better(self, answer: Answered, reviewer: Reviewer) -> str:
        intent = answer.asked.intent
        if intent is None:
            raise UnavailableError(f"nobody knows a better answer to {answer.asked.text!r}")
        if self._rng.random() < reviewer.wrong:
            others = [item for item in self._company.intents if item.id != intent.id]
            self.tally.wrong_corrections += 1
            return f"{OPENING} {self._rng.choice(others).fact} {CLOSING}"
        return intent.gold_answer

    def _plausible(self, card: SandboxMessage) -> bool:
        """What somebody who reads the card sees: does the proposal fit the question?"""
        text = card_text(card)
        for intent in self._company.intents:
            if intent.fact in text:
                return any(question in text for question in intent.questions("live"))
        return True

    async def _new_cards(self, expected: int) -> list[SandboxMessage]:
        """Waits until all proposed corrections have their cards in the review channel."""
        channel, cards = self._cast.review_channel, []
        for _ in range(600):
            found = await self._client.messages(channel=channel, after=self._seen_card)
            cards = [message for message in found if _is_open_card(message)]
            if len(cards) >= expected:
                break
            await asyncio.sleep(0.1)
        if cards:
            self._seen_card = max(card.ts for card in cards)
        return cards

    async def _post(self, asked: Asked) -> tuple[SandboxMessage, str]:
        mention = f"<@{self._cast.bot}> "
        if asked.place is Place.THREAD and self._threads:
            # Only the one who asked is taken to go on talking to the bot.
            root = self._rng.choice(self._threads)
            posted = await self._client.post(
                user=root.user, channel=root.channel, text=asked.text, thread_ts=root.ts
            )
            return posted, root.ts
        if asked.place is Place.DIRECT:
            if asked.user not in self._direct:
                self._direct[asked.user] = await self._client.open_dm(user=asked.user)
            posted = await self._client.post(
                user=asked.user, channel=self._direct[asked.user], text=asked.text
            )
            return posted, posted.ts
        posted = await self._client.post(
            user=asked.user, channel=asked.channel, text=mention + asked.text
        )
        return posted, posted.ts

    def _modal(self, user: str) -> asyncio.Lock:
        """A person has one modal at a time."""
        return self._modal_locks.setdefault(user, asyncio.Lock())

    async def _each(
        self,
        items: Iterable[Answered] | Iterable[Asked] | Iterable[SandboxMessage],
        act: Callable[..., Awaitable[T]],
        done: Callable[[], None],
    ) -> list[T]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(item: object) -> T:
            async with gate:
                result = await act(item)
            done()
            return result

        return list(await asyncio.gather(*(one(item) for item in items)))


def _answers(message: SandboxMessage) -> bool:
    """Whether a message is an answer, and not a call for a person."""
    return (message.metadata or {}).get("event_type") == EVENT_TYPE


def answer_text(message: SandboxMessage) -> str:
    """Returns the answer in a message of the bot, without sources and buttons."""
    parts = [
        block["text"] if block["type"] == "markdown" else block["text"]["text"]
        for block in message.blocks
        if block["type"] in {"markdown", "section"}
    ]
    return " ".join(parts) if parts else message.text


def card_text(message: SandboxMessage) -> str:
    """Returns everything a review card says."""
    return "\n".join(
        block["text"]["text"] for block in message.blocks if block["type"] == "section"
    )


def _is_open_card(message: SandboxMessage) -> bool:
    return any(
        element.get("action_id") == APPROVE_ACTION
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    )


def _author(card: SandboxMessage) -> str:
    for block in card.blocks:
        if block["type"] == "context":
            text = block["elements"][0]["text"]
            if text.startswith("Proposed by <@"):
                return str(text.partition("<@")[2].partition(">")[0])
    return ""


def _probe_right(asked: Asked, text: str) -> bool:
    return asked.probe.is_right(text) if asked.probe else True


def _reasons(answer: Answered) -> dict[str, object]:
    values: dict[str, object] = {}
    if not answer.right:
        values["reasons"] = [Reason.WRONG_FACT.value]
    if not answer.on_brand and answer.asked.intent is not None:
        values["tone"] = Reason.TOO_COLD.value if answer.right else Reason.OFF_BRAND.value
    return values


def _require_modal(acted: Acted, what: str) -> None:
    if not acted.opened:
        raise UnavailableError(f"{what} did not open: {acted.reason or 'no view came'}")
