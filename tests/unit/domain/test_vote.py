"""Folding votes: the order of arrival never matters."""

from hypothesis import given
from hypothesis import strategies as st

from feedback.domain.interaction import Rating, Reason
from feedback.domain.vote import VoteEvent, VoteSource, fold_votes

UP, DOWN = Rating.UP, Rating.DOWN
BUTTON, MODAL, REACTION = VoteSource.BUTTON, VoteSource.MODAL, VoteSource.REACTION


def act(
    ts: float,
    rating: Rating,
    source: VoteSource = BUTTON,
    *,
    added: bool = True,
    reasons: tuple[Reason, ...] = (),
    comment: str = "",
) -> VoteEvent:
    return VoteEvent(
        event_id=f"e{ts}", interaction_id="i", user_id="u", rating=rating, source=source,
        event_ts=ts, added=added, reasons=reasons, comment=comment,
    )  # fmt: skip


acts = st.lists(
    st.builds(
        act,
        st.floats(0, 1e9),
        st.sampled_from(Rating),
        st.sampled_from(VoteSource),
        added=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda event: event.event_ts,
)


@given(acts, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_one_opinion(events: list[VoteEvent], shuffle: object) -> None:
    mixed = list(events)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert fold_votes(mixed) == fold_votes(events)


@given(acts)
def test_the_last_click_wins_over_everything_before(events: list[VoteEvent]) -> None:
    last = act(2e9, DOWN)
    assert fold_votes([*events, last]).rating is DOWN


def test_reasons_stay_while_the_rating_stays_down() -> None:
    told = act(2, DOWN, MODAL, reasons=(Reason.OUTDATED,), comment="since May")
    assert fold_votes([act(1, DOWN), told, act(3, DOWN)]).reasons == (Reason.OUTDATED,)
    changed = fold_votes([act(1, DOWN), told, act(3, UP)])
    assert (changed.rating, changed.reasons, changed.comment) == (UP, (), "")


def test_contradictory_reactions_are_no_opinion_until_one_goes() -> None:
    both = [act(1, UP, REACTION), act(2, DOWN, REACTION)]
    assert fold_votes(both).rating is None
    assert fold_votes([*both, act(3, UP, REACTION, added=False)]).rating is DOWN
