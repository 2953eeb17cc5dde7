"""Documents the operator owns, the chunks they are cut into, and what a search returns."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document as the operator keeps it.

    Attributes:
        text: Markdown or plain text; headings start with `#`.
        uri: Where a person can read it; empty when nowhere.
        audience: Only searches for this audience see it; None: everybody does.
        updated_at: When its content last changed, as its source says.
        expires_at: From then on it leaves the results.
    """

    doc_id: str
    title: str
    text: str
    uri: str = ""
    audience: str | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A passage of a document, short enough to retrieve and to cite.

    Attributes:
        chunk_id: Opaque; the same for the same text at the same place under the same headings.
        position: 0 for the document's first chunk.
        heading: Heading path inside the document, `Account > Passwords`; empty at its top.
        content_hash: Of title, heading path and text: two chunks with one hash share a vector.
    """

    chunk_id: str
    doc_id: str
    position: int
    title: str
    heading: str
    text: str
    content_hash: str

    @property
    def path(self) -> str:
        """Title and heading path, as embedded and shown."""
        return f"{self.title} > {self.heading}" if self.heading else self.title


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A found chunk.

    Attributes:
        score: 0..1. The best hit's score is the probability that the documents answer the
            question; the others follow in proportion. Comparable between questions.
    """

    doc_id: str
    chunk_id: str
    score: float
    title: str
    heading: str
    text: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What the ranking says about whether the documents answer the question at all.

    Attributes:
        top_cosine: Best cosine.
        gap: Best cosine minus the median of all candidates': how far it stands out.
        lexical: Best BM25 score over the sum of the question terms' idf.
        coverage: Share of the question's idf found in the best three chunks together.
        agreement: 1 when the BM25 winner is among the ten nearest vectors, else 0.
        probability: That the documents answer it, from all of these.
    """

    top_cosine: float = 0.0
    gap: float = 0.0
    lexical: float = 0.0
    coverage: float = 0.0
    agreement: float = 0.0
    probability: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Hits, best first, and whether they answer the question."""

    CONTEXT_FROM: ClassVar[float] = 0.1
    """Probability of being answered from which the hits are worth showing to the model. On the
    sample company's held-out questions .88 of the prompts hold the fact when only answerable ones
    carry passages, .94 from here on; 6 % of generic questions then carry passages too."""

    hits: tuple[Hit, ...] = ()
    answerable: bool = False
    signals: Signals = field(default_factory=Signals)

    @property
    def passages(self) -> tuple[str, ...]:
        """Texts for the prompt: the documents that come near, also where they may not answer."""
        near = self.answerable or self.signals.probability >= self.CONTEXT_FROM
        return tuple(hit.text for hit in self.hits) if near else ()


@dataclass(frozen=True, kw_only=True)
class SyncCounts:
    """What a sync did to documents, and how many chunks had to be embedded for it."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    embedded_chunks: int = 0
