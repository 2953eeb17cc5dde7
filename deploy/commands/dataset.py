"""`understudy dataset`: build data set versions from files, and look at them."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from feedback.domain.interaction import InteractionRecord
from feedback.jsonl import open_jsonl
from feedback.ports import Message
from feedback.prompting import build_messages
from retrain.dataset import (
    DatasetInput,
    DatasetPolicy,
    ReplayRow,
    build,
    read_assignments,
    read_manifest,
    render_files,
    write_dataset,
)

app = typer.Typer(no_args_is_help=True, help="Build and inspect data set versions.")


@app.callback()
def dataset() -> None:
    """Build and inspect data set versions."""


@app.command("build")
def build_command(
    source: Annotated[
        str, typer.Option("--input", help="Interactions with corrections, JSONL; - for stdin.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new version.")],
    holdout: Annotated[
        float, typer.Option("--holdout", help="Share of groups that are held out.")
    ] = 0.25,
    replay_share: Annotated[
        float, typer.Option("--replay-share", help="Share of training rows that are replay.")
    ] = 0.5,
    replay: Annotated[
        str | None,
        typer.Option("--replay", help="Generic dialogues, JSONL {id, question, answer}."),
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", help="The version before: its split is kept for ever."),
    ] = None,
    disable: Annotated[
        list[str] | None, typer.Option("--disable-cleaner", help="Leave a cleaner out; repeat.")
    ] = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another version that is in the folder.")
    ] = False,
) -> None:
    """Cleans, splits and mixes interactions into a version; prints its summary as JSON."""
    started = time.monotonic()
    policy = DatasetPolicy(
        holdout_share=holdout,
        replay_share=replay_share if replay is not None else 0.0,
        disabled_cleaners=frozenset(disable or ()),
    )
    rows = open_jsonl(source)
    records = list(rows.rows(InteractionRecord.from_row))
    rows.report()
    rows.require_rows()
    given = DatasetInput(
        records=records,
        render=render,
        previous=[] if previous is None else _previous(previous),
        replay=[] if replay is None else _replay(replay),
    )
    files = render_files(build(given, policy))
    written = write_dataset(files, out, replace=replace)
    typer.echo(
        json.dumps(
            {
                **summary(files.manifest),
                "out": str(out),
                "written": written,
                "bad_rows": len(rows.problems),
                "seconds": round(time.monotonic() - started, 2),
            },
            ensure_ascii=False,
        )
    )


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="Folder of a version.")],
) -> None:
    """Checks a version's files against its manifest and prints the manifest."""
    typer.echo(json.dumps(read_manifest(folder), ensure_ascii=False, indent=2, sort_keys=True))


def render(record: InteractionRecord) -> Sequence[Message]:
    """Renders a record as the bot would: its question and the passages it had, if recorded."""
    passages = record.extra.get("passages")
    texts = [str(text) for text in passages] if isinstance(passages, list) else []
    return build_messages(record.question, texts)


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what an operator wants to see of a manifest at once."""
    keys = ("version", "counts", "rejected_by_reason", "labels", "split", "replay", "cleaners")
    return {key: manifest[key] for key in keys}


def _previous(folder: Path) -> list[Any]:
    read_manifest(folder)
    return list(read_assignments(folder))


def _replay(path: str) -> list[ReplayRow]:
    source = open_jsonl(path)
    rows = list(source.rows(ReplayRow.from_row))
    source.report()
    source.require_rows()
    return rows
