"""Carries orders and confirmations from Slack to the desk, and what came of them back."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from bot.operating import CONFIRM_WITHIN, OperatorDesk, TakenOverError
from bot.orders import Reply, Said, Verb
from bot.slack.api import SlackApi
from bot.slack.forms import Delivered
from bot.slack.orders import COMMAND, answer_of, order_of, typed
from bot.slack.response_urls import respond
from bot.slack.views.operating import render
from feedback.clock import Clock
from feedback.errors import (
    InvalidInputError,
    NotAllowedError,
    PermanentError,
    RetryableError,
    UnderstudyError,
)
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)


class OperatorCommands:
    """`/understudy` and its confirmations, from the listener or, when that died, from a worker."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        api: SlackApi,
        desk: OperatorDesk,
        *,
        effects_owed: Callable[[], None],
    ) -> None:
        """Creates the commands.

        Args:
            store: The record.
            clock: Tells how late a delivery is.
            api: For people whom the payload's address does not reach.
            desk: Does what is asked.
            effects_owed: Called when an effect may have been written to the outbox.
        """
        self._store = store
        self._clock = clock
        self._api = api
        self._desk = desk
        self._effects_owed = effects_owed

    async def command(self, delivered: Delivered) -> None:
        """Obeys a slash command; whatever happens, the person hears of it."""

        async def obey() -> Reply:
            return await self._desk.run(order_of(delivered))

        await self._handle(delivered, obey)

    async def answer(self, delivered: Delivered) -> None:
        """Takes the click on a confirmation; the outcome stands where the buttons were."""

        async def decide() -> Reply:
            return await self._desk.answer(answer_of(delivered))

        await self._handle(delivered, decide, replace=True)

    async def late(self, delivered: Delivered) -> None:
        """Handles a stored delivery whose listener died.

        The brake is pulled however late it comes. Anything else is obeyed only while the person
        may still wait for it, and reported as not done afterwards.

        Raises:
            RetryableError: When it should be tried again.
        """
        if "command" not in delivered.body:
            await self.answer(delivered)
            return
        line = typed(str(delivered.body.get("text") or ""))
        age = self._clock.now().timestamp() - delivered.received_ts
        if line.verb is Verb.FREEZE or age <= CONFIRM_WITHIN.total_seconds():
            await self.command(delivered)
            return
        text = (
            f"I could not look at `{COMMAND} {line.verb}` in time, and did nothing. Type it again."
        )
        await self._show(delivered, Said(text=text))

    async def give_up(self, delivered: Delivered) -> None:
        """Tells the person that it did not work, after the last try."""
        await self._show(
            delivered, Said(text="That did not work, and nothing was changed. Please try again.")
        )

    async def _handle(
        self, delivered: Delivered, act: Callable[[], Awaitable[Reply]], *, replace: bool = False
    ) -> None:
        try:
            reply = await act()
        except TakenOverError:
            return  # the worker that has it tells the person
        except PermanentError as exc:
            _log.warning("order of %s refused: %s", delivered.user, exc)
            await self._close(delivered)
            await self._show(delivered, Said(text=refusal(exc)), replace=replace)
        except RetryableError as exc:
            if delivered.delivery_id is None:
                raise
            _log.warning("order of %s is left to a worker: %s", delivered.user, exc)
            await self._show(delivered, Said(text="One moment: I keep trying, and tell you here."))
        else:
            self._effects_owed()
            await self._show(delivered, reply, replace=replace)

    async def _close(self, delivered: Delivered) -> None:
        if delivered.delivery_id is not None:
            async with self._store.begin() as tx:
                await tx.inbox.finish(delivered.delivery_id)

    async def _show(self, delivered: Delivered, reply: Reply, *, replace: bool = False) -> None:
        """Shows something to the person alone; the act itself never depends on it."""
        text, blocks = render(reply)
        try:
            await self._say(delivered, text, blocks, replace=replace)
        except UnderstudyError as exc:
            _log.warning("no private note to %s: %s", delivered.user, exc)

    async def _say(
        self, delivered: Delivered, text: str, blocks: list[dict[str, Any]], *, replace: bool
    ) -> None:
        url = str(delivered.body.get("response_url") or "")
        session = self._api.session
        if url:
            try:
                await respond(url, text, blocks=blocks, replace=replace, session=session)
            except UnderstudyError as exc:
                _log.info("the address of %s is no good, writing directly: %s", delivered.user, exc)
            else:
                return
        await self._api.post(await self._api.open_dm(delivered.user), text, blocks=blocks)


def refusal(error: PermanentError) -> str:
    """Returns a short, kind sentence without any internals."""
    match error:
        case NotAllowedError():
            return "Your role does not permit this. An admin can do it, or change your role."
        case InvalidInputError():
            return str(error)
        case _:
            return "That did not work, and nothing was changed."
