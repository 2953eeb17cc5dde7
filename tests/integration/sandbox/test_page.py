"""The page in a real browser: ask, watch, thumb down with a reason, act as somebody else."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from tests.integration.sandbox.conftest import AMIRA, CHROMIUM, SUPPORT, connected
from tests.integration.sandbox.test_conversation import FEEDBACK, REASONS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


async def test_a_person_asks_thumbs_down_and_gives_a_reason(
    app: AsyncApp, sandbox: RunningSandbox, web: AsyncWebClient, page: Page
) -> None:
    notes: asyncio.Queue[str] = asyncio.Queue()
    go_on = asyncio.Event()

    async def answer(event: dict[str, Any]) -> None:
        place = {"channel": event["channel"], "thread_ts": event["ts"]}
        recipient = {"recipient_team_id": "T0SANDBOX1", "recipient_user_id": event["user"]}
        await web.assistant_threads_setStatus(
            channel_id=SUPPORT, thread_ts=event["ts"], status="is thinking…"
        )
        await go_on.wait()
        go_on.clear()
        started = await web.chat_startStream(**place, **recipient, markdown_text="Refunds take ")
        await go_on.wait()
        await web.chat_appendStream(
            channel=SUPPORT, ts=started["ts"], markdown_text="**five** days"
        )
        await web.chat_stopStream(channel=SUPPORT, ts=started["ts"], blocks=FEEDBACK)

    async def clicked(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        await web.views_open(trigger_id=body["trigger_id"], view=REASONS)

    async def submitted(ack: AsyncAck, view: dict[str, Any], body: dict[str, Any]) -> None:
        note = view["state"]["values"]["note"]["note"]["value"]
        if not note:
            await ack(response_action="errors", errors={"note": "Say a little more."})
            return
        await ack()
        notes.put_nowait(note)
        await web.chat_postEphemeral(channel=SUPPORT, user=body["user"]["id"], text="Thank you!")

    app.event("app_mention")(answer)
    app.action("answer_feedback")(clicked)
    app.view("reasons")(submitted)
    async with connected(app, sandbox):
        await page.get_by_label("Message #support").fill("@Understudy how long do refunds take?")
        await page.keyboard.press("Enter")
        thread = page.get_by_role("complementary", name="Thread")
        await thread.get_by_text("is thinking…").wait_for()
        go_on.set()
        await thread.locator(".streaming").get_by_text("Refunds take").wait_for()
        go_on.set()
        await thread.locator("strong", has_text="five").wait_for()
        await thread.get_by_role("button", name="Bad").click()
        modal = page.get_by_role("dialog", name="What was wrong?")
        await modal.get_by_role("button", name="Send").click()
        await modal.get_by_text("Please complete this required field.").wait_for()
        await modal.get_by_label("Outdated").check()
        await modal.get_by_role("button", name="Send").click()
        await modal.get_by_text("Say a little more.").wait_for()
        assert await modal.get_by_label("Outdated").is_checked()
        await modal.get_by_label("Note").fill("<img src=x>")
        await modal.get_by_label("Note").press("Control+Enter")
        assert await notes.get() == "<img src=x>"
        await page.get_by_text("Only visible to you").wait_for()
        await thread.locator("[data-side=negative][aria-pressed=true]").wait_for()
        await page.get_by_label("Acting as", exact=True).select_option(label="Grace Lindqvist")
        await page.get_by_role("button", name="review").wait_for()
        assert await page.get_by_text("Only visible to you").count() == 0


async def test_edit_react_and_delete_by_hand(
    sandbox: RunningSandbox, people: SandboxClient, page: Page
) -> None:
    said = await people.post(user=AMIRA, channel=SUPPORT, text="tell &lt;b&gt; from &lt;i&gt;")
    message = page.get_by_role("article").filter(has_text="tell <b> from <i>")
    await message.hover()
    await message.get_by_label("React with +1").click()
    await page.get_by_role("button", name="👍 1").wait_for()
    await message.hover()
    await message.get_by_label("More actions").select_option(label="Edit message")
    await page.get_by_label("Edit message").fill("tell <u> from @Grace Lindqvist")
    await page.keyboard.press("Enter")
    await page.get_by_text("(edited)").wait_for()
    [kept] = await people.messages(channel=SUPPORT)
    assert kept.text == "tell &lt;u&gt; from <@U0GRACE007>"
    assert kept.ts == said.ts
    page.once("dialog", lambda dialog: dialog.accept())
    message = page.get_by_role("article")
    await message.hover()
    await message.get_by_label("More actions").select_option(label="Delete message")
    await message.wait_for(state="hidden")
    assert await people.messages(channel=SUPPORT) == []


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](  javascript:alert(1))",
    "<javascript:alert(1)|click>",
    "![x](data:text/html;base64,PHNjcmlwdD4=)",
    "`</code><script>alert(1)</script>`",
    "```\n</pre><svg onload=alert(1)>\n```",
    "| <b>a</b> | b |\n|---|---|\n| <iframe src=x> | \" onmouseover=alert(1) |",
    "> <a href='javascript:alert(1)'>x</a>",
    "<https://ok.example/\" onclick=alert(1)|x>",
    "**<style>*{display:none}</style>**",
    "<@U0AMIRA001|<b>x</b>>",
    "- 1. **_~~`x`~~_** [",
]  # fmt: skip


async def test_hostile_text_stays_text(page: Page) -> None:
    """Both renderers may make these elements and attributes, whatever they are given."""
    found = await page.evaluate(
        """async (texts) => {
          const { TextRenderer } = await import("/static/text.js");
          const render = new TextRenderer({
            user: () => "<b>Amira</b>", channel: () => null, group: () => null, me: () => "U1",
          });
          const allowed = new Set(["P", "BR", "A", "CODE", "PRE", "STRONG", "EM", "S", "SPAN", "UL",
            "OL", "LI", "BLOCKQUOTE", "DIV", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "HR",
            "H3", "H4", "H5", "H6"]);
          const names = new Set(["class", "href", "target", "rel", "start", "scope", "title"]);
          const problems = [];
          for (const text of texts) {
            for (const nodes of [render.mrkdwn(text), render.markdown(text)]) {
              const box = document.createElement("div");
              box.append(...nodes);
              for (const element of box.querySelectorAll("*")) {
                if (!allowed.has(element.tagName)) problems.push([text, element.tagName]);
                for (const { name } of element.attributes) {
                  if (!names.has(name)) problems.push([text, name]);
                }
                const ok = !element.href || /^(https?|mailto):/.test(element.href);
                if (!ok) problems.push([text, element.href]);
              }
            }
          }
          return problems;
        }""",
        HOSTILE,
    )
    assert found == []


async def test_markdown_and_mrkdwn_look_as_in_slack(page: Page) -> None:
    html = await page.evaluate(
        """async ([markdown, mrkdwn]) => {
          const { TextRenderer } = await import("/static/text.js");
          const render = new TextRenderer({
            user: () => "Amira", channel: () => "support", group: () => "oncall", me: () => "U1",
          });
          const html = (nodes) => {
            const box = document.createElement("div");
            box.append(...nodes);
            return box.innerHTML;
          };
          return [html(render.markdown(markdown)), html(render.mrkdwn(mrkdwn))];
        }""",
        [
            "# Plan\n\n1. **Open** it\n2. Close\n   - a_b_c\n\n| a | b |\n|---|---|\n| 1 | `x` |",
            "*bold* _it_ ~no~ `a*b*` <https://a.example/x|docs> <@U2> snake_case_name 2*3*4",
        ],
    )
    assert html[0] == (
        "<h3>Plan</h3><ol start=\"1\"><li><strong>Open</strong> it</li><li>Close<ul>"
        "<li>a_b_c</li></ul></li></ol><div class=\"table-scroll\"><table><thead><tr>"
        "<th scope=\"col\">a</th><th scope=\"col\">b</th></tr></thead><tbody><tr><td>1</td>"
        "<td><code>x</code></td></tr></tbody></table></div>"
    )  # fmt: skip
    assert html[1] == (
        "<p><strong>bold</strong> <em>it</em> <s>no</s> <code>a*b*</code> "
        '<a href="https://a.example/x" target="_blank" rel="noopener noreferrer">docs</a> '
        '<span class="mention">@Amira</span> snake_case_name 2*3*4</p>'
    )
