from datetime import UTC, datetime
from pathlib import Path

import pytest

from feedback.domain.learning import Adapter, AdapterState
from retrain.publishing.identity import WEIGHTS, file_sha256
from retrain.publishing.probes import PROBE_QUESTIONS
from retrain.publishing.signing import sign_adapter
from tests.serving_fixtures import endless_base, server_url, tiny_adapters, tiny_base

__all__ = ["endless_base", "server_url", "tiny_adapters", "tiny_base"]


@pytest.fixture(scope="session")
def signed(tiny_base: Path, tiny_adapters: dict[str, Path]) -> list[Adapter]:
    """Two adapters as they are registered after training: cobalt and amber."""
    return [
        Adapter(
            id=name,
            sha256=file_sha256(path / WEIGHTS),
            path=path,
            base_model=str(tiny_base),
            template_sha256="",
            dataset_id="set",
            training_run_id="run",
            signature=sign_adapter(tiny_base, path, PROBE_QUESTIONS[-2:]).to_json(),
            state=AdapterState.TRAINED,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for name, path in list(tiny_adapters.items())[:2]
    ]
