"""What a channel's settings change about answers, from the next question on."""

from datetime import UTC, datetime

from feedback.domain.channel import ChannelSettings, Streaming
from feedback.domain.interaction import Rating
from tests.integration.bot.conftest import AMIRA, BEN, BOT, SUPPORT, Workplace

LONG = " ".join(["Open Settings, then Export, and choose CSV."] * 20)
UNKNOWN = "What is near to our subject?"


async def set_up(place: Workplace, settings: ChannelSettings, channel: str = SUPPORT) -> None:
    async with place.store.begin() as tx:
        await tx.channels.save(place.team, channel, settings, at=datetime.now(UTC))


async def test_thumbs_can_be_off_and_reactions_still_count(workplace: Workplace) -> None:
    await set_up(workplace, ChannelSettings(buttons=False))
    answer = await workplace.ask()
    assert "feedback_buttons" not in str(answer.blocks)
    assert "answer_correct" in str(answer.blocks), "corrections are no votes"
    await workplace.people.react(user=BEN, message=answer, name="-1")
    await workplace.settle()
    assert [vote.rating for vote in await workplace.votes(answer)] == [Rating.DOWN]


async def test_a_channel_can_stream(workplace: Workplace) -> None:
    workplace.model._script = lambda _messages, _adapter: LONG
    calls = workplace.sandbox.sandbox.faults.calls
    await workplace.ask()
    assert "chat.startStream" not in calls
    await set_up(workplace, ChannelSettings(streaming=Streaming.ON))
    answer = await workplace.ask()
    assert calls["chat.startStream"] == 1
    assert answer.text == LONG


async def test_a_conversation_can_do_without_streaming(workplace: Workplace) -> None:
    workplace.model._script = lambda _messages, _adapter: LONG
    await set_up(workplace, ChannelSettings(streaming=Streaming.OFF))
    await workplace.ask()
    assert "chat.startStream" not in workplace.sandbox.sandbox.faults.calls


async def test_the_bot_is_silent_where_it_is_switched_off(workplace: Workplace) -> None:
    await set_up(workplace, ChannelSettings(answering=False))
    asked = await workplace.people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> export?")
    await workplace.settle()
    assert await workplace.answers(asked.ts) == []
    assert workplace.model.calls == []
    await workplace.people.shortcut(user=BEN, message=asked, callback_id="ask_understudy")
    note = await workplace.people.wait_for_ephemeral(user=BEN, channel=SUPPORT, thread_ts=asked.ts)
    assert "switched off" in note.text


async def test_a_direct_message_points_to_the_channel_in_sight(workplace: Workplace) -> None:
    await set_up(workplace, ChannelSettings(buttons=False))
    entity = {"type": "slack#/types/channel_id", "value": SUPPORT}
    async with workplace.store.begin() as tx:
        await tx.turns.look_at(workplace.team, AMIRA, [entity], event_ts=1.0)

    async def ask() -> str:
        channel = await workplace.people.open_dm(user=AMIRA)
        asked = await workplace.people.post(user=AMIRA, channel=channel, text=UNKNOWN)
        answer = await workplace.people.wait_for_reply(channel=channel, thread_ts=asked.ts)
        return str(answer.blocks)

    assert f"<#{SUPPORT}>" not in await ask(), "the bot was never asked there"
    await workplace.ask()
    shown = await ask()
    assert f"<#{SUPPORT}>" in shown
    assert "feedback_buttons" in shown, "only a hint: the channel's settings stay there"
