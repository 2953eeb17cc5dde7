"""Every method with every documented error code has an outcome, and an error of our tree."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.errors import (
    Outcome,
    SlackRefusedError,
    TokenRefusedError,
    outcome_of,
    slack_errors,
)
from feedback.errors import (
    OverloadedError,
    PermanentError,
    RetryableError,
    UnavailableError,
    UnderstudyError,
)
from tests.slack_codes import decided, every_pair

RAISED: dict[Outcome, type[UnderstudyError]] = {
    Outcome.SLOW_DOWN: OverloadedError,
    Outcome.TRY_AGAIN: UnavailableError,
    Outcome.INSTALLATION_LOST: TokenRefusedError,
}


def raised(method: str, code: str | None, *, status: int = 200, after: str | None = None) -> object:
    answer = AsyncSlackResponse(
        client=None,
        http_verb="POST",
        api_url=method,
        req_args={},
        data={"ok": False, "error": code} if code is not None else "<html>",  # type: ignore[arg-type]
        headers={"Retry-After": after} if after else {},
        status_code=status,
    )
    try:
        with slack_errors(method):
            raise SlackApiError("failed", answer)  # type: ignore[no-untyped-call]
    except UnderstudyError as exc:
        return exc


def test_every_code_of_every_method_is_decided_as_written_down() -> None:
    for method, code in every_pair():
        assert outcome_of(method, code) is decided(method, code), (method, code)


def test_every_outcome_is_an_error_of_our_tree() -> None:
    for method, code in every_pair():
        outcome, error = decided(method, code), raised(method, code)
        assert type(error) is RAISED.get(outcome, SlackRefusedError), (method, code)
        if isinstance(error, SlackRefusedError):
            assert (error.code, error.outcome) == (code, outcome)
        retried = outcome in {Outcome.SLOW_DOWN, Outcome.TRY_AGAIN}
        assert isinstance(error, RetryableError) is retried, (method, code)


def test_what_nobody_has_seen_yet_is_never_repeated() -> None:
    assert outcome_of("chat.postMessage", "brand_new_code") is Outcome.REFUSED
    assert isinstance(raised("chat.postMessage", "brand_new_code"), PermanentError)


def test_a_missing_scope_switches_off_what_only_agents_have() -> None:
    assert outcome_of("agents.sessions.setStatus", "missing_scope") is Outcome.UNSUPPORTED
    assert outcome_of("chat.postMessage", "missing_scope") is Outcome.REFUSED


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_page_instead_of_json_is_a_failing_slack(status: int) -> None:
    assert isinstance(raised("chat.postMessage", None, status=status), UnavailableError)


def test_a_refusal_for_speed_says_for_how_long() -> None:
    error = raised("chat.update", "ratelimited", status=429, after="30")
    assert isinstance(error, OverloadedError)
    assert error.retry_after == 30.0
