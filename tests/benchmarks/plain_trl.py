"""The peer of bench_training: QLoRA as trl's documentation writes it, with the same numbers.

`python -m tests.benchmarks.plain_trl SPEC.json` prints `{"seconds", "cpu_seconds", "tokens"}`,
imports not counted. It must stay free of our training code but for reading the spec.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import trl
from datasets.arrow_dataset import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig


def main() -> None:
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    recipe = spec["recipe"]
    torch.set_num_threads(recipe["threads"])
    started, cpu_started = time.perf_counter(), time.process_time()
    lines = (Path(spec["dataset_dir"]) / "train.jsonl").read_text().splitlines()
    rows = [
        {
            "prompt": row["messages"],
            "completion": [{"role": "assistant", "content": row["completion"]}],
        }
        for row in map(json.loads, lines)
    ]
    library: Any = trl
    make_quantisation: Any = BitsAndBytesConfig
    model = AutoModelForCausalLM.from_pretrained(
        spec["base_dir"],
        dtype=torch.float32,
        quantization_config=make_quantisation(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        ),
        device_map={"": "cpu"},
    )
    trainer = library.SFTTrainer(
        model=model,
        args=library.SFTConfig(
            output_dir=spec["work_dir"],
            num_train_epochs=recipe["epochs"],
            per_device_train_batch_size=recipe["batch_size"],
            learning_rate=recipe["learning_rate"],
            lr_scheduler_type="cosine",
            warmup_steps=recipe["warmup_steps"],
            max_length=recipe["max_length"],
            activation_checkpointing=False,
            bf16=False,
            use_cpu=True,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=recipe["seed"],
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(spec["base_dir"]),
        peft_config=LoraConfig(
            r=recipe["rank"],
            lora_alpha=recipe["alpha"],
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    trainer.train()
    trainer.save_model(spec["out_dir"])
    result = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "steps": trainer.state.global_step,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
