"""`python hub.py URL ADAPTER`: huggingface_hub's client, any version from 0.36 on.

Imports nothing of this project: it also runs in an environment that holds huggingface_hub alone.
"""

import asyncio
import sys
from typing import Any, cast

import huggingface_hub
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import ValidationError

MESSAGES = [{"role": "user", "content": "How do I reset the token?"}]
GREEDY: dict[str, Any] = {"max_tokens": 8, "temperature": 0}


async def check_chat(client: Any, adapter: str) -> None:  # noqa: ANN401 - versions differ in types
    """Plain and streamed answers of base and adapter, with usage; a broken rule is told."""
    texts = []
    for model in ("tgi", adapter):
        plain = await client.chat_completion(MESSAGES, model=model, **GREEDY)
        choice = plain.choices[0]
        assert choice.finish_reason == "length", choice
        assert plain.usage.completion_tokens == 8
        parts, usages = [], []
        options = {"include_usage": True}
        async for chunk in await client.chat_completion(
            MESSAGES, model=model, stream=True, stream_options=options, **GREEDY
        ):
            parts += [one.delta.content for one in chunk.choices]
            usages += [chunk.usage] if chunk.usage else []
        # A stream holds back half a character at its end; the plain answer shows it as U+FFFD.
        assert "".join(parts) == choice.message.content.rstrip("\ufffd")
        assert [usage.total_tokens for usage in usages] == [plain.usage.total_tokens]
        texts.append(choice.message.content)
    assert texts[0] != texts[1], "the adapter answers as the base does"
    status = None
    try:
        await client.chat_completion(MESSAGES, model=adapter, top_p=1.0, max_tokens=2)
    except Exception as exc:  # the class is the client's own affair
        answer = getattr(exc, "response", None)
        status = getattr(exc, "status", None) or getattr(answer, "status_code", None)
    assert status == 422, "a broken rule was not told"


async def check_text(client: Any, adapter: str) -> None:  # noqa: ANN401 - as above
    """Raw generation with details, plain and streamed."""
    asked = {"max_new_tokens": 8, "details": True, "return_full_text": False}
    plain = await client.text_generation("Reset the token", adapter_id=adapter, **asked)
    stream = await client.text_generation(
        "Reset the token", adapter_id=adapter, stream=True, **asked
    )
    events = [event async for event in stream]
    assert [event.token.id for event in events] == [one.id for one in plain.details.tokens]
    assert events[-1].generated_text == plain.generated_text
    assert events[-1].details.finish_reason == "length"
    told = ""
    try:
        await client.text_generation("Reset", top_p=1.0, max_new_tokens=2)
    except ValidationError as exc:
        told = str(exc)
    assert "top_p" in told, "a broken rule was not told"


async def check(url: str, adapter: str) -> None:
    """Holds the installed client to the server at `url`, which serves `adapter`."""
    # One client a use: chat adds the route itself, text_generation posts to the URL as it stands.
    chat, text = [cast("Any", AsyncInferenceClient(base_url=url, token="-")) for _ in range(2)]
    try:
        await check_chat(chat, adapter)
        await check_text(text, adapter)
    finally:
        for client in (chat, text):
            if hasattr(client, "close"):  # not in 0.36, which opens a pool for every call
                await client.close()
    await asyncio.to_thread(_check_sync, url, adapter)


def _check_sync(url: str, adapter: str) -> None:
    answer = InferenceClient(base_url=url, token="-").chat_completion(
        MESSAGES, model=adapter, **GREEDY
    )
    assert answer.usage.completion_tokens == 8


if __name__ == "__main__":
    asyncio.run(check(*sys.argv[1:3]))
    sys.stdout.write(f"huggingface_hub {huggingface_hub.__version__}: fine\n")
