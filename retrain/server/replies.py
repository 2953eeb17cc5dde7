"""Refusals and failures in the words, codes and JSON shapes of TGI 3.3.7."""

from dataclasses import dataclass, field


@dataclass
class Refusal(Exception):  # noqa: N818 - an answer to the client, not one of our own failures
    """A request that gets an error answer.

    Attributes:
        message: The `error` text.
        error_type: TGI's `error_type`.
        status: HTTP status.
    """

    message: str
    error_type: str
    status: int
    args: tuple[object, ...] = field(default=(), init=False)

    def body(self) -> dict[str, str]:
        """Returns the JSON body of plain routes and of `/generate_stream` events."""
        return {"error": self.message, "error_type": self.error_type}

    def openai_event(self) -> dict[str, object]:
        """Returns the event of a chat stream; its status reads 422 whatever happened, as in TGI."""
        return {"error": {"message": self.message, "http_status_code": 422}}


@dataclass
class PlainRefusal(Exception):  # noqa: N818 - as above
    """A request refused before it was understood: text/plain, as axum words it."""

    message: str
    status: int
    args: tuple[object, ...] = field(default=(), init=False)


def validation_refusal(rule: str) -> Refusal:
    """A parameter rule was broken."""
    return Refusal(f"Input validation error: {rule}", "validation", 422)


def template_refusal(problem: str) -> Refusal:
    """The chat template is missing or failed."""
    return Refusal(f"Template error: {problem}", "template_error", 422)


def tool_refusal(problem: str) -> Refusal:
    """Tools were asked for."""
    return Refusal(f"Tool error: {problem}", "tool_error", 422)


def overloaded_refusal() -> Refusal:
    """No permit was free."""
    return Refusal("Model is overloaded", "overloaded", 429)


def generation_refusal(problem: str) -> Refusal:
    """The model failed while generating."""
    return Refusal(f"Request failed during generation: {problem}", "generation", 424)


def unhealthy_refusal() -> Refusal:
    """The health check failed."""
    return Refusal("unhealthy", "healthcheck", 503)


def unknown_adapter_refusal(name: str, served: tuple[str, ...]) -> Refusal:
    """Only with --strict-adapters: real TGI answers with the base model instead."""
    known = ", ".join(served) or "none"
    return Refusal(f"adapter {name} is not served here (served: {known})", "unknown_adapter", 404)
