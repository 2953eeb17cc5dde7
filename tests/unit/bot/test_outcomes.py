"""Every method with every documented error code has an outcome, and an error of our tree."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.budget import TIER_PER_MINUTE
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
from tests.slack_codes import every_pair

DECIDED: dict[str, Outcome] = {
    "ratelimited": Outcome.SLOW_DOWN,
    "rate_limited": Outcome.SLOW_DOWN,
    "message_limit_exceeded": Outcome.SLOW_DOWN,
    "fatal_error": Outcome.TRY_AGAIN,
    "internal_error": Outcome.TRY_AGAIN,
    "service_unavailable": Outcome.TRY_AGAIN,
    "request_timeout": Outcome.TRY_AGAIN,
    "team_added_to_org": Outcome.TRY_AGAIN,
    "external_channel_migrating": Outcome.TRY_AGAIN,
    "messaging_processing_failed": Outcome.TRY_AGAIN,
    "update_failed": Outcome.TRY_AGAIN,
    "invalid_auth": Outcome.INSTALLATION_LOST,
    "not_authed": Outcome.INSTALLATION_LOST,
    "account_inactive": Outcome.INSTALLATION_LOST,
    "token_revoked": Outcome.INSTALLATION_LOST,
    "token_expired": Outcome.INSTALLATION_LOST,
    "unknown_method": Outcome.UNSUPPORTED,
    "method_deprecated": Outcome.UNSUPPORTED,
    "feature_not_enabled": Outcome.UNSUPPORTED,
    "not_implemented": Outcome.UNSUPPORTED,
    "invalid_blocks": Outcome.PLAINER,
    "invalid_blocks_format": Outcome.PLAINER,
    "msg_blocks_too_long": Outcome.PLAINER,
    "msg_blocks_too_many": Outcome.PLAINER,
    "stopped_by_user": Outcome.STOPPED,
    "streaming_state_conflict": Outcome.FREE_FIRST,
    "hash_conflict": Outcome.READ_AGAIN,
}
"""Written down a second time on purpose: whoever decides otherwise decides it here too."""
AGENTS_ONLY = {
    "agents.sessions.setStatus",
    "assistant.threads.setStatus",
    "assistant.threads.setSuggestedPrompts",
}
NO_AGENT = {"not_an_agent", "no_permission", "missing_scope", "not_allowed"}

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


@pytest.mark.parametrize(("method", "code"), every_pair())
def test_every_code_of_every_method_is_decided(method: str, code: str) -> None:
    outcome = outcome_of(method, code)
    error = raised(method, code)
    assert isinstance(error, RAISED.get(outcome, SlackRefusedError))
    if isinstance(error, SlackRefusedError):
        assert (error.code, error.outcome) == (code, outcome)
    retried = outcome in {Outcome.SLOW_DOWN, Outcome.TRY_AGAIN}
    assert isinstance(error, RetryableError) is retried


@pytest.mark.parametrize(
    ("method", "code"),
    sorted({*every_pair(), *((m, c) for m in TIER_PER_MINUTE for c in {*DECIDED, *NO_AGENT})}),
)
def test_every_code_is_decided_as_written_here(method: str, code: str) -> None:
    agent = method in AGENTS_ONLY and code in NO_AGENT
    expected = Outcome.UNSUPPORTED if agent else DECIDED.get(code, Outcome.REFUSED)
    assert outcome_of(method, code) is expected


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
