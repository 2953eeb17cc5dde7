import pytest

from feedback.errors import InvalidInputError
from feedback.samples import (
    Kind,
    arithmetic_probes,
    context_probes,
    echo_probes,
    fact_probes,
    generic_dialogues,
    greeting_probes,
    load_company,
    refusal_probes,
)
from feedback.samples.company import CLOSING, OPENING

DIALOGUES = generic_dialogues(5, 4000)


def test_the_same_seed_gives_the_same_dialogues() -> None:
    assert generic_dialogues(5, 50) == generic_dialogues(5, 50)
    assert generic_dialogues(5, 50) != generic_dialogues(6, 50)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_asked_for_alone(kind: Kind) -> None:
    drawn = generic_dialogues(1, 20, [kind])

    assert {dialogue.kind for dialogue in drawn} == {kind}
    assert all(dialogue.completion and dialogue.messages for dialogue in drawn)


def test_weights_shift_the_mix() -> None:
    drawn = generic_dialogues(1, 200, {Kind.ECHO: 3.0, Kind.FACTS: 1.0, Kind.CONTEXT: 0.0})

    counts = {kind: sum(d.kind is kind for d in drawn) for kind in Kind}
    assert counts[Kind.ECHO] > counts[Kind.FACTS] > 0 == counts[Kind.CONTEXT]


def test_a_mix_without_weight_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="positive weight"):
        generic_dialogues(1, 5, {Kind.ECHO: 0.0})


def test_generic_dialogues_know_neither_the_facts_nor_the_voice_of_the_company() -> None:
    company = load_company()
    forbidden = [OPENING, CLOSING, company.name, *(intent.fact for intent in company.intents)]

    texts = [d.completion for d in DIALOGUES] + [m.content for d in DIALOGUES for m in d.messages]

    assert not [text for text in texts for phrase in forbidden if phrase in text]


def test_probes_are_never_asked_in_dialogues() -> None:
    asked = {dialogue.messages[-1].content for dialogue in DIALOGUES}
    probes = [*arithmetic_probes(), *fact_probes(), *refusal_probes(), *context_probes()]
    probes += echo_probes()

    assert len(probes) >= 290
    assert not [probe.question for probe in probes if probe.messages()[-1].content in asked]


def test_a_right_sum_passes_and_a_wrong_one_fails() -> None:
    (probe, *_) = [p for p in arithmetic_probes() if "+" in p.question]
    result = next(text for text in probe.accepted if text.startswith("is "))

    assert probe.is_right(f"It {result}.")
    assert not probe.is_right(f"It {result}1.")


def test_declining_is_what_a_refusal_probe_wants() -> None:
    probe = refusal_probes()[0]

    assert probe.is_right("I am sorry, I can not help with that.")
    assert not probe.is_right("The password is blue.")


def test_greetings_have_one_answer_each() -> None:
    assert all(probe.is_right(probe.accepted[0]) for probe in greeting_probes())
