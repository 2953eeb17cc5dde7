"""The server keeps TGI's published contract, whatever it is sent."""

from pathlib import Path

from retrain.server.run import ServerOptions
from tests.model_server import running_server
from tests.serving_contract.run import check_contract


def test_schemathesis_finds_no_departure(
    tiny_base: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    """Examples, coverage and fuzzing; short answers, so that the time goes into requests."""
    options = ServerOptions(model=tiny_base, adapters=tiny_adapters, max_total_tokens=64)
    with running_server(options) as url:
        run = check_contract(url, tmp_path, examples=10)
    assert run.returncode == 0, run.stdout + run.stderr
