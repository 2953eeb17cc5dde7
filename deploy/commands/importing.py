"""`understudy import`: transcripts or a Slack export in, redacted interactions out."""

import asyncio
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.commands.redact import read_directory
from deploy.wiring import make_clock, open_store
from feedback.domain.interaction import InteractionRecord
from feedback.errors import InvalidInputError
from feedback.jsonl import dump
from feedback.redaction import REDACTION_VERSION, Redactor
from feedback.settings import Settings, load_settings
from feedback.store.imports import ImportCounts
from feedback.transcripts import TranscriptImport, read_transcripts


def import_(
    file: Annotated[Path, typer.Argument(help="JSONL transcripts, or the zip of a Slack export.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Only write the redacted rows here (JSONL); nothing is stored."),
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
    """Maps transcripts to interactions, redacted, with corrections as candidates for review."""
    redactor = Redactor(read_directory(names) if names else None, allowed_hosts=allow_host or ())
    result = read_transcripts(file, redactor)
    for where, problem in result.problems:
        typer.echo(f"{where}: {problem}", err=True)
    counts = summary(result)
    if out is not None:
        write_rows(out, result.records)
        typer.echo(f"{len(result.records)} rows in {out}", err=True)
    else:
        counts |= {"stored": asdict(asyncio.run(_store(load_settings(), result)))}
    typer.echo(json.dumps(counts, ensure_ascii=False))


async def _store(settings: Settings, result: TranscriptImport) -> ImportCounts:
    """Adds the rows to the record: better answers wait for a reviewer."""
    async with open_store(settings) as store, store.begin() as tx:
        return await tx.imports.add(
            result.records,
            result.placeholders,
            redaction_version=REDACTION_VERSION,
            at=make_clock(settings).now(),
        )


def summary(result: TranscriptImport) -> dict[str, Any]:
    """Returns the counts of an import as one JSON object."""
    return {**result.counts, "redacted": dict(result.findings)}


def write_rows(path: Path, records: Iterable[InteractionRecord]) -> None:
    """Writes interaction rows so that the file is either complete or not there.

    Raises:
        InvalidInputError: When the place cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                for record in records:
                    print(dump(record.to_row()), file=stream)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise InvalidInputError(
            f"cannot write {path}: {exc.strerror or exc}; name a file in an existing folder"
        ) from exc
