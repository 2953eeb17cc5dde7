"""Words of the synthetic dialogues: common English words and made-up names."""

import random
from functools import cache
from pathlib import Path

SAMPLES = Path(__file__).parent

_ONSETS = (
    "b",
    "br",
    "c",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "v",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ee", "ou")
_CODAS = ("", "", "l", "m", "n", "r", "s", "t", "x", "nd", "rk")


def sample_text(name: str) -> str:
    """Returns the text of one file of this folder."""
    return (SAMPLES / name).read_text(encoding="utf-8")


@cache
def words() -> tuple[str, ...]:
    """Returns about a thousand common English words."""
    return tuple(sample_text("words.txt").split())


def pseudo_word(rng: random.Random) -> str:
    """Returns a pronounceable word that means nothing, such as `Ralmound`."""
    parts = [
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
        for _ in range(rng.randint(1, 3))
    ]
    word = "".join(parts)
    return word.capitalize() if rng.random() < 0.5 else word
