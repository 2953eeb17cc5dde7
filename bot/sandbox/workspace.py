"""Who and what a sandbox workspace starts with.

A `Workspace` is only read when the state directory is empty (or after a reset); from then on the
journal is the truth.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class Person:
    """A human member.

    Attributes:
        id: Slack user id, `U` and capitals or digits.
        name: Handle without the at sign.
        title: Role title shown in the profile.
        is_admin: Workspace admin flag.
    """

    id: str
    name: str
    real_name: str
    title: str = ""
    email: str = ""
    tz: str = "Europe/Berlin"
    is_admin: bool = False


@dataclass(frozen=True, kw_only=True)
class SeedChannel:
    """A channel with its first human members (the bot is added when `bot_is_member`)."""

    id: str
    name: str
    purpose: str = ""
    members: tuple[str, ...] = ()
    is_private: bool = False
    bot_is_member: bool = True


@dataclass(frozen=True, kw_only=True)
class SeedGroup:
    """A user group, e.g. the on-call people of a channel."""

    id: str
    handle: str
    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """A message shortcut that the app offers in the message menu."""

    callback_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class SlashCommand:
    """A slash command that the app offers everywhere.

    Attributes:
        command: With its slash.
        usage_hint: What may follow it, shown while typing.
    """

    command: str
    description: str
    usage_hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The seed of a workspace and the identity of the one app in it."""

    people: tuple[Person, ...]
    channels: tuple[SeedChannel, ...]
    groups: tuple[SeedGroup, ...] = ()
    team_id: str = "T0SANDBOX1"
    team_name: str = "Understudy Sandbox"
    domain: str = "understudy-sandbox"
    app_id: str = "A0UNDRSTDY"
    app_name: str = "Understudy"
    bot_id: str = "B0UNDRSTDY"
    bot_user_id: str = "U0UNDRSTDY"
    bot_name: str = "understudy"
    bot_token: str = "xoxb-sandbox-understudy"  # noqa: S105 - a token for 127.0.0.1 only
    app_token: str = "xapp-sandbox-understudy"  # noqa: S105 - a token for 127.0.0.1 only
    client_id: str = "1000000001.2000000002"
    client_secret: str = "sandbox-client-secret"  # noqa: S105 - exchanged on 127.0.0.1 only
    signing_secret: str = "sandbox-signing-secret"  # noqa: S105 - signs to 127.0.0.1 only
    shortcuts: tuple[Shortcut, ...] = field(
        default=(
            Shortcut(callback_id="teach_reply", name="Teach this reply"),
            Shortcut(callback_id="ask_understudy", name="Ask Understudy"),
        )
    )
    commands: tuple[SlashCommand, ...] = field(
        default=(
            SlashCommand(
                command="/understudy",
                description="See and steer what Understudy learns, or have your data forgotten.",
                usage_hint=(
                    "status | why | pause | resume | freeze | unfreeze | promote | rollback | "
                    "forget | help"
                ),
            ),
        )
    )

    def to_json(self) -> dict[str, Any]:
        """Returns the seed as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Workspace":
        """Reads what `to_json` wrote, or a hand-written seed file.

        Raises:
            InvalidInputError: A key is unknown or missing.
        """
        try:
            values = dict(data)
            values["people"] = tuple(Person(**row) for row in data["people"])
            values["channels"] = tuple(
                SeedChannel(**{**row, "members": tuple(row.get("members", ()))})
                for row in data["channels"]
            )
            values["groups"] = tuple(
                SeedGroup(**{**row, "members": tuple(row.get("members", ()))})
                for row in data.get("groups", ())
            )
            if "shortcuts" in data:
                values["shortcuts"] = tuple(Shortcut(**row) for row in data["shortcuts"])
            if "commands" in data:
                values["commands"] = tuple(SlashCommand(**row) for row in data["commands"])
            return cls(**values)
        except (KeyError, TypeError) as exc:
            raise InvalidInputError(
                f"the workspace seed is not usable: {exc}; give people and channels as described "
                "by bot.sandbox.workspace.Workspace"
            ) from exc


def read_workspace(path: Path) -> Workspace:
    """Reads a workspace seed from a JSON file.

    Raises:
        InvalidInputError: The file is missing, no JSON, or no usable seed.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidInputError(
            f"cannot read the workspace seed {path}: {exc}; give an existing JSON file"
        ) from exc
    if not isinstance(data, dict):
        raise InvalidInputError(f"the workspace seed {path} is no JSON object")
    return Workspace.from_json(data)


def default_workspace() -> Workspace:
    """Returns a small support department: agents, reviewers and one operator."""
    agents = (
        _person("U0AMIRA001", "amira", "Amira Haddad", "Support agent"),
        _person("U0BENNO002", "ben", "Ben Okafor", "Support agent"),
        _person("U0CHLOE003", "chloe", "Chloe Martin", "Support agent"),
        _person("U0DIEGO004", "diego", "Diego Ruiz", "Support agent"),
        _person("U0EMITA005", "emi", "Emi Tanaka", "Support agent"),
        _person("U0FARID006", "farid", "Farid Nazari", "Support agent"),
    )
    reviewers = (
        _person("U0GRACE007", "grace", "Grace Lindqvist", "Support lead, reviewer"),
        _person("U0HENRK008", "henrik", "Henrik Olsen", "Product specialist, reviewer"),
        _person("U0INESC009", "ines", "Ines Costa", "Documentation writer, reviewer"),
    )
    operator = _person("U0JONAS010", "jonas", "Jonas Weber", "Operations", is_admin=True)
    people = (*agents, *reviewers, operator)
    everyone = tuple(person.id for person in people)
    reviewing = (*(person.id for person in reviewers), operator.id)
    return Workspace(
        people=people,
        channels=(
            SeedChannel(
                id="C0GENERAL1", name="general", purpose="Company-wide talk", members=everyone
            ),
            SeedChannel(
                id="C0SUPPORT2",
                name="support",
                purpose="Ask @Understudy anything about the product",
                members=everyone,
            ),
            SeedChannel(
                id="C0BILLING3",
                name="support-billing",
                purpose="Plans, invoices, refunds",
                members=everyone,
            ),
            SeedChannel(
                id="C0REVIEW04",
                name="review",
                purpose="Corrections waiting for a reviewer",
                members=reviewing,
                is_private=True,
            ),
            SeedChannel(
                id="C0OPERATE5",
                name="operations",
                purpose="What changed for everybody: brakes, cycles, promotions",
                members=reviewing,
            ),
        ),
        groups=(
            SeedGroup(
                id="S0REVIEW01",
                handle="reviewers",
                name="Answer reviewers",
                members=tuple(person.id for person in reviewers),
            ),
            SeedGroup(
                id="S0ONCALL02",
                handle="support-oncall",
                name="Support on call",
                members=(agents[0].id, agents[1].id),
            ),
            SeedGroup(
                id="S0OPERAT03", handle="operators", name="Operators", members=(operator.id,)
            ),
        ),
    )


def _person(
    user_id: str, name: str, real_name: str, title: str, *, is_admin: bool = False
) -> Person:
    return Person(
        id=user_id,
        name=name,
        real_name=real_name,
        title=title,
        email=f"{name}@sandbox.example",
        is_admin=is_admin,
    )
