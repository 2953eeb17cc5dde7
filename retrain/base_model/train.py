"""Trains the tiny base from scratch on one CPU thread and writes a snapshot that TGI can load."""

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from feedback.samples.generic import Dialogue, generic_dialogues
from retrain.base_model.recipe import BaseRecipe, Phase
from retrain.base_model.tokenizer import train_tokenizer


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """One dialogue as tokens.

    Attributes:
        ids: Prompt and completion with the end token.
        prompt: How many of `ids` belong to the prompt.
    """

    ids: tuple[int, ...]
    prompt: int


@dataclass(frozen=True, kw_only=True)
class BaseResult:
    """What one base training cost."""

    steps: int
    tokens: int
    seconds: float
    cpu_seconds: float
    final_loss: float
    parameters: int


def train_base(recipe: BaseRecipe, out_dir: Path, *, threads: int = 1) -> BaseResult:
    """Trains tokenizer and model and writes the snapshot.

    Args:
        recipe: Shape and schedule.
        out_dir: Receives config, tokenizer and bfloat16 weights.
        threads: CPU threads of torch.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    started, cpu_started = time.perf_counter(), time.process_time()
    drawn = [generic_dialogues(p.seed, p.dialogues, p.mix) for p in recipe.phases]
    tokenizer = train_tokenizer(
        [dialogue for dialogues in drawn for dialogue in dialogues[:20_000]],
        vocab_size=recipe.vocab_size,
        max_length=recipe.max_positions,
        seed=recipe.seed,
    )
    model = LlamaForCausalLM(_config(recipe, tokenizer))
    _initialise(model)
    steps = tokens = 0
    loss = float("nan")
    for phase, dialogues in zip(recipe.phases, drawn, strict=True):
        rows = [_encode(tokenizer, dialogue) for dialogue in dialogues]
        batches = list(_batches(rows, phase.batch_tokens, random.Random(phase.seed)))
        loss = _fit(model, batches, phase)
        steps += len(batches)
        tokens += sum(len(row.ids) for row in rows)
    save_snapshot(model, tokenizer, recipe, out_dir)
    return BaseResult(
        steps=steps,
        tokens=tokens,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
        final_loss=loss,
        parameters=sum(p.numel() for p in model.parameters()),
    )


def _config(recipe: BaseRecipe, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=recipe.vocab_size,
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.head_dim,
        max_position_embeddings=recipe.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _initialise(model: LlamaForCausalLM) -> None:
    # Output projections start at zero: every block begins as the identity, which lets Muon's large
    # steps start without a long warm-up.
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(parameter)


def _encode(tokenizer: PreTrainedTokenizerFast, dialogue: Dialogue) -> Encoded:
    messages = [{"role": m.role, "content": m.content} for m in dialogue.messages]
    prompt = str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    )
    prompt_ids = tokenizer.encode(prompt, add_special_tokens=False)
    answer = tokenizer.encode(dialogue.completion, add_special_tokens=False)
    return Encoded(ids=(*prompt_ids, *answer, int(tokenizer.eos_token_id)), prompt=len(prompt_ids))


def _batches(
    rows: Sequence[Encoded], batch_tokens: int, rng: random.Random, pool: int = 2000
) -> Iterator[list[Encoded]]:
    """Groups rows of similar length (little padding) and shuffles the groups of each pool."""
    for start in range(0, len(rows), pool):
        groups: list[list[Encoded]] = [[]]
        for row in sorted(rows[start : start + pool], key=lambda r: len(r.ids)):
            if groups[-1] and (len(groups[-1]) + 1) * len(row.ids) > batch_tokens:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        yield from groups


def _fit(model: LlamaForCausalLM, batches: Sequence[Sequence[Encoded]], phase: Phase) -> float:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=phase.matrix_lr, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(others, lr=phase.vector_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    peaks = [phase.matrix_lr, phase.vector_lr]
    model.train()
    smoothed, started = 0.0, time.perf_counter()
    for step, batch in enumerate(batches):
        scale = _schedule(step, len(batches), phase)
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * scale
        loss = _loss(model, batch, phase.prompt_weight)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        value = float(loss.detach())
        smoothed = value if step == 0 else 0.97 * smoothed + 0.03 * value
        if step % 50 == 0 or step == len(batches) - 1:
            done = time.perf_counter() - started
            left = done / (step + 1) * (len(batches) - step - 1)
            print(  # noqa: T201  (the progress of a command that runs for many minutes)
                json.dumps(
                    {
                        "step": step,
                        "of": len(batches),
                        "loss": round(smoothed, 4),
                        "eta_s": int(left),
                    }
                ),
                flush=True,
            )
    return smoothed


def _schedule(step: int, steps: int, phase: Phase) -> float:
    """Trapezoid: linear warm-up, flat, linear cool-down to a hundredth."""
    warm = min(1.0, (step + 1) / phase.warmup_steps)
    cool_steps = max(1, int(steps * phase.cooldown_share))
    cool = min(1.0, max(0.01, (steps - step) / cool_steps))
    return warm * cool


def _loss(model: LlamaForCausalLM, batch: Sequence[Encoded], prompt_weight: float) -> torch.Tensor:
    """Weighted mean next-token loss, rows padded on the right (causal: no mask needed)."""
    length = max(len(row.ids) for row in batch)
    ids = torch.zeros((len(batch), length), dtype=torch.long)  # (B, T)
    weights = torch.zeros((len(batch), length))  # (B, T), weight of the token as a target
    for index, row in enumerate(batch):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        weights[index, : row.prompt] = prompt_weight
        weights[index, row.prompt : len(row.ids)] = 1.0
    targets, weights = ids[:, 1:], weights[:, 1:]
    counted = weights > 0
    # bfloat16 matrix products are 1.5 times as fast on CPUs that have them.
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.lm_head(hidden[counted])  # (counted tokens, V)
    losses = functional.cross_entropy(logits.float(), targets[counted], reduction="none")
    return (losses * weights[counted]).sum() / weights[counted].sum()


def save_snapshot(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    recipe: BaseRecipe,
    out_dir: Path,
) -> None:
    """Writes bfloat16 weights, and a config and tokenizer that transformers 4.51 (TGI) reads too.

    transformers 5 writes `rope_parameters`, `dtype`, a template file and a tokenizer class of its
    own, all of which older releases ignore or refuse, so the old names are written beside them.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    torch.nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(out_dir, safe_serialization=True)
    tokenizer.save_pretrained(out_dir, save_jinja_files=False)
    config_path = out_dir / "config.json"
    config = json.loads(config_path.read_text())
    config.update(rope_theta=recipe.rope_theta, rope_scaling=None, torch_dtype="bfloat16")
    config.pop("_name_or_path", None)
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tokenizer_path = out_dir / "tokenizer_config.json"
    settings = json.loads(tokenizer_path.read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    for of_this_machine in ("is_local", "local_files_only", "name_or_path"):
        settings.pop(of_this_machine, None)
    tokenizer_path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
