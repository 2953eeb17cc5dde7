"""JSON Lines in and out: the one reader every offline command uses.

A bad row never stops a file: it is reported by line number, counted, and skipped.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from feedback.errors import InvalidInputError

Row = Mapping[str, Any]
T = TypeVar("T")


@dataclass(kw_only=True)
class JsonlSource:
    """Rows of one JSONL file or of standard input (`-`).

    Attributes:
        name: What messages call this source.
        read: How many rows were accepted so far.
        problems: `(line number, what is wrong)` of every refused row.
    """

    name: str
    lines: Iterator[str]
    read: int = 0
    problems: list[tuple[int, str]] = field(default_factory=list)

    def rows(self, parse: Callable[[Row], T]) -> Iterator[T]:
        """Yields parsed rows; a row that is no JSON object or that `parse` refuses is recorded.

        Args:
            parse: Turns one object into a value; raises InvalidInputError, KeyError, TypeError
                or ValueError when it cannot.
        """
        for number, line in enumerate(self.lines, start=1):
            if not line.strip():
                continue
            try:
                data = json.loads(line)
                if not isinstance(data, dict):
                    raise InvalidInputError(f"expected a JSON object, got {type(data).__name__}")
                value = parse(data)
            except KeyError as exc:
                self.problems.append((number, f"missing key {exc}"))
            except (InvalidInputError, TypeError, ValueError) as exc:
                self.problems.append((number, str(exc)))
            else:
                self.read += 1
                yield value

    def report(self, stream: IO[str] | None = None) -> None:
        """Writes every problem as `name:line: what is wrong` to `stream` (standard error)."""
        for number, problem in self.problems:
            print(f"{self.name}:{number}: {problem}", file=stream or sys.stderr)

    def require_rows(self) -> None:
        """Refuses a source in which nothing was usable.

        Raises:
            InvalidInputError: When no row was accepted.
        """
        if self.read == 0:
            raise InvalidInputError(
                f"{self.name} holds no usable row ({len(self.problems)} bad): expected one JSON "
                "object a line"
            )


def open_jsonl(path: str) -> JsonlSource:
    """Opens a JSONL file, or standard input for `-`.

    Raises:
        InvalidInputError: When the file is missing, unreadable or not UTF-8 text.
    """
    if path == "-":
        return JsonlSource(name="stdin", lines=iter(sys.stdin))
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as exc:
        raise InvalidInputError(
            f"cannot read {path}: {exc.strerror or exc}; give an existing JSONL file or - for stdin"
        ) from exc
    except UnicodeDecodeError as exc:
        raise InvalidInputError(f"{path} is not UTF-8 text: {exc}") from exc
    # Only a line feed ends a row: `splitlines` would also break at U+2028 and the like inside text.
    return JsonlSource(name=path, lines=iter(text.split("\n")))


def dump(row: Mapping[str, Any]) -> str:
    """Returns one compact line of JSON, non-ASCII kept as it is.

    Half a surrogate pair cannot be written as UTF-8; a row that holds one is escaped instead.
    """
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, separators=(",", ":"))
    return line
