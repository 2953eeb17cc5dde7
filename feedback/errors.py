"""The one error tree, split by what the caller must do.

UnderstudyError
├── PermanentError           tell the person; trying again cannot help
│   ├── InvalidInputError    a row, file, argument or payload is wrong
│   │   └── PromptTooLongError  shorten the context and send once more
│   ├── NotFoundError        a named thing does not exist
│   ├── NotAllowedError      the person's role does not permit this
│   ├── ConflictError        somebody else changed the row first
│   └── TrainingFailedError  a run diverged; the same data and recipe would diverge again
├── RetryableError           the same call may succeed later; carries `retry_after`
│   ├── OverloadedError      the service asked us to slow down
│   ├── UnavailableError     refused, reset, gateway error
│   ├── TimedOutError        our deadline passed
│   ├── GenerationFailedError  the model server failed during generation
│   └── StreamBrokenError    a stream ended without its final event
└── ConfigurationError       stop at start, with every problem listed at once
    ├── UnauthorizedError    a credential was refused
    ├── TemplateRejectedError  the server could not render the chat template
    └── AdapterNotServedError  the adapter is not (provably) the one being served

Foreign exceptions are mapped once, in the module that talks to the foreign thing, with `from exc`.
Messages name the value and the remedy. People in Slack see an incident id, never these texts.
"""


class UnderstudyError(Exception):
    """Base of every error raised on purpose."""


class PermanentError(UnderstudyError):
    """Trying again cannot help: tell the person."""


class InvalidInputError(PermanentError):
    """A row, file, argument or payload is wrong."""


class PromptTooLongError(InvalidInputError):
    """The prompt exceeds what the model server takes: shorten the context, send once more."""


class NotFoundError(PermanentError):
    """A named thing does not exist."""


class NotAllowedError(PermanentError):
    """The person's role does not permit this."""


class ConflictError(PermanentError):
    """Somebody else changed the row first."""


class TrainingFailedError(PermanentError):
    """A training run diverged; the same data and recipe would diverge again."""


class RetryableError(UnderstudyError):
    """The same call may succeed later.

    Attributes:
        retry_after: Seconds to wait before the next try; None lets the caller choose a backoff.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OverloadedError(RetryableError):
    """The service asked us to slow down."""


class UnavailableError(RetryableError):
    """Refused, reset, or a gateway error."""


class TimedOutError(RetryableError):
    """Our own deadline passed."""


class GenerationFailedError(RetryableError):
    """The model server failed during generation."""


class StreamBrokenError(RetryableError):
    """A stream ended without its final event."""


class ConfigurationError(UnderstudyError):
    """The process must not start, or the rollout must not go on, like this.

    Attributes:
        problems: Every problem found, each naming the value and the remedy.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class UnauthorizedError(ConfigurationError):
    """A credential was refused."""


class TemplateRejectedError(ConfigurationError):
    """The server could not render the chat template."""


class AdapterNotServedError(ConfigurationError):
    """The adapter is not, or not provably, the one being served."""
