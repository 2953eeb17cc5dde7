"""Reads what operators typed and confirmed. Everything in a payload is untrusted until re-read."""

import json
import re
from dataclasses import dataclass

from bot.orders import Answer, Order, Verb
from bot.slack.forms import Delivered
from feedback.errors import InvalidInputError

COMMAND = "/understudy"
CONFIRM_ACTION = "operate_confirm"
CANCEL_ACTION = "operate_cancel"

_REASON_CHARS = 500
_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>|([UW][A-Z0-9]{6,})")


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A command line, taken apart."""

    verb: Verb
    rest: str


def typed(text: str) -> Typed:
    """Returns the verb and the rest; anything unknown asks for help."""
    first, _, rest = text.strip().partition(" ")
    try:
        verb = Verb(first.lower())
    except ValueError:
        verb = Verb.HELP
    return Typed(verb=verb, rest=" ".join(rest.split())[:_REASON_CHARS])


def order_of(delivered: Delivered) -> Order:
    """Returns the order in a slash command's payload.

    Raises:
        InvalidInputError: When it names nobody that could be forgotten.
    """
    line = typed(str(delivered.body.get("text") or ""))
    forgets = line.verb is Verb.FORGET
    return Order(
        team=delivered.team,
        user=delivered.user,
        verb=line.verb,
        event_id=delivered.event_id,
        reason="" if forgets else line.rest,
        target=_person(line.rest) if forgets and line.rest else None,
        delivery_id=delivered.delivery_id,
    )


def answer_of(delivered: Delivered) -> Answer:
    """Returns a click on a confirmation's buttons.

    Raises:
        InvalidInputError: When the value is not one of ours.
    """
    action = (delivered.body.get("actions") or [{}])[0]
    try:
        number = json.loads(str(action.get("value")))["k"]
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidInputError(f"value {action.get('value')!r} is not one of ours") from exc
    return Answer(
        team=delivered.team,
        user=delivered.user,
        confirmation_id=str(number),
        yes=action.get("action_id") == CONFIRM_ACTION,
        event_id=delivered.event_id,
        delivery_id=delivered.delivery_id,
    )


def _person(text: str) -> str:
    match = _PERSON.fullmatch(text)
    if match is None:
        raise InvalidInputError(
            f"Name the person by a mention, such as `{COMMAND} forget @somebody`, or nobody for "
            "yourself."
        )
    return match.group(1) or match.group(2)
