"""What people see keeps to Slack's limits and shows no mention that a model made up."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SlackBlock
from slack_sdk.models.views import View

from bot.drafts import Source
from bot.slack.views.administering import channel_modal, role_modal
from bot.slack.views.answers import answer_blocks, reason_modal
from bot.slack.views.blocks import diff, escape, loading, note
from bot.slack.views.corrections import confirm_modal, correction_modal
from bot.slack.views.handoffs import handoff_blocks
from bot.slack.views.home import AdminFacts, HomeFacts, ReviewFacts, home_view
from bot.slack.views.reviews import card_blocks, decision_modal, edit_modal
from feedback.domain.channel import ChannelSettings, Streaming
from feedback.domain.correction import (
    OPEN_STATES,
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    QueueReason,
)
from feedback.domain.handoff import Handoff, HandoffReason, HandoffState
from feedback.domain.person import Person, Role
from feedback.domain.reviewing import agreement

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG = "Word. " * 1500
HOSTILE = "<!here> <@U1> <https://evil.example|click> & `code`"


def correction(**changes: object) -> Correction:
    values: dict[str, Any] = {
        "id": "c-1", "interaction_id": "i-1", "thread_key": "T:C:1.0", "team": "T",
        "question": "How?", "bot_answer": "So.", "text": "Like this.", "author": "U1",
        "source": CorrectionSource.MODAL, "consent": "reviewer_authored",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC), "redaction_version": "1",
        "state": CorrectionState.PROPOSED, "row_version": 2,
    }  # fmt: skip
    return Correction(**values | changes)


def texts(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value.get("type", ""), value["text"]
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def require_valid(blocks: list[dict[str, Any]]) -> None:
    assert len(blocks) <= 50
    for block in blocks:
        parsed = SlackBlock.parse(block)
        assert parsed is not None
        parsed.validate_json()
    assert sum(len(text) for _, text in texts(blocks)) <= 10_000


def require_valid_view(view: dict[str, Any]) -> None:
    require_valid(view["blocks"])
    assert len(view["private_metadata"]) <= 3000 if "private_metadata" in view else True
    if view["type"] == "modal":
        View(**view).validate_json()


@pytest.mark.parametrize("text", ["Short.", LONG[:3000], HOSTILE])
def test_answers_are_valid_and_harmless(text: str) -> None:
    sources = [Source(title="A | B <x>", uri="https://docs.example/?a=1&b=2")]
    blocks = answer_blocks("i-1", text, sources)
    require_valid([block for block in blocks if block["type"] != "context_actions"])
    shown = blocks[0]["text"]
    assert "<" not in shown
    assert ">" not in shown
    vote = blocks[2]["elements"][0]
    assert json.loads(vote["positive_button"]["value"]) == {"i": "i-1", "s": 1}
    assert json.loads(vote["negative_button"]["value"]) == {"i": "i-1", "s": -1}


@given(st.text())
def test_escaping_leaves_no_mark_up(text: str) -> None:
    shown = escape(text)
    assert "<" not in shown
    assert ">" not in shown


@pytest.mark.parametrize("text", ["ok", LONG])
def test_modals_are_valid(text: str) -> None:
    long = correction(question=text[:2900], bot_answer=text, text=text + " New.")
    for view in (
        reason_modal("i-1"),
        correction_modal("i-1", text, text),
        correction_modal("i-1", text, text, sources=[text] * 9, taught_from="U0BEN"),
        edit_modal(correction(text=text)),
        decision_modal(correction(bot_answer=text, text=text)),
        decision_modal(correction(bot_answer=text, text=text), only=Decision.ESCALATE),
        note("One moment", text[:1000]),
        loading("One moment"),
    ):
        require_valid_view(view)
    view = confirm_modal(long, {"PERSON": 2})
    assert len(view["blocks"]) <= 100
    assert len(json.dumps(view)) < 250_000
    assert "2 \N{MULTIPLICATION SIGN} person" in json.dumps(view, ensure_ascii=False)


@pytest.mark.parametrize("state", list(CorrectionState))
def test_cards_are_valid_in_every_state(state: CorrectionState) -> None:
    card = card_blocks(correction(state=state, question=LONG[:2000], bot_answer=LONG, text="New."))
    require_valid(card)
    ids = [block["block_id"] for block in card]
    assert len(set(ids)) == len(ids)
    other = card_blocks(correction(state=state, row_version=3))
    assert not set(ids) & {block["block_id"] for block in other}


def test_a_card_of_the_conflict_court_shows_what_else_was_approved() -> None:
    rivals = ("Exports stay for <30> days.", LONG, "Three.", "Four is not shown.")
    card = card_blocks(
        correction(
            state=CorrectionState.ESCALATED,
            queued_for=(QueueReason.CONFLICT,),
            rivals=("a", "b", "c", "d"),
            rival_texts=rivals,
        )
    )
    require_valid(card)
    text = json.dumps(card)
    assert "Exports stay for &lt;30&gt; days." in text
    assert "Four is not shown" not in text
    assert "another approved answer" in text


def test_only_open_cards_have_buttons() -> None:
    def actions(state: CorrectionState) -> list[str]:
        blocks = card_blocks(correction(state=state))
        return [e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]]

    assert actions(CorrectionState.APPROVED) == []
    assert "review_claim" in actions(CorrectionState.PROPOSED)
    assert "review_claim" not in actions(CorrectionState.CLAIMED)
    assert "review_escalate" not in actions(CorrectionState.ESCALATED)


def test_the_diff_shows_what_changed() -> None:
    (block,) = diff("Open it. Close it.", "Open it. Lock it.")
    assert "-Close it." in block["text"]["text"]
    assert "+Lock it." in block["text"]["text"]


def test_home_shows_learning_to_reviewers_and_rights_to_admins() -> None:
    agent = home_view(HomeFacts(role=Role.AGENT))
    review = ReviewFacts(
        queue=[correction(question=LONG, state=s) for s in OPEN_STATES],
        links={"c-1": "https://workspace.example/archives/C1/p1"},
        imported=12,
        own=agreement([(Decision.APPROVE, Decision.APPROVE), (Decision.REJECT, Decision.REJECT)]),
        labels=3,
        label_gate=10,
        frozen=True,
    )
    admin = AdminFacts(
        people=[
            Person(team="T", user_id=f"U{n}", role=Role.ADMIN, by_hand=True) for n in range(99)
        ],
        channels={f"C{n}": ChannelSettings(on_call="S1", answering=False) for n in range(99)},
    )
    reviewer = home_view(HomeFacts(role=Role.REVIEWER, review=review))
    boss = home_view(HomeFacts(role=Role.ADMIN, review=review, admin=admin))
    for view in (agent, reviewer, boss):
        require_valid_view(view)
    assert "3 of 10" not in str(agent)
    assert "3 of 10" in str(reviewer)
    assert "agreed in 2 of 2, Cohen's kappa 1.00" in str(reviewer)
    assert "challenger" not in str(reviewer)
    assert "set by hand" not in str(reviewer)
    assert "set by hand" in str(boss)


def test_the_forms_of_admins_are_valid() -> None:
    groups = {f"group-{n}": f"S{n}" for n in range(150)}
    for settings in (
        ChannelSettings(),
        ChannelSettings(on_call="S1", review_channel="C1", streaming=Streaming.ON),
        ChannelSettings(on_call="U1", buttons=False),
    ):
        require_valid_view(channel_modal("C1", settings, groups))
        require_valid_view(channel_modal("C1", settings, {}))
    require_valid_view(role_modal())


@pytest.mark.parametrize("state", list(HandoffState))
def test_calls_for_a_person_are_valid_in_every_state(state: HandoffState) -> None:
    handoff = Handoff(
        id="h-1", interaction_id="i-1", team="T", channel="C", thread_key="T:C:1", asker="U1",
        reason=HandoffReason.WORDS, opened_at=NOW, on_call="S1", state=state, taken_by="U2",
        answered_by="U2",
    )  # fmt: skip
    require_valid(handoff_blocks(handoff))
    pressed = "handoff_take" in str(handoff_blocks(handoff))
    assert pressed == (state is HandoffState.OPEN)
