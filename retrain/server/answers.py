"""Answers and stream events in TGI's JSON shapes."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from retrain.server.jobs import FinishedEvent, ScoredToken, StopReason, TokenEvent
from retrain.server.service import Identity, Submission
from retrain.server.tokenizer import TokenSpan

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b":\n\n"

Json = dict[str, Any]


def sse(data: Mapping[str, Any]) -> bytes:
    """Returns one server-sent event."""
    return (
        b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
    )


def token_json(token: ScoredToken) -> Json:
    """Returns a generated token."""
    return {
        "id": token.id,
        "text": token.text,
        "logprob": token.logprob,
        "special": token.special,
    }


def chat_reason(reason: StopReason) -> str:
    """Chat says `stop` where `/generate` says `eos_token`."""
    return "stop" if reason is StopReason.END else reason.value


def details_json(submission: Submission, end: FinishedEvent) -> Json:
    """Returns `/generate`'s details."""
    details: Json = {
        "finish_reason": end.reason.value,
        "generated_tokens": end.generated,
        "seed": submission.seed,
        "prefill": [
            {"id": token.id, "text": token.text, "logprob": token.logprob} for token in end.prefill
        ],
        "tokens": [token_json(token) for token in end.tokens],
    }
    if any(end.tops):
        details["top_tokens"] = [[token_json(token) for token in top] for top in end.tops]
    return details


def stream_event(
    submission: Submission, event: TokenEvent, end: FinishedEvent | None, *, details: bool
) -> Json:
    """Returns one event of `/generate_stream`; the last one carries the text and the details."""
    data: Json = {"index": event.index, "token": token_json(event.token)}
    if event.top:
        data["top_tokens"] = [token_json(token) for token in event.top]
    data["generated_text"] = None if end is None else end.text
    data["details"] = None
    if end is not None and details:
        data["details"] = {
            "finish_reason": end.reason.value,
            "generated_tokens": end.generated,
            "seed": submission.seed,
            "input_length": len(submission.job.prompt),
        }
    return data


def usage_json(submission: Submission, end: FinishedEvent) -> Json:
    """Returns token counts."""
    prompt = len(submission.job.prompt)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": end.generated,
        "total_tokens": prompt + end.generated,
    }


def envelope(kind: str, model: str, identity: Identity) -> Json:
    """Returns the fields that all OpenAI-shaped answers share."""
    return {
        "object": kind,
        "id": "",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": identity.fingerprint,
    }


def completion_choice(
    index: int, text: str, end: FinishedEvent | None, *, stream: bool = False
) -> Json:
    """Returns a choice of `/v1/completions`; a stream says "" until the end, then `eos_token`."""
    reason = "" if end is None else (end.reason.value if stream else chat_reason(end.reason))
    return {"index": index, "text": text, "logprobs": None, "finish_reason": reason}


def span_json(span: TokenSpan) -> Json:
    """Returns one entry of `/tokenize`."""
    return {"id": span.id, "text": span.text, "start": span.start, "stop": span.stop}


def chat_json(
    submission: Submission, end: FinishedEvent, model: str, identity: Identity, *, logprobs: bool
) -> Json:
    """Returns a chat completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": end.text},
        "logprobs": logprobs_json(end.tokens, end.tops) if logprobs else None,
        "finish_reason": chat_reason(end.reason),
    }
    return {
        **envelope("chat.completion", model, identity),
        "choices": [choice],
        "usage": usage_json(submission, end),
    }


def chat_chunk(
    event: TokenEvent, end: FinishedEvent | None, shared: Json, *, logprobs: bool
) -> Json:
    """Returns one chunk of a chat stream; a special token has empty content."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": "" if event.token.special else event.token.text},
        "logprobs": logprobs_json([event.token], [event.top]) if logprobs else None,
        "finish_reason": None if end is None else chat_reason(end.reason),
    }
    return {**shared, "choices": [choice], "usage": None}


def logprobs_json(tokens: Sequence[ScoredToken], tops: Sequence[Sequence[ScoredToken]]) -> Json:
    """Returns OpenAI-shaped log-probabilities."""
    return {
        "content": [
            {
                "token": token.text,
                "logprob": token.logprob,
                "top_logprobs": [{"token": other.text, "logprob": other.logprob} for other in top],
            }
            for token, top in zip(tokens, tops, strict=True)
        ]
    }


def timing_headers(submission: Submission, end: FinishedEvent) -> dict[str, str]:
    """Returns TGI's x-* headers of a plain answer: milliseconds, but x-compute-time in seconds."""
    total = time.perf_counter() - submission.started_at
    return {
        "x-compute-type": "cpu",
        "x-compute-time": f"{total:.6f}",
        "x-compute-characters": str(len(submission.prompt_text)),
        "x-total-time": _ms(total),
        "x-validation-time": _ms(submission.validation_s),
        "x-queue-time": _ms(end.queue_s),
        "x-inference-time": _ms(end.inference_s),
        "x-time-per-token": _ms(end.inference_s / max(end.generated, 1)),
        "x-prompt-tokens": str(len(submission.job.prompt)),
        "x-generated-tokens": str(end.generated),
    }


def stream_headers(prompt_text: str) -> dict[str, str]:
    """Returns the headers of a stream."""
    return {
        "x-compute-type": "cpu",
        "x-compute-characters": str(len(prompt_text)),
        "x-accel-buffering": "no",
        "cache-control": "no-cache",
    }


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
