"""Every documented failure becomes the fitting error of ours."""

import json

import httpx2
import pytest
from huggingface_hub.errors import (
    GenerationError,
    IncompleteGenerationError,
    InferenceTimeoutError,
    OverloadedError,
    UnknownError,
    ValidationError,
)

from feedback import errors
from feedback.serving.failures import from_response, mapped

JSON = "application/json"
TOO_LONG = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 512. "
    "Given: 600 `inputs` tokens and 20 `max_new_tokens`"
)

VLLM_UNKNOWN = json.dumps({"error": {"message": "no such model", "type": "NotFoundError"}})


def tgi(message: str, kind: str) -> str:
    return json.dumps({"error": message, "error_type": kind})


@pytest.mark.parametrize(
    ("status", "content_type", "body", "expected"),
    [
        (401, "", "", errors.UnauthorizedError),
        (408, "", "", errors.TimedOutError),
        (429, JSON, tgi("Model is overloaded", "overloaded"), errors.OverloadedError),
        (424, JSON, tgi("Request failed: x", "generation"), errors.GenerationFailedError),
        (500, JSON, tgi("Incomplete", "incomplete_generation"), errors.GenerationFailedError),
        (502, "text/html", "<html>bad gateway</html>", errors.UnavailableError),
        (503, JSON, tgi("unhealthy", "healthcheck"), errors.UnavailableError),
        (504, "text/plain", "", errors.UnavailableError),
        (422, JSON, tgi(TOO_LONG, "validation"), errors.PromptTooLongError),
        (422, JSON, tgi("`top_p` must be", "validation"), errors.InvalidInputError),
        (422, JSON, tgi("Template error: x", "template_error"), errors.TemplateRejectedError),
        (422, JSON, tgi("x", "missing_template_variable"), errors.TemplateRejectedError),
        (422, JSON, tgi("Tool error: x", "tool_error"), errors.TemplateRejectedError),
        (422, "text/plain", "Failed to deserialize the JSON body", errors.InvalidInputError),
        (422, JSON, "not json", errors.InvalidInputError),
        (422, JSON, "[1]", errors.InvalidInputError),
        (400, "text/plain", "Failed to parse", errors.InvalidInputError),
        (413, "text/plain", "length limit", errors.InvalidInputError),
        (404, JSON, VLLM_UNKNOWN, errors.AdapterNotServedError),
        (404, JSON, tgi("adapter x is not served", "x"), errors.AdapterNotServedError),
        (404, "text/plain", "", errors.InvalidInputError),
    ],
)  # fmt: skip
def test_error_answers(
    status: int, content_type: str, body: str, expected: type[errors.UnderstudyError]
) -> None:
    assert type(from_response(status, content_type, body, "http://x")) is expected


@pytest.mark.parametrize(
    ("raised", "stream", "expected"),
    [
        (InferenceTimeoutError("late"), False, errors.TimedOutError),
        (TimeoutError(), False, errors.TimedOutError),
        (httpx2.ReadTimeout("late"), True, errors.TimedOutError),
        (httpx2.ConnectError("refused"), True, errors.UnavailableError),
        (httpx2.RemoteProtocolError("cut"), True, errors.StreamBrokenError),
        (httpx2.RemoteProtocolError("cut"), False, errors.UnavailableError),
        (ConnectionResetError("reset"), True, errors.UnavailableError),
        (OverloadedError("Model is overloaded"), True, errors.OverloadedError),
        (GenerationError("x"), True, errors.GenerationFailedError),
        (IncompleteGenerationError("x"), True, errors.GenerationFailedError),
        (ValidationError(TOO_LONG), False, errors.PromptTooLongError),
        (
            UnknownError({"message": "Model is overloaded"}),  # type: ignore[arg-type]
            True,
            errors.OverloadedError,
        ),
        (
            UnknownError({"message": TOO_LONG}),  # type: ignore[arg-type]
            True,
            errors.PromptTooLongError,
        ),
        (KeyError("choices"), False, errors.PermanentError),
        (json.JSONDecodeError("x", "", 0), True, errors.PermanentError),
        (errors.StreamBrokenError("ours"), True, errors.StreamBrokenError),
    ],
)
async def test_raised_failures(
    raised: Exception, stream: bool, expected: type[errors.UnderstudyError]
) -> None:
    with pytest.raises(errors.UnderstudyError) as caught:
        async with mapped("http://x", what="generation", stream=stream):
            raise raised
    assert type(caught.value) is expected


async def test_cancelling_stays_cancelling() -> None:
    with pytest.raises(GeneratorExit):
        async with mapped("http://x", what="generation"):
            raise GeneratorExit
