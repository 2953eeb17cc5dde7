"""The App Home, by role. Nobody sees which arm of an experiment answered what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.slack.views.blocks import Block, button, context, escape, markdown, plain
from bot.slack.views.reviews import status_of
from feedback.domain.channel import ChannelSettings, Streaming
from feedback.domain.correction import Correction, CorrectionState
from feedback.domain.handoff import Handoff, HandoffState
from feedback.domain.interaction import Interaction, InteractionState
from feedback.domain.person import Person, Role
from feedback.domain.reviewing import Agreement

REVIEW_ACTION = "home_review"
CLAIM_ACTION = "home_claim"
OPEN_ACTION = "home_open_card"
ADOPT_ACTION = "home_adopt"
ROLE_ACTION = "home_role"
CHANNEL_ACTION = "home_channel"

ADOPTED_AT_ONCE = 10
"""Imported candidates that one click moves into the queue."""
_PEOPLE, _CHANNELS = 30, 30


@dataclass(frozen=True, kw_only=True)
class ReviewFacts:
    """What reviewers see besides.

    Attributes:
        queue: Corrections that this reviewer can decide.
        links: Where their cards stand, by correction id.
        waiting: Corrections that wait for anybody.
        imported: Imported candidates that no team has adopted.
        own: Agreement of this reviewer with the others.
        team: Agreement of all reviewers.
        labels: Approved corrections.
        label_gate: Approved corrections needed before anything is trained.
        cycle: Sentence about the last retraining cycle.
        experiment: Sentence about the experiment; says nothing about arms.
    """

    queue: Sequence[Correction] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    imported: int = 0
    own: Agreement | None = None
    team: Agreement | None = None
    labels: int = 0
    label_gate: int = 0
    cycle: str = "No retraining cycle has run yet."
    experiment: str = "No experiment is running."
    frozen: bool = False


@dataclass(frozen=True, kw_only=True)
class AdminFacts:
    """What admins see besides.

    Attributes:
        people: Whoever is more than an agent, or was given a role by hand.
        channels: Channels with settings of their own, by id.
    """

    people: Sequence[Person] = ()
    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HomeFacts:
    """What one person's App Home shows.

    Attributes:
        handoffs: Calls for a person about the questions, by interaction id.
        review: None for agents.
        admin: None for all but admins.
    """

    role: Role
    questions: Sequence[Interaction] = ()
    handoffs: Mapping[str, Handoff] = field(default_factory=dict)
    review: ReviewFacts | None = None
    admin: AdminFacts | None = None


def home_view(facts: HomeFacts) -> Block:
    """Returns the view to publish."""
    blocks = [_header("Your questions"), *_questions(facts)]
    if facts.review is not None:
        blocks += [{"type": "divider"}, _header("Review"), *_review(facts.review)]
        blocks += [{"type": "divider"}, _header("Learning"), *_learning(facts.review)]
    if facts.admin is not None:
        blocks += [{"type": "divider"}, _header("Roles"), *_roles(facts.admin)]
        blocks += [{"type": "divider"}, _header("Channels"), *_channels(facts.admin)]
    blocks.append(context(f"You are here as {facts.role.value}."))
    return {"type": "home", "blocks": blocks}


def _questions(facts: HomeFacts) -> list[Block]:
    if not facts.questions:
        return [markdown("Mention me in a channel or write to me here; I answer in the thread.")]
    return [
        markdown(
            f"{_state(item, facts.handoffs.get(item.id))}\n*{escape(item.question[:200])}*\n"
            f"{escape((item.answer or '')[:300])}"
        )
        for item in facts.questions
    ]


def _state(item: Interaction, handoff: Handoff | None) -> str:
    if handoff is not None and item.state is InteractionState.POSTED:
        return {
            HandoffState.OPEN: ":telephone_receiver: a colleague is called",
            HandoffState.TAKEN: f":telephone_receiver: <@{handoff.taken_by}> takes care of it",
            HandoffState.ANSWERED: f":white_check_mark: <@{handoff.answered_by}> answered",
            HandoffState.CLOSED: ":white_check_mark: settled",
        }[handoff.state]
    if item.state is InteractionState.POSTED:
        known = ":white_check_mark: answered"
        return ":grey_question: I did not know" if item.abstained else known
    return {
        InteractionState.FAILED: ":x: I could not answer",
        InteractionState.STOPPED: ":octagonal_sign: stopped",
    }.get(item.state, ":hourglass_flowing_sand: being answered")


def _review(facts: ReviewFacts) -> list[Block]:
    blocks = [markdown(f"*{facts.waiting}* correction(s) wait for a reviewer.")]
    for item in facts.queue:
        blocks += _item(item, facts.links.get(item.id))
    if facts.imported:
        number = min(ADOPTED_AT_ONCE, facts.imported)
        blocks.append(markdown(f"*{facts.imported}* imported candidate(s) wait for a team."))
        blocks.append(
            {"type": "actions", "elements": [button(f"Take {number} over", ADOPT_ACTION, {})]}
        )
    blocks.append(
        context(
            f"You and the second reviewers: {_agreement(facts.own)}",
            f"Everybody: {_agreement(facts.team)}",
        )
    )
    return blocks


def _item(item: Correction, link: str | None) -> list[Block]:
    value = {"c": item.id, "v": item.row_version}
    buttons = [button("Review", REVIEW_ACTION, value, style="primary")]
    claimable = (CorrectionState.PROPOSED, CorrectionState.SECOND_LOOK)
    if item.state in claimable and item.claimed_by is None:
        buttons.append(button("Claim", CLAIM_ACTION, value))
    if link:
        buttons.append(button("Open the card", OPEN_ACTION, {}) | {"url": link})
    return [
        markdown(f"{escape(item.question[:200])}\n_{status_of(item)}_"),
        {"type": "actions", "elements": buttons},
    ]


def _agreement(found: Agreement | None) -> str:
    if found is None or found.pairs == 0:
        return "nothing was decided twice yet"
    kappa = "" if found.kappa is None else f", Cohen's kappa {found.kappa:.2f}"
    return f"agreed in {found.agreed} of {found.pairs}{kappa}"


def _learning(facts: ReviewFacts) -> list[Block]:
    share = min(1.0, facts.labels / facts.label_gate) if facts.label_gate else 1.0
    bar = "\N{FULL BLOCK}" * round(share * 20) + "\N{LIGHT SHADE}" * (20 - round(share * 20))
    blocks = [
        markdown(f"Labels: {facts.labels:,} of {facts.label_gate:,}\n`{bar}` {share:.0%}"),
        markdown(f"Last cycle: {escape(facts.cycle)}"),
        markdown(f"Experiment: {escape(facts.experiment)}"),
    ]
    if facts.frozen:
        blocks.append(
            markdown(":snowflake: Frozen by an operator: the champion answers everybody.")
        )
    return blocks


def _roles(facts: AdminFacts) -> list[Block]:
    lines = [
        f"\N{BULLET} <@{person.user_id}> {person.role.value}"
        + (" _(set by hand)_" if person.by_hand else "")
        for person in facts.people[:_PEOPLE]
    ]
    left = len(facts.people) - len(lines)
    lines += [f"and {left} more"] if left > 0 else []
    return [
        markdown("\n".join(lines) or "Everybody is an agent."),
        {"type": "actions", "elements": [button("Change a role", ROLE_ACTION, {})]},
    ]


def _channels(facts: AdminFacts) -> list[Block]:
    lines = [
        f"\N{BULLET} <#{channel}> {_described(settings)}"
        for channel, settings in list(facts.channels.items())[:_CHANNELS]
    ]
    return [
        markdown("\n".join(lines) or "Every channel has the settings of the installation."),
        {
            "type": "actions",
            "elements": [
                {
                    "type": "conversations_select",
                    "action_id": CHANNEL_ACTION,
                    "placeholder": plain("Set a channel up"),
                    "filter": {"include": ["public", "private"], "exclude_bot_users": True},
                }
            ],
        },
    ]


def _described(settings: ChannelSettings) -> str:
    said = []
    if not settings.answering:
        said.append("no answers")
    if not settings.buttons:
        said.append("no thumbs")
    if settings.streaming is not Streaming.DEFAULT:
        said.append(f"streaming {settings.streaming.value}")
    if settings.on_call:
        said.append("on call of its own")
    if settings.review_channel:
        said.append(f"reviews in <#{settings.review_channel}>")
    return ", ".join(said) or "as the installation"


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}
