"""What an adapter is: a file beside its weights that says where they come from.

The database says the same, but files travel: to a volume, to a bucket, to another host. Whoever
holds the folder can tell what trained it, on which base it may be served, and how it must answer.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from feedback.errors import ConfigurationError
from retrain.base_model import template_sha256
from retrain.publishing.identity import ADAPTER_FILES, WEIGHTS, file_sha256, snapshot_id

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class BaseIdentity:
    """A base snapshot by its contents.

    Attributes:
        id: As settings and adapters name it.
        snapshot: Hash over config, tokenizer and weights.
        tokenizer: Hash of `tokenizer.json`.
        template: Hash of the chat template.
    """

    id: str
    snapshot: str
    tokenizer: str
    template: str

    @classmethod
    def of(cls, folder: Path, base_id: str) -> "BaseIdentity":
        """Reads a snapshot's folder; hashing the weights of a large one takes a while.

        Raises:
            ConfigurationError: When the folder is no base snapshot.
        """
        try:
            tokenizer = file_sha256(folder / "tokenizer.json")
        except OSError as exc:
            raise ConfigurationError(f"{folder} holds no tokenizer.json: {exc}") from exc
        return cls(
            id=base_id,
            snapshot=snapshot_id(folder),
            tokenizer=tokenizer,
            template=template_sha256(folder),
        )


@dataclass(frozen=True, kw_only=True)
class AdapterManifest:
    """Everything that is known of an adapter.

    Attributes:
        files: SHA-256 of every file that a server reads, by name.
        gates: The report of its gates.
        signature: Probe signature of base and adapter.
    """

    id: str
    files: Mapping[str, str]
    base: BaseIdentity
    dataset_id: str
    training_run_id: str
    gates: Mapping[str, Any]
    signature: Mapping[str, Any]
    created_at: datetime

    @property
    def content_id(self) -> str:
        """Names the files by what is in them."""
        listing = "".join(f"{sha}  {name}\n" for name, sha in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights: what answers and experiments name."""
        return self.files[WEIGHTS]

    def to_text(self) -> str:
        """Returns the file's text; `read_manifest` reads it back."""
        row = {"format": FORMAT, **asdict(self), "created_at": self.created_at.isoformat()}
        return json.dumps(row, indent=2, sort_keys=True) + "\n"


def read_manifest(folder: Path) -> AdapterManifest:
    """Reads the manifest of an adapter's folder.

    Raises:
        ConfigurationError: When there is none, or it cannot be understood.
    """
    path = folder / MANIFEST
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        if row.pop("format") != FORMAT:
            raise ValueError("another format")
        base = BaseIdentity(**row.pop("base"))
        created_at = datetime.fromisoformat(row.pop("created_at"))
        return AdapterManifest(**row, base=base, created_at=created_at)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(
            f"{path} is no manifest of an adapter ({exc!r}); register the adapter again"
        ) from exc


def lint_manifest(folder: Path, served: BaseIdentity) -> list[str]:
    """Returns how files and served base differ from what the manifest says; empty: not at all.

    Args:
        folder: The adapter's folder.
        served: The base that servers are started on.
    """
    try:
        manifest = read_manifest(folder)
    except ConfigurationError as exc:
        return list(exc.problems)
    problems = [
        f"{name} is not the file that was registered; train again or restore it"
        for name, sha in sorted(manifest.files.items())
        if not (folder / name).is_file() or file_sha256(folder / name) != sha
    ]
    problems += [
        f"{name} is not in the manifest; register the adapter again"
        for name in ADAPTER_FILES
        if name not in manifest.files
    ]
    ours = asdict(manifest.base)
    problems += [
        f"it was trained on base {name} {ours[name][:20]}, served is {theirs[:20]}; serve the "
        "snapshot that it was trained on"
        for name, theirs in asdict(served).items()
        if ours[name] != theirs
    ]
    return problems
