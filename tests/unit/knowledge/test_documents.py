import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pypdf import PdfWriter

from feedback.errors import InvalidInputError
from feedback.knowledge.chunking import chunk
from feedback.knowledge.documents import load_documents, parse_row


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def pdf(text: str) -> bytes:
    """A one-page PDF that shows `text`, written by hand."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    resources = b"/Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] %b >>" % resources,
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return (
        body
        + b"xref\n0 6\n0000000000 65535 f \n"
        + table
        + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(body)
    )


def test_reads_every_kind_of_file_below_a_folder(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "# Refunds\n\nPaid in nine days.")
    write(
        tmp_path,
        "deep/b.html",
        "<html><head><title>Seats</title><style>p{}</style></head><body><nav>Menu</nav>"
        "<h2>Team &amp; seats</h2><p>Twelve <b>seats</b>.</p><ul><li>one</li></ul></body></html>",
    )
    write(tmp_path, "c_d.txt", "# 1 is the first\nplain")
    (tmp_path / "e.pdf").write_bytes(pdf("Exports stay ready for days."))
    write(tmp_path, ".hidden.md", "# No")
    write(tmp_path, "image.png", "no")
    loaded = load_documents(str(tmp_path))
    found = {document.doc_id: document for document in loaded.documents}
    assert set(found) == {"a", "deep/b", "c_d", "e"}
    assert found["a"].title == "Refunds"
    assert found["deep/b"].title == "Seats"
    assert found["deep/b"].text == "## Team & seats\n\nTwelve seats.\n\n- one"
    assert found["c_d"].title == "C d"
    assert chunk(found["c_d"])[0].text == "# 1 is the first\nplain"
    assert "Exports stay ready for days." in found["e"].text
    assert loaded.problems == ()


def test_front_matter_names_the_document(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a.md",
        "---\ndoc_id: refunds\nuri: https://x.example/r\naudience: staff\n"
        "updated_at: 2026-01-02\n---\nRefunds are paid in nine days.",
    )
    (document,) = load_documents(str(tmp_path)).documents
    assert (document.doc_id, document.uri, document.audience) == (
        "refunds",
        "https://x.example/r",
        "staff",
    )
    assert document.updated_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert document.text == "Refunds are paid in nine days."


def test_unreadable_files_are_reported_and_kept(tmp_path: Path) -> None:
    write(tmp_path, "good.md", "Refunds are paid in nine days.")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nonsense")
    with (tmp_path / "scan.pdf").open("wb") as stream:
        writer = PdfWriter()
        writer.add_blank_page(width=72, height=72)
        writer.write(stream)
    write(tmp_path, "empty.md", " \n")
    loaded = load_documents(str(tmp_path))
    assert [document.doc_id for document in loaded.documents] == ["good"]
    assert set(loaded.unreadable) == {"latin", "broken", "scan", "empty"}
    assert any("UTF-8" in problem for problem in loaded.problems)
    assert any("text recognition" in problem for problem in loaded.problems)


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "One page with words.")
    write(tmp_path, "a.txt", "Another page with words.")
    with pytest.raises(InvalidInputError, match="'a' is taken by another file"):
        load_documents(str(tmp_path))


def test_reads_jsonl_and_reports_bad_lines(tmp_path: Path) -> None:
    rows = [
        json.dumps({"doc_id": "a", "title": "T", "text": "x", "uri": "u", "updated_at": 0}),
        "{broken",
        json.dumps({"doc_id": "b"}),
        json.dumps({"doc_id": "c", "text": "y", "section_headers": ["One", "Two\nthree"]}),
        json.dumps({"doc_id": "d", "text": "y", "updated_at": "yesterday"}),
    ]
    write(tmp_path, "docs.jsonl", "\n".join(rows))
    loaded = load_documents(str(tmp_path / "docs.jsonl"))
    first, second = loaded.documents
    assert first.updated_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert second.text == "# One\n## Two three\ny"
    assert [problem.split(":")[1] for problem in loaded.problems] == ["2", "3", "5"]


@pytest.mark.parametrize("content", [None, "", "not json"])
def test_nothing_readable_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "docs.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInputError, match=r"docs\.jsonl"):
        load_documents(str(path))


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="md, html, pdf or txt"):
        load_documents(str(tmp_path))


@pytest.mark.parametrize("row", [{"doc_id": "", "text": "x"}, {"doc_id": "a", "text": 3}])
def test_rows_of_the_wrong_shape_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        parse_row(row)
