"""Between HTTP and the engine: permits, rules, tokenizing, and each request's stream of events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from feedback.ports import Embedder
from retrain.server.bodies import (
    GenerateParameters,
    Limits,
    check_early,
    check_length,
    check_parameters,
    decoding_of,
)
from retrain.server.engine import Engine
from retrain.server.faults import NO_FAULTS, Faults
from retrain.server.jobs import Delivery, Event, FinishedEvent, Job, TokenEvent
from retrain.server.lora import LoraBank
from retrain.server.metrics import Metrics
from retrain.server.replies import (
    Refusal,
    generation_refusal,
    overloaded_refusal,
    unknown_adapter_refusal,
    validation_refusal,
)
from retrain.server.tokenizer import ServedTokenizer

KEEP_ALIVE_S = 15.0


class ClientLeftError(Exception):
    """The client closed its connection; nobody reads the answer."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What `/info` and answers say about this server.

    Attributes:
        model_id: The base model's name.
        model_sha: Content id of the base snapshot.
        version: The understudy version.
    """

    model_id: str
    model_sha: str
    version: str

    @property
    def fingerprint(self) -> str:
        """TGI's system_fingerprint."""
        return f"{self.version}-native"


@dataclass(kw_only=True)
class Submission:
    """A running request.

    Attributes:
        events: Filled on the event loop; None means that the client left.
    """

    job: Job
    seed: int | None
    prompt_text: str
    validation_s: float
    started_at: float
    events: asyncio.Queue[Event | None]

    async def next(self) -> Event:
        """Returns the next event.

        Raises:
            ClientLeftError: When the client closed its connection.
        """
        event = await self.events.get()
        if event is None:
            raise ClientLeftError
        return event

    async def finished(self) -> FinishedEvent:
        """Waits for the end.

        Raises:
            Refusal: When generation failed.
            ClientLeftError: When the client closed its connection.
        """
        while True:
            event = await self.next()
            if isinstance(event, Refusal):
                raise event
            if isinstance(event, FinishedEvent):
                return event

    async def stream(self) -> AsyncIterator[TokenEvent | FinishedEvent | None]:
        """Yields tokens and, last, the end; None every 15 s of silence asks for a keep-alive.

        Raises:
            Refusal: When generation failed.
            ClientLeftError: When the client closed its connection.
        """
        while True:
            event: Event | None
            if self.events.empty():
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        event = await self.next()
                except TimeoutError:
                    yield None
                    continue
            else:
                event = await self.next()
            if isinstance(event, Refusal):
                raise event
            yield event
            if isinstance(event, FinishedEvent):
                return


class Service:
    """What the routes call."""

    def __init__(
        self,
        *,
        tokenizer: ServedTokenizer,
        bank: LoraBank,
        limits: Limits,
        identity: Identity,
        make_engine: Callable[[Callable[[Delivery], None]], Engine],
        embedder: Embedder | None = None,
        strict_adapters: bool = False,
        faults: Faults = NO_FAULTS,
    ) -> None:
        self.tokenizer, self.bank, self.limits, self.identity = tokenizer, bank, limits, identity
        self.embedder, self.strict_adapters, self.faults = embedder, strict_adapters, faults
        self.metrics = Metrics()
        self._running = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine = make_engine(self._dispatch)
        self.metrics.gauge("tgi_queue_size", lambda: self._engine.queue_size)
        self.metrics.gauge("tgi_batch_current_size", lambda: self._engine.batch_size)
        self.metrics.counter("understudy_prefix_reused_tokens", lambda: self._engine.reused_tokens)

    def open(self) -> None:
        """Starts the worker; called on the event loop that will serve."""
        self._loop = asyncio.get_running_loop()
        self._engine.start()

    async def close(self) -> None:
        """Finishes what runs and ends the worker."""
        await asyncio.to_thread(self._engine.close)

    async def healthy(self) -> bool:
        """Whether the model answers: after a failure it must produce one token to be believed."""
        if self._engine.healthy:
            return True
        events: asyncio.Queue[Event] = asyncio.Queue()
        probe = GenerateParameters(max_new_tokens=1)
        self._engine.submit(
            Job(
                prompt=self.tokenizer.encode("ping", special=True),
                adapter=0,
                decoding=decoding_of(probe),
                max_new_tokens=1,
                deliver=events.put_nowait,
            )
        )
        return isinstance(await events.get(), FinishedEvent)

    def check_adapter(self, name: str | None) -> None:
        """With --strict-adapters, refuses unknown names; TGI answers with the base.

        Raises:
            Refusal: 404, which no TGI sends.
        """
        if self.strict_adapters and self.bank.index(name) is None:
            raise unknown_adapter_refusal(str(name), self.bank.names)

    @contextlib.asynccontextmanager
    async def submit(
        self,
        inputs: str,
        parameters: GenerateParameters,
        *,
        special: bool,
        stream: bool,
        until_left: Callable[[], Awaitable[None]],
    ) -> AsyncIterator[Submission]:
        """Checks and queues a request; leaving the block frees its permit and its row.

        Args:
            inputs: The prompt's text.
            parameters: TGI's parameters.
            stream: Whether token events are wanted.
            special: Whether the tokenizer adds BOS (`/generate` yes, chat no).
            until_left: Returns when the client closed its connection.

        Raises:
            Refusal: Overloaded, or a rule was broken.
        """
        self.metrics.started()
        if self._running >= self.limits.max_concurrent_requests:
            self.metrics.failed("overloaded")
            raise overloaded_refusal()
        self._running += 1
        submission: Submission | None = None
        watch: asyncio.Task[None] | None = None
        try:
            submission = self._prepare(inputs, parameters, special=special, stream=stream)
            watch = asyncio.create_task(_watch(until_left, submission.events))
            self._engine.submit(submission.job)
            yield submission
        except Refusal as refusal:
            self.metrics.failed(refusal.error_type)
            raise
        except (ClientLeftError, GeneratorExit, asyncio.CancelledError):
            self.metrics.failed("dropped")
            raise
        finally:
            self._running -= 1
            if submission is not None:
                submission.job.cancelled = True
            if watch is not None:
                watch.cancel()

    def check(self, inputs: str, parameters: GenerateParameters, *, special: bool) -> None:
        """Applies the rules without queueing anything.

        Raises:
            Refusal: A rule was broken.
        """
        self._prepare(inputs, parameters, special=special, stream=False)

    def _prepare(
        self, inputs: str, p: GenerateParameters, *, special: bool, stream: bool
    ) -> Submission:
        started = time.perf_counter()
        check_early(p, self.limits, stream=stream)
        check_parameters(inputs, p, self.limits)
        prompt = self.tokenizer.encode(inputs, special=special)
        if p.truncate is not None:
            prompt = prompt[-p.truncate :]
        if not prompt:
            raise validation_refusal("`inputs` cannot be empty")
        wanted = check_length(len(prompt), p, self.limits)
        decoding = decoding_of(p)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        return Submission(
            job=Job(
                prompt=prompt,
                adapter=self.bank.index(p.adapter_id) or 0,
                decoding=decoding,
                max_new_tokens=wanted,
                stop=tuple(text for text in p.stop if text),
                stream=stream,
                texts=stream or p.details,
                prefill=p.decoder_input_details,
                deliver=events.put_nowait,
            ),
            seed=decoding.seed if decoding.sample else None,
            prompt_text=inputs,
            validation_s=time.perf_counter() - started,
            started_at=started,
            events=events,
        )

    def succeeded(self, submission: Submission, end: FinishedEvent) -> None:
        """Counts a finished request."""
        self.metrics.finished(
            input_tokens=len(submission.job.prompt),
            generated=end.generated,
            validation_s=submission.validation_s,
            queue_s=end.queue_s,
            inference_s=end.inference_s,
            total_s=time.perf_counter() - submission.started_at,
        )

    def _dispatch(self, delivery: Delivery) -> None:
        """Hands one step's events to the loop in a single call; runs on the worker's thread."""
        if self._loop is None or self._loop.is_closed():
            return
        # The loop may close between the check and the call, when the process ends.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_deliver, delivery)


def _deliver(delivery: Delivery) -> None:
    for job, event in delivery:
        job.deliver(event)


async def _watch(
    until_left: Callable[[], Awaitable[None]], events: asyncio.Queue[Event | None]
) -> None:
    await until_left()
    events.put_nowait(None)


__all__ = ["ClientLeftError", "Identity", "Service", "Submission", "generation_refusal"]
