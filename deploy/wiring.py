"""Composition roots: settings in, ready objects out, closed in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from feedback.clock import Clock, FileClock, SystemClock
from feedback.samples import load_company
from feedback.settings import Settings
from feedback.store.embedded import EmbeddedPostgres
from feedback.store.migrate import require_current, upgrade
from feedback.store.unit_of_work import Store


def make_clock(settings: Settings) -> Clock:
    """Returns real time, or the simulated time shared through `clock_file`."""
    return FileClock(settings.clock_file) if settings.clock_file else SystemClock()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Opens the operator's database, or the embedded one (which is migrated by itself).

    Raises:
        ConfigurationError: When the database is not migrated or cannot start.
        UnavailableError: When it cannot be reached.
    """
    async with _database(settings) as url:
        store = Store.connect(url)
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """Yields the URL of the operator's database, or of the embedded one, which is looked after."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        require_current(url)
        yield url
        return
    embedded = EmbeddedPostgres(settings.state_dir / "postgres")
    stop = asyncio.Event()
    url = embedded.start()
    try:
        upgrade(url)
        keeper = asyncio.create_task(embedded.keep(stop), name="embedded-postgres")
        try:
            yield url
        finally:
            stop.set()
            await keeper
    finally:
        embedded.stop()


def style_dir(settings: Settings) -> Path:
    """Returns the folder of the style guide: the operator's, or the sample company's."""
    return settings.tone.style_guide or load_company().style_guide_path
