"""The servers that the contract is held against: ours, or any live one.

make tgi-smoke URL=http://gpu-host:8080 ADAPTERS=first,second KEY=...
"""

import pytest

from tests.contract.serving.live import Live
from tests.serving_fixtures import endless_base, server_url, tiny_adapters, tiny_base

__all__ = ["endless_base", "server_url", "tiny_adapters", "tiny_base"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("live model server")
    group.addoption("--server-url", default="", help="hold the contract against this server")
    group.addoption("--server-adapters", default="", help="names of its adapters: first,second")
    group.addoption("--server-key", default="-", help="its API key")


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> Live:
    """The server to ask: the one of the command line, or ours with two adapters."""
    # Where the whole suite runs this file is read too late to add options.
    url = request.config.getoption("--server-url", default="")
    if not url:
        return Live(url=request.getfixturevalue("server_url"), adapters=("cobalt", "amber"))
    names = request.config.getoption("--server-adapters")
    return Live(
        url=url,
        adapters=tuple(filter(None, names.split(","))),
        key=request.config.getoption("--server-key"),
    )
