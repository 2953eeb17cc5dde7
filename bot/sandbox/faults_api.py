"""`/sandbox/faults` and `/sandbox/disconnect`: break things on purpose."""

from dataclasses import asdict, fields

from aiohttp import web

from bot.sandbox.actor_api import ActorApi
from bot.sandbox.core import Sandbox
from bot.sandbox.delivery import DeliveryFaults
from bot.sandbox.faults import Fault
from bot.sandbox.jsontypes import Json
from bot.sandbox.web_api.call import Args
from feedback.errors import InvalidInputError

_RULE_KEYS = tuple(field.name for field in fields(Fault))
_REASONS = ("warning", "refresh_requested", "too_many_websockets", "link_disabled")
_DELIVERY_KEYS = tuple(field.name for field in fields(DeliveryFaults))


class FaultsApi:
    """Routes of the switchboard."""

    def __init__(self, sandbox: Sandbox, actors: ActorApi) -> None:
        self._sandbox = sandbox
        self._actors = actors

    def routes(self) -> list[web.RouteDef]:
        """Returns the switchboard's routes."""
        answer = self._actors.answer
        return [
            web.get("/sandbox/faults", answer(self._show)),
            web.post("/sandbox/faults", answer(self._add)),
            web.post("/sandbox/faults/delivery", answer(self._deliver)),
            web.post("/sandbox/faults/tiers", answer(self._tiers)),
            web.post("/sandbox/faults/app_rate_limited", answer(self._rate_limit_app)),
            web.post("/sandbox/faults/clear", answer(self._clear)),
            web.post("/sandbox/disconnect", answer(self._disconnect)),
        ]

    async def _show(self, args: Args) -> Json:
        tiers = self._sandbox.tiers
        return {
            "rules": [asdict(rule) for rule in self._sandbox.faults.rules],
            "delivery": asdict(self._sandbox.delivery.faults),
            "tiers": {"enforce": tiers.enforced, "minute_s": tiers.minute_s},
            "calls": self._sandbox.faults.calls,
            "refused": tiers.refused,
        }

    async def _add(self, args: Args) -> Json:
        self._sandbox.faults.add(Fault.from_json(args.everything(_RULE_KEYS)))
        return await self._show(args)

    async def _deliver(self, args: Args) -> Json:
        for key, value in args.everything(_DELIVERY_KEYS).items():
            if not isinstance(value, int) or value < 0:
                raise InvalidInputError(f"{key} must be a whole number of 0 or more, got {value!r}")
            setattr(self._sandbox.delivery.faults, key, value)
        return await self._show(args)

    async def _tiers(self, args: Args) -> Json:
        args.everything(("enforce", "minute_s"))
        tiers = self._sandbox.tiers
        minute_s = args.json_or_text("minute_s")
        if minute_s is None:
            minute_s = tiers.minute_s
        if not isinstance(minute_s, int | float) or minute_s <= 0:
            raise InvalidInputError(f"minute_s must be real seconds above 0, got {minute_s!r}")
        tiers.enforced, tiers.minute_s = args.flag("enforce"), minute_s
        tiers.clear()
        return await self._show(args)

    async def _clear(self, args: Args) -> Json:
        self._sandbox.faults.clear()
        self._sandbox.delivery.faults = DeliveryFaults()
        return await self._show(args)

    async def _disconnect(self, args: Args) -> Json:
        reason = args.text("reason") or "refresh_requested"
        if reason not in _REASONS:
            raise InvalidInputError(f"unknown reason {reason!r}; use one of {', '.join(_REASONS)}")
        closed = await self._sandbox.socket_mode.disconnect(
            reason,
            abrupt=args.flag("abrupt"),
            most=args.integer("connections", 0) or None,
            grace_s=self._sandbox.settings.warning_s if reason == "warning" else 0.0,
        )
        return {"closed": closed}

    async def _rate_limit_app(self, args: Args) -> Json:
        self._sandbox.events.rate_limited()
        return {}
