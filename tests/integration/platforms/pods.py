"""A model server of a test: it answers /health and says which adapters it really serves."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

Changing = Callable[[], Awaitable[None]]
"""Looks at something just before and just after a server changes."""


async def nothing() -> None:
    """Looks at nothing."""


class PodServer:
    """Listens on an address of its own, as a pod does.

    Args:
        names: The adapters it was started with.
        lost: Those among them that it silently does not serve.
    """

    def __init__(self, names: Sequence[str], *, lost: Sequence[str] = ()) -> None:
        self.served = [name for name in names if name not in lost]
        app = web.Application()
        app.add_routes([web.get("/health", self._health), web.get("/served", self._served)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self, host: str, port: int) -> int:
        """Starts listening and returns the port; 0 takes a free one."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _served(self, _: web.Request) -> web.Response:
        return web.json_response(self.served)
