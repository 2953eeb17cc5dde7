"""`understudy mine`: which failures repeat in a file of interactions, and the cheapest fix."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from feedback.domain.interaction import InteractionRecord
from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternStatus,
    PreviousPattern,
    Verdict,
)
from feedback.errors import InvalidInputError
from feedback.jsonl import open_jsonl
from feedback.mining.patterns import MiningPolicy, embed_records
from feedback.mining.patterns import mine as find_patterns
from feedback.tone import StyleGuide


def mine(
    input_path: Annotated[
        str, typer.Option("--input", "-i", help="JSONL of interactions; - for standard input.")
    ],
    previous: Annotated[
        Path | None,
        typer.Option(help="Output of an earlier run: its pattern ids and states live on."),
    ] = None,
    style: Annotated[
        Path | None,
        typer.Option(help="Folder of style rules: answers nobody corrected may be off-brand."),
    ] = None,
) -> None:
    """Group the failures of a file by meaning and say what would fix each group."""
    source = open_jsonl(input_path)
    records = list(source.rows(InteractionRecord.from_row))
    source.report()
    source.require_rows()
    past = read_previous(previous) if previous is not None else []
    guide = StyleGuide.load(style) if style is not None else None
    result = asyncio.run(_mine(records, past, guide))
    print(json.dumps(as_object(result), ensure_ascii=False))
    failed = sum(1 for record in records if record.failed)
    print(
        f"{len(records)} interactions, {failed} failed: {len(result.patterns)} patterns, "
        f"{len(result.unclustered)} failures in none; {len(source.problems)} bad rows",
        file=sys.stderr,
    )


async def _mine(
    records: list[InteractionRecord], previous: list[PreviousPattern], guide: StyleGuide | None
) -> MiningResult:
    from deploy.offline import offline_embedder  # noqa: PLC0415  (torch: only when it is needed)

    meaning = await embed_records(records, offline_embedder())
    return find_patterns(
        records,
        meaning,
        previous=previous,
        policy=MiningPolicy(),
        off_brand=None if guide is None else lambda answer: not guide.score(answer).passed,
    )


def as_object(result: MiningResult) -> dict[str, Any]:
    """Returns a run as the one JSON object that `understudy mine` prints."""
    return {
        "patterns": [_pattern(pattern) for pattern in result.patterns],
        "unclustered": list(result.unclustered),
    }


def _pattern(pattern: Pattern) -> dict[str, Any]:
    return {
        "id": pattern.id,
        "kind": pattern.kind.value,
        "label": pattern.label,
        "size": pattern.size,
        "users": pattern.users,
        "verdict": pattern.verdict.value,
        "reasons": list(pattern.verdict_reasons),
        "draft": pattern.draft,
        "status": pattern.status.value,
        "trend": round(pattern.trend, 3),
        "example_ids": list(pattern.example_ids),
        "member_ids": list(pattern.member_ids),
        "score": round(pattern.score, 4),
        "signals": dict(pattern.signals),
    }


def read_previous(path: Path) -> list[PreviousPattern]:
    """Reads the patterns of an earlier run's output.

    Raises:
        InvalidInputError: When the file is no such output.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["patterns"]
        return [
            PreviousPattern(
                id=str(row["id"]),
                member_ids=tuple(map(str, row["member_ids"])),
                status=PatternStatus(row.get("status", "open")),
                verdict=Verdict(row["verdict"]),
            )
            for row in rows
        ]
    except OSError as exc:
        raise InvalidInputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidInputError(
            f"{path} is no output of `understudy mine` ({exc}); give the JSON object it printed"
        ) from exc
