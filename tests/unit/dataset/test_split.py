import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.domain.interaction import InteractionRecord
from feedback.errors import InvalidInputError
from feedback.prompting import build_messages
from retrain.dataset import DatasetPolicy, ReplayRow, Side, texts_to_embed
from retrain.dataset.rows import Source
from retrain.dataset.similarity import jaccard, shingles, similar_pairs
from tests.unit.dataset.samples import (
    NO_REPLAY,
    built,
    distinct_records,
    reasons,
    record,
    replay_rows,
    word_vectors,
)

LOOSE = DatasetPolicy(
    replay_share=0.0,
    disabled_cleaners=frozenset({"near_duplicate", "conflict", "contributor_share", "burst"}),
)


def test_about_a_quarter_is_held_out() -> None:
    for seed in range(3):
        share = built(distinct_records(200, seed=seed)).facts["split"]["holdout_share"]
        assert 0.2 <= share <= 0.3


def test_a_thread_stays_together() -> None:
    rows = [
        replace(row, thread_id=f"thread-{index % 20}")
        for index, row in enumerate(distinct_records(100))
    ]
    outcome = built(rows)
    sides: dict[str, set[Side]] = {}
    for assignment in outcome.assignments:
        sides.setdefault(assignment.thread_id, set()).add(assignment.side)
    for found in sides.values():
        assert not {Side.TRAIN, Side.HOLDOUT} <= found


@given(st.integers(0, 10_000), st.integers(10, 60))
@settings(max_examples=12, deadline=None)
def test_sides_are_disjoint_and_stable_when_rows_are_added(seed: int, cut: int) -> None:
    rows = distinct_records(90, seed=seed % 50)
    random.Random(seed).shuffle(rows)
    before = built(rows[:cut])
    after = built(rows, previous=before.assignments)
    sides = {a.key: a.side for a in after.assignments}
    assert all(sides[a.key] == a.side for a in before.assignments)
    trained = {row.id for row in after.train}
    held = {row.row.id for row in after.holdout}
    assert not trained & held
    assert held >= {row.row.id for row in before.holdout}


def test_leaks_are_zero_at_the_threshold_and_reported_one_step_below() -> None:
    first, second = built(distinct_records(150), LOOSE).facts["split"]["leaks"]
    assert (first["jaccard"], first["leaking_pairs"]) == (0.7, 0)
    assert second["jaccard"] == 0.6
    assert second["leaking_pairs"] > 0
    assert first["pairs_checked"] > 1000


def test_vectors_keep_paraphrases_together() -> None:
    colours = ["red", "blue", "green", "gold", "pink", "grey", "teal", "lime"]
    rows = [
        record(
            f"v{i}",
            " ".join(random.Random(i).sample(colours, len(colours))),
            f"Answer number {i} of many.",
            ts=i,
        )
        for i in range(60)
    ]
    vectors = word_vectors(texts_to_embed(rows))
    # All questions hold the same words, so by their vectors they are all one question.
    assert len({a.side for a in built(rows, LOOSE, vectors=vectors).assignments}) == 1
    assert len({a.side for a in built(rows, LOOSE).assignments}) > 1


def test_a_bridge_between_the_sides_is_quarantined() -> None:
    rows = distinct_records(60)
    start = built(rows)
    train = next(a for a in start.assignments if a.side is Side.TRAIN)
    held = next(a for a in start.assignments if a.side is Side.HOLDOUT)
    bridge = record("bridge", held.question, "A new answer.", thread_id=train.thread_id, ts=9e9)
    outcome = built([*rows, bridge], LOOSE, previous=start.assignments)
    assert reasons(outcome)["bridge"] == "quarantine"
    assert {a.row_id: a.side for a in outcome.assignments}["bridge"] is Side.QUARANTINE


def test_held_out_rows_cannot_be_smuggled_into_training_over_twenty_cycles() -> None:
    rng = random.Random(7)
    rows = distinct_records(60, seed=3)
    state = built(rows)
    trained: set[str] = set()
    held_ever: set[str] = set()
    for cycle in range(20):
        held = [a.question for a in state.assignments if a.side is Side.HOLDOUT]
        smuggled = [
            record(
                f"smuggled-{cycle}-{i}",
                _reworded(rng, question),
                f"Smuggled answer {cycle} {i}.",
                thread_id=f"other-{cycle}-{i}",
                ts=2_000_000 + cycle,
            )
            for i, question in enumerate(rng.sample(held, 5))
        ]
        fresh = distinct_records(10, seed=100 + cycle)
        # The input of a cycle is whatever is at hand: old rows may be gone.
        rows = rng.sample(rows, 40) + smuggled + fresh
        state = built(rows, LOOSE, previous=state.assignments)
        trained |= {row.messages[-1].content for row in state.train}
        held_ever |= {a.question for a in state.assignments if a.side is Side.HOLDOUT}
        assert not {row.id for row in state.train} & {row.id for row in smuggled}
    questions = [*sorted(trained), *sorted(held_ever)]
    sets = [shingles(question) for question in questions]
    crossing = [(i, j) for i, j in similar_pairs(sets, LOOSE.twin_jaccard) if i < len(trained) <= j]
    assert crossing == []
    assert len(held_ever) > 20


def test_replay_never_repeats_a_held_out_question() -> None:
    rows = distinct_records(60)
    held = [h.question for h in built(rows).holdout]
    policy = DatasetPolicy(replay_share=0.5)
    poisoned = [
        replace(row, messages=(replace(row.messages[0], content=question),))
        for row, question in zip(replay_rows(len(held)), held, strict=True)
    ]
    good = [replace(row, id=f"good-{row.id}") for row in replay_rows(80)]
    outcome = built(rows, policy, replay=[*poisoned, *good])
    asked = {row.messages[-1].content for row in outcome.train}
    assert not asked & set(held)
    assert "leak" in reasons(outcome).values()


def test_a_context_does_not_hide_a_held_out_question_in_replay() -> None:
    rows = distinct_records(60)
    held = built(rows).holdout[0].question
    hidden = ReplayRow(
        id="hidden",
        messages=tuple(build_messages(held, ["The moon is far away and nobody lives there."])),
        completion="Far away.",
    )
    outcome = built(rows, DatasetPolicy(replay_share=0.5), replay=[hidden, *replay_rows(80)])
    assert "hidden" not in {row.id for row in outcome.train}


def test_replay_is_the_wanted_share_and_a_shortage_is_told() -> None:
    rows = distinct_records(80)
    full = built(rows, DatasetPolicy(replay_share=0.5), replay=replay_rows(200)).facts
    assert full["counts"]["replay"] == full["counts"]["train"]
    assert full["replay"] == {"wanted": full["counts"]["train"], "share": 0.5, "missing": 0}
    short = built(rows, DatasetPolicy(replay_share=0.5), replay=replay_rows(5)).facts
    assert short["counts"]["replay"] == 5
    assert short["replay"]["missing"] == short["replay"]["wanted"] - 5


def test_more_different_dialogues_are_shown_more_rarely() -> None:
    rows = distinct_records(80)
    policy = DatasetPolicy(replay_share=0.5, replay_variety=3)
    outcome = built(rows, policy, replay=replay_rows(300))
    replayed = [row.weight for row in outcome.train if row.source is Source.REPLAY]
    taught = [row.weight for row in outcome.train if row.source is not Source.REPLAY]
    assert len(replayed) == 3 * len(taught)
    assert sum(replayed) == pytest.approx(sum(taught))
    assert outcome.facts["replay"] == {"wanted": len(taught), "share": 0.5, "missing": 0}
    fewer = built(rows, policy, replay=replay_rows(len(taught) + 20))
    weights = [row.weight for row in fewer.train if row.source is Source.REPLAY]
    assert len(taught) < len(weights) <= len(taught) + 20
    assert sum(weights) == pytest.approx(len(taught))


def test_lower_thresholds_later_keep_twins_of_held_out_rows_from_training() -> None:
    rows = distinct_records(150)
    strict = built(rows, replace(LOOSE, twin_jaccard=0.9))
    loose = built(rows, replace(LOOSE, twin_jaccard=0.6), previous=strict.assignments)
    assert loose.facts["split"]["leaks"][0]["leaking_pairs"] == 0
    assert "leak" in reasons(loose).values()
    assert {a.key: a.side for a in loose.assignments} == {a.key: a.side for a in strict.assignments}


def test_an_edited_question_is_judged_anew_but_near_its_old_self() -> None:
    rows = distinct_records(60)
    start = built(rows)
    held = start.holdout[0]
    edited = [
        replace(row, question="Something else entirely, friends?") if row.id == held.row.id else row
        for row in rows
    ]
    outcome = built(edited, previous=start.assignments)
    assert held.row.id in {h.row.id for h in outcome.holdout}
    assert len(outcome.assignments) == len(start.assignments) + 1


def test_missing_vectors_are_refused() -> None:
    rows = distinct_records(5)
    with pytest.raises(InvalidInputError, match="1 questions have no vector"):
        built(rows, vectors=word_vectors([r.question for r in rows[1:]]))


def test_vectors_of_rejected_rows_are_not_needed() -> None:
    rows = [*distinct_records(5), record("bad", "A {{field}}?", "Fill {{it}} in.")]
    texts = texts_to_embed(rows, policy=NO_REPLAY)
    assert "A {{field}}?" not in texts
    assert len(built(rows, vectors=word_vectors(texts)).assignments) == 5


@given(st.lists(st.text(alphabet="abc ", min_size=1, max_size=12), max_size=25))
def test_the_join_finds_exactly_the_similar_pairs(texts: Sequence[str]) -> None:
    sets = [shingles(text) for text in texts]
    for threshold in (0.5, 0.7, 0.9):
        wanted = {
            (i, j)
            for i in range(len(sets))
            for j in range(i + 1, len(sets))
            if jaccard(sets[i], sets[j]) >= threshold
        }
        assert set(similar_pairs(sets, threshold)) == wanted


def _reworded(rng: random.Random, question: str) -> str:
    return rng.choice([question.upper(), question.lower(), f"{question}!!", f"{question[:-1]} ?"])


def test_numbers_of_the_input_rows_decide_nothing() -> None:
    rows: list[InteractionRecord] = distinct_records(80)
    shuffled = rows[::-1]
    assert built(rows).assignments == built(shuffled).assignments


def test_a_forgotten_question_keeps_its_side_and_resembles_nothing() -> None:
    rows = distinct_records(60)
    before = built(rows)
    forgotten = [replace(item, question="") for item in before.assignments]
    fresh = [
        replace(row, id=f"new-{row.id}", thread_id=f"new-{row.thread_id}", correction=f"no {n}")
        for n, row in enumerate(distinct_records(30, seed=9))
    ]
    after = built(fresh, previous=forgotten)
    groups = {item.group for item in after.assignments if item.row_id.startswith("new-")}
    assert len(groups) > 20, "empty questions must not tie everything together"
    follow_up = replace(fresh[0], id="later", thread_id=before.assignments[0].thread_id)
    found = built([follow_up], previous=forgotten).assignments
    placed = next(item for item in found if item.row_id == "later")
    assert placed.side is before.assignments[0].side
