"""One transaction at a time, with every repository bound to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from feedback.store.channels import SqlChannels
from feedback.store.collecting import SqlCollecting
from feedback.store.conversations import SqlConversations
from feedback.store.corrections import SqlCorrections
from feedback.store.cycles import SqlAudit, SqlCycles, SqlSwitches
from feedback.store.deployments import SqlDeployments
from feedback.store.engine import POOL_SIZE, autocommitting, make_engine, transaction
from feedback.store.experiments import SqlExperiments
from feedback.store.expiring import SqlExpiring
from feedback.store.explanations import SqlExplanations
from feedback.store.forgetting import SqlForgetting
from feedback.store.handoffs import SqlHandoffs
from feedback.store.imports import SqlImports
from feedback.store.inbox import SqlInbox
from feedback.store.learning import SqlAdapters, SqlDatasets, SqlTrainingRuns
from feedback.store.operating import SqlConfirmations, SqlPromotionRequests
from feedback.store.outbox import SqlOutbox
from feedback.store.overview import SqlOverview
from feedback.store.patterns import SqlPatterns
from feedback.store.people import SqlPeople
from feedback.store.records import SqlRecords
from feedback.store.reviewing import SqlReviewing
from feedback.store.routing import SqlRouting
from feedback.store.trials import SqlApprovals, SqlShadows
from feedback.store.turns import SqlTurns
from feedback.store.uninstalling import SqlUninstalling
from feedback.store.vectors import SqlVectors
from feedback.store.votes import SqlVotes
from feedback.store.workspaces import SqlWorkspaces


class Transaction:
    """The repositories of one open transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    @cached_property
    def routing(self) -> SqlRouting:
        """Who answers next."""
        return SqlRouting(self.connection)

    @cached_property
    def workspaces(self) -> SqlWorkspaces:
        """Where the bot is installed."""
        return SqlWorkspaces(self.connection)

    @cached_property
    def inbox(self) -> SqlInbox:
        """What Slack delivered."""
        return SqlInbox(self.connection)

    @cached_property
    def outbox(self) -> SqlOutbox:
        """What we owe the outside world."""
        return SqlOutbox(self.connection)

    @cached_property
    def conversations(self) -> SqlConversations:
        """Threads, questions and answers."""
        return SqlConversations(self.connection)

    @cached_property
    def turns(self) -> SqlTurns:
        """Whose turn it is in a thread."""
        return SqlTurns(self.connection)

    @cached_property
    def votes(self) -> SqlVotes:
        """What people thought of answers."""
        return SqlVotes(self.connection)

    @cached_property
    def corrections(self) -> SqlCorrections:
        """Better answers and their reviews."""
        return SqlCorrections(self.connection)

    @cached_property
    def reviewing(self) -> SqlReviewing:
        """Who has what to review, and how far reviewers agree."""
        return SqlReviewing(self.connection)

    @cached_property
    def handoffs(self) -> SqlHandoffs:
        """Calls for a person."""
        return SqlHandoffs(self.connection)

    @cached_property
    def expiring(self) -> SqlExpiring:
        """Claims, hand-offs and deliveries past their time."""
        return SqlExpiring(self.connection)

    @cached_property
    def people(self) -> SqlPeople:
        """Names and roles."""
        return SqlPeople(self.connection)

    @cached_property
    def channels(self) -> SqlChannels:
        """How the bot behaves where."""
        return SqlChannels(self.connection)

    @cached_property
    def cycles(self) -> SqlCycles:
        """Retraining cycles."""
        return SqlCycles(self.connection)

    @cached_property
    def audit(self) -> SqlAudit:
        """Who changed what, hash-chained."""
        return SqlAudit(self.connection)

    @cached_property
    def switches(self) -> SqlSwitches:
        """The operator's brakes."""
        return SqlSwitches(self.connection)

    @cached_property
    def confirmations(self) -> SqlConfirmations:
        """What operators were shown before acting."""
        return SqlConfirmations(self.connection)

    @cached_property
    def promotion_requests(self) -> SqlPromotionRequests:
        """Promotions asked for by hand."""
        return SqlPromotionRequests(self.connection)

    @cached_property
    def collecting(self) -> SqlCollecting:
        """Adapters that nobody can ask for any more."""
        return SqlCollecting(self.connection)

    @cached_property
    def deployments(self) -> SqlDeployments:
        """Model servers."""
        return SqlDeployments(self.connection)

    @cached_property
    def experiments(self) -> SqlExperiments:
        """Champion against challenger."""
        return SqlExperiments(self.connection)

    @cached_property
    def approvals(self) -> SqlApprovals:
        """Promotions that wait for a person."""
        return SqlApprovals(self.connection)

    @cached_property
    def shadows(self) -> SqlShadows:
        """What the challenger would have answered."""
        return SqlShadows(self.connection)

    @cached_property
    def datasets(self) -> SqlDatasets:
        """Dataset versions and sides."""
        return SqlDatasets(self.connection)

    @cached_property
    def training(self) -> SqlTrainingRuns:
        """Training runs and evaluations."""
        return SqlTrainingRuns(self.connection)

    @cached_property
    def adapters(self) -> SqlAdapters:
        """Adapters and the champion pointer."""
        return SqlAdapters(self.connection)

    @cached_property
    def records(self) -> SqlRecords:
        """Whole-history views for mining and datasets."""
        return SqlRecords(self.connection)

    @cached_property
    def patterns(self) -> SqlPatterns:
        """Mined patterns."""
        return SqlPatterns(self.connection)

    @cached_property
    def vectors(self) -> SqlVectors:
        """Vectors of what was asked, answered and corrected."""
        return SqlVectors(self.connection)

    @cached_property
    def overview(self) -> SqlOverview:
        """Counts over the whole record."""
        return SqlOverview(self.connection)

    @cached_property
    def explanations(self) -> SqlExplanations:
        """Answers with what stood behind them."""
        return SqlExplanations(self.connection)

    @cached_property
    def forgetting(self) -> SqlForgetting:
        """Erases what is stored about a person."""
        return SqlForgetting(self.connection)

    @cached_property
    def uninstalling(self) -> SqlUninstalling:
        """Erases what is stored about a workspace."""
        return SqlUninstalling(self.connection)

    @cached_property
    def imports(self) -> SqlImports:
        """Transcripts from elsewhere."""
        return SqlImports(self.connection)


class Store:
    """The system of record. `async with store.begin() as tx:` commits or rolls back as one."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    def connect(cls, url: str, *, pool_size: int = POOL_SIZE) -> "Store":
        """Returns a store on a database URL; nothing connects before the first use."""
        return cls(make_engine(url, pool_size=pool_size))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """One transaction.

        Raises:
            UnavailableError: When the database cannot be reached.
        """
        async with transaction(self.engine) as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def single(self) -> AsyncIterator[Transaction]:
        """For one statement, or for reads: each commits by itself, which saves two round trips.

        Raises:
            UnavailableError: When the database cannot be reached.
        """
        async with autocommitting(self.engine) as connection:
            yield Transaction(connection)

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()
