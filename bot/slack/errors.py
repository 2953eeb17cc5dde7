"""Slack's failures, mapped once to our error tree."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from feedback.errors import (
    OverloadedError,
    PermanentError,
    TimedOutError,
    UnauthorizedError,
    UnavailableError,
)


class Outcome(StrEnum):
    """What has to be done about a failed call; every method and code has one.

    SLOW_DOWN: Slack took nothing; the method is held back for everybody, then called again.
    TRY_AGAIN: Slack is broken for the moment; whoever posts looks first whether it arrived.
    INSTALLATION_LOST: The installation is disabled; its deliveries wait.
    UNSUPPORTED: This workspace does not have it; not asked for again.
    PLAINER: The same text without blocks.
    STOPPED: The reader wants no more.
    FREE_FIRST: The message still streams; end that, then again.
    READ_AGAIN: The view changed meanwhile; make it anew.
    REFUSED: Never, whatever it is: the next rung of the ladder, or a word to the person.
    """

    SLOW_DOWN = "slow_down"
    TRY_AGAIN = "try_again"
    INSTALLATION_LOST = "installation_lost"
    UNSUPPORTED = "unsupported"
    PLAINER = "plainer"
    STOPPED = "stopped"
    FREE_FIRST = "free_first"
    READ_AGAIN = "read_again"
    REFUSED = "refused"


_BY_CODE: Mapping[str, Outcome] = {
    **dict.fromkeys(["ratelimited", "rate_limited", "message_limit_exceeded"], Outcome.SLOW_DOWN),
    **dict.fromkeys(
        [
            "fatal_error",
            "internal_error",
            "service_unavailable",
            "request_timeout",
            "team_added_to_org",
            "external_channel_migrating",
            "messaging_processing_failed",
            "update_failed",
        ],
        Outcome.TRY_AGAIN,
    ),
    **dict.fromkeys(
        ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"],
        Outcome.INSTALLATION_LOST,
    ),
    **dict.fromkeys(
        [
            "unknown_method",
            "method_deprecated",
            "deprecated_endpoint",
            "feature_not_enabled",
            "not_implemented",
        ],
        Outcome.UNSUPPORTED,
    ),
    **dict.fromkeys(
        ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_blocks_too_many"],
        Outcome.PLAINER,
    ),
    "stopped_by_user": Outcome.STOPPED,
    "streaming_state_conflict": Outcome.FREE_FIRST,
    "hash_conflict": Outcome.READ_AGAIN,
}
_NO_AGENT = frozenset(["not_an_agent", "no_permission", "missing_scope", "not_allowed"])
_AGENTS_ONLY = frozenset(
    [
        "agents.sessions.setStatus",
        "assistant.threads.setStatus",
        "assistant.threads.setSuggestedPrompts",
    ]
)


def outcome_of(method: str, code: str) -> Outcome:
    """Returns what to do when Slack answers a call of `method` with the error `code`.

    Total: a code that nobody has seen yet is a refusal, which no retry repeats.
    """
    if method in _AGENTS_ONLY and code in _NO_AGENT:
        return Outcome.UNSUPPORTED
    return _BY_CODE.get(code, Outcome.REFUSED)


class SlackRefusedError(PermanentError):
    """Slack will not do this call however often it is repeated.

    Attributes:
        code: Slack's error code.
    """

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"Slack refused {method}: {code}")
        self.method = method
        self.code = code

    @property
    def outcome(self) -> Outcome:
        """What is to be done about it."""
        return outcome_of(self.method, self.code)


class TokenRefusedError(UnauthorizedError):
    """Slack does not accept the workspace's token any more.

    Attributes:
        code: Slack's error code.
    """

    def __init__(self, method: str, code: str) -> None:
        super().__init__(
            f"{method}: Slack refused the token ({code}); check SLACK_BOT_TOKEN, or install again"
        )
        self.code = code


@contextmanager
def slack_errors(method: str) -> Iterator[None]:
    """Maps everything a Web API call can raise.

    Raises:
        OverloadedError: Slack asked us to slow down.
        UnavailableError: Slack, or the way to it, is broken for the moment.
        TimedOutError: No answer in time.
        TokenRefusedError: The token is no longer good.
        SlackRefusedError: Anything that repeating cannot mend.
    """
    try:
        yield
    except SlackApiError as exc:
        raise _mapped(method, exc) from exc
    except TimeoutError as exc:
        raise TimedOutError(f"{method}: Slack did not answer in time") from exc
    except (aiohttp.ClientError, OSError, SlackClientError) as exc:
        raise UnavailableError(f"{method}: Slack cannot be reached ({exc})") from exc
    except AttributeError as exc:
        # How slack_sdk fails on an answer that is no JSON object, though its status is 200.
        raise UnavailableError(f"{method}: Slack answered something unreadable") from exc


def _mapped(method: str, exc: SlackApiError) -> Exception:
    response = exc.response
    if isinstance(response, aiohttp.ClientResponse):
        return UnavailableError(f"{method}: Slack answered broken JSON ({response.status})")
    # A 5xx with an HTML body leaves a string where the JSON should be.
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "")
    status = int(response.status_code)
    outcome = outcome_of(method, code)
    if status == 429 or outcome is Outcome.SLOW_DOWN:
        return OverloadedError(
            f"{method}: Slack asked us to slow down", retry_after=_retry_after(response.headers)
        )
    if status >= 500 or outcome is Outcome.TRY_AGAIN or not code:
        return UnavailableError(f"{method}: Slack failed ({code or status})")
    if outcome is Outcome.INSTALLATION_LOST:
        return TokenRefusedError(method, code)
    return SlackRefusedError(method, code)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds Slack names; None when it names none, or something else than seconds."""
    named = next((value for key, value in headers.items() if key.lower() == "retry-after"), "")
    return float(named) if named.isascii() and named.isdigit() else None
