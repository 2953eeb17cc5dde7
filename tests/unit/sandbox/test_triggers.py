"""A trigger opens one view, for three seconds."""

import pytest

from bot.sandbox.errors import SlackError
from bot.sandbox.triggers import Triggers


def test_a_trigger_works_once_and_not_too_late() -> None:
    now = [10.0]
    triggers = Triggers(3.0, clock=lambda: now[0])
    early, _ = triggers.issue("U1")
    late, _ = triggers.issue("U1")
    now[0] += 3.0
    assert triggers.consume(early).user == "U1"
    with pytest.raises(SlackError, match="exchanged_trigger_id"):
        triggers.consume(early)
    now[0] += 0.001
    with pytest.raises(SlackError, match="expired_trigger_id"):
        triggers.consume(late)
    with pytest.raises(SlackError, match="invalid_trigger_id"):
        triggers.consume("1.2.3")
