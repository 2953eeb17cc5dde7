"""Reads documents: a folder of md, html, pdf and txt files, or one JSONL file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from feedback.domain.knowledge import Document
from feedback.errors import InvalidInputError
from feedback.jsonl import open_jsonl

SUFFIXES = frozenset([".md", ".markdown", ".html", ".htm", ".pdf", ".txt"])

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*\n", re.DOTALL)
_TITLE = re.compile(r"^#\s+(.+?)\s*#*\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class LoadedDocuments:
    """What a path held.

    Attributes:
        problems: `where: what is wrong` of every file or line that could not be read.
        unreadable: Ids of files that exist and could not be read: a sync must not remove them.
    """

    documents: tuple[Document, ...]
    problems: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def load_documents(path: str) -> LoadedDocuments:
    """Reads a folder, recursively, or a JSONL file (`-` for standard input).

    Raises:
        InvalidInputError: When the path is missing or holds no readable document.
    """
    folder = Path(path)
    loaded = _load_folder(folder) if path != "-" and folder.is_dir() else _load_jsonl(path)
    if not loaded.documents:
        wanted = "a folder with md, html, pdf or txt files, or JSONL rows {doc_id, title, text}"
        first = f": {loaded.problems[0]}" if loaded.problems else ""
        raise InvalidInputError(f"{path} holds no readable document{first}; expected {wanted}")
    return loaded


def parse_row(row: Mapping[str, Any]) -> Document:
    """Parses `{doc_id, title, text, uri?, audience?, updated_at?, expires_at?}`.

    `section_headers` (a list), when there, is the heading path of the text.

    Raises:
        InvalidInputError: When a field is missing or of the wrong type.
    """
    for key in ("doc_id", "text"):
        if not str(row.get(key) or "").strip():
            raise InvalidInputError(f"missing key {key!r}")
    text = row["text"]
    if not isinstance(text, str):
        raise InvalidInputError(f"'text' must be text, got {type(text).__name__}")
    levels = enumerate(row.get("section_headers") or (), start=1)
    headings = [f"{'#' * min(level, 6)} {' '.join(str(name).split())}" for level, name in levels]
    return Document(
        doc_id=str(row["doc_id"]),
        title=str(row.get("title") or row["doc_id"]),
        text="\n".join([*headings, text]),
        uri=str(row.get("uri") or ""),
        audience=str(row["audience"]) if row.get("audience") else None,
        updated_at=_moment(row.get("updated_at"), "updated_at"),
        expires_at=_moment(row.get("expires_at"), "expires_at"),
    )


def _load_jsonl(path: str) -> LoadedDocuments:
    source = open_jsonl(path)
    documents = tuple(source.rows(parse_row))
    return LoadedDocuments(
        documents=documents,
        problems=tuple(f"{source.name}:{line}: {what}" for line, what in source.problems),
    )


def _load_folder(folder: Path) -> LoadedDocuments:
    documents: dict[str, Document] = {}
    problems: list[str] = []
    unreadable: list[str] = []
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or not file.is_file() or file.suffix.lower() not in SUFFIXES:
            continue
        doc_id = inside.with_suffix("").as_posix()
        try:
            document = _read(file, doc_id)
        except InvalidInputError as exc:
            problems.append(f"{file}: {exc}")
            unreadable.append(doc_id)
            continue
        if document.doc_id in documents:
            raise InvalidInputError(
                f"{file}: document id {document.doc_id!r} is taken by another file; rename one or "
                "give it a `doc_id` in its front matter"
            )
        documents[document.doc_id] = document
    return LoadedDocuments(
        documents=tuple(documents.values()),
        problems=tuple(problems),
        unreadable=tuple(unreadable),
    )


def _read(file: Path, doc_id: str) -> Document:
    """Reads one file; the name stands in for a missing title.

    Raises:
        InvalidInputError: When the file cannot be read as what its suffix says.
    """
    name = file.stem.replace("_", " ").replace("-", " ").capitalize()
    suffix = file.suffix.lower()
    try:
        modified = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        if suffix == ".pdf":
            title, text = _pdf(file)
        elif suffix in {".html", ".htm"}:
            title, text = _html(file.read_text(encoding="utf-8"))
        elif suffix == ".txt":
            title, text = "", _plain(file.read_text(encoding="utf-8"))
        else:
            return _markdown(file.read_text(encoding="utf-8"), doc_id, name, modified)
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"not readable as UTF-8 text: {exc}") from exc
    if not text.strip():
        raise InvalidInputError("holds no text (a scanned PDF needs text recognition first)")
    return Document(doc_id=doc_id, title=title or name, text=text, updated_at=modified)


def _markdown(text: str, doc_id: str, name: str, modified: datetime) -> Document:
    """Reads Markdown with optional YAML front matter in the keys of a JSONL row."""
    front: dict[str, Any] = {}
    if match := _FRONT_MATTER.match(text):
        try:
            parsed = yaml.safe_load(match.group(1))
        except yaml.YAMLError as exc:
            raise InvalidInputError(f"front matter is no YAML: {exc}") from exc
        front = parsed if isinstance(parsed, dict) else {}
        text = text[match.end() :]
    if not text.strip():
        raise InvalidInputError("holds no text")
    heading = _TITLE.search(text)
    return parse_row(
        {
            "doc_id": doc_id,
            "title": heading.group(1) if heading else name,
            "updated_at": modified,
            **{key: value for key, value in front.items() if key != "section_headers"},
            "text": text,
        }
    )


def _plain(text: str) -> str:
    """Keeps `#` lines of plain text from being taken for headings."""
    return re.sub(r"(?m)^(#{1,6})(?=\s)", r"\\\1", text)


def _pdf(file: Path) -> tuple[str, str]:
    try:
        reader = PdfReader(file)
        title = str(reader.metadata.title or "").strip() if reader.metadata else ""
        text = "\n\n".join(page.extract_text() for page in reader.pages)
    except (PyPdfError, ValueError, KeyError) as exc:
        raise InvalidInputError(f"not readable as PDF: {exc}") from exc
    return title, _plain(text)


class _HtmlText(HTMLParser):
    """Collects visible text; headings become `#` lines, list items become `-` lines."""

    _SKIPPED = frozenset(["script", "style", "nav", "footer", "noscript", "template", "svg"])
    _BLOCKS = re.compile(r"p|div|section|article|li|[uod]l|table|tr|br|h[1-6]|pre|blockquote|d[dt]")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._skipping = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in self._SKIPPED:
            self._skipping += 1
        self._in_title = tag == "title"
        if self._BLOCKS.fullmatch(tag):
            self._parts.append("\n")
        if re.fullmatch(r"h[1-6]", tag):
            self._parts.append("\n" + "#" * int(tag[1]) + " ")
        elif tag == "li":
            self._parts.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SKIPPED:
            self._skipping = max(self._skipping - 1, 0)
        if tag == "title":
            self._in_title = False
        if self._BLOCKS.fullmatch(tag):
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data.strip()
        elif not self._skipping:
            self._parts.append(re.sub(r"\s+", " ", data))

    def text(self) -> str:
        lines = [line.strip() for line in "".join(self._parts).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _html(source: str) -> tuple[str, str]:
    parser = _HtmlText()
    parser.feed(source)
    parser.close()
    text = parser.text()
    heading = _TITLE.search(text)
    return parser.title or (heading.group(1) if heading else ""), text


def _moment(value: object, key: str) -> datetime | None:
    """Reads an ISO 8601 date or seconds since the epoch; without a zone it is UTC.

    Raises:
        InvalidInputError: When it is neither.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except (ValueError, OverflowError) as exc:
        raise InvalidInputError(f"{key} {value!r} is no ISO 8601 date") from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
