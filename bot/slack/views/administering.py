"""Modals of admins: a person's role, a channel's settings."""

from collections.abc import Mapping

from bot.slack.views.blocks import Block, choices, markdown, modal, radio, select
from feedback.domain.channel import ChannelSettings, Streaming
from feedback.domain.person import Role

ROLE_MODAL = "role_modal"
CHANNEL_MODAL = "channel_modal"
FOLLOW = "directory"
"""Choice of the role that Slack's user groups say."""

_ROLES = [
    (Role.AGENT.value, "Agent: asks, votes, proposes"),
    (Role.REVIEWER.value, "Reviewer: decides about corrections"),
    (Role.ADMIN.value, "Admin: roles, channels, promotions"),
    (FOLLOW, "As the user groups say"),
]
_ON_OFF = [("on", "On"), ("off", "Off")]


def role_modal() -> Block:
    """Returns the form that gives somebody a role."""
    person = select("person", "Who?", "users_select") | {"optional": False}
    return modal(
        ROLE_MODAL,
        "Change a role",
        [person, radio("role", "What may they do?", _ROLES, optional=False)],
        submit="Save",
        ids={},
    )


def channel_modal(channel: str, settings: ChannelSettings, groups: Mapping[str, str]) -> Block:
    """Returns the form with a channel's settings.

    Args:
        channel: Its id.
        settings: As they are.
        groups: User groups that may be called, `{handle: id}`.
    """
    of_group = settings.on_call if settings.on_call.startswith("S") else ""
    of_person = settings.on_call if settings.on_call and not of_group else ""
    fields = [
        markdown(f"*<#{channel}>*"),
        radio("answering", "Answers", _ON_OFF, chosen=_shown(settings.answering), optional=False),
        radio("buttons", "Thumbs", _ON_OFF, chosen=_shown(settings.buttons), optional=False),
        radio(
            "streaming",
            "People watch the answer being written",
            [(Streaming.DEFAULT.value, "As everywhere"), *_ON_OFF],
            chosen=settings.streaming.value,
            optional=False,
        ),
        *([_groups(groups, of_group)] if groups else []),
        select(
            "on_call_person",
            "Person on call, instead of a group",
            "users_select",
            initial={"initial_user": of_person} if of_person else None,
        ),
        select(
            "review_channel",
            "Review cards of this channel go to",
            "conversations_select",
            initial={
                "filter": {"include": ["public", "private"]},
                **(
                    {"initial_conversation": settings.review_channel}
                    if settings.review_channel
                    else {}
                ),
            },
        ),
    ]
    return modal(CHANNEL_MODAL, "Channel settings", fields, submit="Save", ids={"ch": channel})


def _groups(groups: Mapping[str, str], chosen: str) -> Block:
    options = choices((group, f"@{handle}") for handle, group in sorted(groups.items())[:100])
    initial = next((option for option in options if option["value"] == chosen), None)
    return select(
        "on_call_group",
        "User group on call",
        "static_select",
        initial={"options": options, **({"initial_option": initial} if initial else {})},
    )


def _shown(on: bool) -> str:
    return "on" if on else "off"
