"""What handlers ask of the worker, and what it answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from retrain.server.replies import Refusal
from retrain.server.sampling import Decoding


class StopReason(StrEnum):
    """Why a row ended; values are TGI's `/generate` finish reasons."""

    LENGTH = "length"
    END = "eos_token"
    STOP = "stop_sequence"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredToken:
    """One token with its log-probability; `text` is empty while a character is incomplete.

    The log-probability is None for a prompt's first token and where it is no finite number.
    """

    id: int
    text: str
    logprob: float | None
    special: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenEvent:
    """One generated token of a streaming job."""

    index: int
    token: ScoredToken
    top: tuple[ScoredToken, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedEvent:
    """The end of a job; times in seconds."""

    reason: StopReason
    text: str
    tokens: tuple[ScoredToken, ...]
    tops: tuple[tuple[ScoredToken, ...], ...]
    prefill: tuple[ScoredToken, ...]
    generated: int
    queue_s: float
    inference_s: float


Event = TokenEvent | FinishedEvent | Refusal


@dataclass(kw_only=True, eq=False)
class Job:
    """A request for the model.

    Attributes:
        adapter: Index in the bank; 0 is the base.
        texts: Whether token texts are needed (streams, details).
        prefill: Whether the prompt's log-probabilities are wanted.
        deliver: Receives this job's events on the event loop's thread.
        cancelled: Set by the handler when the client left; the row goes at the next step.
    """

    prompt: list[int]
    adapter: int
    decoding: Decoding
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    stream: bool = False
    texts: bool = False
    prefill: bool = False
    deliver: Callable[[Event], None]
    cancelled: bool = False
    queued_at: float = field(default_factory=time.perf_counter)


Delivery = list[tuple[Job, Event]]
"""The events of one step, for all rows together."""
