"""The second stage of a run: away from what was wrongly said, without leaving what was learnt.

DPO (arXiv 2305.18290) on pairs of a correction and the wrong answer, beginning at the first stage's
adapter, which is also its reference. Never alone: DPO reaches perfect rewards while not one answer
changes, and both sides of a pair may become less likely together, so a supervised term on the right
answers goes with it (RPO, arXiv 2404.19733). And never without replay, which would erase facts: a
replayed dialogue takes part as a pair of two equal sides, whose preference term is constant, so
that only its supervised term teaches.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from datasets.arrow_dataset import Dataset
from peft import PeftModel
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from feedback.errors import InvalidInputError
from retrain.training.loading import load_quantised
from retrain.training.ranks import world_size
from retrain.training.rows import TrainingText, training_order
from retrain.training.spec import PreferenceRecipe, QloraRecipe, TrainingSpec
from retrain.training.stages import Stage, trainer_arguments


@dataclass(frozen=True, kw_only=True)
class PreferencePlan:
    """What the second stage will do, decided before the first one starts.

    Attributes:
        rows: trl's preference rows: pairs, and replayed dialogues with equal sides; empty when
            there is no second stage.
        pairs: Usable pairs, trained on or not.
        skipped: Why there is none although the recipe asks for it; empty otherwise.
    """

    rows: tuple[Mapping[str, Any], ...] = ()
    pairs: int = 0
    skipped: str = ""


def plan_preference(recipe: QloraRecipe, text: TrainingText) -> PreferencePlan:
    """Returns the second stage of a run, if the recipe asks for one and the rows allow it."""
    wanted = recipe.preference
    if wanted is None:
        return PreferencePlan()
    pairs = [index for index, rejected in enumerate(text.rejected) if rejected]
    if len(pairs) < wanted.min_pairs:
        return PreferencePlan(
            pairs=len(pairs),
            skipped=f"{len(pairs)} corrections have a wrong answer beside them, and "
            f"{wanted.min_pairs} are needed",
        )
    rows = [_row(text, index, text.rejected[index]) for index in pairs]
    rows += [
        _row(text, index, text.rows[index]["completion"][0]["content"])
        for index in _rehearsed(text, len(pairs), recipe.seed)
    ]
    return PreferencePlan(rows=tuple(rows), pairs=len(pairs))


def planned_steps(recipe: QloraRecipe, plan: PreferencePlan) -> int:
    """Returns about how many steps the second stage has."""
    if recipe.preference is None or not plan.rows:
        return 0
    shown = recipe.preference.epochs * float(sum(row["weight"] for row in plan.rows))
    steps = -(-round(shown) // (recipe.batch_size * recipe.accumulation))
    return min(steps, recipe.max_steps or steps)


def preference_stage(spec: TrainingSpec, plan: PreferencePlan, taught: Path, folder: Path) -> Stage:
    """Builds the second stage.

    Args:
        spec: Of the run; its recipe has a `preference`.
        plan: With rows.
        taught: The first stage's adapter.
        folder: Receives checkpoints.
    """
    recipe = spec.recipe
    wanted = _asked_for(recipe)
    micro_batch, accumulation = _halved(recipe)
    transformers.set_seed(recipe.seed)
    base, tokenizer = load_quantised(spec.base_dir, recipe.compute_dtype)
    model: Any = PeftModel.from_pretrained(base, str(taught), is_trainable=True)
    # peft looks there whether the vocabulary grew; by our id it would ask the hub.
    model.peft_config["default"].base_model_name_or_path = str(spec.base_dir)
    trainer: Any = DPOTrainer(
        model=model,
        args=DPOConfig(
            **trainer_arguments(recipe, folder, micro_batch=micro_batch, accumulation=accumulation),
            learning_rate=wanted.learning_rate,
            warmup_steps=min(recipe.warmup_steps, planned_steps(recipe, plan) // 10),
            beta=wanted.beta,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, wanted.sft_weight],
        ),
        train_dataset=Dataset.from_list([dict(row) for row in plan.rows]),
        processing_class=tokenizer,
    )
    _begin_at_reference(trainer.model)
    rows = trainer.train_dataset  # trl leaves out rows whose prompt alone is too long
    lengths = [
        2 * len(prompt) + len(chosen) + len(rejected)
        for prompt, chosen, rejected in zip(
            rows["prompt_ids"], rows["chosen_ids"], rows["rejected_ids"], strict=True
        )
    ]
    order = training_order(
        lengths,
        epochs=wanted.epochs,
        batch_size=micro_batch * accumulation,
        seed=recipe.seed,
        weights=rows["weight"],
    )
    trainer.train_dataset = rows.select(order)
    return Stage(
        trainer=trainer,
        folder=folder,
        lengths=tuple(lengths[index] for index in order),
        rows_per_step=micro_batch * accumulation,
    )


def _asked_for(recipe: QloraRecipe) -> PreferenceRecipe:
    if recipe.preference is None:
        raise InvalidInputError("the recipe has no second stage; give it a preference")
    return recipe.preference


def _row(text: TrainingText, index: int, rejected: str) -> dict[str, Any]:
    row = text.rows[index]
    return {
        "prompt": row["prompt"],
        "chosen": row["completion"],
        "rejected": [{"role": "assistant", "content": rejected}],
        "weight": text.weights[index],
    }


def _rehearsed(text: TrainingText, pairs: int, seed: int) -> Sequence[int]:
    """Draws as many replayed dialogues a pair as the data set has a row that is none."""
    replay = [index for index, replayed in enumerate(text.replay) if replayed]
    wanted = round(pairs * len(replay) / max(1, len(text.rows) - len(replay)))
    return sorted(replay, key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).digest())[:wanted]


def _halved(recipe: QloraRecipe) -> tuple[int, int]:
    """Returns micro-batch and accumulation: a pair is two rows, and memory stays what it was.

    A step has as many pairs as it had rows, on any number of workers.
    """
    share = recipe.batch_size // world_size()
    half = next(n for n in range(max(1, share // 2), 0, -1) if share % n == 0)
    return half * world_size(), recipe.accumulation * share // half


def _begin_at_reference(model: Any) -> None:  # noqa: ANN401  (a PeftModel)
    """Gives the policy its reference's exact weights: trl rounded them to bfloat16."""
    for name, parameter in model.named_parameters():
        if ".default." in name:
            reference = model.get_parameter(name.replace(".default.", ".ref."))
            parameter.data = reference.data.float().clone()
