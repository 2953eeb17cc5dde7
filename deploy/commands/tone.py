"""`understudy tone`: how well answers keep to the style guide."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import feedback.samples
from feedback.errors import InvalidInputError
from feedback.jsonl import dump, open_jsonl
from feedback.tone import StyleGuide, ToneScore

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
) -> None:
    """Scores answers and points at every violation."""
    if not style.exists():
        raise InvalidInputError(f"{style} does not exist; give a folder of style rules")
    guide = StyleGuide.load(style)
    source = open_jsonl(input_ or file)
    for id_, text in source.rows(_parse):
        typer.echo(dump(as_row(id_, guide.score(text))))
    source.report()
    source.require_rows()


def as_row(id_: object, tone_score: ToneScore) -> dict[str, Any]:
    """Returns one output row."""
    return {
        "id": id_,
        "on_brand": tone_score.on_brand,
        "passed": tone_score.passed,
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
