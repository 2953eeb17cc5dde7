"""`python openai_sdk.py URL ADAPTER`: OpenAI's own client; needs `openai` alone."""

import sys
from typing import Any

import openai

MESSAGES: Any = [{"role": "user", "content": "How do I reset the token?"}]
GREEDY: dict[str, Any] = {"max_tokens": 8, "temperature": 0}


def check(url: str, adapter: str) -> None:
    """Holds the client to the server at `url`, which serves `adapter`."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0)
    texts = []
    for model in ("tgi", adapter):
        plain = client.chat.completions.create(model=model, messages=MESSAGES, **GREEDY)
        assert plain.choices[0].finish_reason == "length"
        assert plain.usage.completion_tokens == 8
        chunks = list(
            client.chat.completions.create(
                model=model,
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
                **GREEDY,
            )
        )
        streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert streamed == plain.choices[0].message.content.rstrip("\ufffd")
        assert chunks[-1].usage.total_tokens == plain.usage.total_tokens
        texts.append(plain.choices[0].message.content)
    assert texts[0] != texts[1], "the adapter answers as the base does"
    text = client.completions.create(model=adapter, prompt="Reset", max_tokens=4, temperature=0)
    assert text.usage.completion_tokens == 4
    assert len(client.models.list().data) == 1
    told = ["", ""]
    try:
        client.chat.completions.create(model=adapter, messages=MESSAGES, top_p=1.0)
    except openai.UnprocessableEntityError as exc:
        told[0] = exc.response.text
    try:
        stream = client.chat.completions.create(
            model=adapter, messages=MESSAGES, stream=True, top_p=1.0
        )
        list(stream)
    except openai.APIError as exc:
        told[1] = str(exc)
    assert all("top_p" in text for text in told), f"a broken rule was not told: {told}"


if __name__ == "__main__":
    check(*sys.argv[1:3])
    sys.stdout.write(f"openai {openai.__version__}: fine\n")
