"""`understudy web`: dashboard, review pages, health and metrics."""

import asyncio

import uvicorn

from deploy.wiring import make_clock, open_store
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store
from feedback.web.app import create_app
from feedback.web.site import Site, require_guarded


def web() -> None:
    """Serve the dashboard, /metrics, /healthz and /readyz.

    It binds 127.0.0.1 and has no login of its own; with UNDERSTUDY_WEB__TOKEN it may bind another
    address and asks for the token.
    """
    asyncio.run(_run(load_settings()))


async def _run(settings: Settings) -> None:
    token = settings.web.token
    require_guarded(settings.web.host, token.get_secret_value() if token else None)
    async with open_store(settings) as store:
        config = uvicorn.Config(
            create_app(_site(settings, store)),
            host=settings.web.host,
            port=settings.web.port,
            log_level="warning",
            server_header=False,
        )
        await uvicorn.Server(config).serve()


def _site(settings: Settings, store: Store) -> Site:
    token = settings.web.token
    return Site(
        store=store,
        clock=make_clock(settings),
        state_dir=settings.state_dir,
        token=token.get_secret_value() if token else None,
        label_gate=settings.retrain.label_gate,
        min_fine_tune_failures=settings.retrain.min_fine_tune_failures,
        untried_share=settings.retrain.untried_share,
        instructed=bool(settings.bot.instructions),
        consent=settings.privacy.training_consent,
        schedule=settings.retrain.schedule,
        tick_s=settings.retrain.tick_s,
        operators_channel=settings.slack.operators_channel,
    )
