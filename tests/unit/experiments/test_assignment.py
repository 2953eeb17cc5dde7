"""Arms are sticky, spread as promised, and grow in one direction."""

import hashlib
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feedback.domain.assignment import assign, bucket
from feedback.domain.interaction import Arm
from feedback.errors import InvalidInputError

ids = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=20)


@given(ids, ids, ids, ids)
def test_bucket_is_the_documented_hash(salt: str, team: str, channel: str, ts: str) -> None:
    digest = hashlib.sha256(f"{salt}|{team}|{channel}|{ts}".encode()).digest()
    expected = (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    assert bucket(salt, team, channel, ts) == expected
    assert 0.0 <= expected < 1.0


@given(ids, ids, ids, ids, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_never_moves_a_thread_back(
    salt: str, team: str, channel: str, ts: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))
    parts = {"salt": salt, "team": team, "channel": channel, "thread_ts": ts}
    if assign(**parts, share=small) is Arm.CHALLENGER:
        assert assign(**parts, share=large) is Arm.CHALLENGER
    assert assign(**parts, share=0.0) is Arm.CHAMPION
    assert assign(**parts, share=1.0) is Arm.CHALLENGER


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_shares_come_out_as_promised(share: float) -> None:
    rng = random.Random(7)
    n = 20_000
    challengers = 0
    for _ in range(n):
        arm = assign(
            salt="s1", team="T1", channel="C1", thread_ts=f"{rng.random() * 1e9:.6f}", share=share
        )
        challengers += arm is Arm.CHALLENGER
    sd = (share * (1 - share) / n) ** 0.5
    assert abs(challengers / n - share) < 4.5 * sd


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


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InvalidInputError, match="from 0 to 1"):
        assign(salt="s", team="T", channel="C", thread_ts="1", share=share)
