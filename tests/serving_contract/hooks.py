"""schemathesis loads this module: the check of what is in server-sent events."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import schemathesis

from tests.serving_contract.exemptions import widened

CONTRACT = Path(__file__).with_name("tgi-openapi.json")
EVENTS = {
    "/": "StreamResponse",
    "/generate_stream": "StreamResponse",
    "/v1/chat/completions": "ChatCompletionChunk",
    "/v1/completions": "Chunk",
}
OPENAI_ERROR = {
    # Not in the document: TGI's OpenAI-shaped routes wrap an error, and say 422 whatever happened.
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "http_status_code"],
            "properties": {
                "message": {"type": "string"},
                "http_status_code": {"type": "integer", "enum": [422]},
            },
        }
    },
}


@schemathesis.check
def sse_payloads(
    _ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Every `data:` is an event of the document or an error; `[DONE]` ends OpenAI's streams."""
    kinds = response.headers.get("content-type", [""])
    if response.status_code != 200 or not kinds[0].startswith("text/event-stream"):
        return
    path = case.operation.path
    blocks = response.content.decode().split("\n\n")
    assert not blocks.pop(), "a stream ends with an empty line"
    payloads = [block.removeprefix("data: ") for block in blocks if block != ":"]
    assert len(payloads) > 0, "a stream has at least one event"
    if path.startswith("/v1/"):
        assert payloads.pop() == "[DONE]", "a stream of /v1 ends with [DONE]"
    for payload in payloads:
        _validate(path, json.loads(payload))


def _validate(path: str, event: dict[str, Any]) -> None:
    if "error" not in event:
        _validator(EVENTS[path]).validate(event)
    elif path.startswith("/v1/"):
        jsonschema_rs.validate(OPENAI_ERROR, event)
    else:
        _validator("ErrorResponse").validate(event)


@cache
def _validator(name: str) -> jsonschema_rs.Draft4Validator:
    contract = widened(json.loads(CONTRACT.read_text(encoding="utf-8")))
    reference = {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    return jsonschema_rs.Draft4Validator({**_draft4(contract), **reference})


def _draft4(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """OpenAPI 3.0's schemas are JSON Schema draft 4 but for `nullable`."""
    if isinstance(schema, list):
        return [_draft4(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _draft4(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain
