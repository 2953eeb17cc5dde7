"""The essence of a question: what is left when greetings and framing are taken off.

"Hi team, a customer would like to know when invoices are sent. Thanks!" asks the same as "when
invoices are sent". The frame names no subject and pulls both legs of a search off it.
"""

import re

from feedback.knowledge.analysis import terms

_END = r"(?:\s*[,;:.!\-\u2013\u2014]+\s*|\s+)"
_GREETING = (
    r"(?:hi|hello|hey|hiya|dear|good\s+(?:morning|afternoon|evening|day))"
    r"(?:\s+(?:there|all|everyone|everybody|folks|team|guys|friends|support))?"
)
_PERSON = r"(?:a|one|the|my|our|another)\s+(?:customer|client|user|colleague|member|person|team)"
_ASKERS = rf"(?:i|we|{_PERSON}|somebody|someone|customers|people)"
_ASKED = (
    rf"{_ASKERS}(?:'d|'m|'ve|'re)?\s+(?:(?:just|also|would|am|are|is|was|were|have|has|been|got|still|keep)\s+)*"
    r"(?:asks?|asked|asking|wants?|wanted|likes?|love|needs?|needed|wonders?|wondering|forgot|forget|"
    r"curious)(?:\s+(?:me|us))?(?:\s+to\s+(?:know|ask|find\s+out|learn|understand))?(?:\s+about)?"
)
_REQUEST = (
    r"(?:can|could|would|will)\s+(?:you|someone|anyone|somebody)\s+(?:please\s+|kindly\s+)?"
    r"(?:tell|explain|check|say|let|help|confirm|clarify|remind)(?:\s+(?:to\s+)?(?:me|us))?"
    r"(?:\s+know)?(?:\s+(?:about|with))?"
)
_OPENERS = (
    _GREETING,
    _ASKED,
    _REQUEST,
    r"(?:quick|short|small|simple)\s+(?:one|question)",
    r"(?:just\s+)?(?:a\s+)?(?:quick|short|small)?\s*question",
    r"(?:sorry|excuse\s+me|pardon|ok|okay|so|well|please|pls)",
    r"(?:many\s+thanks|thanks|thank\s+you)(?:\s+(?:a\s+lot|so\s+much|very\s+much|in\s+advance))?",
    r"i\s+(?:don't|do\s+not|cannot|can't)\s+(?:know|remember|understand|find\s+out)",
    r"i\s+need\s+(?:the\s+)?(?:details|information|info|help)\s+(?:on|about|with)",
    r"(?:do|does)\s+(?:you|anyone|anybody|someone)\s+(?:happen\s+to\s+)?know(?:\s+about)?",
    r"(?:please\s+)?(?:tell|explain|show|remind)\s+(?:to\s+)?(?:me|us)(?:\s+about)?",
    r"(?:please\s+)?explain",
    r"any\s+(?:news|idea|ideas|information|info|update|details)(?:\s+(?:on|about))?",
    r"what\s+(?:should|do|must)\s+(?:i|we)\s+(?:need\s+to\s+)?know\s+about",
    r"what\s+(?:is|are|'s)\s+the\s+rules?\s+(?:for|about|on)",
)
_OPENING = re.compile(rf"\s*(?:{'|'.join(_OPENERS)})(?:{_END}|$)", re.IGNORECASE)
_CLOSING = re.compile(
    r"[\s,.!?;]*\b(?:thanks(?:\s+(?:a\s+lot|so\s+much|in\s+advance))?|thank\s+you(?:\s+(?:very|so)"
    r"\s+much)?|please|pls|cheers|many\s+thanks|thx)[\s.!?]*$",
    re.IGNORECASE,
)


def essence(question: str) -> str:
    """Returns the question without greeting, framing and thanks.

    A question that would lose every index term keeps its words: then the frame was the subject.
    """
    text = " ".join(question.replace("\u2019", "'").split())
    while (shorter := _CLOSING.sub("", text)) != text and terms(shorter):
        text = shorter
    while (match := _OPENING.match(text)) and (rest := text[match.end() :]):
        if not terms(rest):
            break
        text = rest
    return text.strip() or question.strip()
