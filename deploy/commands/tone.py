"""`understudy tone`: how well answers keep to the style guide."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import feedback.samples
from deploy.wiring import open_store
from feedback.errors import InvalidInputError
from feedback.jsonl import dump, open_jsonl
from feedback.settings import load_settings
from feedback.tone import StyleGuide, ToneScore
from feedback.tone.scorer import PreparedTone, ToneModel
from feedback.tone.scorer import learn as learn_tone

app = typer.Typer(help="The brand's voice.", no_args_is_help=True)

SAMPLE_STYLE = Path(feedback.samples.__file__).parent / "style"


@app.callback()
def tone() -> None:
    """The brand's voice."""


@app.command("score")
def score(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="JSONL rows {id, text}; - reads stdin.")
    ] = "-",
    input_: Annotated[
        str | None, typer.Option("--input", "-i", help="The same, as an option.")
    ] = None,
    style: Annotated[
        Path, typer.Option(help="Folder of style rules in Vale's YAML form, or one rule.")
    ] = SAMPLE_STYLE,
    scorer: Annotated[
        Path | None, typer.Option(help="What `tone learn` wrote: it judges beside the rules.")
    ] = None,
) -> None:
    """Scores answers and points at every violation."""
    if not style.exists():
        raise InvalidInputError(f"{style} does not exist; give a folder of style rules")
    source = open_jsonl(input_ or file)
    if scorer is None:
        guide = StyleGuide.load(style)
        for id_, text in source.rows(_parse):
            typer.echo(dump(as_row(id_, guide.score(text))))
    else:
        # The learnt scorer looks at vectors: all texts are embedded in one go.
        rows = list(source.rows(_parse))
        guide = StyleGuide.load(style, scorer=_prepared(scorer, [text for _, text in rows]))
        for id_, text in rows:
            typer.echo(dump(as_row(id_, guide.score(text))))
    source.report()
    source.require_rows()


@app.command("learn")
def learn(
    out: Annotated[Path, typer.Option(help="Where the scorer is written.")],
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", "-i", help="JSONL rows {text, on_brand: 0..1}; unset, the record's tags."
        ),
    ] = None,
) -> None:
    """Learns a scorer from reviewers' tone tags and says how far it can be trusted."""
    if input_ is None:
        tags = asyncio.run(_recorded_tags())
    else:
        source = open_jsonl(input_)
        tags = list(source.rows(_parse_tag))
        source.report()
    model = asyncio.run(_learn(tags))
    out.write_text(json.dumps(model.to_row()) + "\n", encoding="utf-8")
    typer.echo(
        dump(
            {
                "labels": model.labels,
                "auc": round(model.auc, 4),
                "sensitivity": round(model.sensitivity, 4),
                "specificity": round(model.specificity, 4),
                "threshold": round(model.threshold, 4),
                "scorer": str(out),
            }
        )
    )


def _prepared(path: Path, texts: Sequence[str]) -> PreparedTone:
    from deploy.offline import offline_embedder  # noqa: PLC0415  (torch: only when it is needed)

    return asyncio.run(PreparedTone.of(ToneModel.load(path), offline_embedder(), texts))


async def _learn(tags: Sequence[tuple[str, float]]) -> ToneModel:
    from deploy.offline import offline_embedder  # noqa: PLC0415  (torch: only when it is needed)

    embedder = offline_embedder()
    texts = [text for text, _ in tags]
    vectors = await embedder.embed(texts)
    return learn_tone(texts, vectors, [share for _, share in tags], embedder_id=embedder.id)


async def _recorded_tags() -> list[tuple[str, float]]:
    async with open_store(load_settings()) as store, store.begin() as tx:
        return await tx.records.tone_tags()


def _parse_tag(row: Mapping[str, Any]) -> tuple[str, float]:
    text, share = row["text"], float(row["on_brand"])
    if not isinstance(text, str) or not 0 <= share <= 1:
        raise InvalidInputError("give 'text' and 'on_brand' from 0 to 1 (true is 1)")
    return text, share


def as_row(id_: object, tone_score: ToneScore) -> dict[str, Any]:
    """Returns one output row."""
    return {
        "id": id_,
        "on_brand": tone_score.on_brand,
        "passed": tone_score.passed,
        **({} if tone_score.learnt is None else {"learnt": round(tone_score.learnt, 4)}),
        "violations": [
            {
                "rule": violation.rule,
                "level": violation.level.value,
                "start": violation.start,
                "end": violation.end,
                "message": violation.message,
            }
            for violation in tone_score.violations
        ],
    }


def _parse(row: Mapping[str, Any]) -> tuple[object, str]:
    text = row["text"]
    if not isinstance(text, str):
        raise InvalidInputError(f"'text' must be text, got {type(text).__name__}")
    if row.get("id") is None:
        raise InvalidInputError("missing key 'id'")
    return row["id"], text
