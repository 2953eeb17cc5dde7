"""OAuth, rotation, revoking and uninstalling; groups change."""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.oauth import AuthorizeUrlGenerator
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from feedback.errors import InvalidInputError
from tests.integration.sandbox.conftest import AMIRA, BEN, GRACE, SUPPORT, connected, quiet
from tests.integration.sandbox.test_conversation import FEEDBACK
from tests.integration.sandbox.test_web_api import refused

REDIRECT = "http://127.0.0.1:9/slack/oauth_redirect"
JONAS = "U0JONAS010"


class Bodies:
    """An app that records every event body."""

    def __init__(self, web: AsyncWebClient) -> None:
        self.seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.app = AsyncApp(client=web, logger=quiet(), before_authorize=self._take)

    async def _take(self, body: dict[str, Any]) -> BoltResponse:
        self.seen.put_nowait(body.get("event", body))
        return BoltResponse(status=200, body="")

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self.seen.get()


@pytest.fixture
def bodies(web: AsyncWebClient) -> Bodies:
    return Bodies(web)


def authorize_url(sandbox: RunningSandbox, *, client_id: str | None = None) -> str:
    generator = AuthorizeUrlGenerator(
        client_id=client_id or sandbox.workspace.client_id,
        scopes=["chat:write", "im:history"],
        redirect_uri=REDIRECT,
        authorization_url=f"{sandbox.url}/oauth/v2/authorize",
    )
    return str(generator.generate(state="state-1"))


async def decide(sandbox: RunningSandbox, decision: str) -> dict[str, list[str]]:
    """Opens the page as a browser does, presses a button, returns where it was sent to."""
    async with aiohttp.ClientSession() as session:
        async with session.get(authorize_url(sandbox)) as answer:
            page = await answer.text()
            assert answer.status == 200
        assert "Understudy asks to join Understudy Sandbox" in page
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
        form = {**fields, "user": JONAS, "decision": decision}
        async with session.post(
            f"{sandbox.url}/oauth/v2/authorize", data=form, allow_redirects=False
        ) as answer:
            assert answer.status == 302
            back = answer.headers["Location"]
    assert back.startswith(f"{REDIRECT}?")
    return parse_qs(urlsplit(back).query)


async def exchange(sandbox: RunningSandbox, **changes: str) -> dict[str, Any]:
    space = sandbox.workspace
    arguments = {"client_id": space.client_id, "client_secret": space.client_secret, **changes}
    answer = await AsyncWebClient(base_url=sandbox.api_url).oauth_v2_access(**arguments)
    granted: dict[str, Any] = dict(answer.data)  # type: ignore[arg-type]
    return granted


async def test_a_person_installs_the_app(sandbox: RunningSandbox) -> None:
    back = await decide(sandbox, "allow")
    assert back["state"] == ["state-1"]
    [code] = back["code"]
    granted = await exchange(sandbox, code=code, redirect_uri=REDIRECT)
    assert granted["team"]["id"] == sandbox.workspace.team_id
    assert granted["authed_user"] == {"id": JONAS}
    assert granted["scope"] == "chat:write,im:history"
    assert "expires_in" not in granted
    mine = AsyncWebClient(token=granted["access_token"], base_url=sandbox.api_url)
    assert (await mine.auth_test())["user_id"] == sandbox.workspace.bot_user_id
    assert await refused(exchange(sandbox, code=code)) == "invalid_code"


async def test_what_an_exchange_refuses(sandbox: RunningSandbox) -> None:
    back = await decide(sandbox, "cancel")
    assert (back["error"], "code" in back) == (["access_denied"], False)
    [code] = (await decide(sandbox, "allow"))["code"]
    assert await refused(exchange(sandbox, code="1.2")) == "invalid_code"
    assert await refused(exchange(sandbox, code=code, client_id="7")) == "invalid_client_id"
    assert await refused(exchange(sandbox, code=code, client_secret="7")) == "bad_client_secret"
    elsewhere = exchange(sandbox, code=code, redirect_uri="http://127.0.0.1:9/other")
    assert await refused(elsewhere) == "bad_redirect_uri"
    odd = exchange(sandbox, grant_type="password", code="x")
    assert await refused(odd) == "invalid_grant_type"
    async with (
        aiohttp.ClientSession() as session,
        session.get(authorize_url(sandbox, client_id="<b>7</b>")) as answer,
    ):
        assert answer.status == 400
        assert "&lt;b&gt;7" in await answer.text()


async def test_tokens_that_expire_are_rotated() -> None:
    settings = SandboxSettings(token_life_s=43_200.0)
    async with serve(settings=settings) as sandbox:
        [code] = (await decide(sandbox, "allow"))["code"]
        first = await exchange(sandbox, code=code)
        assert first["expires_in"] == 43_200
        refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = await exchange(sandbox, **refresh)
        assert second["access_token"] != first["access_token"]
        assert await refused(exchange(sandbox, **refresh)) == "invalid_refresh_token"
    async with serve(settings=SandboxSettings(token_life_s=0.0)) as sandbox:
        [code] = (await decide(sandbox, "allow"))["code"]
        token = (await exchange(sandbox, code=code))["access_token"]
        late = AsyncWebClient(token=token, base_url=sandbox.api_url)
        assert await refused(late.auth_test()) == "token_expired"


async def test_revoked_tokens_end_the_conversation(
    bodies: Bodies, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    sent = await web.chat_postMessage(channel=SUPPORT, text="x", blocks=FEEDBACK)
    async with connected(bodies.app, sandbox):
        await bodies.next()  # the message above
        await people.revoke_tokens()
        told = await bodies.next()
        bot = sandbox.workspace.bot_user_id
        assert told == {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [bot]}}
        assert await refused(web.auth_test()) == "token_revoked"
        await people.post(user=AMIRA, channel=SUPPORT, text="anybody?")
        message = SandboxMessage.read(SUPPORT, dict(sent["message"]))
        click = await people.click(user=AMIRA, message=message, action_id="answer_feedback")
        assert (click.acked, click.reason) == (False, "app_not_installed")
        assert (await people.deliveries())["pending"] == 0
        assert bodies.seen.empty()
        [code] = (await decide(sandbox, "allow"))["code"]
        await exchange(sandbox, code=code)
        await people.post(user=AMIRA, channel=SUPPORT, text="back again")
        assert (await bodies.next())["text"] == "back again"


async def test_the_app_revokes_its_own_token(
    bodies: Bodies, sandbox: RunningSandbox, web: AsyncWebClient
) -> None:
    async with connected(bodies.app, sandbox):
        assert (await web.auth_revoke(test=True))["revoked"] is False
        assert (await web.auth_test())["ok"]
        assert (await web.auth_revoke())["revoked"] is True
        assert (await bodies.next())["type"] == "tokens_revoked"
    assert await refused(web.auth_test()) == "token_revoked"


async def test_uninstalling_survives_a_restart_and_a_reset_undoes_it(tmp_path: Path) -> None:
    async with serve(state_dir=tmp_path) as sandbox, SandboxClient(sandbox.url) as people:
        await people.uninstall()
        assert not (await people.state())["installed"]
    async with serve(state_dir=tmp_path) as sandbox, SandboxClient(sandbox.url) as people:
        web = AsyncWebClient(token=sandbox.workspace.bot_token, base_url=sandbox.api_url)
        assert await refused(web.auth_test()) == "account_inactive"
        bodies = Bodies(web)
        async with connected(bodies.app, sandbox):
            kinds = {(await bodies.next())["type"] for _ in range(2)}
        assert kinds == {"tokens_revoked", "app_uninstalled"}
        await people.reset()
        assert (await web.auth_test())["ok"]


async def test_members_of_a_group_change(
    bodies: Bodies, sandbox: RunningSandbox, people: SandboxClient, web: AsyncWebClient
) -> None:
    async with connected(bodies.app, sandbox):
        await people.set_group(group="support-oncall", users=[AMIRA, GRACE])
        told = await bodies.next()
    assert told["type"] == "subteam_members_changed"
    assert (told["subteam_id"], told["team_id"]) == ("S0ONCALL02", "T0SANDBOX1")
    assert (told["added_users"], told["removed_users"]) == ([GRACE], [BEN])
    members = await web.usergroups_users_list(usergroup="S0ONCALL02")
    assert members["users"] == [AMIRA, GRACE]
    with pytest.raises(InvalidInputError, match="no_such_subteam"):
        await people.set_group(group="nobody", users=[])
    with pytest.raises(InvalidInputError, match="user_not_found"):
        await people.set_group(group="S0ONCALL02", users=["U404"])
