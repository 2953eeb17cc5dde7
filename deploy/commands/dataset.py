"""`understudy dataset`: build data set versions from files, and look at them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from feedback.domain.interaction import InteractionRecord
from feedback.errors import InvalidInputError, NotFoundError
from feedback.jsonl import open_jsonl
from feedback.ports import Message
from feedback.prompting import build_messages
from feedback.redaction import REDACTION_VERSION
from feedback.tone import Level, StyleGuide

if TYPE_CHECKING:
    from retrain.dataset import Assignment, DatasetInput, DatasetPolicy, ReplayRow

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
    replay: Annotated[
        str | None,
        typer.Option("--replay", help="Generic dialogues, JSONL {id, question, answer}."),
    ] = None,
    replay_share: Annotated[
        float, typer.Option("--replay-share", help="Share of training rows that are replay.")
    ] = 0.5,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", help="The version before: its split is kept for ever."),
    ] = None,
    disable: Annotated[
        list[str] | None, typer.Option("--disable-cleaner", help="Leave a cleaner out; repeat.")
    ] = None,
    style: Annotated[
        Path | None,
        typer.Option("--style", help="Style rules; answers that break one (level error) go."),
    ] = None,
    train_on: Annotated[
        Literal["reviewer_authored", "consenting", "all"],
        typer.Option("--train-on", help="Whose text may train; rows say what they are (consent)."),
    ] = "all",
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="OLD=NEW: another name for a key of the rows; repeat."),
    ] = None,
    slice_by: Annotated[
        list[str] | None,
        typer.Option("--slice-by", help="Key of the rows by which gates look at parts; repeat."),
    ] = None,
    *,
    vectors: Annotated[
        bool,
        typer.Option(
            "--vectors/--no-vectors",
            help="Also keep paraphrases on one side, by embeddings (about 10 ms a question).",
        ),
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another version that is in the folder.")
    ] = False,
) -> None:
    """Cleans, splits and mixes interactions into a version; prints its summary as JSON."""
    # MinHash and its numerics take most of a second to import: not for `understudy --help`.
    from retrain.dataset import (  # noqa: PLC0415
        DatasetChecks,
        DatasetInput,
        DatasetPolicy,
        TrainOn,
        build,
        leftover_check,
        render_files,
        write_dataset,
    )

    started = time.monotonic()
    policy = DatasetPolicy(
        holdout_share=holdout,
        replay_share=0.0 if replay is None else replay_share,
        disabled_cleaners=frozenset(disable or ()),
        train_on=TrainOn(train_on),
    )
    rows = open_jsonl(source)
    names = _names(map_ or ())
    records = [
        _sliced(record, slice_by or ())
        for record in rows.rows(
            lambda row: InteractionRecord.from_row({names.get(k, k): v for k, v in row.items()})
        )
    ]
    rows.report()
    rows.require_rows()
    given = DatasetInput(
        records=records,
        render=render,
        checks=DatasetChecks(leftovers=leftover_check(), style=_style(style)),
        previous=[] if previous is None else _previous(previous),
        replay=[] if replay is None else _replay(replay),
        redaction_version=REDACTION_VERSION,
    )
    if vectors:
        given = _with_vectors(given, policy)
    files = render_files(build(given, policy))
    written = write_dataset(files, out, replace=replace)
    report = {
        **summary(files.manifest),
        "out": str(out),
        "written": written,
        "bad_rows": len(rows.problems),
        "seconds": round(time.monotonic() - started, 2),
    }
    typer.echo(json.dumps(report, ensure_ascii=False))


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="Folder of a version.")],
) -> None:
    """Checks a version's files against its manifest and prints the manifest."""
    from retrain.dataset import read_manifest  # noqa: PLC0415  (see build)

    typer.echo(json.dumps(read_manifest(folder), ensure_ascii=False, indent=2, sort_keys=True))


@app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="Folder of the earlier version.")],
    after: Annotated[Path, typer.Argument(help="Folder of the later version.")],
) -> None:
    """Prints what changed between two versions as JSON: rows, figures, policy."""
    from retrain.dataset import difference  # noqa: PLC0415  (see build)

    typer.echo(json.dumps(difference(before, after), ensure_ascii=False, indent=2))


@app.command("lineage")
def lineage_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a version.")],
    of: Annotated[str | None, typer.Option("--of", help="Only this row or interaction id.")] = None,
) -> None:
    """Prints as JSONL which interactions every row came from, and why the others are out."""
    from retrain.dataset import lineage  # noqa: PLC0415  (see build)

    places = list(lineage(folder, of))
    if of is not None and not places:
        raise NotFoundError(f"{folder} knows no row and no interaction {of!r}")
    for place in places:
        typer.echo(json.dumps(place.to_row(), ensure_ascii=False))


def render(record: InteractionRecord) -> Sequence[Message]:
    """Renders a record as the bot would: its question and the passages it had, if recorded."""
    passages = record.extra.get("passages")
    texts = [str(text) for text in passages] if isinstance(passages, list) else []
    return build_messages(record.question, texts)


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what an operator wants to see of a manifest at once."""
    keys = ("version", "counts", "rejected_by_reason", "labels", "split", "replay", "pairs")
    return {key: manifest[key] for key in (*keys, "cleaners")}


def _names(renamed: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in renamed]
    if not all(old and new for old, _, new in pairs):
        raise InvalidInputError("--map takes OLD=NEW, such as bot_answer=answer")
    return {old: new for old, _, new in pairs}


def _sliced(record: InteractionRecord, keys: Sequence[str]) -> InteractionRecord:
    if not keys:
        return record
    told = {key: record.extra[key] for key in keys if key in record.extra}
    slices = {**record.extra.get("slices", {}), **told}
    return with_changes(record, extra={**record.extra, "slices": slices})


def _style(path: Path | None) -> Callable[[str], Sequence[str]] | None:
    if path is None:
        return None
    guide = StyleGuide.load(path)
    return lambda text: [v.rule for v in guide.check(text) if v.level is Level.ERROR]


def _with_vectors(given: "DatasetInput", policy: "DatasetPolicy") -> "DatasetInput":
    from retrain.dataset import QuestionVectors, texts_to_embed  # noqa: PLC0415
    from retrain.embedding import MiniLmEmbedder  # noqa: PLC0415  (loads torch)

    texts = texts_to_embed(
        given.records, given.previous, given.replay, policy=policy, checks=given.checks
    )
    embedder = MiniLmEmbedder()
    found = QuestionVectors.of(embedder.id, texts, embedder.embed_now(texts))
    return with_changes(given, vectors=found)


def _previous(folder: Path) -> "list[Assignment]":
    from retrain.dataset import read_assignments, read_manifest  # noqa: PLC0415  (see build)

    read_manifest(folder)
    return read_assignments(folder)


def _replay(path: str) -> "list[ReplayRow]":
    from retrain.dataset import ReplayRow  # noqa: PLC0415  (see build)

    source = open_jsonl(path)
    rows = list(source.rows(ReplayRow.from_row))
    source.report()
    source.require_rows()
    return rows
