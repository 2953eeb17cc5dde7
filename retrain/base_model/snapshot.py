"""Where the packaged base snapshot lies and what identifies it."""

import hashlib
import json
from pathlib import Path

from feedback.errors import ConfigurationError

BASE_MODEL_ID = "understudy/tiny-base"
"""The id adapters name as their base; never a path of some machine."""

_REQUIRED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def base_model_path() -> Path:
    """Returns the folder of the packaged base snapshot.

    Raises:
        ConfigurationError: When the weights are not installed.
    """
    folder = Path(__file__).parent / "data"
    missing = [name for name in _REQUIRED if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"base model folder {folder} lacks {', '.join(missing)}; run `make base-model`"
        )
    return folder


def template_sha256(model_dir: Path) -> str:
    """Returns the hash of the chat template in `model_dir`, stored with every answer.

    Raises:
        ConfigurationError: When the folder has no tokenizer configuration with a template.
    """
    path = model_dir / "tokenizer_config.json"
    try:
        template = json.loads(path.read_text(encoding="utf-8"))["chat_template"]
    except (OSError, ValueError, KeyError) as exc:
        raise ConfigurationError(
            f"{path} holds no chat_template ({exc!r}); give a model folder with a chat tokenizer"
        ) from exc
    return hashlib.sha256(str(template).encode()).hexdigest()
