"""The address that Slack sends with a command: what each of its answers means to us."""

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.slack.errors import SlackRefusedError
from bot.slack.response_urls import respond
from feedback.errors import UnavailableError

Say = Callable[[int, str], str]


@pytest.fixture
async def address() -> AsyncIterator[tuple[Say, list[dict[str, object]]]]:
    """Returns how to make an address that answers so, and what was sent to it."""
    heard: list[dict[str, object]] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.Response(status=int(request.query["status"]), text=request.query["body"])

    app = web.Application()
    app.router.add_post("/", answer)
    async with TestServer(app) as server:

        def say(status: int, body: str) -> str:
            return str(server.make_url("/").with_query(status=status, body=body))

        yield say, heard


async def test_it_reaches_the_person_alone(address: tuple[Say, list[dict[str, object]]]) -> None:
    say, heard = address
    await respond(say(200, "ok"), "Done.", blocks=[{"type": "divider"}], replace=True)
    (sent,) = heard
    assert sent["response_type"] == "ephemeral"
    assert (sent["text"], sent["replace_original"]) == ("Done.", True)


@pytest.mark.parametrize("code", ["used_url", "expired_url", "no_text", "invalid_blocks"])
async def test_what_slack_refuses_is_not_repeated(
    address: tuple[Say, list[dict[str, object]]], code: str
) -> None:
    say, heard = address
    with pytest.raises(SlackRefusedError, match=code):
        await respond(say(404, code), "Done.")
    assert len(heard) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_retryable(
    address: tuple[Say, list[dict[str, object]]], status: int
) -> None:
    say, _ = address
    with pytest.raises(UnavailableError):
        await respond(say(status, "<html>"), "Done.")


async def test_an_address_that_is_gone() -> None:
    with pytest.raises(UnavailableError):
        await respond("http://127.0.0.1:9/gone", "Done.")
