"""Whether the app is installed here, and which of its tokens are good.

A sandbox starts with the app installed under the published token. OAuth adds tokens; revoking and
uninstalling end them, and an app that is not installed hears nothing of the workspace.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox.errors import SlackError
from bot.sandbox.journal import Journal
from bot.sandbox.jsontypes import Json

CODE_LIFE_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a person allowed on the installation page, to be exchanged for a token once.

    Attributes:
        born: Real seconds since the epoch.
    """

    user: str
    scope: str
    redirect_uri: str
    born: float


class Installation:
    """The app's standing in one workspace. Tokens are kept; codes live ten minutes in memory."""

    def __init__(
        self,
        journal: Journal,
        *,
        first_token: str,
        token_life_s: float | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._token_life_s = token_life_s
        self._clock = clock
        self._codes: dict[str, Grant] = {}
        self._tokens: dict[str, Json] = journal.load("token")
        if not self._tokens:
            self._put(first_token, {"state": "good", "expires": None})

    @property
    def installed(self) -> bool:
        """Whether any bot token is good, or could be refreshed."""
        return any(row["state"] == "good" for row in self._tokens.values())

    def reset(self, first_token: str) -> None:
        """Starts over: installed under the first token."""
        self._tokens.clear()
        self._codes.clear()
        self._put(first_token, {"state": "good", "expires": None})

    def knows(self, token: str) -> bool:
        """Returns whether a bot token is good.

        Raises:
            SlackError: `token_revoked`, `account_inactive` (uninstalled) or `token_expired`.
        """
        row = self._tokens.get(token)
        if row is None:
            return False
        if row["state"] != "good":
            raise SlackError(row["state"])
        if row["expires"] is not None and self._clock() >= row["expires"]:
            raise SlackError("token_expired")
        return True

    def allow(self, grant: Grant) -> str:
        """Returns a code for the redirect URL."""
        code = f"{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._codes[code] = grant
        return code

    def exchange(self, code: str, redirect_uri: str) -> tuple[Grant, Json]:
        """Uses a code up and returns what was granted with the token's keys.

        Raises:
            SlackError: `invalid_code`, also for a used one, or `bad_redirect_uri`.
        """
        grant = self._codes.pop(code, None)
        if grant is None or self._clock() - grant.born > CODE_LIFE_S:
            raise SlackError("invalid_code")
        if redirect_uri and redirect_uri != grant.redirect_uri:
            raise SlackError("bad_redirect_uri")
        return grant, self._issue(grant.scope)

    def refresh(self, refresh_token: str) -> Json:
        """Replaces a token that expires; the refresh token works once.

        Raises:
            SlackError: `invalid_refresh_token`.
        """
        for token, row in self._tokens.items():
            if row.get("refresh") == refresh_token and row["state"] == "good":
                scope = row["scope"]
                self._put(token, {**row, "refresh": None})
                return self._issue(scope)
        raise SlackError("invalid_refresh_token")

    def end(self, reason: str) -> None:
        """Ends every token.

        Args:
            reason: What calls with them answer: `token_revoked` or `account_inactive`.
        """
        for token, row in self._tokens.items():
            self._put(token, {**row, "state": reason, "refresh": None})

    def _issue(self, scope: str) -> Json:
        token = f"xoxb-sandbox-{secrets.token_hex(12)}"
        row: Json = {"state": "good", "scope": scope, "expires": None}
        answer: Json = {"access_token": token, "token_type": "bot", "scope": scope}
        if self._token_life_s is not None:
            row |= {
                "expires": self._clock() + self._token_life_s,
                "refresh": f"xoxe-1-sandbox-{secrets.token_hex(12)}",
            }
            answer |= {"refresh_token": row["refresh"], "expires_in": int(self._token_life_s)}
        self._put(token, row)
        return answer

    def _put(self, token: str, row: Json) -> None:
        self._tokens[token] = row
        self._journal.put("token", token, row)
