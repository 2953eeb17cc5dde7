"""Watches a run: progress for people, and the end of it when the loss says so."""

import math
import resource
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from feedback.errors import TrainingFailedError
from retrain.training.progress import Progress, ProgressSink

# Small batches jump about while the rate is at its peak; a run that is lost stays lost.
_GRACE_STEPS = 30
_GROWTH = 2.0


class Monitor(TrainerCallback):
    """Reports progress and stops a run whose loss is not a number, has doubled, or is a guess's.

    Attributes:
        losses: `(step, loss)` of every log of this process, steps counted over all stages.
        tokens: Tokens trained on in this process.
    """

    def __init__(
        self,
        *,
        sink: ProgressSink,
        lengths: Sequence[int],
        batch_size: int,
        vocab_size: int,
        before: int | None = None,
        after: int = 0,
    ) -> None:
        """Watches one stage.

        Args:
            sink: Gets the reports.
            lengths: Tokens of every row in the order of the stage.
            batch_size: Rows a step.
            vocab_size: Tells what guessing costs.
            before: Steps of the first stage, when this is the second.
            after: Steps of the stage to come.
        """
        self._before = before or 0
        self._after = after
        self._stage: Literal["examples", "preferences"] = (
            "examples" if before is None else "preferences"
        )
        self._sink = sink
        self._lengths = lengths
        self._batch_size = batch_size
        # A model that guesses evenly has this loss; a tuned one is far below.
        self._guessing = 0.95 * math.log(vocab_size)
        self._started = time.perf_counter()
        self._first_step = 0
        self._watched: float | None = None
        self.losses: list[tuple[int, float]] = []
        self.tokens = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Notes where a resumed run stands."""
        self._started = time.perf_counter()
        self._first_step = int(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Takes the trainer's log line.

        Raises:
            TrainingFailedError: When the loss is not a number or has grown.
        """
        if logs and "eval_loss" in logs:
            self._watched = float(logs["eval_loss"])
        if not logs or "loss" not in logs:
            return
        step, loss = int(state.global_step), float(logs["loss"])
        self._require_healthy(step, loss, int(state.max_steps))
        self.losses.append((self._before + step, loss))
        seconds = max(time.perf_counter() - self._started, 1e-9)
        done = step - self._first_step
        self.tokens = sum(
            self._lengths[self._first_step * self._batch_size : step * self._batch_size]
        )
        self._sink.report(
            Progress(
                step=self._before + step,
                total_steps=self._before + int(state.max_steps) + self._after,
                loss=loss,
                learning_rate=float(logs.get("learning_rate", 0.0)),
                tokens_per_s=self.tokens / seconds,
                eta_s=seconds / max(done, 1) * (int(state.max_steps) + self._after - step),
                rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                watched_loss=self._watched,
                stage=self._stage,
            )
        )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Counts the tokens of the steps after the last log."""
        first, last = self._first_step, int(state.global_step)
        self.tokens = sum(self._lengths[first * self._batch_size : last * self._batch_size])

    def require_finite(self, model: torch.nn.Module) -> None:
        """Refuses trained weights that are not numbers.

        Raises:
            TrainingFailedError: When a trained tensor holds nan or infinity.
        """
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
                raise TrainingFailedError(
                    f"the trained weight {name} holds values that are not numbers; lower the "
                    "learning rate"
                )

    def _require_healthy(self, step: int, loss: float, steps: int) -> None:
        grace = min(_GRACE_STEPS, steps // 3)
        settled = step > grace
        if not math.isfinite(loss):
            raise TrainingFailedError(
                f"the loss became {loss} at step {step}; lower the learning rate or look for "
                "broken rows"
            )
        if settled and loss > self._guessing:
            raise TrainingFailedError(
                f"the loss is {loss:.2f} at step {step}, no better than guessing; lower the "
                "learning rate"
            )
        # The very first batches may have been the easy ones.
        early = [told for at, told in self.losses if at - self._before <= grace]
        first = max(early or [told for _, told in self.losses[:1]] or [loss])
        if settled and loss > _GROWTH * max(first, 1.0):
            raise TrainingFailedError(
                f"the loss grew from {first:.2f} to {loss:.2f} at step {step}; lower the learning "
                "rate"
            )
