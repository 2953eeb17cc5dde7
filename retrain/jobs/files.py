"""Files that a kill, or a reader, never meets half written."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError, UnderstudyError


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file as a whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_json(path: Path, row: Mapping[str, Any]) -> None:
    """Writes one JSON object as a whole or not at all."""
    write_atomically(path, json.dumps(row) + "\n")


def read_spec(path: Path) -> Mapping[str, Any]:
    """Reads what a job is asked to do.

    Raises:
        InvalidInputError: When the file is missing or holds no JSON object.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"cannot read the job's specification {path}: {exc}") from exc
    if not isinstance(row, dict):
        raise InvalidInputError(f"{path} holds no JSON object")
    return row


def report_failure(folder: Path, error: UnderstudyError) -> None:
    """Leaves `error.json`: a failure that starting the job again would not mend."""
    print(str(error), file=sys.stderr)  # noqa: T201  (the log of the job)
    if folder.is_dir():
        write_json(folder / "error.json", {"error": str(error), "kind": type(error).__name__})
