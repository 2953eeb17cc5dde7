"""The parts of one sandbox, put together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox.delivery import Delivery, DeliveryFaults
from bot.sandbox.events import Events
from bot.sandbox.faults import Faults
from bot.sandbox.feed import Feed
from bot.sandbox.http_mode import HttpMode
from bot.sandbox.installation import Installation
from bot.sandbox.interactivity import Interactivity
from bot.sandbox.journal import Journal
from bot.sandbox.jsontypes import Json
from bot.sandbox.messages import Messages
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.state import State
from bot.sandbox.tiers import Tiers
from bot.sandbox.workspace import Workspace
from feedback.clock import Clock


@dataclass(kw_only=True)
class Presence:
    """What the app says about a thread between messages: status, session, prompts.

    Not kept over a restart: a status is at most two minutes old anyway.

    Attributes:
        life_s: Real seconds after which a status goes by itself.
        session_life_s: The same for a session left at `processing`, in Slack about an hour.
    """

    life_s: float
    session_life_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    statuses: dict[tuple[str, str], tuple[Json, float]] = field(default_factory=dict)
    sessions: dict[tuple[str, str], Json] = field(default_factory=dict)
    prompts: dict[str, Json] = field(default_factory=dict)
    _busy_until: dict[tuple[str, str], float] = field(default_factory=dict)

    def set_status(self, channel: str, thread_ts: str, status: Json) -> Json:
        """Shows a status (an empty text clears it) and returns what stands there now."""
        now = self.clock()
        life_s = self.life_s
        if "session" in status:
            life_s = self.session_life_s
            self._busy_until[channel, thread_ts] = now + life_s
        if status["status"]:
            self.statuses[channel, thread_ts] = (status, now + life_s)
        else:
            self.statuses.pop((channel, thread_ts), None)
        return self.describe(channel, thread_ts)

    def status(self, channel: str, thread_ts: str) -> Json | None:
        """Returns the status shown now, if any."""
        status, until = self.statuses.get((channel, thread_ts), (None, 0.0))
        return status if self.clock() < until else None

    def current(self) -> list[Json]:
        """Returns every thread in which the app is said to do something, with the words shown."""
        shown = [key for key in self.statuses if self.status(*key) is not None]
        busy = [key for key in self.sessions if self._session(key) == "processing"]
        return [self.describe(*key) for key in dict.fromkeys([*shown, *busy])]

    def describe(self, channel: str, thread_ts: str) -> Json:
        """Returns a thread's status words, and the state and title of its session."""
        title = self.sessions.get((channel, thread_ts), {}).get("title", "")
        words = self.status(channel, thread_ts) or {"status": ""}
        facts = {"session": self._session((channel, thread_ts)), "title": title}
        return {"channel": channel, "thread_ts": thread_ts, **words, **facts}

    def _session(self, key: tuple[str, str]) -> str:
        state = str(self.sessions.get(key, {}).get("status", ""))
        given_up = state == "processing" and self.clock() >= self._busy_until.get(key, 0.0)
        return "" if given_up else state


class Sandbox:
    """One workspace with its app, ready to be served."""

    def __init__(
        self,
        *,
        state_dir: Path | None,
        clock: Clock,
        workspace: Workspace,
        settings: SandboxSettings,
    ) -> None:
        self.settings = settings
        self.journal = Journal(state_dir)
        try:
            self.state = State(self.journal, clock, workspace)
        except BaseException:
            self.journal.close(keep=False)  # a half-written seed must not be taken for a state
            raise
        space = self.state.workspace
        last_seq = int(self.journal.load("meta").get("seq", 0))
        self.feed = Feed(settings.feed_size, last_seq)
        self.faults = Faults()
        self.tiers = Tiers(enforced=settings.enforce_tiers)
        self.presence = Presence(life_s=settings.status_life_s)
        self.socket_mode = SocketMode(settings, space.app_id, space.signing_secret)
        self.socket_mode.changed = self._tell_standing
        self.http_mode = _http_mode(settings, space)
        transport = self.http_mode or self.socket_mode
        self.delivery = Delivery(journal=self.journal, settings=settings, transport=transport)
        self.installation = Installation(
            self.journal, first_token=space.bot_token, token_life_s=settings.token_life_s
        )
        self.events = Events(self.state, self.delivery.publish, lambda: self.installation.installed)
        self.messages = Messages(self.state, self.events, self.feed)
        self.interactivity = Interactivity(
            state=self.state,
            feed=self.feed,
            messages=self.messages,
            delivery=self.delivery,
            settings=settings,
            installed=lambda: self.installation.installed,
        )

    def wall_clock(self) -> float:
        """Returns real seconds: lives of streams and statuses ignore the simulated clock."""
        return time.time()

    def commit(self) -> None:
        """Makes everything done since the last commit survive a kill."""
        self.journal.put("meta", "seq", self.feed.seq)
        self.journal.commit()

    def reset(self, workspace: Workspace | None = None) -> None:
        """Starts over from the seed: nobody has said anything, nothing waits for delivery."""
        self.delivery.clear()
        self.faults.clear()
        self.tiers.clear()
        self.delivery.faults = DeliveryFaults()
        self.presence = Presence(life_s=self.settings.status_life_s)
        self.interactivity.response_urls.clear()
        self.state.reset(workspace)
        self.installation.reset(self.state.workspace.bot_token)
        self.feed.append("reset")

    def revoke_tokens(self) -> None:
        """Ends the app's tokens and tells it."""
        self.installation.end("token_revoked")
        self.events.tokens_revoked()
        self._tell_standing()

    def uninstall(self) -> None:
        """Takes the app out of the workspace and tells it, in Slack's two events."""
        self.installation.end("account_inactive")
        self.events.tokens_revoked()
        self.events.uninstalled()
        self._tell_standing()

    @property
    def standing(self) -> Json:
        """Whether the app is installed, and whether it can be reached now."""
        reached = self.socket_mode.count > 0 or self.http_mode is not None
        return {"installed": self.installation.installed, "connected": reached}

    def _tell_standing(self) -> None:
        self.feed.append("app", **self.standing)

    async def close(self) -> None:
        """Stops delivering and releases the state directory."""
        await self.delivery.stop()
        if self.http_mode is not None:
            await self.http_mode.close()
        self.commit()
        self.journal.close()


def _http_mode(settings: SandboxSettings, space: Workspace) -> HttpMode | None:
    if settings.events_url is None:
        return None
    return HttpMode(settings, space.signing_secret, settings.events_url)
