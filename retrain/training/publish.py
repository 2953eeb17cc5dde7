"""From a trained model to the two files that are published."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from feedback.errors import ConfigurationError
from retrain.publishing.identity import ADAPTER_FILES


def require_space(folder: Path, wanted_bytes: int) -> None:
    """Refuses to start what could not be written.

    Raises:
        ConfigurationError: When the disk below `folder` has less than `wanted_bytes` left.
    """
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < wanted_bytes:
        raise ConfigurationError(
            f"{existing} has {free / 1e6:.0f} MB free and the run needs {wanted_bytes / 1e6:.0f} "
            "MB for checkpoints and the adapter; free disk space or set UNDERSTUDY_STATE_DIR"
        )


def write_adapter(model: Any, out_dir: Path, *, base_id: str) -> None:  # noqa: ANN401  (a PeftModel)
    """Writes the two published files; the folder appears complete or not at all.

    Args:
        model: The trained PeftModel.
        out_dir: The adapter's folder, replaced when it exists.
        base_id: Written as the base, in place of the path it was loaded from.

    Raises:
        ConfigurationError: When the folder cannot be written.
    """
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=out_dir.parent, prefix=f".{out_dir.name}."))
        try:
            model.save_pretrained(staging, safe_serialization=True)
            for path in staging.iterdir():
                if path.name not in ADAPTER_FILES:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            _normalise_config(staging / "adapter_config.json", base_id)
            staging.chmod(0o755)
            if out_dir.exists():
                shutil.rmtree(out_dir)
            staging.replace(out_dir)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write the adapter to {out_dir}: {exc.strerror or exc}; free disk space or "
            "choose a writable folder"
        ) from exc


def _normalise_config(path: Path, base_id: str) -> None:
    """Makes the file the same on every machine: base id, sorted lists, sorted keys."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_id
    config["inference_mode"] = True
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
