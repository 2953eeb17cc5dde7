"""Before anybody meets a challenger, it answers the last real questions for nobody.

The prompt is built again from what is stored: the redacted question, the thread's history and the
passages that the champion saw. What comes out is judged like every answer, compared with what
people really got, and, where reviewers vote, shown to them as one half of a blind pair.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.clock import Clock
from feedback.domain.interaction import Arm, Interaction
from feedback.domain.rollout import Route
from feedback.domain.trial import PAIR_CARD, ShadowAnswer, Trial
from feedback.errors import OverloadedError, UnavailableError, UnderstudyError
from feedback.ports import Generation, Message
from feedback.prompting import PromptPolicy, build_messages
from feedback.store.unit_of_work import Store, Transaction
from feedback.tone import StyleGuide, grounded
from retrain.experiments.evidence import guard_log_e
from retrain.experiments.policy import ExperimentPolicy

AT_ONCE = 4
"""Questions answered at one look: the scheduler has other things to do."""

Ask = Callable[[Route, Sequence[Message], str], Awaitable[Generation]]
"""Asks the server of a route for an answer of the adapter that is named."""


@dataclass(frozen=True, kw_only=True)
class ShadowPlan:
    """How much is tried before exposure.

    Attributes:
        last: How many of the newest questions.
        prompt: Budgets of the prompt, as the bot has them.
        votes: Reviewers see the pairs.
    """

    last: int
    prompt: PromptPolicy
    votes: bool = False


class ShadowReplay:
    """Answers real questions in the shadow."""

    def __init__(
        self, store: Store, clock: Clock, ask: Ask, guide: StyleGuide, plan: ShadowPlan
    ) -> None:
        self._store = store
        self._clock = clock
        self._ask = ask
        self._guide = guide
        self._plan = plan

    async def more(self, trial: Trial) -> int:
        """Answers some questions; repeating it after a kill answers none twice.

        Returns:
            How many are left.

        Raises:
            RetryableError: When the model server is not there for the moment.
        """
        async with self._store.begin() as tx:
            route = await tx.routing.route()
            todo = await tx.shadows.questions(trial, last=self._plan.last, apart=self._plan.votes)
            now = [
                (question, await self._messages(tx, question), await self._passages(tx, question))
                for question in todo[:AT_ONCE]
            ]
        for question, messages, passages in now:
            answer = await self._answer(trial, route, question, messages, passages)
            async with self._store.begin() as tx:
                if await tx.shadows.add(answer) and self._worth_a_vote(answer, question):
                    await tx.outbox.add(
                        key=f"pair:{answer.id}:1",
                        kind=PAIR_CARD,
                        payload={"pair_id": answer.id, "team": question.team},
                    )
        return len(todo) - len(now)

    async def alarm(self, tx: Transaction, trial: Trial) -> str | None:
        """Returns the metric on which the challenger is certainly worse, None when on none.

        Only questions count on which exactly one of the two did badly: which one it was is a
        coin, and the guardrail's threshold is what the coin must not reach.
        """
        pairs = await tx.shadows.of(trial.id)
        policy = ExperimentPolicy.of(trial.policy)
        for metric, bad in _BAD.items():
            sides = [(bad(theirs), bad(ours)) for ours, theirs in pairs]
            fell = np.array([int(new) for old, new in sides if old != new], dtype=np.int64)
            if not fell.size:
                continue
            log_e = guard_log_e(fell, np.full(fell.shape, 0.5), policy)
            if log_e.max() >= np.log(policy.guard_threshold):
                return metric
        return None

    async def _messages(self, tx: Transaction, question: Interaction) -> list[Message]:
        limit = self._plan.prompt.history_messages // 2 + 1
        earlier = await tx.conversations.history(
            question.thread_key, before=question.question_ts, limit=limit
        )
        history = [
            message
            for turn in earlier
            for message in (
                Message(role="user", content=turn.question),
                Message(role="assistant", content=turn.answer or ""),
            )
        ]
        passages = await self._passages(tx, question) if question.with_context else ()
        return build_messages(question.question, passages, history, self._plan.prompt)

    async def _passages(self, tx: Transaction, question: Interaction) -> tuple[str, ...]:
        ids = [hit.chunk_id for hit in question.retrieved if hit.chunk_id]
        return await tx.conversations.passages(ids) if ids else ()

    async def _answer(
        self,
        trial: Trial,
        route: Route,
        question: Interaction,
        messages: Sequence[Message],
        passages: Sequence[str],
    ) -> ShadowAnswer:
        started = time.perf_counter()
        text, error = "", None
        try:
            text = (await self._ask(route, messages, trial.challenger_id)).text.strip()
        except (UnavailableError, OverloadedError):
            raise  # nobody's answer: the server is asked again at the next look
        except UnderstudyError as exc:
            error = type(exc).__name__
        known = question.grounded is not None and bool(text)
        supported = (
            known
            and grounded(
                text, passages, question=question.question, boilerplate=self._guide.required
            ).supported
        )
        return ShadowAnswer(
            id=f"pair-{secrets.token_hex(12)}",
            experiment_id=trial.id,
            interaction_id=question.id,
            answer=text,
            grounded=supported if known else None,
            on_brand=self._guide.score(text).on_brand if text else None,
            error=error or (None if text else "GenerationFailedError"),
            latency_ms=(time.perf_counter() - started) * 1000,
            first=secrets.choice([Arm.CHAMPION.value, Arm.CHALLENGER.value]),
            answered_at=self._clock.now(),
        )

    def _worth_a_vote(self, answer: ShadowAnswer, question: Interaction) -> bool:
        return self._plan.votes and bool(answer.answer) and answer.answer != question.answer


def _off_brand(answer: ShadowAnswer | Interaction) -> bool:
    return answer.on_brand is not None and answer.on_brand < 0.5


def _ungrounded(answer: ShadowAnswer | Interaction) -> bool:
    return answer.grounded is False


def _failed(answer: ShadowAnswer | Interaction) -> bool:
    return answer.error is not None


_BAD: dict[str, Callable[[ShadowAnswer | Interaction], bool]] = {
    "tone": _off_brand,
    "ground": _ungrounded,
    "error": _failed,
}
