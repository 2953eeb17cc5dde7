"""Request bodies and TGI's parameter rules.

Shapes are checked by pydantic in strict mode (a wrong shape is axum's text/plain 422); the rules of
`check_*` follow router/src/validation.rs: the first failure wins, in TGI's order and words.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retrain.server.replies import PlainRefusal, tool_refusal, validation_refusal
from retrain.server.sampling import Decoding

U32 = Annotated[int, Field(ge=0, lt=2**32)]
U64 = Annotated[int, Field(ge=0, lt=2**64)]
I32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class Body(BaseModel):
    """Strict types, unknown fields ignored, as serde reads them."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class GenerateParameters(Body):
    """Parameters of `/generate`; the names and defaults are TGI's."""

    best_of: U32 | None = None
    temperature: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: I32 | None = None
    top_p: float | None = None
    typical_p: float | None = None
    do_sample: bool = False
    max_new_tokens: U32 | None = None
    return_full_text: bool | None = None
    stop: list[str] = []
    truncate: U32 | None = None
    watermark: bool = False
    details: bool = False
    decoder_input_details: bool = False
    seed: U64 | None = None
    top_n_tokens: U32 | None = None
    grammar: dict[str, Any] | None = None
    adapter_id: str | None = None


class GenerateBody(Body):
    """Body of `/generate`, `/generate_stream`, `/tokenize`, and (with `stream`) of `/`."""

    inputs: str
    # TGI's own quirk: without a `parameters` key a request samples, with `{}` it is greedy.
    parameters: GenerateParameters = GenerateParameters(do_sample=True)
    stream: bool = False


class TextPart(Body):
    """A text chunk of a message."""

    type: Literal["text"]
    text: str


class ImageAddress(Body):
    """Where an image is."""

    url: str


class ImagePart(Body):
    """An image chunk; rendered as a Markdown image, as TGI does for text models."""

    type: Literal["image_url"]
    image_url: ImageAddress


class ChatMessage(Body):
    """One message; `name` and `tool_call_id` are dropped, as in TGI."""

    role: str
    content: str | list[TextPart | ImagePart] | None = None
    tool_calls: list[dict[str, Any]] | None = None

    def plain(self) -> dict[str, str]:
        """Returns role and joined text."""
        if isinstance(self.content, list):
            parts = (
                part.text if isinstance(part, TextPart) else f"![]({part.image_url.url})"
                for part in self.content
            )
            return {"role": self.role, "content": "".join(parts)}
        if self.content is None:
            return {"role": self.role, "content": json.dumps(self.tool_calls)}
        return {"role": self.role, "content": self.content}


class StreamOptions(Body):
    """Options of a chat stream."""

    include_usage: bool = False


class ChatBody(Body):
    """Body of `/v1/chat/completions` and `/chat_tokenize`."""

    messages: list[ChatMessage]
    model: str | None = None
    max_tokens: U32 | None = None
    max_completion_tokens: U32 | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: U64 | None = None
    stop: list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: U32 | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    def parameters(self) -> GenerateParameters:
        """Returns the same request in `/generate`'s terms (router/src/lib.rs, try_into_generate).

        Raises:
            Refusal: Tools or a response format are asked for.
        """
        if self.tools:
            if self.response_format is not None:
                raise tool_refusal("Grammar and tools are mutually exclusive")
            raise tool_refusal("tools are not supported by this server")
        greedy = self.temperature == 0.0
        penalty = self.presence_penalty
        return GenerateParameters(
            temperature=None if greedy else self.temperature,
            do_sample=not greedy,
            repetition_penalty=None if penalty is None else penalty + 2.0,
            frequency_penalty=self.frequency_penalty,
            top_p=self.top_p,
            max_new_tokens=(
                self.max_completion_tokens if self.max_tokens is None else self.max_tokens
            ),
            stop=self.stop or [],
            seed=self.seed,
            top_n_tokens=self.top_logprobs,
            grammar=self.response_format,
            adapter_id=None if self.model == "tgi" else self.model,
        )


class CompletionBody(Body):
    """Body of `/v1/completions`."""

    prompt: str | list[str]
    model: str | None = None
    max_tokens: U32 | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: U64 | None = None
    stop: list[str] | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    suffix: str | None = None
    stream: bool = False

    def parameters(self) -> GenerateParameters:
        """Returns the same request in `/generate`'s terms."""
        greedy = self.temperature == 0.0
        return GenerateParameters(
            temperature=None if greedy else self.temperature,
            do_sample=not greedy,
            repetition_penalty=self.repetition_penalty,
            frequency_penalty=self.frequency_penalty,
            top_p=self.top_p,
            max_new_tokens=self.max_tokens,
            stop=self.stop or [],
            seed=self.seed,
            adapter_id=None if self.model == "tgi" else self.model,
        )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The server's limits; names and defaults are TGI's flags."""

    max_concurrent_requests: int = 128
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    max_input_tokens: int = 1023
    max_total_tokens: int = 1024
    max_client_batch_size: int = 4
    payload_limit: int = 2_000_000


B = TypeVar("B", bound=Body)
"""The shape of one route's body."""


def parse_body(shape: type[B], raw: bytes, content_type: str, limits: Limits) -> B:
    """Reads a body in axum's order: content type, size, syntax, shape.

    Raises:
        PlainRefusal: 415, 413, 400 or 422 as text/plain.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise PlainRefusal("Expected request with `Content-Type: application/json`", 415)
    if len(raw) > limits.payload_limit:
        raise PlainRefusal("Failed to buffer the request body: length limit exceeded", 413)
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        if b"\\u" in raw:
            json.dumps(data, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError) as exc:
        raise PlainRefusal(f"Failed to parse the request body as JSON: {exc}", 400) from exc
    try:
        return shape.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise PlainRefusal(
            f"Failed to deserialize the JSON body into the target type: {place}: {first['msg']}",
            422,
        ) from exc


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def check_early(p: GenerateParameters, limits: Limits, *, stream: bool) -> None:
    """The rules TGI checks before all others.

    Raises:
        Refusal: As `validation`.
    """
    best_of = 1 if p.best_of is None else p.best_of
    if best_of == 0:
        raise validation_refusal("`best_of` must be strictly positive")
    if best_of > limits.max_best_of:
        raise validation_refusal(
            f"`best_of` must be > 0 and <= {limits.max_best_of}. Given: {best_of}"
        )
    if stream and best_of > 1:
        raise validation_refusal("`best_of` != 1 is not allowed when streaming tokens")
    if stream and p.decoder_input_details:
        raise validation_refusal(
            "`decoder_input_details` == true is not supported when streaming tokens"
        )


def check_parameters(  # noqa: C901, PLR0912 - one branch a rule, in TGI's order
    inputs: str, p: GenerateParameters, limits: Limits
) -> None:
    """The parameter rules, before tokenizing.

    Raises:
        Refusal: As `validation`, for the first rule that is broken.
    """
    filters = (p.temperature, p.top_k, p.top_p, p.typical_p)
    sampling = p.do_sample or any(value is not None for value in filters)
    best_of = p.best_of or 1
    if best_of > 1 and not sampling:
        raise validation_refusal("you must use sampling when `best_of` is > 1")
    if p.temperature is not None and not p.temperature > 0:
        raise validation_refusal("`temperature` must be strictly positive")
    if p.repetition_penalty is not None and not p.repetition_penalty > 0:
        raise validation_refusal("`repetition_penalty` must be strictly positive")
    if p.frequency_penalty is not None and not -2 <= p.frequency_penalty <= 2:
        raise validation_refusal("`frequency_penalty` must be >= -2.0 and <= 2.0")
    for name, value in (("top_p", p.top_p), ("typical_p", p.typical_p)):
        if value is not None and not 0 < value < 1:
            raise validation_refusal(f"`{name}` must be > 0.0 and < 1.0")
        if name == "top_p" and p.top_k is not None and p.top_k <= 0:
            raise validation_refusal("`top_k` must be strictly positive")
    if p.max_new_tokens == 0:
        raise validation_refusal("`max_new_tokens` must be strictly positive")
    if len(p.stop) > limits.max_stop_sequences:
        raise validation_refusal(
            f"`stop` supports up to {limits.max_stop_sequences} stop sequences. "
            f"Given: {len(p.stop)}"
        )
    if p.seed is not None and best_of > 1:
        raise validation_refusal("`seed` must not be set when `best_of` > 1")
    if (p.top_n_tokens or 0) > limits.max_top_n_tokens:
        raise validation_refusal(
            f"`top_n_tokens` must be >= 0 and <= {limits.max_top_n_tokens}. Given: {p.top_n_tokens}"
        )
    if not inputs:
        raise validation_refusal("`inputs` cannot be empty")
    if p.truncate is not None and not 0 < p.truncate <= limits.max_input_tokens:
        raise validation_refusal(
            "`truncate` must be strictly positive and less than "
            f"{limits.max_input_tokens}. Given: {p.truncate}"
        )
    if p.grammar is not None:
        raise validation_refusal("grammar is not supported")


def check_length(length: int, p: GenerateParameters, limits: Limits) -> int:
    """The token rules; returns how many tokens may be generated.

    Raises:
        Refusal: As `validation`.
    """
    wanted = p.max_new_tokens
    if wanted is None:
        wanted = max(limits.max_total_tokens - length, 0)
        if wanted == 0:
            wanted = 1
    if length + wanted > limits.max_total_tokens:
        raise validation_refusal(
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.max_total_tokens}. "
            f"Given: {length} `inputs` tokens and {wanted} `max_new_tokens`"
        )
    if length > limits.max_input_tokens:
        raise validation_refusal(
            f"`inputs` must have less than {limits.max_input_tokens} tokens. Given: {length}"
        )
    return wanted


def decoding_of(p: GenerateParameters) -> Decoding:
    """Returns how to decode; draws a seed when sampling without one, as TGI does."""
    filters = (p.temperature, p.top_k, p.top_p, p.typical_p)
    sample = p.do_sample or any(value is not None for value in filters)
    return Decoding(
        sample=sample,
        seed=p.seed if p.seed is not None else secrets.randbits(63) if sample else 0,
        temperature=p.temperature,
        repetition_penalty=p.repetition_penalty,
        frequency_penalty=p.frequency_penalty,
        top_k=p.top_k,
        top_p=p.top_p,
        typical_p=p.typical_p,
        top_n=p.top_n_tokens or 0,
    )


def plain_messages(body: ChatBody) -> list[Mapping[str, str]]:
    """Returns the messages as the template sees them."""
    return [message.plain() for message in body.messages]
