import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.pattern import PatternKind
from feedback.mining.labels import by_typicality, keywords
from feedback.mining.rank import RankPolicy, distinct_people, priority, trend, wilson_low
from tests.unit.mining.rows import row


def test_wilson_interval_of_the_textbook() -> None:
    # 5 of 10: the 95 % Wilson interval is 0.2366 .. 0.7634 (Wilson 1927).
    assert wilson_low(5, 10) == pytest.approx(0.2366, abs=1e-4)
    assert wilson_low(0, 0) == 0.0
    assert wilson_low(0, 10) == pytest.approx(0.0, abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_the_bound_is_below_the_rate_and_grows_with_evidence(n: int, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, n))
    low = wilson_low(failures, n)
    assert 0 <= low <= failures / n + 1e-12
    assert wilson_low(failures * 10, n * 10) >= low - 1e-12


def score(**changes: float) -> float:
    values = {"people": 4, "failures": 10, "answers": 20, "age_s": 0.0} | changes
    return priority(
        PatternKind.TONE,
        people=int(values["people"]),
        failures=int(values["failures"]),
        answers=int(values["answers"]),
        age_s=values["age_s"],
        policy=RankPolicy(),
    )


def test_priority_follows_people_certainty_severity_and_age() -> None:
    assert score(people=8) == pytest.approx(2 * score())
    assert score(age_s=14 * 86_400) == pytest.approx(score() / 2)
    assert score(answers=200) < score()
    wrong = priority(
        PatternKind.REPEATED_ERROR,
        people=4,
        failures=10,
        answers=20,
        age_s=0,
        policy=RankPolicy(),
    )
    assert wrong == pytest.approx(3 * score())


def test_one_loud_person_counts_once() -> None:
    loud = [row(f"a{n}", "Why?", user="u1") for n in range(9)]
    assert distinct_people(loud) == 1
    assert (
        distinct_people([row("a", "Why?", user="unknown"), row("b", "Why?", user="unknown")]) == 2
    )


def test_trend_compares_the_halves_of_the_span() -> None:
    assert trend([0, 1, 9, 10, 10, 10]) == 2.0
    assert trend([5.0]) == 1.0


def test_keywords_tell_clusters_apart() -> None:
    clusters = [
        ["How do I pay an invoice?", "The invoice was paid twice", "Invoices by mail"],
        ["How do I reset a password?", "Password forgotten", "The password is wrong"],
    ]
    first, second = keywords(clusters, count=2)
    assert first[0] == "invoice"
    assert second[0] == "password"
    assert keywords([]) == []
    assert keywords([["the of and"]]) == [()]


def test_the_medoid_comes_first() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    assert by_typicality(vectors, np.array([0, 1, 2]))[0] == 1
