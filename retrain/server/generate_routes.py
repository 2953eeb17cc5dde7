"""`/generate`, `/generate_stream` and `/`."""

import math
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from retrain.server import answers
from retrain.server.bodies import GenerateBody
from retrain.server.http import event_stream, read_body, token_pairs, until_left
from retrain.server.replies import Refusal
from retrain.server.service import ClientLeftError, Service


class GenerateRoutes:
    """Text in, text out: no chat template."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def parse(self, request: Request) -> GenerateBody:
        """Reads the body.

        Raises:
            PlainRefusal: The body is no GenerateRequest.
            Refusal: An unknown adapter under --strict-adapters.
        """
        body = await read_body(request, GenerateBody, self._service.limits)
        self._service.check_adapter(body.parameters.adapter_id)
        return body

    async def generate(self, request: Request) -> Response:
        """POST /generate."""
        return await self._generate(request, await self.parse(request))

    async def _generate(self, request: Request, body: GenerateBody) -> Response:
        answer, headers = await self._generate_json(request, body)
        return JSONResponse(answer, headers=headers)

    async def _generate_json(
        self, request: Request, body: GenerateBody
    ) -> tuple[dict[str, Any], dict[str, str]]:
        p = body.parameters
        if (p.best_of or 1) > 1:
            return await self._best_of(request, body)
        async with self._service.submit(
            body.inputs, p, special=True, stream=False, until_left=until_left(request)
        ) as submission:
            end = await submission.finished()
            self._service.succeeded(submission, end)
        prefix = body.inputs if p.return_full_text else ""
        answer: dict[str, Any] = {"generated_text": prefix + end.text}
        if p.details or p.decoder_input_details:
            answer["details"] = answers.details_json(submission, end)
        return answer, answers.timing_headers(submission, end)

    async def _best_of(
        self, request: Request, body: GenerateBody
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Samples twice or more and returns the one with the highest mean log-probability."""
        p = body.parameters
        one = p.model_copy(update={"best_of": None, "details": True})
        # The rules see the request as it came; the copies that run ask for one sequence each.
        self._service.check(body.inputs, p, special=True)
        count = p.best_of or 1
        tries = [GenerateBody(inputs=body.inputs, parameters=one) for _ in range(count)]
        results = [await self._generate_json(request, attempt) for attempt in tries]
        results.sort(key=lambda result: -_mean_logprob(result[0]["details"]))
        answer, headers = results[0]
        details = answer["details"]
        details["best_of_sequences"] = [
            {"generated_text": other["generated_text"], **other["details"]}
            for other, _ in results[1:]
        ]
        if not p.details:
            del answer["details"]
        return answer, headers

    async def generate_stream(self, request: Request) -> Response:
        """POST /generate_stream."""
        return self._stream(request, await self.parse(request))

    def _stream(self, request: Request, body: GenerateBody) -> Response:
        p = body.parameters

        async def events() -> AsyncGenerator[bytes]:
            try:
                async with self._service.submit(
                    body.inputs, p, special=True, stream=True, until_left=until_left(request)
                ) as submission:
                    async for event, end in token_pairs(self._service, submission):
                        if event is None:
                            yield answers.KEEP_ALIVE
                            continue
                        yield answers.sse(
                            answers.stream_event(submission, event, end, details=p.details)
                        )
            except Refusal as refusal:
                yield answers.sse(refusal.body())
            except ClientLeftError:
                return

        return event_stream(events(), answers.stream_headers(body.inputs))

    async def compat(self, request: Request) -> Response:
        """POST /: like /generate, but a list of one, and the prompt is echoed by default."""
        body = await self.parse(request)
        if body.parameters.return_full_text is None:
            parameters = body.parameters.model_copy(update={"return_full_text": True})
            body = body.model_copy(update={"parameters": parameters})
        if body.stream:
            return self._stream(request, body)
        answer, headers = await self._generate_json(request, body)
        return JSONResponse([answer], headers=headers)


def _mean_logprob(details: dict[str, Any]) -> float:
    values = [token["logprob"] for token in details["tokens"]]
    if None in values:  # not a finite number: no better than impossible
        return -math.inf
    return float(sum(values) / len(values))
