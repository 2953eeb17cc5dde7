"""A folder that the model servers see: adapters are copied into it, whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from feedback.domain.learning import Deployment, ServedAdapter
from feedback.errors import AdapterNotServedError, ConfigurationError
from retrain.publishing.identity import ADAPTER_FILES, WEIGHTS, file_sha256

_PREFIX = "served-"
_COMING = "coming-"


class AdapterVolume:
    """Copies of adapters under names made of their content; servers read nothing else.

    Args:
        folder: Where this process writes; None: servers read adapters where they lie.
        mount: The same folder as the servers see it; empty: under the same path.
    """

    def __init__(self, folder: Path | None, mount: str = "") -> None:
        self._folder = folder
        self._mount = mount or str(folder)

    def hold(self, row: Deployment) -> Deployment:
        """Makes the folder hold the adapters of a deployment.

        Returns:
            The deployment with paths as the servers see them.

        Raises:
            AdapterNotServedError: An adapter's file is missing, or not the one that was registered.
            ConfigurationError: The folder cannot be written.
        """
        return replace(row, adapters=tuple(self._held(adapter) for adapter in row.adapters))

    def is_ours(self, path: str) -> bool:
        """Whether a path, as servers see it, is a copy made here."""
        return self._folder is not None and path.startswith(f"{self._mount}/{_PREFIX}")

    def drop_others(self, rows: Collection[Deployment]) -> None:
        """Removes copies that none of these deployments names, and what a killed copy left."""
        wanted = {_name(adapter) for row in rows for adapter in row.adapters}
        for path in self._folder.glob("*") if self._folder else ():
            if path.name.startswith((_PREFIX, _COMING)) and path.name not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def _held(self, adapter: ServedAdapter) -> ServedAdapter:
        if self._folder is None:
            require_registered(adapter)
            return adapter
        target = self._folder / _name(adapter)
        if not target.is_dir():
            require_registered(adapter)
            try:
                _copy(adapter, target)
            except OSError as exc:
                raise ConfigurationError(
                    f"cannot copy adapter {adapter.name} to {self._folder} ({exc}); mount the "
                    "servers' volume there, writable, or set UNDERSTUDY_PUBLISH__VOLUME"
                ) from exc
        return replace(adapter, path=f"{self._mount}/{target.name}")


def require_registered(adapter: ServedAdapter) -> None:
    """Refuses weights that are not those that were registered.

    Raises:
        AdapterNotServedError: The file is missing, or another one.
    """
    weights = Path(adapter.path) / WEIGHTS
    found = file_sha256(weights) if weights.is_file() else "none"
    if found != adapter.sha256:
        raise AdapterNotServedError(
            f"{weights} has sha256 {found}, adapter {adapter.name} was registered with "
            f"{adapter.sha256}: the file changed after training; put the right one back"
        )


def _name(adapter: ServedAdapter) -> str:
    return f"{_PREFIX}{adapter.name}-{adapter.sha256[:12]}"


def _copy(adapter: ServedAdapter, target: Path) -> None:
    """Copies beside the target and renames: a killed copy never looks like a whole one."""
    coming = target.parent / f"{_COMING}{uuid.uuid4().hex}"
    coming.mkdir(parents=True)
    for name in ADAPTER_FILES:
        with (Path(adapter.path) / name).open("rb") as read, (coming / name).open("wb") as written:
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())
        (coming / name).chmod(0o444)
    require_registered(replace(adapter, path=str(coming)))
    coming.rename(target)
