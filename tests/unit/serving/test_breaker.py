"""A server that is down is left alone, tried by one request, and trusted again."""

import pytest

from feedback.errors import (
    GenerationFailedError,
    OverloadedError,
    TimedOutError,
    UnavailableError,
    UnderstudyError,
)
from feedback.serving.breaker import CircuitBreaker

DOWN = UnavailableError("refused")


class Hand:
    """Real time, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def breaker(hand: Hand) -> CircuitBreaker:
    return CircuitBreaker("http://m", failures=3, rest_s=1.0, longest_rest_s=3.0, monotonic=hand)


async def ask(breaker: CircuitBreaker, ends_with: UnderstudyError | None = None) -> None:
    async with breaker.guarding():
        if ends_with is not None:
            raise ends_with


async def fail(breaker: CircuitBreaker, times: int = 1, error: UnderstudyError = DOWN) -> None:
    for _ in range(times):
        with pytest.raises(type(error), match=str(error)):
            await ask(breaker, error)


async def refused(breaker: CircuitBreaker) -> float:
    with pytest.raises(UnavailableError, match="is taken for down") as caught:
        await ask(breaker)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


async def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    await fail(breaker, 2)
    await ask(breaker)
    await fail(breaker, 2, TimedOutError("late"))
    await fail(breaker)
    assert await refused(breaker) == 1.0


@pytest.mark.parametrize("error", [OverloadedError("full"), GenerationFailedError("424")])
async def test_a_server_that_answers_is_not_down(
    breaker: CircuitBreaker, error: UnderstudyError
) -> None:
    await fail(breaker, 9, error)
    assert not breaker.is_open


async def test_after_a_rest_one_request_finds_out(breaker: CircuitBreaker, hand: Hand) -> None:
    await fail(breaker, 3)
    hand.seconds += 1.0
    async with breaker.guarding():
        await refused(breaker)  # the others wait for the one on trial
    assert not breaker.is_open
    await ask(breaker)


async def test_each_failed_trial_doubles_the_rest(breaker: CircuitBreaker, hand: Hand) -> None:
    await fail(breaker, 3)
    rests = []
    for _ in range(4):
        rests.append(await refused(breaker))
        hand.seconds += rests[-1]
        await fail(breaker)
    assert rests == [1.0, 2.0, 3.0, 3.0]
    hand.seconds += 3.0
    await ask(breaker)
    await fail(breaker, 3)
    assert await refused(breaker) == 1.0, "a server that was back begins anew"


async def test_requests_that_were_on_their_way_do_not_lengthen_the_rest(
    breaker: CircuitBreaker,
) -> None:
    early = [breaker.guarding() for _ in range(5)]
    for request in early:
        await request.__aenter__()
    for request in early:
        assert not await request.__aexit__(UnavailableError, DOWN, None)
    assert await refused(breaker) == 1.0


async def test_who_leaves_early_makes_room_for_the_next_trial(
    breaker: CircuitBreaker, hand: Hand
) -> None:
    await fail(breaker, 3)
    hand.seconds += 1.0
    with pytest.raises(GeneratorExit):
        async with breaker.guarding():
            raise GeneratorExit
    await ask(breaker)
    assert not breaker.is_open
