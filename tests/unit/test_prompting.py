import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import InvalidInputError
from feedback.ports import Message
from feedback.prompting import (
    PROMPT_VERSION,
    PromptPolicy,
    build_messages,
    render_context,
    split_sentences,
)
from feedback.settings import BotSettings

PAGE = (
    "# Exports\n\nExports stay ready for 45 days. A small\nexport takes two minutes. "
    "Find them here."
)


def test_a_question_without_context_is_sent_as_it_is() -> None:
    assert build_messages("What is 2 + 3?", ()) == [Message(role="user", content="What is 2 + 3?")]


def test_context_precedes_the_question_and_headings_are_dropped() -> None:
    (message,) = build_messages("How long?", (PAGE,))

    assert message.content == (
        "Context: Exports stay ready for 45 days. A small export takes two minutes. "
        "Find them here.\nQuestion: How long?"
    )


def test_a_long_passage_keeps_the_sentences_that_share_words_with_the_question() -> None:
    policy = PromptPolicy(context_words=6)

    context = render_context(
        "When do exports end?", ("We sell tea and cake. Exports stay ready for 45 days.",), policy
    )

    assert context == "Exports stay ready for 45 days."


def test_passages_are_taken_best_first_and_repeated_sentences_once() -> None:
    context = render_context("x", ("One two.", "One two. Three four."), PromptPolicy())

    assert context == "One two. Three four."


def test_history_keeps_the_newest_and_never_starts_with_an_answer() -> None:
    history = [
        Message(role="user", content="first"),
        Message(role="assistant", content="one"),
        Message(role="user", content="second"),
        Message(role="assistant", content="two"),
    ]

    kept = build_messages("third", (), history, PromptPolicy(history_messages=3))

    assert [m.content for m in kept] == ["second", "two", "third"]


def test_a_system_message_comes_first_when_the_policy_has_one() -> None:
    messages = build_messages("Hi", (), policy=PromptPolicy(system="Be brief."))

    assert messages[0] == Message(role="system", content="Be brief.")


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        build_messages("  \n", ())


def test_lists_become_sentences_of_their_own() -> None:
    assert split_sentences("- Press A.\n- Press B.\n\nDone.") == ["Press A.", "Press B.", "Done."]


@given(
    question=st.text(min_size=1).filter(str.strip),
    passages=st.lists(st.text(), max_size=4),
    budget=st.integers(min_value=0, max_value=30),
)
def test_the_context_never_exceeds_its_budget(
    question: str, passages: list[str], budget: int
) -> None:
    context = render_context(question, passages, PromptPolicy(context_words=budget))

    assert len(context.split()) <= budget


@given(question=st.text(min_size=1).filter(str.strip), passages=st.lists(st.text(), max_size=3))
def test_the_same_input_gives_the_same_prompt(question: str, passages: list[str]) -> None:
    assert build_messages(question, passages) == build_messages(question, passages)


def test_other_instructions_are_another_version() -> None:
    plain = PromptPolicy.of(BotSettings())
    assert (plain.system, plain.version) == ("", PROMPT_VERSION)
    brief, kind = (
        PromptPolicy.of(BotSettings(instructions=text)).version
        for text in ("Be brief.", "Be kind.")
    )
    assert len({plain.version, brief, kind}) == 3
