"""Two sandbox workspaces behind one Web API, as Slack is for an app that many install.

A small server of its own answers `oauth.v2.access` and hands every other call to the workspace of
the token. Both workspaces have people and channels of the same ids, which is the worst case.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web
from cryptography.fernet import Fernet

from bot.guarding import StyleGuard
from bot.runtime import Running, assembled, running
from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.workspace import default_workspace
from feedback.serving.fake import FakeTextGenerator
from feedback.settings import load_settings
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import Library, Workplace, answer_everything, outside_of
from tests.integration.bot.test_transports import free_port
from tests.served import served

ACME, GLOBEX = "T0ACME0001", "T0GLOBEX02"
SECRET = "sandbox-signing-secret"
KEYS = [Fernet.generate_key().decode() for _ in range(2)]


@dataclass
class Front:
    """Slack's side of the Web API.

    Attributes:
        tokens: Workspace by token, as Slack sees it now.
        expires_in: Life of the tokens it hands out; None: they do not end.
        exchanges: How often a token was exchanged.
    """

    sandboxes: dict[str, RunningSandbox]
    session: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)
    expires_in: int | None = None
    exchanges: int = 0
    url: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def revoke(self, team: str) -> None:
        """Makes every token of a workspace worthless."""
        self.tokens = {token: of for token, of in self.tokens.items() if of != team}

    async def handle(self, request: web.Request) -> web.Response:
        """Answers a call of the Web API."""
        method = request.match_info["method"]
        form = dict(parse_qs((await request.read()).decode(errors="replace")))
        if method == "oauth.v2.access":
            return web.json_response(self._grant(form))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if method == "apps.connections.open" or token not in self.tokens:
            return web.json_response({"ok": False, "error": "token_revoked"})
        sandbox = self.sandboxes[self.tokens[token]]
        headers = {
            "Authorization": f"Bearer {sandbox.workspace.bot_token}",
            "Content-Type": request.headers.get("Content-Type", ""),
        }
        async with self.session.request(
            request.method,
            f"{sandbox.api_url}{method}",
            params=request.query,
            data=await request.read(),
            headers=headers,
        ) as answer:
            return web.json_response(await answer.json(), status=answer.status)

    def _grant(self, form: dict[str, list[str]]) -> dict[str, Any]:
        if form.get("grant_type") == ["refresh_token"]:
            team = form["refresh_token"][0].partition(":")[2]
            self.exchanges += 1
        else:
            team = form["code"][0]
        if team not in self.sandboxes:
            return {"ok": False, "error": "invalid_code"}
        space = self.sandboxes[team].workspace
        token = f"xoxb-{team}-{next(self._numbers)}"
        self.tokens[token] = team
        granted: dict[str, Any] = {
            "ok": True,
            "app_id": space.app_id,
            "access_token": token,
            "token_type": "bot",
            "scope": "chat:write",
            "bot_user_id": space.bot_user_id,
            "team": {"id": team, "name": space.team_name},
            "authed_user": {"id": "U0INESC009"},
            "enterprise": None,
            "is_enterprise_install": False,
        }
        if self.expires_in is not None:
            granted |= {"expires_in": self.expires_in, "refresh_token": f"xoxe-1:{team}"}
        return granted


@dataclass(frozen=True, kw_only=True)
class World:
    """One bot and two workspaces."""

    front: Front
    live: Running
    store: Store
    acme: Workplace
    globex: Workplace
    library: Library

    @property
    def bot_url(self) -> str:
        """Where the bot listens."""
        return f"http://127.0.0.1:{self.live.http_port}"

    async def install(self, team: str) -> tuple[int, str]:
        """Goes through the pages as a browser does; returns status and text of the last."""
        session = self.front.session
        async with session.get(f"{self.bot_url}/slack/install") as page:
            cookie = page.headers["Set-Cookie"].partition(";")[0]
            text = await page.text()
        state = re.search(r"[?&;]state=([\w-]+)", text)
        assert state is not None, text
        async with session.get(
            f"{self.bot_url}/slack/oauth_redirect",
            params={"code": team, "state": state[1]},
            headers={"Cookie": cookie},
        ) as done:
            return done.status, await done.text()


@asynccontextmanager
async def world(
    store: Store, guard: StyleGuard, *, expires_in: int | None = None
) -> AsyncIterator[World]:
    """Starts a bot that nobody has installed yet, with two workspaces that may."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        port = free_port()
        sandboxes = {
            team: await stack.enter_async_context(_sandbox(team, port)) for team in (ACME, GLOBEX)
        }
        front = Front(sandboxes=sandboxes, session=session, expires_in=expires_in)
        app = web.Application()
        app.router.add_route("*", "/api/{method}", front.handle)
        front.url = await stack.enter_async_context(served(app))
        model, library = FakeTextGenerator(answer_everything), Library()
        outside = outside_of(store, guard, model, library)
        settings = load_settings(
            {
                "UNDERSTUDY_SLACK__API_URL": f"{front.url}/api/",
                "UNDERSTUDY_SLACK__TRANSPORT": "http",
                "UNDERSTUDY_SLACK__HTTP_PORT": str(port),
                "UNDERSTUDY_SLACK__ENCRYPTION_KEYS": f'["{KEYS[0]}"]',
                "SLACK_CLIENT_ID": "111.222",
                "SLACK_CLIENT_SECRET": "client-secret",
                "SLACK_SIGNING_SECRET": SECRET,
                "TGI_URL": "http://127.0.0.1:9",
                "UNDERSTUDY_MODEL__MAX_TOKENS": "1000",
                "UNDERSTUDY_BOT__MAX_ATTEMPTS": "2",
            }
        )
        bot = await stack.enter_async_context(assembled(settings, outside))
        live = await stack.enter_async_context(running(bot))

        async def place(team: str) -> Workplace:
            people = await stack.enter_async_context(SandboxClient(sandboxes[team].url))
            return Workplace(
                people=people,
                store=store,
                bot=bot,
                library=library,
                model=model,
                sandbox=sandboxes[team],
            )

        yield World(
            front=front,
            live=live,
            store=store,
            acme=await place(ACME),
            globex=await place(GLOBEX),
            library=library,
        )


@asynccontextmanager
async def _sandbox(team: str, port: int) -> AsyncIterator[RunningSandbox]:
    fast = SandboxSettings(
        ack_timeout_s=5.0,
        retry_delays_s=(0.0, 0.1, 0.2),
        events_url=f"http://127.0.0.1:{port}/slack/events",
    )
    seed = replace(default_workspace(), team_id=team, team_name=team, bot_token=f"xoxb-in-{team}")
    async with serve(settings=fast, workspace=seed) as sandbox:
        yield sandbox
