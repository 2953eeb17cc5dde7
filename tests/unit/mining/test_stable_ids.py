from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.pattern import PatternChange, PreviousPattern
from feedback.mining.stable_ids import Named, name_clusters


def previous(named: Named, clusters: list[list[str]]) -> list[PreviousPattern]:
    return [
        PreviousPattern(id=name, member_ids=tuple(members))
        for name, members in zip(named.ids, clusters, strict=True)
    ]


def test_grown_patterns_keep_their_id_in_any_order() -> None:
    before = [["a", "b", "c"], ["x", "y", "z"]]
    first = name_clusters(before, [])
    after = [["z", "x", "y", "w"], ["b", "a", "c", "d"]]
    second = name_clusters(after, previous(first, before))
    assert second.ids == (first.ids[1], first.ids[0])
    assert {change.change for change in second.changes} == {"kept"}


def test_a_split_keeps_the_id_on_the_larger_half_and_names_its_origin() -> None:
    before = [list("abcdefgh")]
    first = name_clusters(before, [])
    second = name_clusters([list("abcde"), list("fgh")], previous(first, before))
    assert second.ids[0] == first.ids[0]
    assert second.ids[1] != first.ids[0]
    split = PatternChange(pattern_id=second.ids[1], change="split", other_id=first.ids[0])
    assert split in second.changes


def test_a_merge_keeps_the_id_of_the_larger_one() -> None:
    before = [list("abcde"), list("xyz")]
    first = name_clusters(before, [])
    second = name_clusters([list("abcdexyz")], previous(first, before))
    assert second.ids == (first.ids[0],)
    merged = PatternChange(pattern_id=first.ids[1], change="merged", other_id=first.ids[0])
    assert merged in second.changes


def test_vanished_patterns_are_gone_and_their_ids_are_not_reused() -> None:
    first = name_clusters([["a", "b"]], [])
    old = previous(first, [["a", "b"]])
    second = name_clusters([["p", "q"]], old)
    assert PatternChange(pattern_id=first.ids[0], change="gone") in second.changes
    third = name_clusters([["a", "b"]], [], used_ids=[*first.ids, *second.ids])
    assert third.ids[0] not in {*first.ids, *second.ids}


def test_a_resolved_pattern_that_comes_back_is_recognised_by_its_centroid() -> None:
    old = PreviousPattern(id="pat-old", member_ids=("a", "b"), centroid=(1.0, 0.0))
    back = name_clusters([["p", "q"]], [old], centres=[(0.95, 0.31)])
    other = name_clusters([["p", "q"]], [old], centres=[(0.0, 1.0)])
    assert back.ids == ("pat-old",)
    assert other.ids != ("pat-old",)


def test_an_id_already_carried_on_by_its_items_is_not_taken_by_centroid() -> None:
    old = PreviousPattern(id="pat-old", member_ids=("a", "b"), centroid=(1.0, 0.0))
    named = name_clusters([["x", "y"], ["a", "b"]], [old], centres=[(1.0, 0.0), (1.0, 0.0)])
    assert named.ids[1] == "pat-old"
    assert named.ids[0] != "pat-old"


partitions = st.lists(st.integers(0, 5), min_size=1, max_size=30).map(
    lambda labels: [
        [f"i{n}" for n, label in enumerate(labels) if label == wanted]
        for wanted in sorted(set(labels))
    ]
)


@given(partitions, partitions)
def test_ids_are_distinct_and_every_old_id_is_accounted_for(
    before: list[list[str]], after: list[list[str]]
) -> None:
    first = name_clusters(before, [])
    second = name_clusters(after, previous(first, before))
    assert len(set(second.ids)) == len(after)
    told = {change.pattern_id for change in second.changes}
    assert told == set(first.ids) | set(second.ids)


@given(st.lists(partitions, min_size=2, max_size=5))
def test_no_id_is_ever_given_to_another_founding(nights: list[list[list[str]]]) -> None:
    """Over many nights an id lives on with some of its items or comes back by them, or ends."""
    known: list[PreviousPattern] = []
    used: set[str] = set()
    for clusters in nights:
        named = name_clusters(clusters, known, used_ids=used)
        past = {old.id: set(old.member_ids) for old in known}
        for name, members in zip(named.ids, clusters, strict=True):
            assert name not in used or past[name] & set(members)
        used |= set(named.ids)
        known = previous(named, clusters)


def test_a_remembered_pattern_comes_back_by_its_items_without_more_news() -> None:
    away = PreviousPattern(id="pat-away", member_ids=("a", "b"), current=False)
    gone = name_clusters([["x", "y"]], [away])
    assert [change.pattern_id for change in gone.changes] == list(gone.ids)
    back = name_clusters([["a", "b", "c"]], [away])
    assert back.changes == (PatternChange(pattern_id="pat-away", change="returned"),)


def test_a_cluster_knows_what_it_was_split_off_from() -> None:
    before = [list("abcdefgh")]
    first = name_clusters(before, [])
    second = name_clusters([list("abcde"), list("fgh"), ["z"]], previous(first, before))
    assert [origin and origin.id for origin in second.origins] == [None, first.ids[0], None]


@given(partitions)
def test_the_same_clusters_keep_every_id(clusters: list[list[str]]) -> None:
    first = name_clusters(clusters, [])
    assert name_clusters(clusters, previous(first, clusters)).ids == first.ids
    assert name_clusters(clusters, []).ids == first.ids
