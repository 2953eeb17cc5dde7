"""The alternative that the bot is measured against: Bolt as in its manual, nothing is stored.

It acknowledges before it works, asks the model and posts; a question dies with the process.
"""

import asyncio
import os
import signal
from typing import Any

import httpx
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


async def main() -> None:
    """Answers mentions until it is told to stop."""
    client = AsyncWebClient(
        token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["UNDERSTUDY_SLACK__API_URL"]
    )
    app = AsyncApp(client=client)
    async with httpx.AsyncClient(base_url=os.environ["TGI_URL"], trust_env=False) as model:

        async def answer(event: dict[str, Any]) -> None:
            asked = {"model": "tgi", "messages": [{"role": "user", "content": event["text"]}]}
            said = (await model.post("/v1/chat/completions", json=asked)).json()
            text = said["choices"][0]["message"]["content"]
            await client.chat_postMessage(
                channel=event["channel"], thread_ts=event["ts"], text=text
            )

        async def ignore() -> None: ...

        app.event("app_mention")(answer)
        app.event("message")(ignore)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        handler = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
        await handler.connect_async()  # type: ignore[no-untyped-call]
        await stop.wait()
        await handler.close_async()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    asyncio.run(main())
