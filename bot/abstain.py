"""When to say "I don't know": a small, conservative rule. Pure."""

import re
from dataclasses import replace
from datetime import datetime

from feedback.domain.interaction import Interaction, InteractionState
from feedback.domain.knowledge import SearchResult
from feedback.prompting import PROMPT_VERSION

ABSTAIN_TEXT = (
    "I don't know this one: our documents don't answer it, and I would rather not guess. "
    "A colleague can help; their reply here will teach me."
)

PASSED_ON_TEXT = "Of course. I call a colleague into this thread."
ALONE_TEXT = (
    "Nobody else can come into our direct conversation. Ask me in a channel where your colleagues "
    "read along, and I call one of them."
)

NEAR_SUBJECT = 0.4
"""Probability from which a question is about our subject although no document answers it.

With the sample documents "What is the capital of Norway?" gets 0.35 and "What is your name?" 0.16:
a lower bound would silence general knowledge.
"""

_IGNORANCE = re.compile(
    r"\b(?:i (?:do not|don['\u2019]t) know|i(?:['\u2019]m| am) not sure|"
    r"i (?:cannot|can['\u2019]t|could not|couldn['\u2019]t) find)\b",
    re.IGNORECASE,
)


def decide_abstain(found: SearchResult, answer: str, *, grounded: bool | None) -> bool:
    """Returns whether an honest "I don't know" is better than this answer.

    Questions that our documents answer are always answered, and so is everything that is clearly
    not about our subject (greetings, arithmetic, general facts): there the model has only its own
    knowledge. In between, where documents come near without answering, an answer that they do not
    support is most likely made up.

    Args:
        found: What retrieval said.
        answer: What the model would say.
        grounded: Whether the answer is supported by the passages; None when nobody can say.
    """
    if not answer.strip():
        return True
    if found.answerable:
        return False
    if _IGNORANCE.search(answer):
        return True
    return bool(found.hits) and found.signals.probability >= NEAR_SUBJECT and grounded is not True


def passed_on(pending: Interaction, *, at: datetime) -> Interaction:
    """Returns the reply to somebody who asks for a person: no model, no part in an experiment."""
    alone = pending.channel.startswith("D")
    return replace(
        pending,
        state=InteractionState.ANSWERED,
        answer=ALONE_TEXT if alone else PASSED_ON_TEXT,
        prompt_version=PROMPT_VERSION,
        answered_at=at,
    )
