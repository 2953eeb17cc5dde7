"""The switchboard of Web API faults: what the next calls of a method run into."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from bot.sandbox.jsontypes import Json
from feedback.errors import InvalidInputError

FaultKind = Literal[
    "error", "ratelimited", "server_error", "html", "broken_json", "delay", "cut", "lost_answer"
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(kw_only=True)
class Fault:
    """One rule.

    Attributes:
        method: Web API method, or `*` for any.
        kind: `error` answers `{"ok": false, "error": code}`; `ratelimited` HTTP 429 with
            Retry-After; `server_error` HTTP `status` and text that is no JSON; `html` the same
            with a page; `broken_json` the same with half an object; `delay` waits, then works;
            `cut` closes the line before the call is done; `lost_answer` does the call, then closes
            the line without answering.
        times: How many calls it hits; None for all of them.
        skip: How many matching calls pass before it hits.
        code: Error code of `error`.
        status: HTTP status of `server_error`, `html` and `broken_json`: 500 to 599, or 200.
        retry_after: Retry-After header: one second for `ratelimited`, none for `error` by default.
        delay_s: Seconds for `delay`.
        channel: Only calls that name this channel.
    """

    method: str
    kind: FaultKind
    times: int | None = 1
    skip: int = 0
    code: str = "internal_error"
    status: int = 500
    retry_after: int | str | None = None
    delay_s: float = 0.0
    channel: str | None = None

    @classmethod
    def from_json(cls, data: Json) -> "Fault":
        """Reads a rule.

        Raises:
            InvalidInputError: A key is unknown or missing, or the kind is none of KINDS.
        """
        try:
            fault = cls(**data)
        except TypeError as exc:
            raise InvalidInputError(f"not a fault rule: {exc}") from exc
        if fault.kind not in KINDS:
            raise InvalidInputError(
                f"unknown fault kind {fault.kind!r}; use one of {', '.join(KINDS)}"
            )
        if fault.status != 200 and not 500 <= fault.status <= 599:
            raise InvalidInputError(
                f"status must be a server error, 500 to 599, or 200; got {fault.status}"
            )
        return fault


@dataclass(kw_only=True)
class Faults:
    """Active rules, and how often each method was called."""

    rules: list[Fault] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    def add(self, fault: Fault) -> None:
        """Adds a rule behind the existing ones."""
        self.rules.append(fault)

    def clear(self) -> None:
        """Removes every rule and zeroes the counts."""
        self.rules.clear()
        self.calls.clear()

    def hit(self, method: str, channel: str | None) -> Fault | None:
        """Counts a call and returns the first rule that hits it."""
        self.calls[method] = self.calls.get(method, 0) + 1
        for rule in self.rules:
            if rule.method not in {method, "*"} or rule.channel not in {None, channel}:
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times <= 0:
                    self.rules.remove(rule)
            return rule
        return None
