"""Whose key goes where."""

from bot.model_clients import ModelClients
from feedback.serving.embed import HttpEmbedder


def sent(embedder: HttpEmbedder) -> str | None:
    key: str | None = embedder._client.headers.get("authorization")
    return key


async def test_the_text_servers_key_goes_to_its_own_embedder() -> None:
    clients = ModelClients(api_key="text-key")
    assert sent(clients.embedder("http://model")) == "Bearer text-key"
    await clients.aclose()


async def test_an_embedding_server_gets_its_own_key_only() -> None:
    clients = ModelClients(api_key="text-key", embed_api_key="embed-key", embed_url="http://tei")
    assert sent(clients.embedder("http://model")) == "Bearer embed-key"
    await clients.aclose()


async def test_without_keys_none_is_sent() -> None:
    clients = ModelClients(api_key="-", embed_api_key="-", embed_url="http://tei")
    assert sent(clients.embedder("http://model")) is None
    await clients.aclose()
