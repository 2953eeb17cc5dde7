"""A model that stops talking until it is told to go on, so that tests can act meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from feedback.ports import Generation, GenerationOptions, Message


@dataclass(kw_only=True)
class GatedGenerator:
    """Says `before`, waits for `gate`, then says `after`.

    Attributes:
        before: Said at once.
        after: Said once the gate is open.
        asked: The last message of every call.
        listening: Calls that somebody still listens to; what falls to 0 has freed its slot.
    """

    before: str = ""
    after: str = "Done."
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    listening: int = 0

    @property
    def endpoint(self) -> str:
        return "gated://model"

    async def aclose(self) -> None:
        """Nothing is open."""

    async def chat(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> Generation:
        pieces = [p async for p in self.stream(messages, adapter=adapter, options=options)]
        assert isinstance(pieces[-1], Generation)
        return pieces[-1]

    async def stream(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> AsyncGenerator[str | Generation, None]:
        self.asked.append(messages[-1].content)
        self.listening += 1
        try:
            if self.before:
                yield self.before
            self.reached.set()
            await self.gate.wait()
            yield self.after
            yield self.said(self.before + self.after)
        finally:
            self.listening -= 1

    def said(self, text: str) -> Generation:
        """Returns what a stream ends with."""
        return Generation(
            text=text,
            finish_reason="stop",
            prompt_tokens=1,
            completion_tokens=1,
            model="tgi",
            endpoint=self.endpoint,
        )
