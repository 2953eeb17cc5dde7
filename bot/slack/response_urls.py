"""Answers to a command or click through the address that Slack sent with it.

It reaches the person wherever they typed, also where the bot is no member, for 30 minutes and five
times. It takes no token and belongs to no rate tier.
"""

from typing import Any

import aiohttp
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.slack.errors import SlackRefusedError, slack_errors
from feedback.errors import UnavailableError

_TIMEOUT_S = 10


async def respond(
    url: str,
    text: str,
    *,
    blocks: list[dict[str, Any]] | None = None,
    replace: bool = False,
    session: aiohttp.ClientSession | None = None,
) -> None:
    """Shows something to the one who typed or clicked, and to nobody else.

    Args:
        url: The payload's `response_url`.
        text: What is read where blocks are not shown.
        blocks: What is shown.
        replace: In place of the message with the clicked button.
        session: Kept open by the caller.

    Raises:
        SlackRefusedError: When the address is used up or expired.
        RetryableError: When Slack cannot be reached now.
    """
    # No retries in place: a person is waiting, and there is another way to reach them.
    client = AsyncWebhookClient(url, timeout=_TIMEOUT_S, session=session, retry_handlers=[])
    with slack_errors("response_url"):
        answer = await client.send(
            text=text,
            blocks=blocks,
            response_type="ephemeral",
            replace_original=replace,
        )
    if answer.status_code == 429 or answer.status_code >= 500:
        raise UnavailableError(f"response_url: Slack answered {answer.status_code}")
    if answer.status_code != 200:
        raise SlackRefusedError("response_url", str(answer.body)[:40])
