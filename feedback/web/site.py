"""What the web application is built on, and the rule about who may reach it."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from feedback.clock import Clock, SystemClock
from feedback.domain.why import Thresholds
from feedback.errors import ConfigurationError
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy


@dataclass(frozen=True, kw_only=True)
class Site:
    """One web application's surroundings.

    Attributes:
        clock: Time of the record (simulated in a demo).
        wall_clock: Real time, for sessions.
        state_dir: Report cards are served from below this folder only.
        token: Opens the pages; None asks nobody, and then only loopback names are answered.
        label_gate: Distinct, clean examples needed before an adapter is trained.
        min_fine_tune_failures: Failures that training would mend, needed too.
        consent: Which corrections may train (see PrivacySettings).
        schedule: Cron expression of the weekly cycle, in UTC.
        tick_s: Seconds between two looks of the scheduler.
        operators_channel: Channel id for public notices; empty posts none.
    """

    store: Store
    clock: Clock
    state_dir: Path
    wall_clock: Clock = field(default_factory=SystemClock)
    token: str | None = None
    label_gate: int = 5000
    min_fine_tune_failures: int = 50
    untried_share: float = 0.2
    instructed: bool = False
    consent: str = "reviewer_authored"
    schedule: str = "0 3 * * sun"
    tick_s: float = 5.0
    operators_channel: str = ""

    @property
    def why(self) -> WhyPolicy:
        """What "why (not) this week" depends on besides the record."""
        thresholds = Thresholds(
            label_gate=self.label_gate,
            min_fine_tune_failures=self.min_fine_tune_failures,
            untried_share=self.untried_share,
            instructed=self.instructed,
        )
        return WhyPolicy(thresholds=thresholds, consent=self.consent)


def site_of(request: Request) -> Site:
    """Returns the site a request came to; FastAPI fills it in."""
    site: Site = request.app.state.site
    return site


def require_guarded(host: str, token: str | None) -> None:
    """Refuses to serve other machines without a token.

    Args:
        host: Address to bind.
        token: The access token, None without one.

    Raises:
        ConfigurationError: When `host` is no loopback address and there is no token.
    """
    if token is None and not is_loopback(host):
        raise ConfigurationError(
            f"UNDERSTUDY_WEB__HOST={host} lets other machines see the pages, and nobody has to log "
            "in: set UNDERSTUDY_WEB__TOKEN (16 characters or more) or bind 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port) means this machine itself."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
