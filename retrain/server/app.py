"""The ASGI application: TGI 3.3.7's routes plus text-embeddings-inference's `/embed`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from retrain.server import answers
from retrain.server.chat_routes import ChatRoutes
from retrain.server.embed_route import embed_route
from retrain.server.faulty_wire import WIRE, FaultyWire
from retrain.server.generate_routes import GenerateRoutes
from retrain.server.http import Handler, answering
from retrain.server.replies import unhealthy_refusal
from retrain.server.service import Service

NOTE = "understudy model-server: for one machine, development and tests; production is TGI or vLLM"


class StateRoutes:
    """What the server says about itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _request: Request) -> Response:
        """GET /health: 200 empty, or 503."""
        if await self._service.healthy():
            return Response()
        refusal = unhealthy_refusal()
        return JSONResponse(refusal.body(), status_code=refusal.status)

    async def info(self, _request: Request) -> Response:
        """GET /info. Like TGI's it lists no adapters: only a probe proves one."""
        service = self._service
        limits, identity = service.limits, service.identity
        return JSONResponse(
            {
                "model_id": identity.model_id,
                "model_sha": identity.model_sha,
                "model_pipeline_tag": "text-generation",
                "max_concurrent_requests": limits.max_concurrent_requests,
                "max_best_of": limits.max_best_of,
                "max_stop_sequences": limits.max_stop_sequences,
                "max_input_tokens": limits.max_input_tokens,
                "max_total_tokens": limits.max_total_tokens,
                "validation_workers": 1,
                "max_client_batch_size": limits.max_client_batch_size,
                "router": "understudy-model-server",
                "version": identity.version,
                "sha": None,
                "docker_label": None,
                "note": NOTE,
                "faults": service.faults.names(),
                "embedder_id": None if service.embedder is None else service.embedder.id,
            }
        )

    async def metrics(self, _request: Request) -> Response:
        """GET /metrics."""
        return PlainTextResponse(
            self._service.metrics.render(), media_type="text/plain; version=0.0.4"
        )

    async def models(self, _request: Request) -> Response:
        """GET /v1/models: the base only, as in TGI."""
        model = self._service.identity.model_id
        entry = {"id": model, "object": "model", "created": 0, "owned_by": model}
        return JSONResponse({"object": "list", "data": [entry]})

    async def tokenize(self, request: Request) -> Response:
        """POST /tokenize."""
        body = await GenerateRoutes(self._service).parse(request)
        spans = self._service.tokenizer.spans(body.inputs, special=True)
        return JSONResponse([answers.span_json(span) for span in spans])


def build_app(service: Service, *, api_key: str | None = None) -> ASGIApp:
    """Returns the application; its lifespan starts and drains the model thread."""
    state, generate, chat = StateRoutes(service), GenerateRoutes(service), ChatRoutes(service)
    guarded: list[tuple[str, Handler]] = [
        ("/", generate.compat),
        ("/generate", generate.generate),
        ("/generate_stream", generate.generate_stream),
        ("/v1/chat/completions", chat.chat),
        ("/v1/completions", chat.completions),
        ("/tokenize", state.tokenize),
        ("/embed", embed_route(service)),
    ]
    shown: list[tuple[str, Handler]] = [
        ("/", state.health),
        ("/health", state.health),
        ("/ping", state.health),
        ("/info", state.info),
        ("/metrics", state.metrics),
        ("/v1/models", state.models),
    ]
    gets = {path: answering(handler) for path, handler in shown}
    posts = {path: _guard(answering(handler), api_key) for path, handler in guarded}
    posts["/chat_tokenize"] = answering(chat.tokenize)
    routes = [
        Route(
            path, _by_method(gets.get(path), posts.get(path)), methods=_methods(path, gets, posts)
        )
        for path in dict.fromkeys((*gets, *posts))
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        service.open()
        try:
            yield
        finally:
            await service.close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])],
        exception_handlers={HTTPException: _empty},
    )
    planted = service.faults.planted
    return FaultyWire(app, planted) if planted.keys() & set(WIRE) else app


def _guard(handler: Handler, api_key: str | None) -> Handler:
    """Asks for the key; TGI compares the whole header without regard to case."""
    if api_key is None:
        return handler
    expected = f"Bearer {api_key}".lower()

    async def guarded(request: Request) -> Response:
        if request.headers.get("authorization", "").lower() != expected:
            return Response(status_code=401)
        return await handler(request)

    return guarded


def _methods(path: str, gets: dict[str, Handler], posts: dict[str, Handler]) -> list[str]:
    return [name for name, table in (("GET", gets), ("POST", posts)) if path in table]


def _by_method(get: Handler | None, post: Handler | None) -> Handler:
    async def route(request: Request) -> Response:
        handler = post if request.method == "POST" else get
        if handler is None:
            return Response(status_code=405)
        return await handler(request)

    return route


async def _empty(_request: Request, exc: Exception) -> Response:
    """TGI's answers to unknown routes (404) and wrong methods (405) have no body."""
    assert isinstance(exc, HTTPException)
    return Response(status_code=exc.status_code, headers=exc.headers)
