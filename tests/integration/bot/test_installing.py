"""Install, ask, revoke, install again, uninstall: all through the workspace's own pages."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from cryptography.fernet import Fernet
from sqlalchemy import text

from bot.guarding import StyleGuard
from bot.runtime import assembled, running
from bot.sandbox.client import SandboxClient
from bot.sandbox.server import serve
from bot.sandbox.settings import SandboxSettings
from feedback.domain.workspace import WorkspaceState
from feedback.serving.fake import FakeTextGenerator
from feedback.settings import load_settings
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BOT,
    INES,
    SUPPORT,
    Library,
    Workplace,
    answer_everything,
    outside_of,
)
from tests.integration.bot.test_transports import free_port
from tests.waiting import until


@dataclass(frozen=True, kw_only=True)
class Installer:
    """A workspace admin with a browser."""

    session: aiohttp.ClientSession
    bot_url: str
    place: Workplace

    async def decide(self, decision: str = "allow") -> tuple[int, str]:
        """Goes from the install page over the workspace's consent page back to the bot."""
        async with self.session.get(f"{self.bot_url}/slack/install") as page:
            cookie = page.headers["Set-Cookie"].partition(";")[0]
            link = re.search(r'href="(http[^"]+oauth/v2/authorize[^"]+)"', await page.text())
        assert link is not None
        consent = link[1].replace("&amp;", "&")
        async with self.session.get(consent) as page:
            shown = await page.text()
            assert page.status == 200, shown
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown))
        form = {**fields, "user": INES, "decision": decision}
        async with self.session.post(
            consent.partition("?")[0], data=form, allow_redirects=False
        ) as answer:
            back = answer.headers["Location"]
        async with self.session.get(back, headers={"Cookie": cookie}) as done:
            return done.status, await done.text()

    async def state(self) -> WorkspaceState | None:
        """Returns what the bot believes."""
        async with self.place.store.begin() as tx:
            record = await tx.workspaces.find(self.place.sandbox.workspace.team_id)
        return record.state if record else None


@asynccontextmanager
async def installer(store: Store, guard: StyleGuard) -> AsyncIterator[Installer]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    fast = SandboxSettings(
        ack_timeout_s=5.0, retry_delays_s=(0.0, 0.1, 0.2), events_url=f"{url}/slack/events"
    )
    model, library = FakeTextGenerator(answer_everything), Library()
    outside = outside_of(store, guard, model, library)
    async with (
        serve(settings=fast) as sandbox,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        space = sandbox.workspace
        settings = load_settings(
            {
                "UNDERSTUDY_SLACK__API_URL": sandbox.api_url,
                "UNDERSTUDY_SLACK__TRANSPORT": "http",
                "UNDERSTUDY_SLACK__HTTP_PORT": str(port),
                "UNDERSTUDY_SLACK__REDIRECT_URL": f"{url}/slack/oauth_redirect",
                "UNDERSTUDY_SLACK__ENCRYPTION_KEYS": f'["{Fernet.generate_key().decode()}"]',
                "SLACK_CLIENT_ID": space.client_id,
                "SLACK_CLIENT_SECRET": space.client_secret,
                "SLACK_SIGNING_SECRET": space.signing_secret,
                "TGI_URL": "http://127.0.0.1:9",
                "UNDERSTUDY_MODEL__MAX_TOKENS": "1000",
            }
        )
        async with (
            assembled(settings, outside) as bot,
            running(bot),
            SandboxClient(sandbox.url) as people,
        ):
            place = Workplace(
                people=people, store=store, bot=bot, library=library, model=model, sandbox=sandbox
            )
            yield Installer(session=session, bot_url=url, place=place)


async def count(store: Store, sql: str) -> Any:  # noqa: ANN401 - any scalar
    async with store.begin() as tx:
        return await tx.connection.scalar(text(sql))


async def test_nothing_is_installed_by_somebody_who_declines(
    store: Store, guard: StyleGuard
) -> None:
    async with installer(store, guard) as admin:
        status, page = await admin.decide("cancel")
        assert status == 200
        assert "access_denied" in page
        assert await admin.state() is None


async def test_a_revoked_token_is_replaced_by_the_next_installation(
    store: Store, guard: StyleGuard
) -> None:
    async with installer(store, guard) as admin:
        status, page = await admin.decide()
        assert status == 200, page
        assert (await admin.place.ask()).text == ANSWER
        await admin.place.people.revoke_tokens()

        async def disabled() -> bool:
            return await admin.state() is WorkspaceState.DISABLED

        await until(disabled)
        assert await count(store, "select count(*) from slack_bots") == 0
        await admin.decide()
        assert await admin.state() is WorkspaceState.INSTALLED
        assert (await admin.place.ask("Where do I export again?")).text == ANSWER


async def test_uninstalling_erases(store: Store, guard: StyleGuard) -> None:
    async with installer(store, guard) as admin:
        await admin.decide()
        asked = await admin.place.people.post(
            user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How do I export a report?"
        )
        await admin.place.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
        await admin.place.settle()
        await admin.place.people.uninstall()

        async def erased() -> bool:
            sql = "select count(*) from audit where subject = 'workspace' and to_state = 'erased'"
            return bool(await count(store, sql) == 1)

        await until(erased)
        assert await admin.state() is WorkspaceState.REMOVED
        assert await count(store, "select count(*) from slack_bots") == 0
        assert await count(store, "select count(*) from people") == 0
        assert await count(store, "select string_agg(question, '') from interactions") == ""
