"""The use case: a person is called into a thread, takes it, and their answer is learnt from.

Only threads in channels are handed over: into a direct conversation nobody else can come. The
colleague's reply becomes a candidate that reviewers decide about; it never trains by itself.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from bot.abstain import ALONE_TEXT
from bot.correcting import consent_of, owe_card, passages_of
from bot.redacting import VERSION, ThreadRedactor
from bot.slack.payloads import EditedMessage, Question, plain_text
from feedback.clock import Clock
from feedback.domain.correction import (
    Correction,
    CorrectionSource,
    CorrectionState,
    QueueReason,
)
from feedback.domain.handoff import (
    Handoff,
    HandoffReason,
    HandoffState,
    is_answer,
    wants_person,
)
from feedback.domain.interaction import Interaction
from feedback.domain.person import Role
from feedback.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from feedback.store.unit_of_work import Store, Transaction

HANDOFF = "handoff"
"""Outbox kind: draw the message of a hand-off, `{handoff_id, team}`."""

OWN_QUESTION = "This is your own question; a colleague has to take it."


@dataclass(frozen=True, kw_only=True)
class Press:
    """A click on a button of a hand-off."""

    team: str
    user: str
    handoff_id: str
    delivery_id: int | None = None


class HandoffDesk:
    """Calls for a person; workspace and role are checked here, on every call.

    Args:
        on_call: Returns whom to call where the channel names nobody; None: nobody in particular.
        effects_owed: Called when a message of ours has to be drawn.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        redactor: ThreadRedactor,
        *,
        on_call: Callable[[], str | None],
        effects_owed: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._redactor = redactor
        self._on_call = on_call
        self.wake = effects_owed

    async def call(
        self, team: str, user: str, interaction_id: str, *, delivery_id: int | None = None
    ) -> bool:
        """Calls a person because somebody pressed the button; False when one is called already.

        Raises:
            InvalidInputError: In a direct conversation.
            NotFoundError: When the answer is not one of that workspace.
        """
        async with self._store.begin() as tx:
            interaction = await tx.conversations.get(interaction_id, team=team)
            if interaction is None:
                raise NotFoundError(f"answer {interaction_id!r} does not exist in {team!r}")
            if _in_private(interaction):
                raise InvalidInputError(ALONE_TEXT)
            opened = await self._open(tx, interaction, user, HandoffReason.BUTTON)
            if delivery_id is not None:
                await tx.inbox.finish(delivery_id)
        self.wake()
        return opened

    async def after(self, tx: Transaction, interaction: Interaction) -> bool:
        """Calls a person when an answer is none, in the transaction that records its post.

        Returns:
            Whether somebody is called now; `wake` after the commit then.
        """
        if _in_private(interaction):
            return False
        if wants_person(interaction.question):
            earlier = await tx.conversations.history(
                interaction.thread_key, before=interaction.question_ts, limit=1
            )
            about = earlier[-1] if earlier else interaction
            return await self._open(tx, about, interaction.asker, HandoffReason.WORDS)
        if interaction.abstained and await self._whom(tx, interaction):
            known = await tx.handoffs.of_interactions([interaction.id])
            if not known:  # else a predecessor called somebody, who may be done by now
                return await self._open(tx, interaction, interaction.asker, HandoffReason.ABSTAINED)
        return False

    async def failed(self, tx: Transaction, interaction: Interaction) -> bool:
        """Calls a person where the bot gave up, in the transaction that records it.

        Returns:
            Whether somebody is called, now or by a predecessor; `wake` after the commit then.
        """
        if _in_private(interaction) or not await self._whom(tx, interaction):
            return False
        if await tx.handoffs.of_interactions([interaction.id]):
            return True
        return await self._open(tx, interaction, interaction.asker, HandoffReason.FAILED)

    async def take(self, press: Press) -> None:
        """Takes an open hand-off.

        Raises:
            ConflictError: When somebody was faster.
            InvalidInputError: When it is their own question.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            handoff = await tx.handoffs.get(press.handoff_id, team=press.team)
            if press.user == handoff.asker:
                raise InvalidInputError(OWN_QUESTION)
            taken = await tx.handoffs.take(
                handoff.id, team=press.team, user=press.user, at=self._clock.now()
            )
            if not taken and handoff.taken_by != press.user:
                raise ConflictError(f"hand-off {handoff.id} is {handoff.state}")
            await self._close(tx, press)

    async def close(self, press: Press) -> None:
        """Closes a hand-off: the bot follows the thread again.

        Raises:
            NotAllowedError: For others than the asker, the helper and reviewers.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            handoff = await tx.handoffs.get(press.handoff_id, team=press.team)
            person = await tx.people.get(press.team, press.user)
            concerned = {handoff.asker, handoff.taken_by, handoff.answered_by}
            if press.user not in concerned and not person.role.includes(Role.REVIEWER):
                raise NotAllowedError(f"{press.user} has nothing to do with {handoff.id}")
            await tx.handoffs.close(handoff.id, team=press.team, at=self._clock.now())
            await self._close(tx, press)

    async def heard(self, message: Question) -> None:
        """Looks at what people write in a thread that waits for a person; may be repeated."""
        if message.ts == message.thread_ts or message.direct or message.mentioned:
            return
        async with self._store.begin() as tx:
            handoff = await tx.handoffs.waiting(message.thread_key)
            if handoff is None or message.user == handoff.asker:
                return
            text = plain_text(message.text, bot="")
            if is_answer(text):
                await self._learn(tx, handoff, message, text)
            elif handoff.state is HandoffState.OPEN:
                await tx.handoffs.take(
                    handoff.id, team=handoff.team, user=message.user, at=self._clock.now()
                )
            else:
                return
            await owe_message(tx, await tx.handoffs.get(handoff.id, team=handoff.team))
        self.wake()

    async def taken_back(self, team: str, channel: str, ts: str) -> None:
        """Forgets what was learnt from a reply that was deleted in Slack."""
        async with self._store.begin() as tx:
            handoff = await tx.handoffs.of_reply(team, channel, ts)
            if handoff is None or handoff.correction_id is None:
                return
            withdrawn = await tx.reviewing.withdraw(handoff.correction_id)
            if withdrawn:
                await owe_card(tx, await tx.corrections.get(handoff.correction_id, team=team))
        self.wake()

    async def rewritten(self, message: EditedMessage) -> None:
        """Takes an edited reply over, as long as no reviewer has looked at the candidate."""
        async with self._store.begin() as tx:
            handoff = await tx.handoffs.of_reply(message.team, message.channel, message.ts)
            if handoff is None or handoff.correction_id is None:
                return
            thread = await tx.conversations.lock_thread(handoff.thread_key)
            redacted = self._redactor.redact(
                plain_text(message.text, bot=""), thread.placeholders, team=handoff.team
            )
            if await tx.reviewing.reword(handoff.correction_id, redacted.text):
                await tx.conversations.save_placeholders(thread.key, redacted.placeholders)
                known = await tx.corrections.get(handoff.correction_id, team=handoff.team)
                await owe_card(tx, known)
        self.wake()

    async def _open(
        self, tx: Transaction, interaction: Interaction, user: str, reason: HandoffReason
    ) -> bool:
        opened = await tx.handoffs.open(
            Handoff(
                id=f"h-{uuid.uuid4().hex}",
                interaction_id=interaction.id,
                team=interaction.team,
                channel=interaction.channel,
                thread_key=interaction.thread_key,
                asker=user,
                reason=reason,
                opened_at=self._clock.now(),
                on_call=await self._whom(tx, interaction),
            )
        )
        if opened is not None:
            await owe_message(tx, opened)
        return opened is not None

    async def _whom(self, tx: Transaction, interaction: Interaction) -> str:
        settings = await tx.channels.get(interaction.team, interaction.channel)
        return settings.on_call or self._on_call() or ""

    async def _learn(self, tx: Transaction, handoff: Handoff, message: Question, text: str) -> None:
        """Makes a colleague's reply a candidate, unless all that was asked for is a person."""
        interaction = await tx.conversations.get(handoff.interaction_id, team=handoff.team)
        teaches = interaction is not None and not wants_person(interaction.question)
        correction_id = f"c-{handoff.id}" if teaches else None
        await tx.handoffs.answer(
            handoff,
            user=message.user,
            ts=message.ts,
            correction_id=correction_id,
            at=self._clock.now(),
        )
        if interaction is not None and correction_id is not None:
            await self._propose(tx, interaction, message, text, correction_id)

    async def _propose(
        self,
        tx: Transaction,
        interaction: Interaction,
        message: Question,
        text: str,
        correction_id: str,
    ) -> None:
        thread = await tx.conversations.lock_thread(interaction.thread_key)
        redacted = self._redactor.redact(text, thread.placeholders, team=interaction.team)
        await tx.conversations.save_placeholders(thread.key, redacted.placeholders)
        writer = await tx.people.get(message.team, message.user)
        why = [QueueReason.HUMAN_REPLY]
        if redacted.findings:
            why.append(QueueReason.PERSONAL_DATA)
        correction = Correction(
            id=correction_id,
            interaction_id=interaction.id,
            thread_key=interaction.thread_key,
            team=interaction.team,
            question=interaction.question,
            bot_answer=interaction.answer or "",
            text=redacted.text,
            author=message.user,
            source=CorrectionSource.HUMAN_REPLY,
            consent=consent_of(writer),
            created_at=self._clock.now(),
            redaction_version=VERSION,
            passages=await passages_of(tx, interaction),
            state=CorrectionState.PROPOSED,
            queued_for=tuple(why),
        )
        await tx.corrections.add(correction)
        await owe_card(tx, correction)

    async def _close(self, tx: Transaction, press: Press) -> None:
        await owe_message(tx, await tx.handoffs.get(press.handoff_id, team=press.team))
        if press.delivery_id is not None:
            await tx.inbox.finish(press.delivery_id)


async def owe_message(tx: Transaction, handoff: Handoff) -> None:
    """Writes down that the message of a hand-off has to be drawn anew."""
    await tx.outbox.add(
        f"handoff:{handoff.id}:{handoff.row_version}",
        HANDOFF,
        {"handoff_id": handoff.id, "team": handoff.team},
    )


def _in_private(interaction: Interaction) -> bool:
    return interaction.channel.startswith("D")
