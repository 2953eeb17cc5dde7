"""Who stands in for a model that fails, and what the record says about it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest

from bot.drafts import Draft, Source
from bot.generating import Generated, Generating, Prompt, rungs
from bot.routing import Turn
from feedback.domain.interaction import Arm
from feedback.domain.rollout import AdapterRef
from feedback.errors import (
    GenerationFailedError,
    OverloadedError,
    PromptTooLongError,
    TemplateRejectedError,
    TimedOutError,
    UnavailableError,
    UnderstudyError,
)
from feedback.ports import Generation, GenerationOptions, Message, TextGenerator
from feedback.serving.fake import FakeTextGenerator

OLD, NEW = AdapterRef(id="old", sha256="o"), AdapterRef(id="new", sha256="n")
LONG, SHORT = (Message(role="user", content="long"),), (Message(role="user", content="short"),)
PROMPT = Prompt(messages=LONG, shorten=lambda: SHORT)


@dataclass
class Server:
    """Every URL is this model."""

    model: TextGenerator

    def at(self, url: str, served: frozenset[str], base_name: str) -> TextGenerator:
        return self.model


@dataclass
class Watching:
    """What somebody sees; may stop watching."""

    seen: list[str] = field(default_factory=list)
    leaves: bool = False

    async def found(self, sources: Sequence[Source]) -> None:
        raise AssertionError("nothing is searched here")

    async def restart(self) -> None:
        self.seen.append("<restart>")

    async def write(self, piece: str) -> None:
        if self.leaves:
            raise asyncio.CancelledError
        self.seen.append(piece)


def turn(
    adapter: AdapterRef | None, fallback: AdapterRef | None = None, arm: Arm | None = None
) -> Turn:
    return Turn(
        url="http://m", base_model="b", template_sha256="t", adapter=adapter, fallback=fallback,
        arm=arm,
    )  # fmt: skip


CHALLENGED = turn(NEW, OLD, Arm.CHALLENGER)


def model(**failures: UnderstudyError) -> FakeTextGenerator:
    """A server on which these names fail; `base` is the base model."""

    def answer(_: Sequence[Message], adapter: str | None) -> str | UnderstudyError:
        name = adapter or "base"
        return failures.get(name, f"{name} says so")

    return FakeTextGenerator(answer)


async def generated(server: TextGenerator, whose: Turn = CHALLENGED) -> Generated:
    making = Generating(Server(server), GenerationOptions())
    return await making.generate(whose, PROMPT, Draft(), None)


@pytest.mark.parametrize(
    ("whose", "expected"),
    [
        (CHALLENGED, (NEW, OLD, None)),
        (turn(NEW, None, Arm.CHALLENGER), (NEW, None)),
        (turn(OLD, OLD, Arm.CHAMPION), (OLD, None)),
        (turn(OLD), (OLD, None)),
        (turn(None), (None,)),
        (turn(None, None, Arm.CHAMPION), (None, None)),
    ],
)
def test_who_is_asked_in_order(whose: Turn, expected: tuple[AdapterRef | None, ...]) -> None:
    assert rungs(whose) == expected


async def test_the_challenger_is_covered_by_the_champion_and_he_by_the_base() -> None:
    broken = GenerationFailedError("broken")
    first = await generated(model(new=broken))
    assert (first.adapter, first.error) == (OLD, "GenerationFailedError")
    both = await generated(model(new=broken, old=UnavailableError("gone")))
    assert (both.adapter, both.error) == (None, "GenerationFailedError"), "the first failure"
    assert both.generation.text == "base says so"
    with pytest.raises(UnavailableError):
        await generated(model(new=broken, old=broken, base=UnavailableError("gone")))


async def test_when_all_is_well_nothing_is_recorded() -> None:
    assert (await generated(model())).error is None


@pytest.mark.parametrize(
    "error", [OverloadedError("full"), TemplateRejectedError("tag"), PromptTooLongError("long")]
)
async def test_what_every_model_of_the_server_would_meet_is_not_tried_again(
    error: UnderstudyError,
) -> None:
    server = model(new=error)
    with pytest.raises(type(error)):
        await generated(server)
    assert {call.adapter for call in server.calls} == {"new"}


async def test_nobody_waits_for_a_third_deadline() -> None:
    late = TimedOutError("late")
    server = model(new=late, old=late)
    with pytest.raises(TimedOutError):
        await generated(server)
    assert len(server.calls) == 2
    assert (await generated(model(new=late))).error == "TimedOutError"


async def test_an_arm_of_the_base_has_a_second_chance_too() -> None:
    server = FakeTextGenerator([GenerationFailedError("once"), "fine"])
    made = await generated(server, turn(None, None, Arm.CHAMPION))
    assert (made.generation.text, made.adapter, made.error) == (
        "fine", None, "GenerationFailedError",
    )  # fmt: skip


async def test_a_prompt_that_is_too_long_is_shortened_once() -> None:
    def small(messages: Sequence[Message], _: str | None) -> str | UnderstudyError:
        return PromptTooLongError("long") if messages == LONG else "fits"

    made = await generated(FakeTextGenerator(small), turn(None))
    assert (made.generation.text, made.error) == ("fits", None)


async def test_who_watches_sees_the_answer_begin_anew() -> None:
    class Breaking(FakeTextGenerator):
        async def stream(
            self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
        ) -> AsyncGenerator[str | Generation, None]:
            if adapter == "new":
                yield "half"
                raise GenerationFailedError("broken")
            async for piece in super().stream(messages, adapter=adapter, options=options):
                yield piece

    watching, draft = Watching(), Draft()
    making = Generating(Server(Breaking(["whole"])), GenerationOptions())
    made = await making.generate(CHALLENGED, PROMPT, draft, watching)
    assert watching.seen == ["half", "<restart>", "whole"]
    assert (draft.text, made.adapter) == ("whole", OLD)


async def test_whoever_leaves_closes_the_stream_at_once() -> None:
    closed = []

    class Endless(FakeTextGenerator):
        async def stream(
            self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
        ) -> AsyncGenerator[str | Generation, None]:
            try:
                while True:
                    yield "more"
            finally:
                closed.append(adapter)

    making = Generating(Server(Endless()), GenerationOptions())
    with pytest.raises(asyncio.CancelledError):
        await making.generate(CHALLENGED, PROMPT, Draft(), Watching(leaves=True))
    assert closed == ["new"]
