"""Where trained adapters are kept: one folder each, named by what is in it, never changed.

A folder appears complete or not at all, and is read-only from then on. What nobody needs is
collected in two steps, each of which may be the last one before a crash: first the row says that
the adapter is gone, in a transaction that leaves out everything somebody may still ask for; then
the folder is moved aside and removed. The next collection finishes what was begun.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from feedback.domain.learning import Adapter
from feedback.errors import ConfigurationError
from feedback.store.unit_of_work import Store
from retrain.publishing.identity import ADAPTER_FILES, file_sha256
from retrain.publishing.manifest import MANIFEST, AdapterManifest, BaseIdentity

_STAGING, _TRASH = ".staging-", ".trash-"
_ABANDONED_S = 3600.0
"""Seconds after which a half-made folder belongs to nobody."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where an adapter comes from; the manifest adds the files."""

    base: BaseIdentity
    dataset_id: str
    training_run_id: str
    gates: Mapping[str, Any]
    signature: Mapping[str, Any]
    created_at: datetime


class AdapterRegistry:
    """A folder of adapters.

    Args:
        root: Made when it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, folder: Path, known: Provenance) -> tuple[AdapterManifest, Path]:
        """Keeps a trained adapter; the same files are kept once.

        Args:
            folder: What training wrote.
            known: Where it comes from.

        Returns:
            The manifest and the folder to serve.

        Raises:
            ConfigurationError: When a file is missing or the registry cannot be written.
        """
        try:
            files = {name: file_sha256(folder / name) for name in ADAPTER_FILES}
            manifest = AdapterManifest(
                id=f"adapter-{files[ADAPTER_FILES[1]][:12]}",
                files=files,
                base=known.base,
                dataset_id=known.dataset_id,
                training_run_id=known.training_run_id,
                gates=known.gates,
                signature=known.signature,
                created_at=known.created_at,
            )
            kept = self._root / manifest.content_id
            if not kept.exists():
                self._write(folder, kept, manifest)
        except OSError as exc:
            raise ConfigurationError(
                f"cannot keep the adapter {folder} in {self._root}: {exc}; free disk space or set "
                "UNDERSTUDY_STATE_DIR to a writable folder"
            ) from exc
        return manifest, kept

    def _write(self, folder: Path, kept: Path, manifest: AdapterManifest) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self._root))
        try:
            for name in manifest.files:
                shutil.copyfile(folder / name, staging / name)
            (staging / MANIFEST).write_text(manifest.to_text(), encoding="utf-8")
            for path in staging.iterdir():
                path.chmod(0o444)
                _flush(path)
            staging.chmod(0o755)
            _flush(staging)
            try:
                staging.replace(kept)
            except OSError:
                if not kept.exists():  # else somebody else was faster, with the same files
                    raise
            _flush(self._root)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def holds(self, adapter: Adapter) -> bool:
        """Whether an adapter's files lie here."""
        return adapter.path.parent == self._root and adapter.path.is_dir()

    def size(self, adapter: Adapter) -> int:
        """Returns the bytes of an adapter's files; 0 when they do not lie here."""
        return _bytes(adapter.path) if self.holds(adapter) else 0

    def remove(self, adapter: Adapter) -> None:
        """Removes an adapter's files; whoever looks sees all of them or none."""
        if self.holds(adapter):
            aside = self._root / f"{_TRASH}{adapter.path.name}"
            shutil.rmtree(aside, ignore_errors=True)
            adapter.path.replace(aside)
            _flush(self._root)
            shutil.rmtree(aside, ignore_errors=True)

    def leftovers(self) -> list[Path]:
        """Returns what a crash left behind: half-made folders, and half-removed ones."""
        if not self._root.is_dir():
            return []
        old = time.time() - _ABANDONED_S
        return sorted(
            path
            for path in self._root.iterdir()
            if path.name.startswith(_TRASH)
            or (path.name.startswith(_STAGING) and path.stat().st_mtime < old)
        )


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What a garbage collection removes, or would.

    Attributes:
        adapters: Whose files go; their rows stay.
        held: Why others stay, by id.
        freed: Bytes.
        leftovers: Of crashes.
    """

    adapters: tuple[Adapter, ...]
    held: Mapping[str, str]
    freed: int
    leftovers: tuple[Path, ...]


async def collect(
    store: Store,
    registry: AdapterRegistry,
    *,
    now: datetime,
    unused_for: timedelta,
    by: str,
    dry_run: bool = True,
) -> Collection:
    """Removes the files of adapters that nobody can ask for any more.

    Never those of the champion, of the champion before, of anything that an open experiment, an
    open cycle or a server names; nor of adapters made within `unused_for`.

    Args:
        store: The record; rows stay, and say when their files went.
        registry: Where the files lie.
        now: The time.
        unused_for: Younger adapters stay.
        by: Who asks; goes into the audit trail.
        dry_run: Say what would be removed, and change nothing.
    """
    async with store.begin() as tx:
        held = await tx.collecting.held()
        free = await tx.collecting.collectable(made_before=now - unused_for)
        if not dry_run:
            free = [item for item in free if await tx.collecting.mark(item.id, at=now)]
            for adapter in free:
                await tx.audit.append(
                    subject=f"adapter:{adapter.id}",
                    from_state=adapter.state,
                    to_state="collected",
                    actor=by,
                    reason="nobody can ask for it any more",
                    at=now,
                )
        gone = await tx.collecting.given_up()
    removable = [adapter for adapter in (*free, *gone) if registry.holds(adapter)]
    unique = tuple({adapter.id: adapter for adapter in removable}.values())
    found = Collection(
        adapters=unique,
        held=held,
        freed=sum(registry.size(adapter) for adapter in unique),
        leftovers=tuple(registry.leftovers()),
    )
    if not dry_run:
        for adapter in found.adapters:
            registry.remove(adapter)
        for path in found.leftovers:
            shutil.rmtree(path, ignore_errors=True)
    return found


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
