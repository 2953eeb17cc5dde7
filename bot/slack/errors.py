"""Slack's failures, mapped once to our error tree."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from feedback.errors import (
    OverloadedError,
    PermanentError,
    TimedOutError,
    UnauthorizedError,
    UnavailableError,
)

_SLOW_DOWN = frozenset(["ratelimited", "rate_limited", "message_limit_exceeded"])
_SERVER = frozenset(
    ["fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org"]
)
_CREDENTIALS = frozenset(
    ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"]
)


class SlackRefusedError(PermanentError):
    """Slack will not do this call however often it is repeated.

    Attributes:
        code: Slack's error code.
    """

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"Slack refused {method}: {code}")
        self.method = method
        self.code = code


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


def _mapped(method: str, exc: SlackApiError) -> Exception:
    response = exc.response
    # A 5xx with an HTML body leaves a string where the JSON should be.
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "")
    status = int(response.status_code)
    if status == 429 or code in _SLOW_DOWN:
        after = response.headers.get("Retry-After") or response.headers.get("retry-after")
        return OverloadedError(
            f"{method}: Slack asked us to slow down", retry_after=float(after) if after else None
        )
    if status >= 500 or code in _SERVER or not code:
        return UnavailableError(f"{method}: Slack failed ({code or status})")
    if code in _CREDENTIALS:
        return TokenRefusedError(method, code)
    return SlackRefusedError(method, code)
