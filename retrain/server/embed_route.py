"""POST /embed in the shape of text-embeddings-inference."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from feedback.errors import RetryableError
from retrain.server.bodies import Body
from retrain.server.http import Handler, read_body
from retrain.server.replies import Refusal
from retrain.server.service import Service

MAX_TEXTS = 512
"""Texts of one request at most."""


class EmbedBody(Body):
    """Body of `/embed`; `truncate` is accepted and always true: long texts lose their end."""

    inputs: str | list[str]
    # The model's own space is normalised; unnormalised vectors would never match stored ones.
    normalize: bool = True
    truncate: bool = Field(default=True)


def embed_route(service: Service) -> Handler:
    """Returns the handler."""

    async def embed(request: Request) -> Response:
        body = await read_body(request, EmbedBody, service.limits)
        if service.embedder is None:
            raise Refusal(
                "this server was started without an embedder; start it with --embedder",
                "Unhealthy",
                503,
            )
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        if not texts:
            raise Refusal("`inputs` cannot be empty", "Empty", 400)
        if len(texts) > MAX_TEXTS:
            raise Refusal(
                f"batch size {len(texts)} > maximum allowed batch size {MAX_TEXTS}",
                "Validation",
                422,
            )
        if not body.normalize:
            raise Refusal("`normalize` must be true on this server", "Validation", 422)
        try:
            vectors = await service.embedder.embed(texts)
        except RetryableError as exc:
            raise Refusal(str(exc), "Backend", 424) from exc
        return JSONResponse(vectors.tolist())

    return embed
