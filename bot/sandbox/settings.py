"""How a sandbox behaves; every number can be set by the one who starts it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """Delays are real seconds, whatever the simulated clock says.

    Attributes:
        ack_timeout_s: How long a delivery may stay unacknowledged. Slack: 3.
        retry_delays_s: Waits before each redelivery of an unacknowledged event. Slack: 0, 60, 300;
            shorter here so that a person can watch it.
        trigger_life_s: How long a trigger_id can open a view. Slack: about 3.
        stream_life_s: How long after chat.startStream a stream accepts text. Slack: about 300.
        status_life_s: How long an assistant status stays without a message. Slack: 120.
        max_connections: Socket Mode connections of the app. Slack: 10.
        warning_s: How long a socket lives on after a `disconnect` of reason `warning`. Slack: 10.
        feed_size: Changes that the feed remembers.
        enforce_tiers: Answer 429 to calls above the rate tiers (real time).
        token_life_s: Tokens made by OAuth expire after this and are rotated (Slack: 43,200); None:
            never, as without token rotation.
        events_url: Deliver events by signed HTTP to this URL instead of Socket Mode.
        interactivity_url: Deliver interactions there; `events_url` when None.
    """

    ack_timeout_s: float = 3.0
    retry_delays_s: tuple[float, ...] = (0.0, 5.0, 15.0)
    trigger_life_s: float = 3.0
    stream_life_s: float = 300.0
    status_life_s: float = 120.0
    max_connections: int = 10
    warning_s: float = 10.0
    feed_size: int = 10_000
    enforce_tiers: bool = False
    token_life_s: float | None = None
    events_url: str | None = None
    interactivity_url: str | None = None
