"""Composition roots: settings in, ready objects out, closed in order."""

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
    embedded: EmbeddedPostgres | None = None
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        require_current(url)
    else:
        embedded = EmbeddedPostgres(settings.state_dir / "postgres")
        url = embedded.start()
        upgrade(url)
    store = Store.connect(url)
    try:
        yield store
    finally:
        await store.close()
        if embedded is not None:
            embedded.stop()


def style_dir(settings: Settings) -> Path:
    """Returns the folder of the style guide: the operator's, or the sample company's."""
    return settings.tone.style_guide or load_company().style_guide_path
