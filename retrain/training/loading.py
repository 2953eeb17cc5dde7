"""Loads a base for training, from local files only."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from feedback.errors import ConfigurationError


def load_quantised(base_dir: Path, compute_dtype: str) -> tuple[Any, Any]:
    """Loads a base in NF4 with double quantisation, and its tokenizer, from local files only.

    Raises:
        ConfigurationError: When the folder is no model folder with a tokenizer.
    """
    dtype = getattr(torch, compute_dtype)
    make_config: Any = BitsAndBytesConfig
    quantisation = make_config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    tokenizer = load_tokenizer(base_dir)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base_dir,
            quantization_config=quantisation,
            dtype=dtype,
            device_map={"": 0} if torch.cuda.is_available() else {"": "cpu"},
            attn_implementation="sdpa",
            local_files_only=True,
        )
    except (OSError, ValueError) as exc:
        raise _no_base(base_dir, exc) from exc
    return model, tokenizer


def load_tokenizer(base_dir: Path) -> Any:  # noqa: ANN401  (transformers' own union)
    """Loads a base's tokenizer from local files only.

    Raises:
        ConfigurationError: When the folder holds none.
    """
    try:
        return AutoTokenizer.from_pretrained(base_dir, local_files_only=True)
    except (OSError, ValueError) as exc:
        raise _no_base(base_dir, exc) from exc


def _no_base(base_dir: Path, exc: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"cannot load the base model from {base_dir}: {exc}; give a folder with config.json, "
        "safetensors weights and a tokenizer"
    )
