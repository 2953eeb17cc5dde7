"""A tiny random Llama with its own tokenizer and chat template, and random LoRA adapters for it.

Random weights make every adapter's greedy answer differ from the base's, which is what tests of
serving need; nothing here depends on the trained base model.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)
SPECIAL = ("<|pad|>", "<|bos|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEXTS = (
    "How do I reset the export token of my workspace? Open Settings, then Tokens, and press Reset.",
    "The nightly sync stopped with error 504. Please raise the timeout to ninety seconds.",
    "Invoices are issued on the first day of the month and sent to the billing contact.",
    "Réinitialiser le mot de passe: ouvrez les paramètres. Grüße aus Köln! 東京 🙂",
    "2+2=4 and 17+25=42. Water boils at 100 degrees. Paris is the capital of France.",
)
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def train_tokenizer() -> Tokenizer:
    """Returns a byte-level BPE tokenizer of at most 2048 entries."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def build_model(folder: Path, *, seed: int = 0, ends: bool = True) -> Path:
    """Saves a servable snapshot (config, weights, tokenizer, template) and returns its folder.

    With `ends=False` no token ends an answer, so that only max_tokens does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.3,  # wide, so that greedy answers vary instead of repeating one token
        bos_token_id=tokenizer.token_to_id("<|bos|>"),
        eos_token_id=tokenizer.token_to_id("<|end|>") if ends else None,
        pad_token_id=tokenizer.token_to_id("<|pad|>"),
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<|bos|>",
                "eos_token": "<|end|>" if ends else None,
                "pad_token": "<|pad|>",
                "chat_template": TEMPLATE,
            }
        )
    )
    return folder


def build_adapter(base: Path, folder: Path, *, seed: int, rank: int = 8) -> Path:
    """Saves a random LoRA adapter that visibly changes the base's answers; returns its folder."""
    model = LlamaForCausalLM.from_pretrained(base)
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=list(PROJECTIONS),
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(base),
    )
    wrapped = get_peft_model(model, config)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    wrapped.save_pretrained(str(folder))
    return folder
