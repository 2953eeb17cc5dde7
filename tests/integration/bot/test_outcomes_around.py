"""Whatever code Slack answers to calls around an answer: modals, pages, cards, people, thanks."""

from pathlib import Path

import pytest

from bot.guarding import StyleGuard
from bot.notices import SLACK_MESSAGE
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from bot.slack.api import SlackApi, make_client
from bot.slack.budget import TIER_PER_MINUTE, Budget
from bot.slack.calls import Calls
from bot.slack.errors import Outcome, SlackRefusedError, TokenRefusedError
from bot.slack.installs.single import SingleInstallation
from bot.slack.listeners import base
from bot.slack.payloads import Question
from bot.slack.sockets import connected
from bot.slack.status import StatusBoard
from feedback.clock import SystemClock
from feedback.domain.correction import REVIEW_CARD
from feedback.domain.interaction import Rating
from feedback.domain.person import Role
from feedback.domain.workspace import WorkspaceState
from feedback.errors import UnavailableError
from feedback.store.unit_of_work import Store
from tests.integration.bot.coded import AFTER_A_FAILURE, Driver, expected
from tests.integration.bot.conftest import AMIRA, BEN, BOT, GRACE, REVIEW, SUPPORT, Workplace
from tests.integration.bot.test_installing import installer
from tests.integration.bot.test_loop import propose
from tests.integration.bot.test_pane import add_document
from tests.waiting import until

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

TEAM = "T0SANDBOX1"
CLICK_AGAIN = "Please click again"
MENDED = {*AFTER_A_FAILURE, Outcome.INSTALLATION_LOST}


@pytest.fixture
def driver(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(place=workplace, patch=monkeypatch)


async def notes(driver: Driver, answer: SandboxMessage, words: str) -> int:
    """Returns how often Ben was told something in private below an answer."""
    shown = await driver.place.people.messages(
        channel=SUPPORT, thread_ts=answer.thread_ts, user=BEN
    )
    return sum(words in note.text for note in shown)


async def test_every_code_of_a_modal_of_reasons(driver: Driver) -> None:
    """The vote counts although its modal does not open, and the voter can try again."""
    people = driver.place.people
    answer = await driver.place.ask()
    told = 0

    async def vote() -> None:
        await people.click(user=BEN, message=answer, action_id="answer_feedback", value="negative")

    for code, outcome in driver.cases("views.open"):
        opened = await driver.calls("views.open", code, vote, vital=False)
        shown = outcome is Outcome.SLOW_DOWN
        told += not shown
        assert opened == (2 if shown else 1), code
        assert (await people.modal(BEN) is not None) is shown, code
        assert await notes(driver, answer, "Click again to say what was wrong") == told, code
        assert [v.rating for v in await driver.place.votes(answer)] == [Rating.DOWN], code
        if shown:
            await people.close(user=BEN, cleared=True)
        await driver.rows("delete from votes returning 1")


async def test_every_code_of_a_modal_to_correct(driver: Driver) -> None:
    """Whoever wants to correct is asked to click again, and nothing of the click is left over."""
    people = driver.place.people
    answer = await driver.place.ask()
    told = 0

    async def click() -> None:
        await people.click(user=BEN, message=answer, action_id="answer_correct")

    for code, outcome in driver.cases("views.open"):
        opened = await driver.calls("views.open", code, click)
        shown = outcome is Outcome.SLOW_DOWN
        assert opened == (2 if shown else 1), code
        assert (await people.modal(BEN) is not None) is shown, code
        # With a refused token nothing can be said; the click is over when it is good again.
        told += not shown and outcome is not Outcome.INSTALLATION_LOST
        assert await notes(driver, answer, CLICK_AGAIN) == told, code
        assert await driver.rows("select state from inbox where state <> 'done'") == [], code
        if shown:
            await people.close(user=BEN, cleared=True)


async def test_every_code_of_filling_a_modal(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`views.update`: the form comes at the second try, or the person is asked to click again."""
    monkeypatch.setattr(base, "DATABASE_PATIENCE_S", 0.0)
    people = driver.place.people
    answer = await driver.place.ask()
    told = 0

    async def click() -> None:
        await people.click(user=BEN, message=answer, action_id="answer_correct")

    for code, outcome in driver.cases("views.update"):
        filled = outcome in AFTER_A_FAILURE
        made = await driver.calls("views.update", code, click)
        assert made == (2 if filled else 1), code
        told += not filled and outcome is not Outcome.INSTALLATION_LOST
        assert await notes(driver, answer, CLICK_AGAIN) == told, code
        modal = await people.modal(BEN)
        assert modal is not None
        assert ("answer" in str(modal["blocks"])) is filled, code
        await people.close(user=BEN, cleared=True)


async def test_every_code_of_an_app_home(driver: Driver) -> None:
    """`views.publish`: drawn at the second try, or left as it was, for operators to see why."""
    people = driver.place.people
    await people.open_home(user=AMIRA)
    await driver.quiet()
    seen = await people.home(AMIRA)
    for code, outcome in driver.cases("views.publish"):

        async def look() -> None:
            await people.open_home(user=AMIRA)

        published = await driver.calls("views.publish", code, look)
        drawn = outcome in {*MENDED, Outcome.READ_AGAIN}
        assert published == (2 if drawn else 1), code
        before, seen = seen, await people.home(AMIRA)
        assert (seen != before) is drawn, code
        failed = await driver.rows("select error from inbox where state = 'failed'")
        assert len(failed) == (0 if drawn else 1), code
        assert drawn or code in failed[0][0], code
        await driver.rows("delete from inbox where state = 'failed' returning 1")


async def test_every_code_of_a_link_to_a_card(driver: Driver) -> None:
    """`chat.getPermalink`: the page shows, with the link or without."""
    people = driver.place.people
    await propose(driver.place, BEN)
    await driver.quiet()

    async def look() -> None:
        await people.open_home(user=GRACE)

    for code, outcome in driver.cases("chat.getPermalink"):
        asked = await driver.calls("chat.getPermalink", code, look, vital=False)
        linked = outcome in AFTER_A_FAILURE
        assert asked == (2 if linked else 1), code
        page = str(await people.home(GRACE))
        assert "home_claim" in page, code
        assert (f"/archives/{REVIEW}/" in page) is linked, code


@pytest.mark.parametrize("method", ["users.list", "usergroups.list", "usergroups.users.list"])
async def test_every_code_of_the_directory(driver: Driver, method: str) -> None:
    """Roles follow a user group at the second try, or stay as they are; nobody loses theirs."""
    people = driver.place.people

    async def reviews() -> bool:
        async with driver.place.store.begin() as tx:
            return (await tx.people.get(TEAM, BEN)).role is Role.REVIEWER

    async def change() -> None:
        members = [GRACE] if await reviews() else [GRACE, BEN]
        await people.set_group(group="reviewers", users=members)

    usual = await driver.uses(method, change)
    for code, outcome in driver.cases(method):
        before = await reviews()
        asked = await driver.calls(method, code, change)
        followed = outcome in MENDED
        # With a new token everything is read before anything else is done.
        more = 2 if outcome is Outcome.INSTALLATION_LOST else 1
        assert asked == (usual + more if followed else 1), code
        assert (await reviews() is not before) is followed, code
        failed = await driver.rows("select error from inbox where state = 'failed'")
        assert len(failed) == (not followed), code
        assert followed or code in failed[0][0], code
        await driver.rows("delete from inbox where state = 'failed' returning 1")


async def test_every_code_of_offered_questions(driver: Driver) -> None:
    """`assistant.threads.setSuggestedPrompts`: offered, or not; unknown ones not again."""
    people, presence = driver.place.people, driver.place.sandbox.sandbox.presence
    await add_document(driver.place, "Refunds")
    method = "assistant.threads.setSuggestedPrompts"

    async def look() -> None:
        presence.prompts.clear()
        await people.open_home(user=GRACE, tab="messages")

    for code, outcome in driver.cases(method):
        offered = await driver.calls(method, code, look)
        assert offered == expected(outcome, otherwise=1), code
        assert bool(presence.prompts) is (outcome in MENDED), code
        assert await driver.rows("select 1 from inbox where state <> 'done'") == [], code
        if outcome is Outcome.UNSUPPORTED:
            assert await driver.uses(method, look) == 0, code
            driver.forget_latches()


async def test_every_code_of_thanks(driver: Driver) -> None:
    """`chat.postEphemeral`: the vote counts, and nobody is thanked twice."""
    people = driver.place.people
    answer = await driver.place.ask()

    async def vote() -> None:
        await people.click(user=BEN, message=answer, action_id="answer_feedback", value="positive")

    thanked = 0
    for code, _ in driver.cases("chat.postEphemeral"):
        said = await driver.calls("chat.postEphemeral", code, vote, vital=False)
        assert said == 1, code
        assert await notes(driver, answer, "Thank you") == thanked, code
        assert [v.rating for v in await driver.place.votes(answer)] == [Rating.UP], code
        await driver.rows("delete from votes returning 1")
    assert [text.text for text in await driver.place.answers(str(answer.thread_ts))] == [
        answer.text
    ]


@pytest.mark.parametrize("found", [False, True])
async def test_every_code_of_a_notice(driver: Driver, found: bool) -> None:
    """A post, and looking in `conversations.history` for a lost one: said once, or given up."""
    people = driver.place.people
    method = "conversations.history" if found else "chat.postMessage"
    for number, (code, outcome) in enumerate(driver.cases(method)):
        text = f"notice {number}"

        async def owe(text: str = text) -> None:
            if found:
                await people.fault(method="chat.postMessage", kind="lost_answer", channel=REVIEW)
            async with driver.place.store.begin() as tx:
                payload = {"team": TEAM, "channel": REVIEW, "text": text}
                await tx.outbox.add(text, SLACK_MESSAGE, payload)
            driver.place.bot.notices.wake()

        made = await driver.calls(method, code, owe)
        mended = outcome in MENDED
        assert made == (2 if mended else 1), code
        said = [m for m in await people.messages(channel=REVIEW) if m.text == text]
        assert len(said) == (1 if mended or found else 0), code
        error = await driver.owed()
        assert (error or "") == "" if mended else code in str(error), code


async def test_every_code_of_a_card_drawn_anew(driver: Driver) -> None:
    """`chat.update`: the card changes where it stands, or stands anew at the end of the channel."""
    people = driver.place.people
    await propose(driver.place, BEN)
    await driver.quiet()
    [(correction,)] = await driver.rows("select id from corrections")
    cards = 1
    for number, (code, outcome) in enumerate(driver.cases("chat.update")):

        async def draw(number: int = number) -> None:
            async with driver.place.store.begin() as tx:
                payload = {"team": TEAM, "correction_id": correction}
                await tx.outbox.add(f"card:{correction}:again{number}", REVIEW_CARD, payload)
            driver.place.bot.notices.wake()

        made = await driver.calls("chat.update", code, draw)
        assert made == expected(outcome, otherwise=1), code
        cards += outcome not in MENDED
        shown = [m for m in await people.messages(channel=REVIEW) if "Correction" in m.text]
        assert len(shown) == cards, code
        assert await driver.rows("select card_ts from corrections") == [(shown[-1].ts,)], code
        assert await driver.owed() is None, code


QUESTION = Question(
    team=TEAM,
    channel=SUPPORT,
    ts="1.000001",
    thread_ts="1.000001",
    user=AMIRA,
    text="How?",
    direct=False,
    mentioned=True,
    names_others=False,
)


async def test_every_code_of_a_status(driver: Driver) -> None:
    """The session, else the line below the thread, else nothing; unknown ones not again."""
    place = driver.place
    session, line = "agents.sessions.setStatus", "assistant.threads.setStatus"
    asked = await place.people.post(user=AMIRA, channel=SUPPORT, text="How?")
    place_of = {"ts": asked.ts, "thread_ts": asked.ts}
    question = Question(**{**QUESTION.__dict__, **place_of})
    [workspace] = [await place.bot.workspaces.of(TEAM)]
    for method in (session, line):
        for code, outcome in driver.cases(method):
            board = StatusBoard(workspace.api)
            if method == line:
                await place.people.fault(method=session, kind="error", code="unknown_method")

            async def show(board: StatusBoard = board) -> None:
                await board.show(question)

            assert await driver.calls(method, code, show, vital=False) == 1, code
            statuses = (await place.people.state())["statuses"]
            assert bool(statuses) is (method == session), code
            again = await driver.uses(method, show)
            assert again == (0 if outcome is Outcome.UNSUPPORTED else 1), code
            await board.clear(question)
            assert (await place.people.state())["statuses"] == [], code


async def test_every_code_of_asking_who_the_bot_is(
    sandbox: RunningSandbox, store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auth.test`: known at the second try, or the start ends with the reason."""
    client = make_client(sandbox.workspace.bot_token, sandbox.api_url)
    api = SlackApi(client, Calls(Budget(share=0), repeat_s=0.01))
    driver = Driver(place=workplace, patch=monkeypatch)
    refusals = {Outcome.INSTALLATION_LOST: TokenRefusedError}
    for code, outcome in driver.cases("auth.test"):
        begun = SingleInstallation(
            store, SystemClock(), api, token=str(client.token), review_channel=REVIEW
        )

        async def begin(
            begun: SingleInstallation = begun, code: str = code, outcome: Outcome = outcome
        ) -> None:
            if outcome in AFTER_A_FAILURE:
                assert (await begun.begin()).user_id == BOT
            else:
                with pytest.raises(refusals.get(outcome, SlackRefusedError), match=code):
                    await begun.begin()

        asked = await driver.calls("auth.test", code, begin, vital=False)
        assert asked == (2 if outcome in AFTER_A_FAILURE else 1), code
        async with store.begin() as tx:
            record = await tx.workspaces.find(TEAM)
        assert record is not None
        assert record.state is WorkspaceState.INSTALLED, code


async def test_every_code_of_opening_a_socket(driver: Driver) -> None:
    """`apps.connections.open`: waited for, or the start ends with the reason."""
    place = driver.place
    app, token = place.bot.app, place.sandbox.workspace.app_token
    sockets = place.sandbox.sandbox.socket_mode
    usual = sockets.count
    raises = {
        Outcome.TRY_AGAIN: UnavailableError,
        Outcome.INSTALLATION_LOST: TokenRefusedError,
    }
    for code, outcome in driver.cases("apps.connections.open"):

        async def connect(code: str = code, outcome: Outcome = outcome) -> None:
            if outcome is Outcome.SLOW_DOWN:
                async with connected(app, token, connections=1):
                    assert sockets.count == usual + 1, code
                return
            with pytest.raises(raises.get(outcome, SlackRefusedError), match=code):
                async with connected(app, token, connections=1):
                    pass

        asked = await driver.calls("apps.connections.open", code, connect, vital=False)
        assert asked == (2 if outcome is Outcome.SLOW_DOWN else 1), code
        await until(lambda: sockets.count == usual)


async def test_every_code_of_an_installation(
    store: Store, guard: StyleGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`oauth.v2.access`: a page says that it failed, and nothing is kept."""
    async with installer(store, guard) as admin:
        driver = Driver(place=admin.place, patch=monkeypatch)
        pages: list[tuple[int, str]] = []

        async def install() -> None:
            pages.append(await admin.decide())

        for code, _ in driver.cases("oauth.v2.access"):
            assert await driver.calls("oauth.v2.access", code, install, vital=False) == 1, code
            status, page = pages[-1]
            assert status == 401, code
            assert code == "invalid_code" or code not in page, code
            assert await driver.rows("select 1 from slack_bots") == [], code
            assert await admin.state() is None, code
        await install()
        assert pages[-1][0] == 200


def test_every_method_we_call_is_driven_into_its_codes() -> None:
    here = Path(__file__)
    told = here.read_text() + here.with_name("test_outcomes.py").read_text()
    methods = {*TIER_PER_MINUTE, "apps.connections.open", "oauth.v2.access"}
    assert [method for method in sorted(methods) if f'"{method}"' not in told] == []
