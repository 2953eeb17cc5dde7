"""Phrases after which a name follows: "my name is", "Dear", "Dr"."""

import re
from dataclasses import dataclass

_TITLE = re.compile(
    r"(?<!\w)(?:[Mm]rs?|[Mm]s|[Mm]iss|[Dd]r|[Pp]rof|[Pp]rofessor|[Ss]ir|[Mm]adam|[Ff]rau"
    r"|[Hh]err|[Mm]me)\.?[ ]+"
)
# After these a name follows, capitalised or not.
_NAME = re.compile(
    r"(?i)(?:\b(?:my|his|her|their|our|the|customer'?s?|user'?s?|full|first|last|family|given"
    r"|middle|maiden|sur|nick)[ ]?"
    r"(?:(?:full|first|last|family|given|middle|maiden|legal|real|new|old)[ ])?name(?:'s"
    r"|[ ]is|[ ]was|[ ]to|[ ]should be|[ ]to be)?[ ]*[:=]?"
    r"|\bname[ ]?[:=]|\bchange it to|\beveryone calls me|\bpeople call me"
    r"|\bunder the name(?: of)?|\bit's under|\bit is under"
    r"|\bsigned,?|\b(?:named?|called) (?:him|her|them)|\bi go by|\bsincerely yours,?)\s+"
)
_NAME_HINT = re.compile(r"(?i)name|calls? me|change it|under|signed|called|go by|sincerely")
# After these a capitalised word that is no ordinary word is a name.
_GREETING = re.compile(
    r"(?i)(?:\b(?:dear|hi|hello|hey|hiya|thanks|thank you|cheers|morning|afternoon|evening),?[ ]+"
    r"|\b(?:(?:kind|best|warm|many|with)[ ])*(?:regards|wishes|sincerely|cheers|thanks"
    r"|thank you|best|yours),?[ ]*\n\s*"
    r"|\b(?:said|asked|told) \S+ (?:to )?|\b(?:said|says|asked|told|replied|explained)[ ]+"
    r"|\b(?:speak|spoke|talk|talked|spoken) (?:to|with)[ ]+"
    r"|\b(?:assistant to|colleague|boss|manager|husband|wife|son|daughter|brother|sister"
    r"|friend|mother|father|agent|employee|producer)[ ]+"
    r"|\b(?:i'm|i am)[ ]+(?=\S+[ ](?:from|and|here)\b)"
    r"|\bthis is[ ]+(?=\S+(?:[ ]\S+)?[ ](?:from|here|speaking)\b))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cues:
    """Where in a text a cue ends, that is, where the name would start.

    Attributes:
        name: After "my name is": whatever follows is a name.
        greeting: After "Dear" or "said": a capitalised word that is no ordinary word is a name.
        title: After "Dr".
    """

    name: frozenset[int]
    greeting: frozenset[int]
    title: frozenset[int]

    def polite(self, position: int) -> bool:
        """Whether a greeting or a title stands right before `position`."""
        return position in self.greeting or position in self.title


def find_cues(text: str) -> Cues:
    """Returns every place right after a cue."""
    named = _ends(_NAME, text) if _NAME_HINT.search(text) else frozenset[int]()
    return Cues(name=named, greeting=_ends(_GREETING, text), title=_ends(_TITLE, text))


def _ends(pattern: re.Pattern[str], text: str) -> frozenset[int]:
    return frozenset(match.end() for match in pattern.finditer(text))
