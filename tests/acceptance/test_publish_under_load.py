"""While an adapter is published nobody waits in vain, and nobody is answered by another adapter."""

from pathlib import Path

import pytest

from feedback.store.unit_of_work import Store
from tests.benchmarks.bench_publish import (
    CHALLENGER,
    CHAMPION,
    IN_FLIGHT,
    QUICK,
    publish_under_load,
)

pytestmark = pytest.mark.slow


async def test_a_publish_under_load_loses_nothing(store: Store, tmp_path: Path) -> None:
    report = await publish_under_load(store, tmp_path, QUICK)
    assert IN_FLIGHT >= 20
    assert report["failures"] == 0, report["first_failures"]
    assert report["wrong_answers"] == 0
    assert report["latency_ms"]["during"]["n"] > IN_FLIGHT
    assert set(report["by_adapter"]) == {"base", CHAMPION, CHALLENGER}
