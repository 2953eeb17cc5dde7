"""`/v1/chat/completions`, `/v1/completions` and `/chat_tokenize`."""

from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from retrain.server import answers
from retrain.server.bodies import (
    ChatBody,
    CompletionBody,
    GenerateParameters,
    plain_messages,
)
from retrain.server.http import event_stream, read_body, token_pairs, until_left
from retrain.server.replies import Refusal, validation_refusal
from retrain.server.service import ClientLeftError, Service


class ChatRoutes:
    """OpenAI-shaped routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body, prompt, p = await self.parse(request)
        model = body.model or self._service.identity.model_id
        if body.stream:
            return self._chat_stream(request, body, prompt, p)
        p = p.model_copy(update={"details": bool(body.logprobs)})
        async with self._service.submit(
            prompt, p, special=False, stream=False, until_left=until_left(request)
        ) as submission:
            end = await submission.finished()
            self._service.succeeded(submission, end)
        data = answers.chat_json(
            submission, end, model, self._service.identity, logprobs=bool(body.logprobs)
        )
        return JSONResponse(data, headers=answers.timing_headers(submission, end))

    async def parse(self, request: Request) -> tuple[ChatBody, str, GenerateParameters]:
        """Reads and renders a conversation.

        Raises:
            PlainRefusal: The body is no ChatRequest.
            Refusal: Template, tools, or an unknown adapter under --strict-adapters.
        """
        body = await read_body(request, ChatBody, self._service.limits)
        p = body.parameters()
        self._service.check_adapter(p.adapter_id)
        try:
            prompt = self._service.tokenizer.render(plain_messages(body))
        except Refusal:
            self._service.metrics.failed("template")
            raise
        return body, prompt, p

    def _chat_stream(
        self, request: Request, body: ChatBody, prompt: str, p: GenerateParameters
    ) -> Response:
        identity = self._service.identity
        shared = answers.envelope(
            "chat.completion.chunk", body.model or identity.model_id, identity
        )
        usage = body.stream_options is not None and body.stream_options.include_usage

        async def events() -> AsyncGenerator[bytes]:
            try:
                async with self._service.submit(
                    prompt, p, special=False, stream=True, until_left=until_left(request)
                ) as submission:
                    end = None
                    async for event, end in token_pairs(self._service, submission):
                        if event is None:
                            yield answers.KEEP_ALIVE
                            continue
                        yield answers.sse(
                            answers.chat_chunk(event, end, shared, logprobs=bool(body.logprobs))
                        )
                    if usage and end is not None:
                        counts = answers.usage_json(submission, end)
                        yield answers.sse({**shared, "choices": [], "usage": counts})
            except Refusal as refusal:
                yield answers.sse(refusal.openai_event())
            except ClientLeftError:
                return
            yield answers.DONE

        return event_stream(events(), answers.stream_headers(prompt))

    async def tokenize(self, request: Request) -> Response:
        """POST /chat_tokenize: the rendered prompt and its tokens."""
        _, prompt, _ = await self.parse(request)
        spans = self._service.tokenizer.spans(prompt, special=False)
        return JSONResponse(
            {
                "tokenize_response": [answers.span_json(span) for span in spans],
                "templated_text": prompt,
            }
        )

    async def completions(self, request: Request) -> Response:
        """POST /v1/completions: one prompt or a few, plain or streamed."""
        service = self._service
        body = await read_body(request, CompletionBody, service.limits)
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        if body.suffix is not None:
            raise Refusal(
                "Suffix is not supported and can be achieved by preprocessing the prompt.",
                "suffix not supported",
                422,
            )
        if len(prompts) > service.limits.max_client_batch_size:
            raise Refusal(
                f"Number of prompts exceeds the maximum allowed batch size of "
                f"{service.limits.max_client_batch_size}",
                "batch size exceeded",
                422,
            )
        if not prompts:
            raise validation_refusal("`inputs` cannot be empty")
        p = body.parameters()
        service.check_adapter(p.adapter_id)
        if body.stream:
            return self._completion_stream(request, prompts, p)
        choices, counts = [], {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        for index, prompt in enumerate(prompts):
            async with service.submit(
                prompt, p, special=True, stream=False, until_left=until_left(request)
            ) as submission:
                end = await submission.finished()
                service.succeeded(submission, end)
            choices.append(answers.completion_choice(index, end.text, end))
            for key, value in answers.usage_json(submission, end).items():
                counts[key] += value
        shared = answers.envelope("text_completion", service.identity.model_id, service.identity)
        return JSONResponse({**shared, "choices": choices, "usage": counts})

    def _completion_stream(
        self, request: Request, prompts: list[str], p: GenerateParameters
    ) -> Response:
        service = self._service
        shared = answers.envelope("text_completion", service.identity.model_id, service.identity)

        async def events() -> AsyncGenerator[bytes]:
            for index, prompt in enumerate(prompts):
                try:
                    async with service.submit(
                        prompt, p, special=True, stream=True, until_left=until_left(request)
                    ) as submission:
                        async for event, end in token_pairs(service, submission):
                            if event is None:
                                yield answers.KEEP_ALIVE
                                continue
                            text = "" if event.token.special else event.token.text
                            choice = answers.completion_choice(index, text, end, stream=True)
                            yield answers.sse({**shared, "choices": [choice]})
                except Refusal as refusal:
                    yield answers.sse(refusal.openai_event())
                except ClientLeftError:
                    return
            yield answers.DONE

        return event_stream(events(), answers.stream_headers("".join(prompts)))
