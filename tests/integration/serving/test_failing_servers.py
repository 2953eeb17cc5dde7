"""Every documented way to fail, by real sockets, becomes the fitting error of ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from feedback import errors
from feedback.ports import GenerationOptions, Message
from feedback.serving import TgiTextGenerator
from feedback.serving.breaker import CircuitBreaker

QUESTION = (Message(role="user", content="hi"),)
JSON, TEXT, HTML, SSE = "application/json", "text/plain", "text/html", "text/event-stream"
TOO_LONG = "Input validation error: `inputs` must have less than 512 tokens. Given: 600"
DONE = "data: [DONE]\n\n"
GATEWAY = "<html><head><title>502 Bad Gateway</title></head></html>"

Call = Callable[[TgiTextGenerator], Coroutine[None, None, object]]


async def chat(client: TgiTextGenerator) -> object:
    return await client.chat(QUESTION, adapter=None, options=GenerationOptions(timeout_s=5))


async def stream(client: TgiTextGenerator) -> object:
    options = GenerationOptions(timeout_s=5)
    return [piece async for piece in client.stream(QUESTION, adapter=None, options=options)]


async def probe(client: TgiTextGenerator) -> object:
    return await client.generate_details("hi", adapter=None, timeout_s=5)


def reply(status: int, kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n{body}".encode()


def tgi(status: int, message: str, kind: str) -> bytes:
    return reply(status, JSON, json.dumps({"error": message, "error_type": kind}))


def events(*bodies: dict[str, object], done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(body)}\n\n" for body in bodies]
    return reply(200, SSE, "".join([*lines, *([DONE] if done else [])]))


def chunk(content: str, finish: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "logprobs": None,
              "finish_reason": finish}  # fmt: skip
    return {"object": "chat.completion.chunk", "id": "", "created": 1, "model": "tgi",
            "system_fingerprint": "x", "choices": [choice], "usage": None}  # fmt: skip


def failed(message: str) -> dict[str, object]:
    return {"error": {"message": message, "http_status_code": 422}}


@dataclass
class Server:
    """Sends bytes as they are; counts connections and those that were closed on it.

    Attributes:
        sends: What every request is answered with.
        then: `close` as HTTP does, `reset` as a dying process does, `stall` until the client goes.
    """

    sends: bytes
    then: str = "close"
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: list[asyncio.Future[None]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = asyncio.get_running_loop().create_future()
        self.at_work.append(done)
        try:
            await self._answer(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            done.set_result(None)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
            self.asked.set()
            writer.write(self.sends)
            await writer.drain()
            if self.then == "stall":
                assert await reader.read() == b""
                self.left.set()
        if self.then == "reset":
            writer.transport.abort()


@asynccontextmanager
async def against(
    server: Server, breaker: CircuitBreaker | None = None
) -> AsyncIterator[TgiTextGenerator]:
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    client = TgiTextGenerator(f"http://127.0.0.1:{port}", breaker=breaker, max_connections=1)
    try:
        yield client
    finally:
        await client.aclose()
        listener.close()
        await listener.wait_closed()
        await asyncio.gather(*server.at_work)


ANSWERS = [
    (reply(401, TEXT, ""), errors.UnauthorizedError),
    (reply(403, HTML, GATEWAY), errors.UnauthorizedError),
    (reply(400, TEXT, "Failed to parse the request body as JSON"), errors.InvalidInputError),
    (reply(404, TEXT, ""), errors.InvalidInputError),
    (tgi(404, "adapter x is not served", "not_found"), errors.AdapterNotServedError),
    (reply(408, TEXT, ""), errors.TimedOutError),
    (reply(413, TEXT, "length limit exceeded"), errors.InvalidInputError),
    (reply(415, TEXT, "Expected request with JSON"), errors.InvalidInputError),
    (reply(422, TEXT, "Failed to deserialize the JSON body"), errors.InvalidInputError),
    (tgi(422, TOO_LONG, "validation"), errors.PromptTooLongError),
    (tgi(422, "Input validation error: `top_p`", "validation"), errors.InvalidInputError),
    (tgi(422, "Template error: x", "template_error"), errors.TemplateRejectedError),
    (tgi(422, "Missing template vatiable", "missing_template_variable"),
     errors.TemplateRejectedError),
    (tgi(424, "Request failed during generation: x", "generation"), errors.GenerationFailedError),
    (tgi(429, "Model is overloaded", "overloaded"), errors.OverloadedError),
    (reply(429, HTML, GATEWAY), errors.OverloadedError),
    (tgi(500, "Incomplete generation", "incomplete_generation"), errors.GenerationFailedError),
    (reply(500, HTML, GATEWAY), errors.GenerationFailedError),
    (reply(502, HTML, GATEWAY), errors.UnavailableError),
    (tgi(503, "unhealthy", "healthcheck"), errors.UnavailableError),
    (reply(503, HTML, GATEWAY), errors.UnavailableError),
    (reply(504, TEXT, ""), errors.UnavailableError),
]  # fmt: skip


@pytest.mark.parametrize("call", [chat, stream, probe])
async def test_error_answers(call: Call) -> None:
    for sends, expected in ANSWERS:
        async with against(Server(sends)) as client:
            with pytest.raises(errors.UnderstudyError) as caught:
                await call(client)
            assert type(caught.value) is expected, (sends, caught.value)


@pytest.mark.parametrize("call", [chat, probe])
@pytest.mark.parametrize("body", [GATEWAY, "[]", "{}", '{"choices": [], "usage": null}', "7"])
async def test_an_answer_in_another_shape_is_ours_to_mend(call: Call, body: str) -> None:
    for kind in (JSON, HTML):
        async with against(Server(reply(200, kind, body))) as client:
            with pytest.raises(errors.PermanentError, match="not in TGI's shape"):
                await call(client)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Model is overloaded", errors.OverloadedError),
        ("Request failed during generation: x", errors.GenerationFailedError),
        ("Incomplete generation", errors.GenerationFailedError),
        ("Incomplete generation stream", errors.GenerationFailedError),
        ("Stream event serialization error: x", errors.GenerationFailedError),
        (TOO_LONG, errors.PromptTooLongError),
        ("Input validation error: `stop`", errors.InvalidInputError),
    ],
)
async def test_errors_inside_a_stream_of_status_200(
    message: str, expected: type[errors.UnderstudyError]
) -> None:
    for before in ([], [chunk("half")]):
        async with against(Server(events(*before, failed(message)))) as client:
            with pytest.raises(errors.UnderstudyError) as caught:
                await stream(client)
            assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Server(events(chunk("half"))), errors.StreamBrokenError),
        (Server(events(chunk("half"), done=False)), errors.StreamBrokenError),
        (Server(events()), errors.StreamBrokenError),
        (Server(events(chunk("half"))[:-30], "reset"), errors.StreamBrokenError),
        (Server(events(chunk("half"))[:-30]), errors.StreamBrokenError),
        (Server(reply(200, SSE, "data: {not json}\n\n")), errors.PermanentError),
        (Server(reply(200, HTML, GATEWAY)), errors.StreamBrokenError),
        (Server(b""), errors.StreamBrokenError),
    ],
)  # fmt: skip
async def test_streams_that_end_too_early(
    server: Server, expected: type[errors.UnderstudyError]
) -> None:
    async with against(server) as client:
        with pytest.raises(errors.UnderstudyError) as caught:
            await stream(client)
    assert type(caught.value) is expected


@pytest.mark.parametrize("call", [chat, probe])
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_connections_that_are_cut(call: Call, then: str) -> None:
    for sends in (b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"):
        async with against(Server(sends, then)) as client:
            with pytest.raises(errors.UnavailableError):
                await call(client)


async def test_a_server_that_hangs_costs_the_deadline_and_gets_its_place_back() -> None:
    begun = events(chunk("half"))[: -len(DONE)]
    options = GenerationOptions(timeout_s=0.1)
    for sends in (b"", begun):
        server = Server(sends, "stall")
        async with against(server) as client:
            with pytest.raises(errors.TimedOutError):
                async for _ in client.stream(QUESTION, adapter=None, options=options):
                    pass
            await asyncio.wait_for(server.left.wait(), 5)
            with pytest.raises(errors.TimedOutError):
                await client.chat(QUESTION, adapter=None, options=options)


async def test_whoever_is_cancelled_frees_the_place() -> None:
    server = Server(b"", "stall")
    async with against(server) as client:
        asking = asyncio.create_task(chat(client))
        await server.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.left.wait(), 5)


async def test_to_wait_for_a_connection_is_part_of_the_deadline() -> None:
    server = Server(events(chunk("half"))[: -len(DONE)], "stall")
    async with against(server) as client:
        asked = client.stream(QUESTION, adapter=None, options=GenerationOptions())
        async with aclosing(asked) as pieces:
            assert await anext(pieces) == "half"
            with pytest.raises(errors.TimedOutError):
                await client.chat(QUESTION, adapter=None, options=GenerationOptions(timeout_s=0.05))
        assert server.connections == 1


async def test_a_server_that_is_down_is_soon_left_alone() -> None:
    server = Server(reply(503, HTML, GATEWAY))
    breaker = CircuitBreaker("http://m", failures=2)
    async with against(server, breaker) as client:
        for call in (chat, stream, chat, stream, chat):
            with pytest.raises(errors.UnavailableError):
                await call(client)
    assert server.connections == 2


async def test_refused_connections() -> None:
    async with against(Server(b"")) as client:
        pass
    client = TgiTextGenerator(client.endpoint)
    for call in (chat, stream, probe):
        with pytest.raises(errors.UnavailableError, match="cannot reach"):
            await call(client)
    await client.aclose()
