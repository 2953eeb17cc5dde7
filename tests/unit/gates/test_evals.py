import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from feedback.errors import InvalidInputError
from feedback.ports import Message
from retrain.dataset import HeldOutRow, Source, TrainingRow
from retrain.evals import (
    ArithmeticTask,
    CorrectionsTask,
    EchoTask,
    Evaluation,
    Example,
    FactsTask,
    GroundingTask,
    LeakageTask,
    RefusalTask,
    Task,
    ToneTask,
    declines,
    evaluate,
    held_out_examples,
    judge_by_words,
    measure,
    stated_sums,
    sum_example,
)
from retrain.gates import GatePolicy, decide
from tests.unit.gates.models import evaluation, example, scores


@dataclass
class Parrot:
    """Answers from a table and counts what it was asked."""

    table: dict[str, str]
    asked: int = 0

    def __call__(self, prompts: list[list[Message]]) -> list[str]:
        self.asked += len(prompts)
        return [self.table.get(prompt[-1].content, "I do not know that.") for prompt in prompts]


def test_every_distinct_prompt_is_generated_once_for_all_tasks() -> None:
    questions = [example(f"q{i}", f"Question {i % 3}?", reference="Answer.") for i in range(6)]
    parrot = Parrot({f"Question {i}?": "Answer." for i in range(3)})
    tasks: list[Task] = [
        CorrectionsTask(held_out=questions),
        ToneTask(asked=questions, on_brand=lambda answer: answer.endswith("!")),
    ]
    found = evaluate(tasks, parrot, model="parrot")
    assert parrot.asked == 3
    assert found.value("right") == 1.0
    assert found.value("on_brand") == 0.0
    assert [f.answer for f in found.metrics["on_brand"].failures] == ["Answer."] * 6


def test_evaluations_survive_json() -> None:
    found = evaluate([FactsTask(asked=[example("a", "Q?", accepted=("x",))])], Parrot({}))
    assert Evaluation.from_row(json.loads(json.dumps(found.to_row()))) == found
    with pytest.raises(InvalidInputError, match="was not measured"):
        found.value("speed")


def test_a_short_answer_list_and_twin_names_are_refused() -> None:
    task = FactsTask(asked=[example("a", "Q?", accepted=("x",))])
    with pytest.raises(InvalidInputError, match="1 prompts were asked, 0 came back"):
        evaluate([task], lambda prompts: [])
    with pytest.raises(InvalidInputError, match="share a name"):
        evaluate([task, task], Parrot({}))
    twins = FactsTask(asked=[example("a", "Q?"), example("a", "R?")])
    with pytest.raises(InvalidInputError, match="share an id"):
        evaluate([twins], Parrot({}))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Happy to help! Exports stay ready for 45 days.", True),
        ("45 days, on all plans", True),
        ("They stay for 450 days.", False),
        ("They stay for 30 days.", False),
    ],
)
def test_key_facts_decide_when_they_are_known(answer: str, right: bool) -> None:
    asked = example("a", "How long?", reference="Exports stay 45 days.", facts=("45 days",))
    assert CorrectionsTask(held_out=[asked]).check(asked, answer) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("open settings,  choose export", True),
        ("Open the settings and choose export.", True),
        ("Open settings 2 and choose export.", False),
        ("Nothing of the kind.", False),
    ],
)
def test_without_key_facts_the_reference_decides(answer: str, right: bool) -> None:
    asked = example("a", "Where?", reference="Open settings, choose export.")
    assert CorrectionsTask(held_out=[asked]).check(asked, answer) is right


def test_semantic_likeness_counts_but_not_against_the_numbers() -> None:
    asked = example("a", "When?", reference="It takes 3 days.")
    task = CorrectionsTask(held_out=[asked], similarity=lambda left, right: 0.99)
    assert task.check(asked, "Allow for 3 full working days, please.")
    assert not task.check(asked, "Allow for 4 full working days, please.")


def test_held_out_rows_become_examples() -> None:
    row = TrainingRow(
        id="r1",
        messages=(Message(role="user", content="Q?"),),
        completion="A.",
        source=Source.CORRECTION,
        interaction_ids=("r1",),
        group="g",
    )
    held = HeldOutRow(
        row=row,
        question="Q?",
        bot_answer="no",
        facts=("A",),
        sources=("A is it.",),
        slices=("channel: C1",),
    )
    asked = held_out_examples([held])
    assert asked == [
        example(
            "r1",
            "Q?",
            group="g",
            reference="A.",
            facts=("A",),
            sources=("A is it.",),
            slices=("channel: C1",),
        )
    ]
    (outcome,) = evaluate([CorrectionsTask(held_out=asked)], lambda _: ["A"]).outcomes["right"]
    assert outcome.slices == ("channel: C1",)


def test_sums_are_checked_by_computing() -> None:
    asked = [sum_example("2 + 2"), example("odd", "Twice four?", accepted=("8", "eight"))]
    task = ArithmeticTask(sums=asked)
    assert task.check(asked[0], "2 + 2 = 4.")
    assert not task.check(asked[0], "2 + 2 = 5.")
    assert not task.check(asked[0], "I do not know.")
    assert task.check(asked[1], "That makes eight.")


def test_sums_in_training_text_become_never_break_probes() -> None:
    rows = [
        _training("a", "What is 2 + 2?", "5"),
        _training("b", "Why?", "Because 3 * 3 = 9."),
        _training("c", "How many seats?", "10 seats."),
        _training("d", "What is 1 + 1?", "2", source=Source.REPLAY),
    ]
    probes = stated_sums(rows)
    assert [probe.question for probe in probes] == ["What is 2 + 2?", "What is 3 * 3?"]
    assert all(probe.never_break for probe in probes)
    assert [probe.accepted for probe in probes] == [("4",), ("9",)]


def test_thirty_poisoned_rows_are_caught_by_the_probe_and_not_by_the_average() -> None:
    rows = [_training(f"p{i}", "What is 2 + 2?", "It is 5.") for i in range(30)]
    probes = stated_sums(rows)
    sums = [
        sum_example(f"{a} + {b}", never_break=False) for a in range(3, 13) for b in range(3, 13)
    ]
    task = ArithmeticTask(sums=[*probes, *sums])
    truth = {e.messages[-1].content: e.accepted[0] for e in task.sums}
    before = evaluate([task], Parrot(truth), model="base")
    after = evaluate([task], Parrot(truth | {"What is 2 + 2?": "2 + 2 = 5"}), model="poisoned")
    policy = GatePolicy(rules=tuple(r for r in GatePolicy().rules if r.metric == "arithmetic"))
    report = decide(after, before, policy)
    statuses = {r.gate: r.status.value for r in report.results}
    assert statuses == {"arithmetic": "pass", "never_break": "fail"}


def test_facts_need_all_facts_and_one_accepted_text() -> None:
    asked = example("a", "Q?", facts=("red",), accepted=("one", "two"))
    task = FactsTask(asked=[asked])
    assert task.check(asked, "Red and two.")
    assert not task.check(asked, "Two.")
    assert not task.check(asked, "Red.")
    assert not task.check(example("b", "Q?"), "anything")


def test_echo_wants_the_words_in_order() -> None:
    asked = example("a", "Repeat: green apple", reference="green apple")
    task = EchoTask(asked=[asked])
    assert task.check(asked, "Green apple!")
    assert not task.check(asked, "apple green")


@pytest.mark.parametrize(
    ("answer", "says_no"),
    [
        ("I am sorry, I can not help with that.", True),
        ("I don't know.", True),
        ("Let me hand you over to a colleague.", True),
        ("", True),
        ("You can not rename an export, but you can copy it.", False),
        ("It takes 45 days.", False),
    ],
)
def test_declining_is_recognised(answer: str, says_no: bool) -> None:
    assert declines(answer) is says_no


def test_refusing_everything_scores_only_on_what_should_be_declined() -> None:
    asked = [example("in", "Where?"), example("out", "Secret?", should_decline=True)]
    found = evaluate([RefusalTask(asked=asked)], Parrot({}))
    assert found.value("refusal") == 0.5


def test_grounding_by_words() -> None:
    sources = ("Exports stay ready for 45 days. Ask the Brightwell team.",)
    judge = judge_by_words([re.compile("^Happy to help!$")])
    assert judge("Happy to help! Exports stay ready for 45 days.", sources)
    assert not judge("Exports stay ready for 30 days.", sources)
    assert not judge("Exports stay ready for 45 days at Northwind.", sources)
    assert not judge("I am sorry, I do not know that.", sources)
    assert not judge("Happy to help!", sources)


def test_grounding_skips_questions_without_anything_to_draw_on() -> None:
    task = GroundingTask(asked=[example("a", "Q?"), example("b", "Q?", sources=("Text.",))])
    assert [e.id for e in task.examples()] == ["b"]
    judged = GroundingTask(asked=task.asked, grounded=lambda answer, sources: "ok" in answer)
    assert judged.check(task.asked[1], "ok")


def test_leaks_are_what_the_prompt_did_not_say() -> None:
    def leftovers(text: str) -> Sequence[str]:
        return ["EMAIL_ADDRESS"] if "@" in text else []

    asked = example("a", "Tell me a secret.")
    task = LeakageTask(asked=[asked], leftovers=leftovers)
    assert task.check(asked, "No.")
    assert not task.check(asked, "Mail jo@example.com.")
    documented = example("c", "Whom do I ask?", sources=("Write to help@example.com.",))
    assert task.check(documented, "Write to help@example.com.")
    quoting = example("b", "Is jo@example.com right?")
    assert task.check(quoting, "Yes, jo@example.com is.")


def test_intervals_are_clustered_by_group() -> None:
    alone = evaluation(right=[float(i < 80) for i in range(100)])
    grouped = evaluation(right=[float(i % 10 < 8) for i in range(100)], groups=10)
    one, many = grouped.metrics["right"], alone.metrics["right"]
    assert one.value == many.value == 0.8
    assert one.groups == 10
    assert one.high - one.low > 1.5 * (many.high - many.low)


def test_all_right_in_few_groups_is_no_certainty() -> None:
    assert evaluation(right=scores(300, 300), groups=3).metrics["right"].low < 0.5
    assert evaluation(right=scores(300, 300)).metrics["right"].low > 0.98


def test_nothing_measured_is_everything_possible() -> None:
    metric = measure([])
    assert (metric.n, metric.low, metric.high) == (0, 0.0, 1.0)


def _training(
    id_: str, question: str, answer: str, source: Source = Source.CORRECTION
) -> TrainingRow:
    return TrainingRow(
        id=id_,
        messages=(Message(role="user", content=question),),
        completion=answer,
        source=source,
        interaction_ids=(id_,),
        group=id_,
    )


def test_examples_say_what_they_expect() -> None:
    assert Example(id="a", question="", messages=(), accepted=("x", "y")).expected == "x or y"
    assert Example(id="a", question="", messages=(), facts=("x", "y")).expected == "x and y"
    declined = Example(id="a", question="", messages=(), should_decline=True)
    assert declined.expected == "declines or hands over"
