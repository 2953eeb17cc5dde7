"""Reads what people clicked and typed. Everything in a payload is untrusted until re-read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.administering import Actor
from bot.correcting import Proposal
from bot.deciding import Choice
from bot.handing_off import Press
from bot.reviewing import Click
from bot.slack.payloads import team_of
from bot.slack.views.administering import FOLLOW
from bot.slack.views.corrections import POST_OPTION
from bot.slack.views.digest import PATTERN_ACTIONS
from bot.voting import Act
from feedback.domain.channel import ChannelSettings, Streaming
from feedback.domain.correction import Decision
from feedback.domain.interaction import Rating, Reason
from feedback.domain.pattern import PatternStatus
from feedback.domain.person import Role
from feedback.errors import InvalidInputError

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """An interactive payload with what the inbox knows of it.

    Attributes:
        received_ts: When it arrived, for payloads that carry no time.
        delivery_id: Inbox row to close with the effect; None when a worker applies it.
    """

    body: Json
    event_id: str
    received_ts: float
    delivery_id: int | None = None

    @property
    def team(self) -> str:
        """The clicking person's workspace."""
        return team_of(self.body)

    @property
    def user(self) -> str:
        """Who acted."""
        user = self.body.get("user")
        return str(user["id"] if isinstance(user, dict) else self.body["user_id"])

    @property
    def channel(self) -> str | None:
        """Where the clicked message stands; None in views."""
        channel = self.body.get("channel") or {}
        return channel.get("id")

    @property
    def thread_ts(self) -> str | None:
        """Root of the clicked message's thread."""
        message = self.body.get("message") or {}
        return message.get("thread_ts") or message.get("ts")

    def act(self) -> Act:
        """Returns this payload as an act of voting."""
        action_ts = (self.body.get("actions") or [{}])[0].get("action_ts")
        return Act(
            team=self.team,
            user=self.user,
            event_id=self.event_id,
            event_ts=float(action_ts or self.received_ts),
            delivery_id=self.delivery_id,
        )


def subject_of(delivered: Delivered) -> str:
    """Returns the action, callback or command that a payload is about."""
    body = delivered.body
    kind = body.get("type")
    if kind == "block_actions":
        return str((body.get("actions") or [{}])[0].get("action_id", ""))
    if kind in {"view_submission", "view_closed"}:
        return str(body["view"].get("callback_id", ""))
    return str(body.get("callback_id") or body.get("command") or "")


def vote_of(delivered: Delivered) -> tuple[str, Rating]:
    """Returns `(interaction id, rating)` of a click on the feedback buttons.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    value = _value(delivered)
    sign = value.get("s")
    if sign not in {1, -1}:
        raise InvalidInputError(f"feedback value {value!r} has no sign 1 or -1")
    return _id(value, "i"), Rating.UP if sign == 1 else Rating.DOWN


def answer_of(delivered: Delivered) -> str:
    """Returns the interaction id of a click on "Correct".

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    return _id(_value(delivered), "i")


def click_of(delivered: Delivered) -> Click:
    """Returns a click on a review card.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    return _click(delivered, _value(delivered))


def reasons_of(delivered: Delivered) -> tuple[str, list[Reason], str]:
    """Returns `(interaction id, reasons, comment)` of the submitted reason modal.

    Raises:
        InvalidInputError: When the form is not one of ours.
    """
    tone = _option(delivered, "tone")
    reasons = _reasons(_options(delivered, "reasons"))
    if tone not in {None, "fine"}:
        reasons += _reasons([str(tone)])
    return _id(_private(delivered), "i"), reasons, _text(delivered, "comment")


def proposal_of(delivered: Delivered) -> Proposal:
    """Returns the submitted correction form.

    Raises:
        InvalidInputError: When the form is not one of ours.
    """
    ids = _private(delivered)
    return Proposal(
        team=delivered.team,
        author=delivered.user,
        interaction_id=_id(ids, "i"),
        question=_text(delivered, "question"),
        answer=_text(delivered, "answer"),
        reasons=_reasons(_options(delivered, "reasons")),
        tags=_text(delivered, "tags").split(","),
        taught_from=str(ids["t"]) if ids.get("t") else None,
        post_in_thread=POST_OPTION in _options(delivered, "post"),
    )


def draft_of(delivered: Delivered) -> str:
    """Returns the correction id of the submitted confirmation.

    Raises:
        InvalidInputError: When the form is not one of ours.
    """
    return _id(_private(delivered), "c")


def edit_of(delivered: Delivered) -> tuple[Click, str]:
    """Returns a reviewer's submitted edit.

    Raises:
        InvalidInputError: When the form is not one of ours.
    """
    return _click(delivered, _private(delivered)), _text(delivered, "answer")


def press_of(delivered: Delivered) -> Press:
    """Returns a click on a button of a hand-off.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    return Press(
        team=delivered.team,
        user=delivered.user,
        handoff_id=_id(_value(delivered), "h"),
        delivery_id=delivered.delivery_id,
    )


def choice_of(delivered: Delivered) -> Choice:
    """Returns a click on a button of the digest.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    value, body = _value(delivered), delivered.body
    decision = next(
        (d for d, action in PATTERN_ACTIONS.items() if action == subject_of(delivered)), None
    )
    seen, week = value.get("s"), value.get("w")
    if decision is None or seen not in set(PatternStatus) or not isinstance(week, int):
        raise InvalidInputError(f"pattern value {value!r} is not one of ours")
    container = body.get("container") or {}
    channel, ts = delivered.channel, (body.get("message") or {}).get("ts")
    private = container.get("is_ephemeral") or channel is None or ts is None
    return Choice(
        team=delivered.team,
        user=delivered.user,
        event_id=delivered.event_id,
        pattern_id=_id(value, "p"),
        decision=decision,
        seen=PatternStatus(str(seen)),
        week=datetime.fromtimestamp(week, UTC),
        message=None if private else (str(channel), str(ts)),
        delivery_id=delivered.delivery_id,
    )


def pair_of(delivered: Delivered) -> str:
    """Returns the id of the pair whose card was clicked.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    return _id(_value(delivered), "p")


def promotion_of(delivered: Delivered) -> tuple[str, int]:
    """Returns `(experiment id, version)` of the promotion's card that was clicked.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    value = _value(delivered)
    version = value.get("v")
    if not isinstance(version, int):
        raise InvalidInputError(f"promotion value {value!r} has no version")
    return _id(value, "e"), version


def decision_of(delivered: Delivered) -> tuple[Click, Decision, str]:
    """Returns `(click, decision, note)` of a submitted review.

    Raises:
        InvalidInputError: When the form is not one of ours, or nothing was chosen.
    """
    ids = _private(delivered)
    chosen = ids.get("d") or _option(delivered, "decision")
    if chosen not in set(Decision):
        raise InvalidInputError("Choose what should become of it.")
    return _click(delivered, ids), Decision(chosen), _text(delivered, "note")


def actor_of(delivered: Delivered) -> Actor:
    """Returns who acts."""
    return Actor(team=delivered.team, user=delivered.user, delivery_id=delivered.delivery_id)


def picked_of(delivered: Delivered) -> str:
    """Returns the channel that was picked from a menu.

    Raises:
        InvalidInputError: When nothing was picked.
    """
    action = (delivered.body.get("actions") or [{}])[0]
    picked = action.get("selected_conversation")
    if not picked:
        raise InvalidInputError("Pick a channel.")
    return str(picked)


def role_form_of(delivered: Delivered) -> tuple[str, Role | None]:
    """Returns `(user, role)` of the submitted form; None: as the user groups say.

    Raises:
        InvalidInputError: When something was not chosen.
    """
    user, role = _element(delivered, "person").get("selected_user"), _option(delivered, "role")
    if not user or role is None or role not in {FOLLOW, *Role}:
        raise InvalidInputError("Choose somebody and what they may do.")
    return str(user), None if role == FOLLOW else Role(role)


def channel_form_of(delivered: Delivered) -> tuple[str, ChannelSettings]:
    """Returns `(channel, settings)` of the submitted form.

    Raises:
        InvalidInputError: When the form is not one of ours, or calls a group and a person.
    """
    group = _option(delivered, "on_call_group")
    person = _element(delivered, "on_call_person").get("selected_user")
    if group and person:
        raise InvalidInputError("Choose a group or a person, not both.")
    streaming = _option(delivered, "streaming") or Streaming.DEFAULT
    review = _element(delivered, "review_channel").get("selected_conversation")
    settings = ChannelSettings(
        answering=_option(delivered, "answering") != "off",
        buttons=_option(delivered, "buttons") != "off",
        streaming=Streaming(streaming),
        on_call=str(group or person or ""),
        review_channel=str(review or ""),
    )
    return _id(_private(delivered), "ch"), settings


def _click(delivered: Delivered, value: Json) -> Click:
    version = value.get("v")
    if not isinstance(version, int):
        raise InvalidInputError(f"review value {value!r} has no version")
    return Click(
        team=delivered.team,
        user=delivered.user,
        correction_id=_id(value, "c"),
        row_version=version,
        delivery_id=delivered.delivery_id,
    )


def _value(delivered: Delivered) -> dict[str, Any]:
    actions = delivered.body.get("actions") or [{}]
    return _object(actions[0].get("value"))


def _private(delivered: Delivered) -> dict[str, Any]:
    return _object(delivered.body["view"].get("private_metadata"))


def _object(text: object) -> dict[str, Any]:
    try:
        value = json.loads(str(text))
    except ValueError as exc:
        raise InvalidInputError(f"value {text!r} is not one of ours") from exc
    if not isinstance(value, dict):
        raise InvalidInputError(f"value {text!r} is not one of ours")
    return value


def _id(value: Json, key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise InvalidInputError(f"value {dict(value)!r} has no id {key!r}")
    return found


def _element(delivered: Delivered, block: str) -> dict[str, Any]:
    values = (delivered.body["view"].get("state") or {}).get("values") or {}
    element: dict[str, Any] = (values.get(block) or {}).get("value") or {}
    return element


def _text(delivered: Delivered, block: str) -> str:
    return str(_element(delivered, block).get("value") or "").strip()


def _options(delivered: Delivered, block: str) -> list[str]:
    chosen = _element(delivered, block).get("selected_options") or []
    return [str(option["value"]) for option in chosen]


def _option(delivered: Delivered, block: str) -> str | None:
    chosen = _element(delivered, block).get("selected_option")
    return str(chosen["value"]) if chosen else None


def _reasons(values: list[str]) -> list[Reason]:
    try:
        return [Reason(value) for value in values]
    except ValueError as exc:
        raise InvalidInputError(f"{exc}; the form is not one of ours") from exc
