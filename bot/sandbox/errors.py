"""What the sandbox answers when a Web API call cannot be done."""

from collections.abc import Mapping
from typing import Any

from feedback.errors import PermanentError


class SlackError(PermanentError):
    """An `{"ok": false, "error": code}` answer, in Slack's own code names.

    Attributes:
        code: Slack's error code, e.g. `channel_not_found`.
        details: Further keys of the answer body, e.g. `response_metadata`.
    """

    def __init__(self, code: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.details = dict(details or {})


def invalid(code: str, problems: list[str]) -> SlackError:
    """Returns an error that lists every problem the way Slack does."""
    return SlackError(
        code,
        {"errors": problems, "response_metadata": {"messages": [f"[ERROR] {p}" for p in problems]}},
    )
