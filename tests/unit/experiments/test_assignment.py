"""Arms are sticky, spread as promised, and grow in one direction."""

import hashlib
import random
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feedback.domain.assignment import bucket, draw
from feedback.errors import InvalidInputError

ids = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=20)


@given(ids, ids, ids, ids)
def test_bucket_is_the_documented_hash(salt: str, team: str, channel: str, ts: str) -> None:
    digest = hashlib.sha256(f"{salt}|{team}|{channel}|{ts}".encode()).digest()
    expected = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    assert bucket(salt, team, channel, ts) == expected
    assert 0.0 <= expected < 1.0


SHARES = st.floats(0, 0.95)
POSITIONS = st.integers(0, 2**53 - 1).map(lambda n: n / 2**53)


@given(POSITIONS, SHARES, SHARES)
def test_a_larger_share_never_moves_a_thread_back(u: float, one: float, other: float) -> None:
    small, large = sorted((one, other))
    if draw(u, [small]).winner is not None:
        assert draw(u, [large]).winner is not None
    assert draw(u, [0.0]).winner is None


@given(POSITIONS, SHARES)
def test_one_challenger_gets_what_lies_below_its_share(u: float, share: float) -> None:
    result = draw(u, [share])
    assume(abs(u - share) > 1e-12)
    assert (result.winner is not None) is (u < share)
    (position,) = result.us
    assert position == pytest.approx(u, abs=1e-12)


@given(POSITIONS, st.lists(SHARES, min_size=1, max_size=5))
def test_one_draw_serves_every_challenger(u: float, shares: list[float]) -> None:
    result = draw(u, shares)
    assert len(result.us) == len(shares)
    for k, (position, share) in enumerate(zip(result.us, shares, strict=True)):
        if result.winner not in {None, k}:
            assert position is None, "the thread tells nothing about this challenger"
            continue
        assert position is not None
        assert -1e-12 <= position < 1.0 + 1e-12
        if abs(position - share) > 1e-9:
            assert (position < share) is (result.winner == k)


@pytest.mark.parametrize("shares", [(0.05,), (0.25,), (0.5,), (0.5, 0.5), (0.5, 0.05, 0.25)])
def test_shares_come_out_as_promised_whatever_the_others_have(shares: tuple[float, ...]) -> None:
    rng = random.Random(7)
    n = 20_000
    winners = Counter(
        draw(bucket("s1", "T1", "C1", f"{rng.random() * 1e9:.6f}"), shares).winner for _ in range(n)
    )
    for k, share in enumerate(shares):
        two = winners[k] + winners[None]
        sd = (share * (1 - share) / two) ** 0.5
        assert abs(winners[k] / two - share) < 4.5 * sd


def test_equal_halves_split_equally_among_all() -> None:
    thirds = [draw((n + 0.5) / 999, [0.5, 0.5]).winner for n in range(999)]
    assert Counter(thirds) == {0: 333, 1: 333, None: 333}


def test_salts_are_independent() -> None:
    threads = [f"{number}.000100" for number in range(20_000)]
    both = sum(
        bucket("salt-a", "T", "C", ts) < 0.5 and bucket("salt-b", "T", "C", ts) < 0.5
        for ts in threads
    )
    assert abs(both / len(threads) - 0.25) < 0.015


@given(ids, ids, ids, ids)
def test_parts_cannot_run_into_each_other(salt: str, team: str, channel: str, ts: str) -> None:
    assume(team != channel)
    assert bucket(salt, team, channel, ts) != bucket(salt, channel, team, ts)


@pytest.mark.parametrize(
    ("salt", "team", "channel", "ts"),
    [("", "T", "C", "1"), ("s", "T|C", "C", "1"), ("s", "T", "", "1"), ("s", "T", "C", "|")],
)
def test_ids_that_could_collide_are_refused(salt: str, team: str, channel: str, ts: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be hashed"):
        bucket(salt, team, channel, ts)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InvalidInputError, match="from 0 to below 1"):
        draw(0.5, [0.5, share])
