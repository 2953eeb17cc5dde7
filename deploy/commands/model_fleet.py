"""`understudy model-fleet`: model servers on this host; the other parts run elsewhere."""

import asyncio
import logging
import signal
import sys

from deploy.platforms import fleet_of
from deploy.stack.launching import clear_places, look_after, process_platform
from deploy.stack.processes import Supervisor
from deploy.wiring import make_clock, open_store
from feedback.errors import ConfigurationError
from feedback.settings import Settings, child_environment, load_settings


def model_fleet() -> None:
    """Start and replace model servers on this host as publishing asks for them.

    Part of `understudy up`. By itself it is for a host with a GPU whose bot and scheduler run
    elsewhere; both need DATABASE_URL, and this one UNDERSTUDY_PUBLISH__HOST.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # It tells every look at /health.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(_run(load_settings()))


async def _run(settings: Settings) -> None:
    if settings.publish.platform != "process" or settings.model.url:
        raise ConfigurationError(
            "these settings leave the servers to somebody else: unset TGI_URL, and "
            "UNDERSTUDY_PUBLISH__PLATFORM or set it to process"
        )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    clear_places(settings.state_dir, settings.stack.model_ports)
    supervisor = Supervisor()
    async with open_store(settings) as store:
        platform = process_platform(supervisor, settings, child_environment(settings))
        fleet = fleet_of(settings, store, make_clock(settings), platform)
        looking = asyncio.create_task(look_after(fleet))
        try:
            await stopped.wait()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await platform.close()
            await supervisor.close()
