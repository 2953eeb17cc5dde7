"""A text generator with scripted answers: for tests of everything that talks to a model."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from feedback.errors import AdapterNotServedError, UnderstudyError
from feedback.ports import Generation, GenerationOptions, Message

Answer = str | UnderstudyError
Script = Callable[[Sequence[Message], str | None], Answer]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as it was made."""

    messages: tuple[Message, ...]
    adapter: str | None
    options: GenerationOptions


class FakeTextGenerator:
    """Implements feedback.ports.TextGenerator without a model.

    Args:
        answers: A function of (messages, adapter), or texts and errors in the order of the calls;
            the last one repeats. An error is raised instead of answered.
        adapters: Names it serves; None serves all.
    """

    def __init__(
        self,
        answers: Script | Iterable[Answer] = ("ok",),
        *,
        adapters: Collection[str] | None = None,
        endpoint: str = "fake://model",
    ) -> None:
        self._script = answers if callable(answers) else _in_order(list(answers))
        self._adapters = None if adapters is None else frozenset(adapters)
        self._endpoint = endpoint
        self.calls: list[Call] = []

    @property
    def endpoint(self) -> str:
        """What generations name as their endpoint."""
        return self._endpoint

    async def aclose(self) -> None:
        """Does nothing; the real one closes connections."""

    async def chat(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> Generation:
        """Returns the scripted answer, cut to `options.max_tokens` words, or raises its error."""
        if adapter is not None and self._adapters is not None and adapter not in self._adapters:
            raise AdapterNotServedError(f"adapter {adapter} is not served by {self._endpoint}")
        self.calls.append(Call(messages=tuple(messages), adapter=adapter, options=options))
        answer = self._script(messages, adapter)
        if isinstance(answer, UnderstudyError):
            raise answer
        words = answer.split(" ")
        kept = words[: options.max_tokens]
        return Generation(
            text=" ".join(kept),
            finish_reason="stop" if len(kept) == len(words) else "length",
            prompt_tokens=sum(len(message.content.split()) for message in messages),
            completion_tokens=len(kept),
            model=adapter or "tgi",
            endpoint=self._endpoint,
        )

    async def stream(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> AsyncGenerator[str | Generation, None]:
        """Yields the same answer word by word and, last, the Generation."""
        generation = await self.chat(messages, adapter=adapter, options=options)
        words = generation.text.split(" ")
        for number, word in enumerate(words):
            text = word if number == 0 else f" {word}"
            if text:
                yield text
        yield generation


def _in_order(answers: list[Answer]) -> Script:
    if not answers:
        raise ValueError("a script needs at least one answer")
    remaining = iter(answers[:-1])
    return lambda _messages, _adapter: next(remaining, answers[-1])
