"""Where TGI answers beside its own document, each with its reason.

Every exemption widens the document by what real TGI 3.3.7 sends; none switches a check off. They
are departures of TGI, not of our server: a live TGI needs them as well.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Contract = dict[str, Any]

POSTS = (
    "/",
    "/generate",
    "/generate_stream",
    "/tokenize",
    "/chat_tokenize",
    "/v1/chat/completions",
    "/v1/completions",
)
STREAMS = ("/", "/generate_stream", "/v1/chat/completions", "/v1/completions")


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """One departure.

    Attributes:
        name: What it allows.
        why: Why it is right to allow it.
        widen: Changes the document.
    """

    name: str
    why: str
    widen: Callable[[Contract], None]


def _also(paths: Sequence[str], status: int, content: dict[str, Any]) -> Callable[[Contract], None]:
    def widen(contract: Contract) -> None:
        for path in paths:
            answers = contract["paths"][path]["post"]["responses"]
            answer = answers.setdefault(str(status), {"description": "see exemptions"})
            answer.setdefault("content", {}).update(content)

    return widen


def _model_list(contract: Contract) -> None:
    media = contract["paths"]["/v1/models"]["get"]["responses"]["200"]["content"]
    media["application/json"]["schema"] = {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"type": "string", "enum": ["list"]},
            "data": {"type": "array", "items": media["application/json"]["schema"]},
        },
    }


def _nullable_logprob(contract: Contract) -> None:
    for name in ("Token", "ChatCompletionTopLogprob"):
        contract["components"]["schemas"][name]["properties"]["logprob"]["nullable"] = True


def _no_invocations(contract: Contract) -> None:
    del contract["paths"]["/invocations"]


TEXT: dict[str, Any] = {"text/plain": {}}
ERROR: dict[str, Any] = {
    "application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}
}

EXEMPTIONS = (
    Exemption(
        name="400 as text/plain",
        why="axum refuses what is no JSON before TGI's own code runs; the document leaves it out",
        widen=_also(POSTS, 400, TEXT),
    ),
    Exemption(
        name="415 as text/plain",
        why="axum refuses a body that is not declared as JSON, as above",
        widen=_also(POSTS, 415, TEXT),
    ),
    Exemption(
        name="422 as text/plain",
        why="axum's words for JSON of another shape; the document knows TGI's own 422 only",
        widen=_also(POSTS, 422, TEXT),
    ),
    Exemption(
        name="422 where the document says 404",
        why="both routes declare a 404 `Template not found`, and the code answers 422",
        widen=_also(("/tokenize", "/chat_tokenize"), 422, ERROR),
    ),
    Exemption(
        name="422 as JSON before a stream",
        why="an error known before the stream starts has its own status and is no event",
        widen=_also(("/generate_stream",), 422, ERROR),
    ),
    Exemption(
        name="a list of models",
        why="the document declares one ModelInfo, the code sends OpenAI's list of them",
        widen=_model_list,
    ),
    Exemption(
        name="the JSON in events",
        why=(
            "schemathesis 4.32 holds the schema against the event's envelope {data, event}, so "
            "that a right stream fails; hooks.sse_payloads holds it against what is in `data`"
        ),
        widen=_also(STREAMS, 200, {"text/event-stream": {}}),
    ),
    Exemption(
        name="a log-probability that is null",
        why=(
            "filters leave tokens of probability 0 and absurd penalties NaN, which serde writes as "
            "null; recorded replies of real TGI hold such tokens"
        ),
        widen=_nullable_logprob,
    ),
    Exemption(
        name="no /invocations",
        why="a shim for one cloud; the local server does not offer it and nothing here calls it",
        widen=_no_invocations,
    ),
)


def widened(contract: Contract) -> Contract:
    """Returns a copy of the document with every exemption applied."""
    document = copy.deepcopy(contract)
    for exemption in EXEMPTIONS:
        exemption.widen(document)
    return document
