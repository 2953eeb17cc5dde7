"""One thread owns the model: it takes jobs from a queue and advances all rows step by step.

A new job joins at the next step boundary (continuous batching): its prompt is run alone, then it is
one more row of every step until it stops. Handlers never touch the model; they only queue jobs and
receive events, delivered once a step for all rows together.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from retrain.server.decoder import BLOCK, MIN_ROWS, Decoder, KeyValueCache, Prompt
from retrain.server.jobs import Delivery, FinishedEvent, Job, ScoredToken, StopReason, TokenEvent
from retrain.server.lora import LoraBank, Pair
from retrain.server.prefixes import PrefixCache
from retrain.server.replies import generation_refusal
from retrain.server.sampling import Chooser
from retrain.server.tokenizer import IncrementalText, ServedTokenizer

LOGGER = logging.getLogger(__name__)
STOP_WINDOW = 300
"""Characters of an answer's end in which stop strings are looked for, as in TGI."""


@dataclass(kw_only=True, eq=False)
class _Row:
    job: Job
    chooser: Chooser
    text: IncrementalText | None
    started_at: float
    tokens: list[int] = field(default_factory=list)
    scored: list[ScoredToken] = field(default_factory=list)
    tops: list[tuple[ScoredToken, ...]] = field(default_factory=list)
    prefill: tuple[ScoredToken, ...] = ()
    tail: str = ""

    @property
    def position(self) -> int:
        """Where the newest token stands: it is not in the cache yet."""
        return len(self.job.prompt) + len(self.tokens) - 1


class Engine:
    """The batching worker.

    Args:
        dispatch: Called on the worker's thread with the events of one step; must hand them to each
            job's `deliver` on the right thread.
        prefixes: Keeps what prompts begin with.
        max_rows: Rows of one step at most.
        prompt_budget: Prompt tokens admitted between two steps at most (one prompt always may).
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: ServedTokenizer,
        bank: LoraBank,
        *,
        eos_ids: frozenset[int],
        dispatch: Callable[[Delivery], None],
        prefixes: PrefixCache,
        max_rows: int = 32,
        prompt_budget: int = 4096,
    ) -> None:
        self._decoder, self._tokenizer, self._bank = decoder, tokenizer, bank
        self._eos_ids, self._dispatch, self._prefixes = eos_ids, dispatch, prefixes
        self._max_rows, self._prompt_budget = max_rows, prompt_budget
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._cache = KeyValueCache(decoder.dimensions)
        self._rows: list[_Row] = []
        self._lora: list[list[Pair]] | None = None
        self._lora_key: tuple[int, ...] = ()
        self._events: Delivery = []
        self._stopping = False
        self.healthy = True
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    @property
    def batch_size(self) -> int:
        """Rows in the current batch."""
        return len(self._rows)

    @property
    def queue_size(self) -> int:
        """Jobs that wait."""
        return self._queue.qsize()

    @property
    def reused_tokens(self) -> int:
        """Prompt tokens that were not run because an earlier prompt began with them."""
        return self._prefixes.reused_tokens

    def start(self) -> None:
        """Starts the worker thread."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queues a job; safe from any thread."""
        self._queue.put(job)

    def close(self, timeout_s: float = 30.0) -> None:
        """Finishes what runs and waits, then ends the thread."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        torch.set_num_threads(1)
        while not self._stopping or self._rows:
            try:
                self._admit()
                if self._rows:
                    self._advance()
            except Exception as exc:
                # The thread must outlive any fault: without it every request would wait forever.
                self._fail(list(self._rows), exc)
            self._flush()

    def _admit(self) -> None:
        """Takes waiting jobs, as many as fit, and runs their prompts together."""
        budget = self._prompt_budget
        jobs: list[Job] = []
        while len(self._rows) + len(jobs) < self._max_rows and budget > 0 and not self._stopping:
            idle = not (self._rows or jobs or self._events)
            try:
                job = self._queue.get(block=idle)
            except queue.Empty:
                break
            if job is None:
                self._stopping = True
            elif not job.cancelled:
                budget -= len(job.prompt)
                jobs.append(job)
        together = [job for job in jobs if not job.prefill]
        for group in (together, *([job] for job in jobs if job.prefill)):
            if group:
                self._begin(group)

    def _begin(self, jobs: Sequence[Job]) -> None:
        rows = [self._row(job) for job in jobs]
        whole = jobs[0].prefill
        try:
            prompts = [self._prompt(job, len(self._rows) + n) for n, job in enumerate(jobs)]
            logits = self._decoder.prompts(self._cache, prompts, all_positions=whole)
            if whole:
                rows[0].prefill = self._score_prompt(jobs[0].prompt, logits)
            for job, prompt in zip(jobs, prompts, strict=True):
                self._prefixes.keep(job.adapter, job.prompt, self._cache, prompt.slot)
            self._rows += rows
            self._take(rows, logits[-1:] if whole else logits)
        except Exception as exc:
            self._fail(rows, exc)

    def _prompt(self, job: Job, slot: int) -> Prompt:
        """Starts a slot with what is known of the prompt; all is run when its scores are wanted."""
        known = [] if job.prefill else self._prefixes.find(job.adapter, job.prompt)
        self._cache.reserve(slot + 1, len(job.prompt) + 1)
        for number, block in enumerate(known):
            self._cache.write(slot, number * BLOCK, block)
        return Prompt(
            slot=slot,
            tokens=job.prompt,
            lora=self._bank.single(job.adapter),
            start=len(known) * BLOCK,
        )

    def _row(self, job: Job) -> _Row:
        return _Row(
            job=job,
            chooser=Chooser(job.decoding),
            text=IncrementalText(self._tokenizer, job.prompt) if job.texts or job.stop else None,
            started_at=time.perf_counter(),
        )

    def _advance(self) -> None:
        gone = [number for number, row in enumerate(self._rows) if row.job.cancelled]
        for number in reversed(gone):
            self._remove(number)
        if not self._rows:
            return
        rows = list(self._rows)
        padding = [0] * (MIN_ROWS - len(rows))
        try:
            logits = self._decoder.step(
                self._cache,
                [row.tokens[-1] for row in rows] + padding,
                [row.position for row in rows] + padding,
                self._gathered([row.job.adapter for row in rows] + padding),
            )
            self._take(rows, logits[: len(rows)])
        except Exception as exc:
            self._fail(rows, exc)

    def _gathered(self, adapters: list[int]) -> list[list[Pair]] | None:
        key = tuple(adapters)
        if key != self._lora_key:
            self._lora, self._lora_key = self._bank.gather(adapters), key
        return self._lora

    @torch.inference_mode()
    def _take(self, rows: Sequence[_Row], logits: Tensor) -> None:
        """Chooses each row's next token, reports it, and removes the rows that are done."""
        logprobs = torch.log_softmax(logits, dim=1)
        for number, row in enumerate(rows):
            if not row.job.decoding.plain:
                seen = [*row.job.prompt, *row.tokens]
                logprobs[number] = row.chooser.process(logits[number], seen)
        best = logprobs.max(dim=1)
        tokens, values = best.indices.tolist(), best.values.tolist()
        for number, row in enumerate(rows):
            token, value = tokens[number], values[number]
            if row.job.decoding.sample:
                token = row.chooser.choose(logprobs[number])
                value = float(logprobs[number, token])
            reason = self._append(row, token, value, logprobs[number])
            if reason is not None:
                self._finish(row, reason)

    def _append(self, row: _Row, token: int, logprob: float, logprobs: Tensor) -> StopReason | None:
        job = row.job
        row.tokens.append(token)
        if row.text is not None:
            text = row.text.push(token)
            scored = ScoredToken(
                id=token,
                text=text,
                logprob=_finite(logprob),
                special=token in self._tokenizer.special_ids,
            )
            top = self._top(logprobs, job.decoding.top_n) if job.decoding.top_n else ()
            if job.texts:
                row.scored.append(scored)
                row.tops.append(top)
            if job.stream:
                event = TokenEvent(index=len(row.tokens), token=scored, top=top)
                self._events.append((job, event))
            row.tail = (row.tail + text)[-STOP_WINDOW:]
        if len(row.tokens) >= job.max_new_tokens:
            return StopReason.LENGTH
        if token in self._eos_ids:
            return StopReason.END
        if job.stop and _ends_with_stop(row.tail, job.stop):
            return StopReason.STOP
        return None

    def _top(self, logprobs: Tensor, count: int) -> tuple[ScoredToken, ...]:
        best = logprobs.topk(count)
        return tuple(
            self._scored(token, _finite(value))
            for token, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )

    def _scored(self, token: int, logprob: float | None) -> ScoredToken:
        return ScoredToken(
            id=token,
            text=self._tokenizer.decode([token], skip_special=False),
            logprob=logprob,
            special=token in self._tokenizer.special_ids,
        )

    def _score_prompt(self, prompt: Sequence[int], logits: Tensor) -> tuple[ScoredToken, ...]:
        logprobs = torch.log_softmax(logits[:-1], dim=1)
        following = torch.tensor(prompt[1:], dtype=torch.long)
        values = logprobs.gather(1, following.unsqueeze(1)).squeeze(1).tolist()
        return tuple(
            self._scored(token, value) for token, value in zip(prompt, [None, *values], strict=True)
        )

    def _finish(self, row: _Row, reason: StopReason) -> None:
        now = time.perf_counter()
        event = FinishedEvent(
            reason=reason,
            text=self._tokenizer.answer(row.job.prompt, row.tokens),
            tokens=tuple(row.scored),
            tops=tuple(row.tops),
            prefill=row.prefill,
            generated=len(row.tokens),
            queue_s=row.started_at - row.job.queued_at,
            inference_s=now - row.started_at,
        )
        self._events.append((row.job, event))
        self._remove(self._rows.index(row))
        self.healthy = True

    def _remove(self, number: int) -> None:
        """Frees a slot: the last row moves into it, so that rows stay slots 0..n-1."""
        last = self._rows.pop()
        if number < len(self._rows):
            # + 1: in the middle of `_take` the newest token may already be in the cache.
            self._cache.move(len(self._rows), number, last.position + 1)
            self._rows[number] = last

    def _fail(self, rows: Sequence[_Row], exc: Exception) -> None:
        LOGGER.error("generation failed for %d rows", len(rows), exc_info=exc)
        self.healthy = False
        for row in rows:
            if row in self._rows:
                self._remove(self._rows.index(row))
            self._events.append((row.job, generation_refusal(f"{type(exc).__name__}: {exc}")))

    def _flush(self) -> None:
        if self._events:
            events, self._events = self._events, []
            self._dispatch(events)


def _finite(logprob: float) -> float | None:
    """Filters leave tokens of probability 0, absurd penalties NaN: TGI's serde writes null."""
    return logprob if math.isfinite(logprob) else None


def _ends_with_stop(tail: str, stop: tuple[str, ...]) -> bool:
    """TGI looks for `re.escape(stop) + "$"`, which also matches before a final newline."""
    return tail.endswith(stop) or (tail.endswith("\n") and tail[:-1].endswith(stop))
