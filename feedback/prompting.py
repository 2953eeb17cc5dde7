"""The one place that turns a question into the messages a model sees.

Serving and training call the same function with the same policy: a prompt that differs between the
two is the most common silent failure of a tuned model. Everything here is pure and deterministic.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.errors import InvalidInputError
from feedback.ports import Message
from feedback.settings import BotSettings

PROMPT_VERSION = "1"
"""Changes whenever the same input would render differently; stored with every answer."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_MARKUP = re.compile(r"^(?:[-*+]\s+|>\s?|\d+\.\s+)")
_WORD = re.compile(r"[^\W_]+")
_STEM_LETTERS = 5
_QUESTION = "\nQuestion: "


@dataclass(frozen=True, kw_only=True)
class PromptPolicy:
    """How much of what is known fits into one prompt.

    Attributes:
        system: Instructions for models that follow them; empty sends no system message.
        context_words: Word budget of the retrieved context; 0 sends none. The tiny base reads 40
            words well; models of production size take hundreds.
        history_messages: How many earlier messages of the thread are repeated, newest kept.
        history_words: Word budget of those messages together.
    """

    system: str = ""
    context_words: int = 40
    history_messages: int = 2
    history_words: int = 40

    @classmethod
    def of(cls, bot: BotSettings) -> "PromptPolicy":
        """Returns the one policy of a deployment, for answering, training and evaluating."""
        return cls(system=bot.instructions, context_words=bot.context_words)

    @property
    def version(self) -> str:
        """Names what a prompt looks like; other instructions are another version."""
        if not self.system:
            return PROMPT_VERSION
        return f"{PROMPT_VERSION}+{hashlib.sha256(self.system.encode()).hexdigest()[:8]}"


DEFAULT_POLICY = PromptPolicy()

INSTRUCTED_POLICY = PromptPolicy(
    system=(
        "You are a support assistant. Answer from the context when one is given, in at most three "
        "sentences. If the context does not hold the answer, say that you do not know."
    ),
    context_words=400,
    history_messages=6,
    history_words=400,
)
"""For instruction-tuned models of production size."""


def build_messages(
    question: str,
    passages: Sequence[str],
    history: Sequence[Message] = (),
    policy: PromptPolicy = DEFAULT_POLICY,
) -> list[Message]:
    """Renders one question for the model.

    Args:
        question: The (redacted) question of a person.
        passages: Retrieved texts, best first; empty when retrieval found nothing good enough
            (greetings, arithmetic, unknown subjects).
        history: Earlier messages of the thread, oldest first.
        policy: Budgets and instructions.

    Returns:
        An optional system message, the kept history, and one user message that carries the context.

    Raises:
        InvalidInputError: When the question is empty.
    """
    text = " ".join(question.split())
    if not text:
        raise InvalidInputError("the question is empty; there is nothing to answer")
    context = render_context(text, passages, policy)
    messages = [Message(role="system", content=policy.system)] if policy.system else []
    messages.extend(_recent(history, policy))
    content = f"Context: {context}{_QUESTION}{text}" if context else text
    messages.append(Message(role="user", content=content))
    return messages


def question_in(content: str) -> str:
    """Returns the bare question of a user message that `build_messages` made."""
    return content.rpartition(_QUESTION)[2] or content


def render_context(
    question: str, passages: Sequence[str], policy: PromptPolicy = DEFAULT_POLICY
) -> str:
    """Returns the sentences of `passages` that fit the word budget, in reading order.

    Passages are taken best first. Inside one passage the sentences that share most words with the
    question are taken first, so that a long passage still gives its useful part.
    """
    left = policy.context_words
    kept: list[str] = []
    for passage in passages:
        sentences = [s for s in split_sentences(passage) if s not in kept]
        chosen: set[int] = set()
        for index in _by_overlap(question, sentences):
            words = len(sentences[index].split())
            if words <= left:
                chosen.add(index)
                left -= words
        kept.extend(sentences[index] for index in sorted(chosen))
    return " ".join(kept)


def split_sentences(passage: str) -> list[str]:
    """Splits a passage into sentences; headings are dropped and list marks are stripped."""
    sentences: list[str] = []
    for block in _blocks(passage.splitlines()):
        sentences.extend(part.strip() for part in _SENTENCE_END.split(block) if part.strip())
    return sentences


def _blocks(lines: Iterable[str]) -> list[str]:
    """Joins wrapped lines; blank lines, headings and list items end a block."""
    blocks: list[str] = []
    open_block = False
    for raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            open_block = False
            continue
        item = _MARKUP.match(line)
        text = line[item.end() :] if item else line
        if open_block and not item:
            blocks[-1] = f"{blocks[-1]} {text}"
        else:
            blocks.append(text)
        open_block = True
    return blocks


def _by_overlap(question: str, sentences: Sequence[str]) -> list[int]:
    """Orders sentence indices by shared word stems with the question; ties keep reading order."""
    asked = _stems(question)
    return sorted(range(len(sentences)), key=lambda i: (-len(asked & _stems(sentences[i])), i))


def _stems(text: str) -> set[str]:
    # A five-letter prefix is a crude stem ("export", "exports", "exported"), but it is free.
    words = (word.lower() for word in _WORD.findall(text))
    return {word[:_STEM_LETTERS] for word in words if len(word) > 3 or word.isdigit()}


def _recent(history: Sequence[Message], policy: PromptPolicy) -> list[Message]:
    """Keeps the newest messages within both budgets, never starting with an answer."""
    kept: list[Message] = []
    left = policy.history_words
    newest_first = reversed(history[-policy.history_messages :] if policy.history_messages else [])
    for message in newest_first:
        left -= len(message.content.split())
        if left < 0:
            break
        kept.insert(0, message)
    while kept and kept[0].role == "assistant":
        kept.pop(0)
    return kept
