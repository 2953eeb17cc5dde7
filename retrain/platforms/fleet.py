"""Keeps rows and servers alike: the one loop that every platform shares.

The publisher writes which adapters must be served, and proves them; the fleet starts and stops
servers. The two meet in the `deployments` table only, so either may be killed at any moment.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from feedback.clock import Clock
from feedback.domain.learning import Deployment, DeploymentState
from feedback.store.unit_of_work import Store, Transaction
from retrain.platforms.port import Observed, Platform

_log = logging.getLogger(__name__)
_STARTING = (DeploymentState.DESIRED, DeploymentState.READY)
_LOOKED_AFTER = (*_STARTING, DeploymentState.ACTIVE, DeploymentState.DRAINING)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the fleet waits, in real seconds.

    Attributes:
        start_s: For a new deployment to answer, before it counts as failed.
        linger_s: After a flip, before the old servers are told to end: whoever read the pointer
            just before it still gets its answer.
    """

    start_s: float = 600.0
    linger_s: float = 10.0


class Fleet:
    """Reconciles deployment rows with the servers of one platform."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        platform: Platform,
        *,
        name: str,
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates a fleet.

        Args:
            store: The rows.
            clock: Time of the rows.
            platform: Runs the servers.
            name: Of the platform; rows of others are left to them.
            patience: Real seconds to wait.
            monotonic: Real time in seconds: the clock may be simulated.
        """
        self._store = store
        self._clock = clock
        self._platform = platform
        self._name = name
        self._patience = patience
        self._monotonic = monotonic
        self._since: dict[tuple[int, bool], float] = {}

    async def look(self) -> None:
        """Takes one step and writes down what was seen.

        Raises:
            ConfigurationError: The platform refuses us, or lacks something we need.
            RetryableError: The platform or the database cannot be reached now.
        """
        async with self._store.begin() as tx:
            found = await tx.deployments.in_states(*_LOOKED_AFTER)
            rows = [row for row in found if row.platform == self._name]
            for row in found:
                # Whoever looked after it is not used any more, or it was never ours to stop.
                if row.state is DeploymentState.DRAINING and row.platform != self._name:
                    await self._move(tx, row, DeploymentState.STOPPED)
        self._forget(rows)
        leave = [row for row in rows if self._is_leaving(row)]
        keep = [row for row in rows if row not in leave]
        seen = await self._platform.look(keep, leave)
        async with self._store.begin() as tx:
            for row in rows:
                await self._record(tx, row, seen.get(row.id, Observed()))

    def _is_leaving(self, row: Deployment) -> bool:
        return row.state is DeploymentState.DRAINING and (
            self._waited_s(row) >= self._patience.linger_s
        )

    async def _record(self, tx: Transaction, row: Deployment, seen: Observed) -> None:
        if row.state is DeploymentState.DRAINING:
            if seen.gone:
                await self._move(tx, row, DeploymentState.STOPPED, replicas=(), pid=None)
        elif row.state in _STARTING and seen.failed is not None:
            await self._move(tx, row, DeploymentState.FAILED, error=seen.failed)
        elif row.state in _STARTING and not seen.complete and self._is_late(row):
            await self._move(
                tx,
                row,
                DeploymentState.FAILED,
                error=f"not every server answered within {self._patience.start_s:.0f} s; see the "
                "servers' logs, or raise UNDERSTUDY_PUBLISH__START_TIMEOUT_S",
            )
        else:
            await self._follow(tx, row, seen)

    async def _follow(self, tx: Transaction, row: Deployment, seen: Observed) -> None:
        """Writes what changed; the row in use keeps its place whatever happens to its servers."""
        state = row.state
        if state in _STARTING:
            state = DeploymentState.READY if seen.complete else DeploymentState.DESIRED
        values = {
            "url": seen.url or row.url,
            "replicas": seen.replicas,
            "pid": seen.pid,
            "base_name": seen.base_name if seen.url else row.base_name,
        }
        changed = any(getattr(row, name) != value for name, value in values.items())
        if changed or state is not row.state:
            await self._move(tx, row, state, **values)

    async def _move(
        self,
        tx: Transaction,
        row: Deployment,
        state: DeploymentState,
        **values: Any,  # noqa: ANN401
    ) -> None:
        """Stores a step, unless the publisher has moved the row since it was read."""
        stored = await tx.deployments.update(
            row.id, self._clock.now(), of=[row.state], state=state, **values
        )
        if stored and state is not row.state:
            _log.info("deployment %s: %s -> %s", row.id, row.state, state)
        if stored and state is DeploymentState.FAILED:
            _log.error("deployment %s cannot be served: %s", row.id, values.get("error"))

    def _is_late(self, row: Deployment) -> bool:
        return self._waited_s(row) > self._patience.start_s

    def _waited_s(self, row: Deployment) -> float:
        """Real seconds since the row was first seen starting, or draining."""
        key = (row.id, row.state in _STARTING)
        return self._monotonic() - self._since.setdefault(key, self._monotonic())

    def _forget(self, rows: Sequence[Deployment]) -> None:
        kept = {(row.id, row.state in _STARTING) for row in rows}
        self._since = {key: since for key, since in self._since.items() if key in kept}
