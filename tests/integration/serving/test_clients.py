"""Clients of other hands work unchanged; the others run in `make serving-clients`."""

from tests.serving_clients.hub import check


async def test_the_pinned_hub_client_works_unchanged(server_url: str) -> None:
    await check(server_url, "cobalt")
