"""Many workspaces: installed by OAuth, kept apart, disabled, installed again, uninstalled."""

import json
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from bot.guarding import StyleGuard
from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from bot.slack.errors import SlackRefusedError
from bot.slack.installs.cipher import TokenCipher
from feedback.domain.workspace import WorkspaceState
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BEN,
    BOT,
    INES,
    SUPPORT,
    Library,
    MakeBot,
    Workplace,
    answer_everything,
)
from tests.integration.bot.test_loop import propose
from tests.integration.bot.test_transports import signed
from tests.integration.bot.two_workspaces import ACME, GLOBEX, KEYS, SECRET, World, world
from tests.waiting import until


async def rows(store: Store, sql: str, **values: object) -> list[tuple[Any, ...]]:
    async with store.begin() as tx:
        return [tuple(row) for row in await tx.connection.execute(text(sql), values)]


async def state_of(store: Store, team: str) -> WorkspaceState | None:
    async with store.begin() as tx:
        record = await tx.workspaces.find(team)
    return record.state if record else None


async def deliver(place: World, body: dict[str, Any]) -> int:
    raw = json.dumps(body)
    async with place.front.session.post(
        f"{place.bot_url}/slack/events", data=raw, headers=signed(SECRET, raw)
    ) as answer:
        return answer.status


def event(team: str, event_id: str, **inner: object) -> dict[str, Any]:
    return {
        "type": "event_callback",
        "team_id": team,
        "event_id": event_id,
        "event_time": 4_000_000_000,
        "authorizations": [{"team_id": team, "user_id": BOT}],
        "event": inner,
    }


async def test_two_workspaces_never_see_each_other(store: Store, guard: StyleGuard) -> None:
    async with world(store, guard) as place:
        for team in (ACME, GLOBEX):
            status, page = await place.install(team)
            assert status == 200, page
        ours = await place.acme.ask("How do I export a report?")
        theirs = await place.globex.ask("Where do I export the invoices?")
        assert (ours.text, theirs.text) == (ANSWER, ANSWER)
        asked = await rows(store, "select team, question from interactions order by asked_at")
        assert asked == [
            (ACME, "How do I export a report?"),
            (GLOBEX, "Where do I export the invoices?"),
        ]
        for here, there in ((place.acme, place.globex), (place.globex, place.acme)):
            said = str(await here.people.state())
            assert len(await here.people.messages(channel=SUPPORT)) >= 1
            for message in await there.answers(
                str(ours.thread_ts if there is place.acme else theirs.thread_ts)
            ):
                assert message.metadata is not None
                assert message.metadata["event_payload"]["id"] not in said


def clicked(message: SandboxMessage, action: str, value: dict[str, object]) -> dict[str, Any]:
    """A click in the other workspace that names something of this one."""
    return {
        "type": "block_actions",
        "team": {"id": GLOBEX},
        "user": {"id": INES, "team_id": GLOBEX},
        "channel": {"id": SUPPORT},
        "trigger_id": "1.1.forged",
        "message": {"ts": message.ts, "thread_ts": message.thread_ts},
        "actions": [
            {
                "type": "button",
                "action_id": action,
                "value": json.dumps(value),
                "action_ts": "1700000000.1",
            }
        ],
    }


async def test_ids_forged_from_another_workspace_are_refused(
    store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        await place.install(ACME)
        await place.install(GLOBEX)
        await propose(place.acme, BEN)
        theirs = await place.globex.ask()
        (asked,) = await rows(store, "select id from interactions where team = :t", t=ACME)
        (correction,) = await rows(store, "select id, row_version from corrections")
        card = {"c": correction[0], "v": correction[1]}
        for action, value in (
            ("answer_feedback", {"i": asked[0], "s": 1}),
            ("answer_correct", {"i": asked[0]}),
            ("review_claim", card),
            ("review_approve", card),
        ):
            assert await deliver(place, clicked(theirs, action, value)) == 200
        await place.globex.settle()
        assert await rows(store, "select * from votes") == []
        assert await place.globex.people.modal(INES) is None
        assert await rows(store, "select state, claimed_by, team from corrections") == [
            ("proposed", None, ACME)
        ]
        note = await place.globex.people.wait_for_ephemeral(
            user=INES, channel=SUPPORT, thread_ts=theirs.thread_ts
        )
        assert "cannot find" in note.text


async def test_a_code_or_state_that_is_not_slacks_installs_nothing(
    store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        status, page = await place.install("T0NOBODY99")
        assert status == 401
        assert "invalid_code" in page
        async with place.front.session.get(
            f"{place.bot_url}/slack/oauth_redirect",
            params={"code": ACME, "state": "made-up"},
            headers={"Cookie": "slack-app-oauth-state=made-up"},
        ) as answer:
            assert answer.status == 401
        assert await rows(store, "select * from slack_bots") == []
        assert await state_of(store, ACME) is None


async def test_tokens_are_stored_encrypted_and_keys_rotate(store: Store, guard: StyleGuard) -> None:
    async with world(store, guard) as place:
        await place.install(ACME)
        stored = await rows(
            store,
            "select bot_token from slack_bots union all select bot_token from slack_installations",
        )
        assert len(stored) == 2
        assert all(token.startswith("fernet:") for (token,) in stored)
        old, both = (
            TokenCipher([SecretStr(key) for key in keys]) for keys in (KEYS[:1], [KEYS[1], KEYS[0]])
        )
        assert {old.open(token) for (token,) in stored} == {f"xoxb-{ACME}-1"}
        async with store.begin() as tx:
            assert await tx.workspaces.rewrite_tokens(both.reseal) == 2
        new = TokenCipher([SecretStr(KEYS[1])])
        again = await rows(store, "select bot_token from slack_bots")
        assert {new.open(token) for (token,) in again} == {f"xoxb-{ACME}-1"}


async def test_what_an_unknown_workspace_sends_is_answered_once_it_is_installed(
    store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        asked = await place.acme.people.post(
            user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How do I export a report?"
        )

        async def parked() -> bool:
            found = await rows(store, "select state, attempts from inbox where team = :t", t=ACME)
            return bool(found) and set(found) == {("parked", 0)}

        await until(parked)
        await place.install(ACME)
        answer = await place.acme.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
        assert answer.text == ANSWER


async def test_a_refused_token_disables_and_the_next_installation_goes_on(
    store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        await place.install(ACME)
        await place.install(GLOBEX)
        await place.acme.ask()
        await place.globex.ask()
        place.front.revoke(ACME)
        asked = await place.acme.people.post(
            user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How do I export a report again?"
        )

        async def disabled() -> bool:
            waiting = await rows(
                store, "select state from inbox where state in ('parked', 'ready', 'leased')"
            )
            return set(waiting) == {("parked",)}

        await until(disabled)
        assert await state_of(store, ACME) is WorkspaceState.DISABLED
        assert await place.globex.ask("Can I export in the other workspace?"), "unhurt"
        await place.install(ACME)
        answer = await place.acme.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
        assert answer.text == ANSWER
        await place.acme.settle()
        assert len(await place.acme.answers(asked.ts)) == 1


async def test_a_token_that_ends_soon_is_exchanged_once(store: Store, guard: StyleGuard) -> None:
    async with world(store, guard, expires_in=3600) as place:
        await place.install(ACME)
        await place.acme.ask()
        # Each new token ends soon as well; the next look at the installation is a minute away.
        assert place.front.exchanges == 1
        (stored,) = await rows(store, "select bot_token from slack_bots")
        opened = TokenCipher([SecretStr(KEYS[0])]).open(stored[0])
        assert opened == f"xoxb-{ACME}-2"


@pytest.mark.parametrize("inner", ["app_uninstalled", "tokens_revoked"])
async def test_an_uninstalled_workspace_is_erased_and_others_are_not(
    inner: str, store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        await place.install(ACME)
        await place.install(GLOBEX)
        answer = await place.acme.ask()
        await place.acme.people.click(
            user=BEN, message=answer, action_id="answer_feedback", value="positive"
        )
        await place.globex.ask("Where do I export the invoices?")
        await place.acme.settle()
        tokens = {"tokens": {"bot": [BOT], "oauth": []}} if inner == "tokens_revoked" else {}
        assert await deliver(place, event(ACME, "EvGone", type=inner, **tokens)) == 200

        async def over() -> bool:
            return await rows(
                store, "select 1 from inbox where event_id = 'EvGone' and state = 'done'"
            ) == [(1,)]

        await until(over)
        assert await rows(store, "select team_id from slack_bots") == [(GLOBEX,)]
        assert await rows(store, "select team_id from slack_installations") == [(GLOBEX,)]
        assert await kept(place.globex, GLOBEX)
        if inner == "tokens_revoked":
            assert await state_of(store, ACME) is WorkspaceState.DISABLED
            assert await kept(place.acme, ACME), "it may be installed again"
            return
        assert await state_of(store, ACME) is WorkspaceState.REMOVED
        assert not await kept(place.acme, ACME)
        everything = await rows(
            store,
            "select row_to_json(i)::text from interactions i where team = :t "
            "union all select row_to_json(v)::text from vote_events v "
            "union all select payload::text from inbox where team = :t",
            t=ACME,
        )
        assert not [row for row in everything if BEN in row[0] or AMIRA in row[0]]
        (audit,) = await rows(
            store, "select data from audit where subject = 'workspace' and to_state = 'erased'"
        )
        assert audit[0]["team"] == ACME
        assert audit[0]["erased"]["questions"] == 1


async def kept(place: Workplace, team: str) -> bool:
    """Whether anything of a workspace can still be read."""
    people = await rows(place.store, "select 1 from people where team = :t limit 1", t=team)
    asked = await rows(
        place.store, "select 1 from interactions where team = :t and question <> ''", t=team
    )
    return bool(people) and bool(asked)


async def test_an_old_uninstallation_does_not_hurt_a_new_installation(
    store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        await place.install(ACME)
        await place.acme.ask()
        late = event(ACME, "EvLate", type="app_uninstalled") | {"event_time": 1_700_000_000}
        assert await deliver(place, late) == 200
        await place.acme.settle()
        assert await state_of(store, ACME) is WorkspaceState.INSTALLED
        assert await place.acme.ask("Can I still export?")


async def test_a_single_token_that_is_good_again_answers_what_waited(workplace: Workplace) -> None:
    people = workplace.people
    await workplace.ask()
    await people.fault(method="chat.postMessage", kind="error", code="token_revoked")
    asked = await people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How to export now?")

    async def disabled() -> bool:
        state = await state_of(workplace.store, workplace.team)
        parked = await rows(workplace.store, "select attempts from inbox where state = 'parked'")
        return state is WorkspaceState.DISABLED and parked == [(0,)]

    await until(disabled)
    # Anything new makes the bot ask Slack again; a minute later it does so by itself.
    await people.post(user=BEN, channel=SUPPORT, text="Has anybody seen the bot?")
    answer = await people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
    assert answer.text == ANSWER
    await workplace.settle()
    assert len(await workplace.answers(asked.ts)) == 1
    assert await state_of(workplace.store, workplace.team) is WorkspaceState.INSTALLED


async def test_a_workspace_that_cannot_be_served_loses_nothing(
    store: Store, guard: StyleGuard
) -> None:
    async with world(store, guard) as place:
        await place.acme.people.fault(
            method="users.list", kind="error", code="missing_scope", times=None
        )
        await place.install(ACME)
        await place.acme.people.post(user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> export?")

        async def waits() -> bool:
            found = await rows(store, "select state, attempts, error from inbox where error <> ''")
            return bool(found) and found[0][:2] == ("ready", 0) and "missing_scope" in found[0][2]

        await until(waits)
        await place.install(GLOBEX)
        asked = await place.globex.people.post(
            user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> How do I export a report?"
        )
        answer = await place.globex.people.wait_for_reply(channel=SUPPORT, thread_ts=asked.ts)
        assert answer.text == ANSWER


async def test_a_single_workspace_that_cannot_be_served_ends_the_start(
    sandbox: RunningSandbox, make_bot: MakeBot
) -> None:
    async with SandboxClient(sandbox.url) as people:
        await people.fault(method="users.list", kind="error", code="missing_scope", times=None)
        with pytest.raises(SlackRefusedError, match="missing_scope"):
            async with make_bot(FakeTextGenerator(answer_everything), Library()):
                pass
