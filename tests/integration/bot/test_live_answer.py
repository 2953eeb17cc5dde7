"""The pace of a streamed message, against the sandbox's Web API."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from bot.drafts import Source
from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from bot.slack.api import SlackApi, make_client
from bot.slack.budget import Budget
from bot.slack.calls import Calls
from bot.slack.streaming import Ending, Hooks, LiveAnswer, Pace, Place
from tests.integration.bot.conftest import AMIRA
from tests.waiting import until

NEVER = 1000.0
METADATA = {"event_type": "support_answer", "event_payload": {"id": "i-1", "part": 0}}
SOURCE = Source(title="Exporting <!here>", uri="https://docs.example/export")


@dataclass(kw_only=True)
class Stage:
    """A thread to stream into."""

    people: SandboxClient
    sandbox: RunningSandbox
    api: SlackApi
    channel: str
    root: str
    started: list[str] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)

    def live(self, pace: Pace) -> LiveAnswer:
        async def started(ts: str) -> None:
            self.started.append(ts)

        place = Place(
            answer="i-1",
            channel=self.channel,
            thread_ts=self.root,
            after_ts=self.root,
            recipient=f"T0SANDBOX1:{AMIRA}",
        )
        hooks = Hooks(started=started, stopped=lambda: self.stopped.append(True))
        return LiveAnswer(self.api, place, hooks, pace)

    async def message(self) -> SandboxMessage:
        thread = await self.people.messages(channel=self.channel, thread_ts=self.root)
        (message,) = [m for m in thread if m.is_app]
        return message

    async def shows(self, text: str) -> None:
        async def shown() -> bool:
            return bool(self.started) and text in str((await self.message()).raw)

        await until(shown)

    def calls(self, method: str) -> int:
        return self.sandbox.sandbox.faults.calls.get(method, 0)


@pytest.fixture
async def stage(sandbox: RunningSandbox) -> AsyncIterator[Stage]:
    client = make_client(sandbox.workspace.bot_token, sandbox.api_url)
    async with SandboxClient(sandbox.url) as people:
        channel = await people.open_dm(user=AMIRA)
        asked = await people.post(user=AMIRA, channel=channel, text="How?")
        yield Stage(
            people=people,
            sandbox=sandbox,
            api=SlackApi(client, Calls(Budget(share=0))),
            channel=channel,
            root=asked.ts,
        )


async def test_a_slow_answer_shows_its_steps_before_its_text(stage: Stage) -> None:
    live = stage.live(Pace(start_s=0.0, every_s=0.02))
    async with live:
        await stage.shows("Searching the documents")
        assert "in_progress" in str((await stage.message()).raw)
        await live.found([SOURCE])
        await stage.shows("Writing the answer")
        assert SOURCE.uri in str((await stage.message()).raw)
        await live.write("Open Settings. ")
        await stage.shows("Open Settings. ")
        await live.write("Choose CSV.")
    assert await live.finish("Open Settings. Choose CSV.", [], METADATA) is Ending.DONE
    message = await stage.message()
    assert message.text == "Open Settings. Choose CSV."
    assert "<!here>" not in str(message.raw), "titles call nobody either"
    assert stage.started == [live.ts]


async def test_text_is_collected_between_appends(stage: Stage) -> None:
    live = stage.live(Pace(first_chars=10, next_chars=100, start_s=NEVER, every_s=NEVER))
    text = "word " * 60
    async with live:
        for word in text.split():
            await live.write(f"{word} ")
            await asyncio.sleep(0)
    assert await live.finish(text.strip(), [], METADATA) is Ending.DONE
    assert (await stage.message()).text.strip() == text.strip()
    assert stage.calls("chat.startStream") == 1
    assert stage.calls("chat.appendStream") <= len(text) // 100


async def test_an_old_stream_is_ended_before_slack_does_it(stage: Stage) -> None:
    live = stage.live(Pace(first_chars=5, start_s=NEVER, every_s=0.01, life_s=0.05))
    async with live:
        await live.write("The first words, ")

        async def ended() -> bool:
            return stage.calls("chat.stopStream") == 1

        await until(ended)
        assert not (await stage.message()).streaming
        session = stage.sandbox.sandbox.presence.sessions[stage.channel, stage.root]
        assert session["status"] == "processing", "work goes on"
        await live.write("and the rest.")
    assert await live.finish("The first words, and the rest.", [], METADATA) is Ending.REPLACE
    assert stage.calls("chat.stopStream") == 1


async def test_another_beginning_replaces_what_was_shown(stage: Stage) -> None:
    live = stage.live(Pace(first_chars=5, start_s=NEVER))
    async with live:
        await live.write("A challenger's words ")
        await stage.shows("challenger")
        await live.restart()
        await live.write("The champion's words.")
    assert await live.finish("The champion's words.", [], METADATA) is Ending.REPLACE
    assert not (await stage.message()).streaming


async def test_a_reader_who_stops_is_heard_at_the_next_append(stage: Stage) -> None:
    live = stage.live(Pace(first_chars=5, next_chars=5, start_s=NEVER))
    async with live:
        await live.write("The first words, ")
        await stage.shows("first")
        await stage.people.stop_session(user=AMIRA, channel=stage.channel, thread_ts=stage.root)
        await live.write("and the rest.")

        async def heard() -> bool:
            return bool(stage.stopped)

        await until(heard)
    assert await live.finish("The first words, and the rest.", [], METADATA) is Ending.STOPPED


async def test_nothing_was_shown_of_an_answer_that_came_at_once(stage: Stage) -> None:
    live = stage.live(Pace())
    async with live:
        await live.write("Short.")
    assert await live.finish("Short.", [], METADATA) is Ending.REPLACE
    assert (live.ts, stage.calls("chat.startStream")) == (None, 0)


async def test_leading_white_space_does_not_spoil_the_stream(stage: Stage) -> None:
    live = stage.live(Pace(first_chars=5, start_s=NEVER))
    async with live:
        await live.write("\n\n ")
        await live.write("Open Settings.\n")
        await stage.shows("Open Settings.")
    assert await live.finish("Open Settings.", [], METADATA) is Ending.DONE
