"""A model that fails answers 424, costs only the rows of that step, and proves its health again."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import torch

from retrain.server.app import build_app
from retrain.server.decoder import Decoder
from retrain.server.run import ServerOptions, build_service

GREEDY = {"inputs": "Reset the token", "parameters": {"max_new_tokens": 5}}


@pytest.fixture
async def http(tiny_base: Path) -> AsyncIterator[httpx.AsyncClient]:
    service = build_service(ServerOptions(model=tiny_base), None)
    service.open()
    transport = httpx.ASGITransport(app=build_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
        yield client
    await service.close()


async def test_a_failed_step_is_answered_and_survived(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = (await http.post("/generate", json=GREEDY)).json()

    def broken(*_arguments: object, **_options: object) -> torch.Tensor:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "step", broken)
        answer = await http.post("/generate", json=GREEDY)
        assert answer.status_code == 424
        assert answer.json()["error_type"] == "generation"
        assert "out of luck" in answer.json()["error"]
        stream = await http.post("/generate_stream", json=GREEDY)
        assert '"error_type":"generation"' in stream.text.splitlines()[-2]
    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "prompts", broken)
        sick = await http.get("/health")
        assert (sick.status_code, sick.json()["error"]) == (503, "unhealthy")
    assert (await http.get("/health")).status_code == 200
    assert (await http.post("/generate", json=GREEDY)).json() == expected
    page = (await http.get("/metrics")).text
    assert 'tgi_request_failure{err="generation"} 2' in page
    assert "tgi_request_success 2" in page
