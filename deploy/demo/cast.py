"""Who plays: support agents who ask, reviewers who judge (one often wrong, one careless)."""

from dataclasses import dataclass

from bot.sandbox.workspace import default_workspace
from feedback.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class Reviewer:
    """How one reviewer behaves.

    Attributes:
        user: Slack user id.
        wrong: Share of their corrections that state a wrong fact, 0..1.
        looks: Whether they read before they approve.
    """

    user: str
    wrong: float
    looks: bool


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Everybody in the demo, by Slack user id."""

    agents: tuple[str, ...]
    reviewers: tuple[Reviewer, ...]
    operator: str
    channels: tuple[str, ...]
    review_channel: str
    bot: str


def demo_cast() -> Cast:
    """Returns the sandbox's default people with their parts."""
    workspace = default_workspace()
    agents = tuple(person.id for person in workspace.people if person.title == "Support agent")
    reviewers = [person.id for person in workspace.people if "reviewer" in person.title]
    operators = [person.id for person in workspace.people if person.is_admin]
    if len(reviewers) < 3 or not operators:
        raise InvalidInputError("the sandbox workspace needs three reviewers and an operator")
    careful, often_wrong, careless = reviewers[:3]
    channels = tuple(channel.id for channel in workspace.channels if "support" in channel.name)
    private = [channel.id for channel in workspace.channels if channel.name == "review"]
    return Cast(
        agents=agents,
        reviewers=(
            Reviewer(user=careful, wrong=0.0, looks=True),
            Reviewer(user=often_wrong, wrong=0.15, looks=True),
            Reviewer(user=careless, wrong=0.0, looks=False),
        ),
        operator=operators[0],
        channels=channels,
        review_channel=private[0],
        bot=workspace.bot_user_id,
    )
