import pytest
import yaml

from feedback.errors import InvalidInputError
from feedback.prompting import render_context
from feedback.samples import Split, is_on_brand, is_right, load_company
from feedback.samples.company import CLOSING, OPENING, Intent

COMPANY = load_company()


def test_the_company_is_large_enough_for_the_demo() -> None:
    assert len(COMPANY.documents) >= 40
    assert len(COMPANY.intents) >= 30
    assert all(len(intent.questions(Split.LIVE)) >= 35 for intent in COMPANY.intents)


@pytest.mark.parametrize("intent", COMPANY.intents, ids=lambda intent: intent.id)
def test_each_intent_is_answered_by_its_document_and_by_no_other(intent: Intent) -> None:
    document = COMPANY.document(intent.doc_id)

    assert intent.fact in " ".join(document.text.split())
    assert intent.fact in render_context("anything", [document.text])
    assert is_right(intent.gold_answer, intent)
    others = [other for other in COMPANY.intents if other.id != intent.id]
    assert not [other.id for other in others if is_right(other.gold_answer, intent)]


def test_no_wording_is_both_live_and_held_out_and_none_asks_two_things() -> None:
    live = [q for intent in COMPANY.intents for q in intent.questions(Split.LIVE)]
    held_out = [q for intent in COMPANY.intents for q in intent.questions(Split.HELDOUT)]

    assert not set(live) & set(held_out)
    assert len(set(live)) == len(live)
    assert len(set(held_out)) == len(held_out)


def test_held_out_phrases_appear_in_no_live_wording() -> None:
    for intent in COMPANY.intents:
        live = " | ".join(intent.questions(Split.LIVE)).lower()
        assert intent.clauses[-1].lower() not in live
        assert intent.direct[-1].lower() not in live


def test_the_split_is_the_same_every_time_and_the_halves_make_the_whole() -> None:
    intent = COMPANY.intents[0]

    assert intent.questions("live") == intent.questions(Split.LIVE)
    parts = {*intent.questions(Split.NEW_FRAME), *intent.questions(Split.NEW_PHRASE)}
    assert parts == set(intent.questions(Split.HELDOUT))


def test_a_question_leads_back_to_its_intent() -> None:
    intent = COMPANY.intents[3]

    assert COMPANY.intent_of(intent.questions(Split.HELDOUT)[0]) is intent
    assert COMPANY.intent_of("What is 2 + 2?") is None


def test_right_needs_whole_words() -> None:
    intent = COMPANY.intent("login-code")  # 5 minutes

    assert is_right("It works for 5 MINUTES!", intent)
    assert not is_right("It works for 45 minutes.", intent)


def test_on_brand_needs_both_lines_and_no_apology() -> None:
    assert is_on_brand(f"{OPENING} It is 5. {CLOSING}")
    assert not is_on_brand(f"{OPENING} It is 5.")
    assert not is_on_brand(f"It is 5. {CLOSING}")
    assert not is_on_brand(f"{OPENING} Sorry, it is 5. {CLOSING}")


def test_the_style_rules_are_vale_rules() -> None:
    rules = {p.stem: yaml.safe_load(p.read_text()) for p in COMPANY.style_guide_path.glob("*.yml")}

    assert {"opening", "closing", "apology", "cold", "jargon"} <= set(rules)
    for rule in rules.values():
        assert rule["extends"] in {"existence", "occurrence", "substitution"}
        assert rule["message"]
        assert rule["level"] in {"suggestion", "warning", "error"}


def test_unknown_ids_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no intent"):
        COMPANY.intent("nothing")
    with pytest.raises(InvalidInputError, match="no document"):
        COMPANY.document("nothing")
