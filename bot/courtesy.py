"""Tells a polite word from a question. Pure."""

import re

from feedback.domain.text import words

_EMOJI = re.compile(r":[a-z0-9_+'-]+:")
_THANKS = frozenset(
    words(
        "thanks thank thx ty cheers great perfect awesome cool nice ok okay works worked helped "
        "helps brilliant lovely understood"
    )
)
_AROUND = frozenset(
    words(
        "you so very much a lot that this it is was got all good again many for your help the to "
        "know now will do really me i i'll try and"
    )
)
_LONGEST = 8


def is_courtesy(text: str) -> bool:
    """Whether a follow-up only thanks or nods, so that an answer would be a nuisance."""
    bare = _EMOJI.sub(" ", text)
    said = words(bare)
    if not said:
        return True
    polite = len(said) <= _LONGEST and all(word in _THANKS | _AROUND for word in said)
    return polite and "?" not in bare and any(word in _THANKS for word in said)
