"""Puts one workspace together: everything that acts with its token."""

from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from bot.administering import AdminDesk
from bot.answering import Answering, AnswerSettings, Guard, Knowledge
from bot.correcting import CorrectionDesk
from bot.deciding import PatternDesk
from bot.experimenting import ExperimentDesk
from bot.generating import Generators
from bot.handing_off import HandoffDesk
from bot.operating import OperatorDesk
from bot.redacting import ThreadRedactor
from bot.reviewing import ReviewDesk
from bot.routing import TurnRouter
from bot.slack.api import SlackApi, make_client
from bot.slack.budget import Budget
from bot.slack.calls import Calls
from bot.slack.conversation import make_conversation
from bot.slack.directory import Directory
from bot.slack.events import EventHandler, EventParts
from bot.slack.home import HomePages
from bot.slack.late import LateInteractions
from bot.slack.listeners.base import Heard, ListenerParts
from bot.slack.listeners.registry import everything_heard
from bot.slack.manner import ChannelManners
from bot.slack.operating import OperatorCommands
from bot.slack.workspaces import Installation, Workspace
from bot.voting import VotingDesk
from feedback.brake import Brake
from feedback.clock import Clock
from feedback.ports import GenerationOptions
from feedback.prompting import PromptPolicy
from feedback.settings import Settings
from feedback.store.unit_of_work import Store
from feedback.why import WhyPolicy


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What the bot needs besides Slack; chosen by the composition root."""

    store: Store
    clock: Clock
    knowledge: Knowledge
    generators: Generators
    guard: Guard


@dataclass(frozen=True, kw_only=True)
class WorkspaceBuilder:
    """Builds the bundle of a workspace.

    Attributes:
        session: Shared by the clients of every workspace.
        effects_owed: Called when an effect was written to the outbox.
    """

    settings: Settings
    outside: Outside
    session: aiohttp.ClientSession
    effects_owed: Callable[[], None]

    def client(self, token: str) -> SlackApi:
        """Returns the Web API with a workspace's token."""
        slack = self.settings.slack
        client = make_client(token, slack.api_url, session=self.session)
        budget = Budget(share=slack.rate_share)
        return SlackApi(client, Calls(budget, repeat_s=self.settings.bot.retry_s / 2))

    def build(self, installation: Installation) -> Workspace:
        """Returns everything that acts in a workspace."""
        key = self.settings.privacy.pseudonym_key.get_secret_value().encode()
        redactor = ThreadRedactor(key, bot=installation.identity.user_id)
        api = self.client(installation.token)
        directory = self._directory(installation, api, redactor)
        store, clock = self.outside.store, self.outside.clock
        operators = self._operators()
        listening = ListenerParts(
            store=store,
            api=api,
            voting=VotingDesk(
                store, clock, redactor, positive_share=self.settings.review.positive_share
            ),
            corrections=CorrectionDesk(store, clock, redactor),
            reviews=ReviewDesk(
                store, clock, redactor, second_share=self.settings.review.second_share
            ),
            handoffs=HandoffDesk(
                store,
                clock,
                redactor,
                on_call=lambda: directory.handoff_group,
                effects_owed=self.effects_owed,
            ),
            patterns=PatternDesk(store, clock, home_team=self.settings.slack.operators_team),
            admin=AdminDesk(store, clock),
            directory=directory,
            home=HomePages(store, api, label_gate=self.settings.retrain.label_gate),
            operators=OperatorCommands(
                store, clock, api, operators, effects_owed=self.effects_owed
            ),
            experiments=ExperimentDesk(store, clock, operators),
            effects_owed=self.effects_owed,
        )
        heard = everything_heard(listening)
        return Workspace(
            installation=installation,
            api=api,
            directory=directory,
            heard=heard,
            events=self._events(installation, redactor, directory, listening, heard),
        )

    def _directory(
        self, installation: Installation, api: SlackApi, redactor: ThreadRedactor
    ) -> Directory:
        slack = self.settings.slack
        return Directory(
            self.outside.store,
            self.outside.clock,
            api,
            redactor,
            team=installation.identity.team,
            reviewers=slack.reviewers_group,
            admins=slack.admins_group,
            handoff=slack.handoff_group,
        )

    def _operators(self) -> OperatorDesk:
        slack = self.settings.slack
        return OperatorDesk(
            self.outside.store,
            self.outside.clock,
            WhyPolicy.of(self.settings),
            channel=slack.operators_channel,
            home_team=slack.operators_team,
            many_workspaces=bool(slack.client_id),
        )

    def _events(
        self,
        installation: Installation,
        redactor: ThreadRedactor,
        directory: Directory,
        listening: ListenerParts,
        heard: Heard,
    ) -> EventHandler:
        settings, outside, api = self.settings, self.outside, listening.api
        conversation = make_conversation(
            outside.store,
            outside.clock,
            api,
            self._answering(redactor),
            installation.identity,
            ChannelManners(stream_channels=settings.bot.stream_channels),
            listening.handoffs,
            lease_s=settings.bot.lease_s,
        )
        return EventHandler(
            EventParts(
                api=api,
                bot=installation.identity,
                conversation=conversation,
                voting=listening.voting,
                home=listening.home,
                directory=directory,
                late=LateInteractions(heard, effects_owed=listening.effects_owed),
            )
        )

    def _answering(self, redactor: ThreadRedactor) -> Answering:
        model, outside = self.settings.model, self.outside
        return Answering(
            outside.store,
            outside.clock,
            redactor,
            TurnRouter(
                outside.store,
                url=model.url,
                base_model=model.base,
                brake=Brake.of(self.settings),
            ),
            outside.knowledge,
            outside.generators,
            outside.guard,
            AnswerSettings(
                retrieve=self.settings.bot.retrieve,
                options=GenerationOptions(max_tokens=model.max_tokens, timeout_s=model.timeout_s),
                prompt=PromptPolicy.of(self.settings.bot),
            ),
        )
