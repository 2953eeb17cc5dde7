"""The switchboard from Python: break the workspace, count deliveries, wait for them."""

import asyncio

from bot.sandbox.calls import SandboxCalls
from bot.sandbox.jsontypes import Json, JsonValue
from feedback.errors import TimedOutError


class Switchboard(SandboxCalls):
    """Breaks things on purpose, and waits until they have settled."""

    async def fault(self, **rule: JsonValue) -> None:
        """Adds a Web API fault; see `bot.sandbox.faults.Fault` for the keys.

        `times=None` means for good, so it must not be left out.
        """
        await self._send("POST", "faults", rule)

    async def delivery_faults(self, **counts: int) -> None:
        """Sets delivery faults; see `bot.sandbox.delivery.DeliveryFaults` for the keys."""
        await self._call("POST", "faults/delivery", counts)

    async def tiers(self, *, enforce: bool, minute_s: float = 60.0) -> None:
        """Enforces the rate tiers or not; `minute_s` real seconds count as their minute."""
        await self._call("POST", "faults/tiers", {"enforce": enforce, "minute_s": minute_s})

    async def refused(self) -> dict[str, int]:
        """Returns how many calls of each method the tiers refused."""
        counts: dict[str, int] = (await self._call("GET", "faults", {}))["refused"]
        return counts

    async def clear_faults(self) -> None:
        """Ends every fault."""
        await self._call("POST", "faults/clear", {})

    async def disconnect(
        self,
        *,
        abrupt: bool = False,
        reason: str = "refresh_requested",
        connections: int | None = None,
    ) -> int:
        """Closes the app's sockets; returns how many.

        Args:
            abrupt: Cut the line without a word.
            reason: What the `disconnect` message says; after `warning` they live on for a while.
            connections: At most so many, the oldest first; all when None.
        """
        body = {"abrupt": abrupt, "reason": reason, "connections": connections}
        closed: int = (await self._call("POST", "disconnect", body))["closed"]
        return closed

    async def rate_limit_app(self) -> None:
        """Tells the app that Slack holds events back (`app_rate_limited`)."""
        await self._call("POST", "faults/app_rate_limited", {})

    async def revoke_tokens(self) -> None:
        """Ends the app's tokens; the app hears of it (`tokens_revoked`)."""
        await self._call("POST", "revoke", {})

    async def uninstall(self) -> None:
        """Takes the app out of the workspace (`tokens_revoked`, `app_uninstalled`)."""
        await self._call("POST", "uninstall", {})

    async def deliveries(self) -> Json:
        """Returns counts of events: pending, acknowledged, redelivered, given up."""
        return await self._call("GET", "deliveries", {})

    async def reset(self) -> None:
        """Starts over from the seed."""
        await self._call("POST", "reset", {})

    async def wait_until_connected(self, timeout_s: float = 30.0) -> None:
        """Returns once the app can be reached.

        Raises:
            TimedOutError: It did not come in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._call("GET", "connected", {})
        except TimeoutError:
            raise TimedOutError(f"no app connected to {self._url} in {timeout_s} s") from None

    async def wait_until_settled(self, timeout_s: float = 30.0) -> None:
        """Returns once the app acknowledged every event (or Slack would have given up).

        Raises:
            TimedOutError: Some are still on their way.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._call("GET", "settled", {})
        except TimeoutError:
            raise TimedOutError(
                f"events are still undelivered after {timeout_s} s; see {self._url}"
                "/sandbox/deliveries"
            ) from None
