"""Content ids of what is served."""

import hashlib
from pathlib import Path

WEIGHTS = "adapter_model.safetensors"
ADAPTER_FILES = ("adapter_config.json", WEIGHTS)
"""All that a server reads of an adapter, and so all that is shipped."""

BASE_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")


def file_sha256(path: Path) -> str:
    """Returns the hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def snapshot_id(folder: Path) -> str:
    """Returns the id of a base snapshot: over config, tokenizer and every safetensors file.

    The same published files give the same id wherever they lie.
    """
    names = [name for name in BASE_FILES if (folder / name).is_file()]
    names += sorted(path.name for path in folder.glob("*.safetensors"))
    listing = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()
