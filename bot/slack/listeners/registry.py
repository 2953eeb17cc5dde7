"""Every topic that is listened to; a new one is a line here."""

from bot.slack.listeners.answers import AnswerListeners
from bot.slack.listeners.asking import AskingListeners
from bot.slack.listeners.base import Heard, ListenerParts
from bot.slack.listeners.corrections import CorrectionListeners
from bot.slack.listeners.experiments import ExperimentListeners
from bot.slack.listeners.handoffs import HandoffListeners
from bot.slack.listeners.home import HomeListeners
from bot.slack.listeners.operating import OperatorListeners
from bot.slack.listeners.patterns import PatternListeners
from bot.slack.listeners.reviews import ReviewListeners


def everything_heard(parts: ListenerParts) -> Heard:
    """Returns what is listened to in a workspace."""
    return (
        AnswerListeners(parts).heard()
        | AskingListeners(parts).heard()
        | CorrectionListeners(parts).heard()
        | ReviewListeners(parts).heard()
        | HandoffListeners(parts).heard()
        | HomeListeners(parts).heard()
        | OperatorListeners(parts).heard()
        | PatternListeners(parts).heard()
        | ExperimentListeners(parts).heard()
    )
