"""A data set version on disk: five files, content-addressed, written all or not at all.

`manifest.json` counts, hashes, lineage, policy; `train.jsonl`; `holdout.jsonl`; `rejected.jsonl`;
`splits.jsonl` (every assignment ever made, read back by the next build). Nothing in them depends on
when or where they were built, so a rebuild gives the same bytes.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from feedback.errors import ConflictError, InvalidInputError
from feedback.jsonl import dump, open_jsonl
from retrain.dataset.build import DatasetBuild
from retrain.dataset.rows import HeldOutRow, Rejection, TrainingRow
from retrain.dataset.split import Assignment

T = TypeVar("T")

FORMAT = 1
MANIFEST = "manifest.json"
TRAIN = "train.jsonl"
HOLDOUT = "holdout.jsonl"
REJECTED = "rejected.jsonl"
SPLITS = "splits.jsonl"


@dataclass(frozen=True, kw_only=True)
class DatasetFiles:
    """The bytes of one version, ready to be written or stored.

    Attributes:
        version: sha256 over everything below, hexadecimal.
        manifest: The manifest, `version` included.
        contents: File name to bytes, the manifest included.
    """

    version: str
    manifest: Mapping[str, Any]
    contents: Mapping[str, bytes]


def render_files(built: DatasetBuild) -> DatasetFiles:
    """Turns a build into its files and its version id."""
    contents = {
        TRAIN: _lines(row.to_row() for row in built.train),
        HOLDOUT: _lines(row.to_row() for row in built.holdout),
        REJECTED: _lines(row.to_row() for row in built.rejected),
        SPLITS: _lines(row.to_row() for row in built.assignments),
    }
    body = {
        "format": FORMAT,
        **built.facts,
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "rows": data.count(b"\n")}
            for name, data in sorted(contents.items())
        },
    }
    version = hashlib.sha256(_canonical(body).encode()).hexdigest()
    manifest = {"version": version, **body}
    text = json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    return DatasetFiles(
        version=version, manifest=manifest, contents={**contents, MANIFEST: text.encode()}
    )


def write_dataset(files: DatasetFiles, out: Path, *, replace: bool = False) -> bool:
    """Writes a version into `out`: the folder appears complete or not at all.

    Args:
        files: What to write.
        out: The version's folder; its parent is made when missing.
        replace: Whether another version already in `out` may be replaced.

    Returns:
        False when `out` already held exactly this version.

    Raises:
        ConflictError: When `out` holds something else and `replace` is not given.
        InvalidInputError: When the folder cannot be written.
    """
    if out.exists():
        found = _version_in(out)
        if found == files.version:
            return False
        foreign = found is None and (not out.is_dir() or any(out.iterdir()))
        if foreign:
            raise ConflictError(f"{out} exists and holds no data set; choose another folder")
        if found is not None and not replace:
            raise ConflictError(
                f"{out} already holds data set {found[:12]}, and versions never change; choose "
                "another folder or replace it on purpose"
            )
    try:
        _replace_folder(files, out)
    except OSError as exc:
        raise InvalidInputError(f"cannot write {out}: {exc.strerror or exc}") from exc
    return True


def read_manifest(folder: Path) -> Mapping[str, Any]:
    """Reads a version's manifest and proves that every file is the one it names.

    Raises:
        InvalidInputError: When the folder is no data set or a file was changed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        entries = manifest["files"]
        body = {key: value for key, value in manifest.items() if key != "version"}
        if hashlib.sha256(_canonical(body).encode()).hexdigest() != manifest["version"]:
            raise InvalidInputError(f"{folder / MANIFEST} was changed after it was written")
        for name, entry in entries.items():
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            if found != entry["sha256"]:
                raise InvalidInputError(
                    f"{folder / name} was changed after it was written (sha256 {found[:12]}, the "
                    f"manifest says {entry['sha256'][:12]}); build the version again"
                )
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as exc:
        raise InvalidInputError(f"{folder} holds no complete data set version: {exc}") from exc
    return dict(manifest)


def read_train(folder: Path) -> list[TrainingRow]:
    """Reads `train.jsonl`.

    Raises:
        InvalidInputError: When the file is missing or a row is broken.
    """
    return _read(folder / TRAIN, TrainingRow.from_row)


def read_holdout(folder: Path) -> list[HeldOutRow]:
    """Reads `holdout.jsonl`.

    Raises:
        InvalidInputError: When the file is missing or a row is broken.
    """
    return _read(folder / HOLDOUT, HeldOutRow.from_row)


def read_rejections(folder: Path) -> list[Rejection]:
    """Reads `rejected.jsonl`.

    Raises:
        InvalidInputError: When the file is missing or a row is broken.
    """
    return _read(folder / REJECTED, Rejection.from_row)


def read_assignments(folder: Path) -> list[Assignment]:
    """Reads `splits.jsonl`.

    Raises:
        InvalidInputError: When the file is missing or a row is broken.
    """
    return _read(folder / SPLITS, Assignment.from_row)


def _read(path: Path, parse: Callable[[Mapping[str, Any]], T]) -> list[T]:
    source = open_jsonl(str(path))
    rows = list(source.rows(parse))
    if source.problems:
        number, problem = source.problems[0]
        raise InvalidInputError(f"{path}:{number}: {problem}; build the version again")
    return rows


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(f"{dump(row)}\n" for row in rows).encode()


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _version_in(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["version"])
    except (OSError, KeyError, ValueError, TypeError):
        return None


def _replace_folder(files: DatasetFiles, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        temporary.chmod(0o755)
        for name, data in files.contents.items():
            (temporary / name).write_bytes(data)
        if out.exists() and any(out.iterdir()):
            retired = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old."))
            out.rename(retired / out.name)
            temporary.rename(out)
            shutil.rmtree(retired)
        else:
            temporary.rename(out)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)
