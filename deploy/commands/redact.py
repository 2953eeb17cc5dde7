"""`understudy redact`: rows `{id, text}` in, rows without names, identifiers and secrets out."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from feedback.errors import InvalidInputError
from feedback.jsonl import dump, open_jsonl
from feedback.redaction import NameDirectory, PlaceholderScope, Redaction, Redactor


def redact(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="JSONL rows {id, text}; - reads stdin.")
    ] = "-",
    input_: Annotated[
        str | None, typer.Option("--input", "-i", help="The same, as an option.")
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(help="Known people: one name a line, or Slack's users.json."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A host whose URLs are public, such as docs.example.com; repeatable."),
    ] = None,
) -> None:
    """Replaces names, identifiers and secrets by typed placeholders.

    Rows that share a `thread_id` share their numbering; any other row is a conversation by itself.
    """
    redactor = Redactor(read_directory(names) if names else None, allowed_hosts=allow_host or ())
    key = secrets.token_bytes(32)  # lives for this run: nothing is remembered afterwards
    scopes: dict[str, PlaceholderScope] = {}
    source = open_jsonl(input_ or file)
    for row in source.rows(_parse):
        thread = row.get("thread_id")
        scope = (
            scopes.setdefault(str(thread), PlaceholderScope(key))
            if thread is not None
            else PlaceholderScope(key)
        )
        typer.echo(dump(as_row(row["id"], redactor.redact(row["text"], scope))))
    source.report()
    source.require_rows()


def as_row(id_: object, redaction: Redaction) -> dict[str, Any]:
    """Returns the output row: the redacted text and the spans of the input."""
    return {
        "id": id_,
        "text": redaction.text,
        "spans": [
            {"type": span.type, "start": span.start, "end": span.end} for span in redaction.spans
        ],
    }


def read_directory(path: Path) -> NameDirectory:
    """Reads known people from a text file (one name a line) or from Slack's users.json.

    Raises:
        InvalidInputError: When the file is missing or neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return NameDirectory.from_names(
                line.strip() for line in text.splitlines() if line.strip()
            )
        data = json.loads(text)
    except OSError as exc:
        raise InvalidInputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise InvalidInputError(f"{path} is neither a text file nor users.json: {exc}") from exc
    users = data.get("members", []) if isinstance(data, dict) else data
    if not isinstance(users, list) or not all(isinstance(user, dict) for user in users):
        raise InvalidInputError(f"{path} must hold a list of Slack users")
    return NameDirectory.from_slack(users)


def _parse(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(row["text"], str):
        raise InvalidInputError(f"'text' must be text, got {type(row['text']).__name__}")
    if row.get("id") is None:
        raise InvalidInputError("missing key 'id'")
    return row
