"""HTTP odds that all routes share: disconnects, error answers, event streams."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Send

from retrain.server.bodies import B, Limits, parse_body
from retrain.server.jobs import FinishedEvent, TokenEvent
from retrain.server.replies import PlainRefusal, Refusal
from retrain.server.service import ClientLeftError, Service, Submission

Handler = Callable[[Request], Awaitable[Response]]


async def read_body(request: Request, shape: type[B], limits: Limits) -> B:
    """Reads and parses a body; what is too large is not kept in memory.

    Raises:
        PlainRefusal: 415, 413, 400 or 422 as text/plain.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limits.payload_limit:
            break
    return parse_body(shape, bytes(raw), request.headers.get("content-type", ""), limits)


def until_left(request: Request) -> Callable[[], Awaitable[None]]:
    """Returns a function that returns when the client closed its connection.

    The body must have been read: what the server then sends next is `http.disconnect`.
    """

    async def wait() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return wait


def answering(handler: Handler) -> Handler:
    """Turns refusals into error answers."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except PlainRefusal as refusal:
            return PlainTextResponse(refusal.message, status_code=refusal.status)
        except Refusal as refusal:
            return JSONResponse(refusal.body(), status_code=refusal.status)
        except ClientLeftError:
            return Response(status_code=499)  # nobody reads it; nginx's code for the log

    return answer


class _EventStream(StreamingResponse):
    def __init__(self, events: AsyncGenerator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=dict(headers))
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Closes the generator however the stream ends: its row and its permit go at once."""
        async with aclosing(self._events):
            await super().stream_response(send)


def event_stream(events: AsyncGenerator[bytes], headers: Mapping[str, str]) -> Response:
    """Returns a stream of server-sent events."""
    return _EventStream(events, headers)


async def token_pairs(
    service: Service, submission: Submission
) -> AsyncIterator[tuple[TokenEvent | None, FinishedEvent | None]]:
    """Yields tokens, the last one together with the end; (None, None) is a keep-alive.

    Raises:
        Refusal: When generation failed.
        ClientLeftError: When the client closed its connection.
    """
    held: TokenEvent | None = None
    async for event in submission.stream():
        if event is None:
            yield None, None
        elif isinstance(event, FinishedEvent):
            service.succeeded(submission, event)
            assert held is not None
            yield held, event
        else:
            if held is not None:
                yield held, None
            held = event
            # The end of a row arrives in the same step as its last token: send what is not
            # the last at once.
            if submission.events.empty():
                yield held, None
                held = None
