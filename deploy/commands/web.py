"""`understudy web`: dashboard, review pages, health and metrics."""

import asyncio

import uvicorn

from deploy.wiring import open_store
from feedback.settings import Settings, load_settings
from feedback.web.app import create_app


def web() -> None:
    """Serve the dashboard, /metrics, /healthz and /readyz."""
    asyncio.run(_run(load_settings()))


async def _run(settings: Settings) -> None:
    async with open_store(settings) as store:
        config = uvicorn.Config(
            create_app(store), host=settings.web.host, port=settings.web.port, log_level="warning"
        )
        await uvicorn.Server(config).serve()
