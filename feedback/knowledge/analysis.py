"""The one analyser: text to index terms, the same for documents, questions and labels.

Lower case, `[a-z0-9]+`, stop words out, Snowball English stems. Its version is part of the index:
terms of two versions are never compared.
"""

import re

import Stemmer

ANALYSER_VERSION = "en-snowball-1"

_WORD = re.compile(r"[a-z0-9]+")
_STEMMER = Stemmer.Stemmer("english")

_STOP_WORDS = """
    a about above after again against all am an and any are aren as at be because been before
    being below between both but by can cannot could couldn d did didn do does doesn doing don down
    during each few for from further had hadn has hasn have haven having he her here hers herself
    him himself his how i if in into is isn it its itself just ll m ma me might mightn more most
    must mustn my myself need needn no nor not now o of off on once only or other our ours
    ourselves out over own please re s same shan she should shouldn so some such t than that the
    their theirs them themselves then there these they this those through to too under until up
    ve very was wasn we were weren what when where which while who whom why will with won would
    wouldn y you your yours yourself yourselves"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


# Stems that set a tone and carry no fact.
_COURTESY = """
    sorri apolog thank thanks pleas happi glad help hi hello hey great good okay ok sure welcom
    understand appreci feel free let know absolut certain cours inconveni trouble troubl bear
    patient patienc kind reach well love day nice wonder worri anyth els need want
    question contact"""
COURTESY_STEMS = frozenset(_COURTESY.split())


def content_words(text: str) -> list[str]:
    """Returns the lower-cased words of `text` that carry meaning, unstemmed."""
    return [word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


def terms(text: str) -> list[str]:
    """Returns the index terms of `text`: stems of its content words, in order, with repeats."""
    return [str(stem) for stem in _STEMMER.stemWords(content_words(text))]


def stem(word: str) -> str:
    """Returns the stem of one lower-cased word."""
    return str(_STEMMER.stemWord(word))
