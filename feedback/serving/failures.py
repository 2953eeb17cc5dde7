"""Every way a model server can fail, mapped once to our error tree.

Sources: TGI's router (error types and event texts), huggingface_hub 2.4.0's exceptions, httpx2's.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from huggingface_hub.errors import (
    GenerationError,
    HfHubHTTPError,
    IncompleteGenerationError,
    InferenceTimeoutError,
    TextGenerationError,
    ValidationError,
)
from huggingface_hub.errors import OverloadedError as HubOverloadedError

from feedback.errors import (
    AdapterNotServedError,
    GenerationFailedError,
    InvalidInputError,
    OverloadedError,
    PermanentError,
    PromptTooLongError,
    StreamBrokenError,
    TemplateRejectedError,
    TimedOutError,
    UnauthorizedError,
    UnavailableError,
    UnderstudyError,
)

_TOO_LONG = ("`inputs` tokens +", "`inputs` must have less than")
_TEMPLATE_TYPES = ("template_error", "missing_template_variable", "tool_error")
_MALFORMED = (AttributeError, KeyError, LookupError, TypeError, ValueError)


@asynccontextmanager
async def mapped(endpoint: str, *, what: str, stream: bool = False) -> AsyncIterator[None]:
    """Turns foreign failures inside the block into ours.

    Args:
        endpoint: The server's URL, for messages.
        what: What was asked, for messages: `generation`, `embedding`.
        stream: Whether a lost connection means a broken stream or an unreachable server.

    Raises:
        UnderstudyError: Always the fitting subclass.
    """
    try:
        yield
    except UnderstudyError:
        raise
    except TextGenerationError as exc:
        answer = getattr(exc.__cause__, "response", None)
        if answer is not None:
            raise _from_answer(answer, endpoint) from exc
        raise _from_event(exc, endpoint) from exc
    except HfHubHTTPError as exc:
        raise _from_answer(exc.response, endpoint) from exc
    except (InferenceTimeoutError, TimeoutError, httpx2.TimeoutException) as exc:
        raise TimedOutError(f"{what} at {endpoint} passed its deadline") from exc
    except (httpx2.RemoteProtocolError, httpx2.ReadError) as exc:
        lost = StreamBrokenError if stream else UnavailableError
        raise lost(f"{endpoint} closed the connection during {what}: {exc or repr(exc)}") from exc
    except (httpx2.HTTPError, OSError) as exc:
        raise UnavailableError(f"cannot reach {endpoint} for {what}: {exc or repr(exc)}") from exc
    except _MALFORMED as exc:
        raise PermanentError(
            f"{endpoint} sent an answer to {what} that is not in TGI's shape: {exc!r}"
        ) from exc


def _from_answer(response: httpx2.Response, endpoint: str) -> UnderstudyError:
    kind = response.headers.get("content-type", "")
    return from_response(response.status_code, kind, response.text, endpoint)


def _from_event(exc: TextGenerationError, endpoint: str) -> UnderstudyError:
    """Maps the error events of streams, which have no status of their own."""
    payload = exc.args[0] if exc.args else ""
    text = str(payload.get("message", payload)) if isinstance(payload, dict) else str(payload)
    kind = {
        GenerationError: "generation",
        IncompleteGenerationError: "incomplete_generation",
        HubOverloadedError: "overloaded",
        ValidationError: "validation",
    }.get(type(exc), "")
    return _from_text(text, kind, endpoint)


def from_response(status: int, content_type: str, body: str, endpoint: str) -> UnderstudyError:
    """Maps an error answer; not every 422 is JSON, so the content type decides."""
    text, kind = body.strip(), ""
    if "json" in content_type:
        text, kind = _parse(body)
    fixed = _from_status(status, text, kind, endpoint)
    return fixed or _from_text(text[:500] or f"HTTP {status}", kind, endpoint)


def _from_status(status: int, text: str, kind: str, endpoint: str) -> UnderstudyError | None:
    """Returns what the status alone decides; 400, 413, 415 and 422 need the text."""
    error: UnderstudyError | None = None
    if status in {401, 403}:
        error = UnauthorizedError(f"{endpoint} refused the API key (HTTP {status}); set another")
    elif status == 429:
        error = OverloadedError(f"{endpoint} is overloaded: {text[:200]}")
    elif status == 404 and ("adapter" in text or kind == "NotFoundError"):
        error = AdapterNotServedError(f"{endpoint} does not serve this adapter: {text[:200]}")
    elif status == 408:
        error = TimedOutError(f"{endpoint} answered HTTP 408")
    elif status in {502, 503, 504}:
        error = UnavailableError(f"{endpoint} answered HTTP {status}: {text[:200]}")
    elif status == 424 or status >= 500:
        error = GenerationFailedError(f"{endpoint} failed (HTTP {status}): {text[:200]}")
    return error


def _parse(body: str) -> tuple[str, str]:
    """Returns (text, error type) of TGI's or an OpenAI-shaped error body."""
    try:
        data = json.loads(body)
    except ValueError:
        return body, ""
    error = data.get("error", body) if isinstance(data, dict) else body
    if isinstance(error, dict):
        return str(error.get("message", error)), str(error.get("type", ""))
    return str(error), str(data.get("error_type", "")) if isinstance(data, dict) else ""


def _from_text(text: str, kind: str, endpoint: str) -> UnderstudyError:
    """Tells kinds apart by TGI's error type or, in chat streams, by how the message starts."""
    if kind == "overloaded" or text.startswith("Model is overloaded"):
        return OverloadedError(f"{endpoint} is overloaded")
    if kind in {"generation", "incomplete_generation"} or text.startswith(
        ("Request failed during generation", "Incomplete generation", "Stream event serialization")
    ):
        return GenerationFailedError(f"{endpoint} failed: {text}")
    if kind in _TEMPLATE_TYPES or text.startswith(("Template error", "Tool error")):
        return TemplateRejectedError(f"{endpoint} could not render the chat template: {text}")
    if any(mark in text for mark in _TOO_LONG):
        return PromptTooLongError(f"the prompt is too long for {endpoint}: {text}")
    return InvalidInputError(f"{endpoint} refused the request: {text}")
