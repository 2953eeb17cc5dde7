"""The packaged word lists and the form in which names are compared."""

import unicodedata
from functools import cache, lru_cache
from importlib.resources import files

_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "d",
        "\u2019": "'",
    }
)


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Returns `word` in lower case without accents, for comparing names."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold().translate(_LETTERS))
    return "".join(ch for ch in decomposed if not unicodedata.combining(ch))


@cache
def load_words(name: str) -> frozenset[str]:
    """Returns the folded words of a packaged list; lines that start with `#` are comments."""
    text = (files("feedback.redaction") / "data" / name).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(fold(word) for line in lines for word in line.split())
