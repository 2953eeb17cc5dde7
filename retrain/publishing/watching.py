"""Looks again and again whether the server in use still answers with what was proven on it.

A server that is restarted without an adapter answers its name with the base model and status 200.
Nobody notices, and the experiment compares the base with itself. So the proof is repeated beside
the traffic. What is lost gets no more traffic from the next turn on, a running experiment that
names it is frozen, and operators are told; what comes back is proven again and told as well.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from feedback.clock import Clock
from feedback.domain.learning import Adapter, Deployment
from feedback.domain.operating import Act, model_name
from feedback.errors import RetryableError, UnauthorizedError
from feedback.operations import set_brake
from feedback.store.unit_of_work import Store, Transaction
from retrain.publishing.prover import Recheck

_log = logging.getLogger(__name__)
ACTOR = "scheduler"


class Rechecker(Protocol):
    """Repeats the proof; AdapterProver fits."""

    async def recheck(self, url: str, adapters: Sequence[Adapter]) -> Recheck:
        """Returns what is still served and what is lost.

        Raises:
            RetryableError: The server cannot be asked now.
            UnauthorizedError: Not with this key.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class _Change:
    """What one look found that the one before did not know."""

    lost: tuple[str, ...]
    back: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.lost or self.back)


class DeploymentWatch:
    """Repeats the proof of the active deployment every `every_s` real seconds."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        prover: Rechecker,
        *,
        every_s: float,
        operators_channel: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates the watch.

        Args:
            store: The record.
            clock: Time of the rows.
            prover: Asks the server.
            every_s: Real seconds between two looks, also where the clock is simulated.
            operators_channel: Slack channel that is told; empty tells nobody.
            monotonic: Real time in seconds.
        """
        self._store = store
        self._clock = clock
        self._prover = prover
        self._every_s = every_s
        self._channel = operators_channel
        self._monotonic = monotonic
        self._due = float("-inf")

    async def look(self) -> None:
        """Looks once when it is due. A server that cannot be asked is looked at again later."""
        if self._monotonic() < self._due:
            return
        try:
            await self._look()
        finally:
            # From its end: checks that take longer than the pause would leave nothing but checks.
            self._due = self._monotonic() + self._every_s

    async def _look(self) -> None:
        async with self._store.begin() as tx:
            active = await tx.deployments.active()
            names = [item.name for item in active.in_use] if active else []
            found = [await tx.adapters.get(name) for name in names]
        adapters = [adapter for adapter in found if adapter is not None]
        if active is None or active.url is None or not adapters:
            return
        urls = [replica.url for replica in active.replicas] or [active.url]
        try:
            seen = merged([await self._prover.recheck(url, adapters) for url in urls])
        except (RetryableError, UnauthorizedError) as exc:
            _log.warning("deployment %s cannot be checked now: %s", active.id, exc)
            return
        async with self._store.begin() as tx:
            await self._record(tx, active, seen)

    async def _record(self, tx: Transaction, active: Deployment, seen: Recheck) -> None:
        now = self._clock.now()
        before = active.proof or {}
        change = _Change(
            lost=tuple(sorted(name for name in seen.lost if name in active.proven)),
            back=tuple(sorted(name for name in seen.proofs if name not in active.proven)),
        )
        proof = {**before, "adapters": dict(seen.proofs), "lost": dict(seen.lost)}
        proof["checked_at"] = now.isoformat()
        if not await tx.deployments.checked(active.id, proof):
            return  # another one is active by now, with a proof of its own
        frozen = await self._freeze(tx, active, seen.lost)
        if not change and not frozen:
            return
        _log.log(
            logging.ERROR if change.lost or frozen else logging.WARNING,
            "deployment %s: lost %s, back %s",
            active.id,
            dict(seen.lost),
            change.back,
        )
        await tx.audit.append(
            subject=f"deployment:{active.id}",
            from_state=_listed(active.proven),
            to_state=_listed(seen.proofs),
            actor=ACTOR,
            reason="; ".join(seen.lost.values()) or "proven again",
            at=now,
            data={"lost": list(change.lost), "back": list(change.back)},
        )
        text = await self._words(tx, active, change, seen.lost, frozen=frozen)
        await self._tell(tx, f"watch:{active.id}:{now.isoformat()}", text)

    async def _freeze(self, tx: Transaction, active: Deployment, lost: Mapping[str, str]) -> bool:
        """Pulls the brake when a running experiment names what is lost; True when it was off."""
        route = await tx.routing.route()
        if not route.experiments:
            return False
        named = [arm for each in route.experiments for arm in (each.challenger, each.champion)]
        arms = {adapter.id for adapter in (*named, route.champion) if adapter is not None}
        if not arms & set(lost):
            return False
        act = Act(
            by=ACTOR,
            reason=f"deployment {active.id} lost {_listed(arms & set(lost))}",
            at=self._clock.now(),
        )
        return await set_brake(tx, on=True, act=act)

    async def _words(
        self,
        tx: Transaction,
        active: Deployment,
        change: _Change,
        lost: Collection[str],
        *,
        frozen: bool,
    ) -> str:
        sentences = []
        route = await tx.routing.route()
        if change.lost or frozen:
            since = (active.proof or {}).get("checked_at")
            names = change.lost or tuple(sorted(lost))
            count = await tx.deployments.answers_since(
                names, active.updated_at if since is None else datetime.fromisoformat(since)
            )
            stage = route.last_known_good if route.frozen else route.champion
            answers = stage.id if stage is not None and stage.id in route.served else None
            sentences.append(
                f":rotating_light: *Lost: {_listed(names)}.* The model server no longer answers "
                f"with it, so {model_name(answers)} answers from now on. {count} answers since "
                "the last good check may be the base model's."
            )
            if frozen:
                sentences.append("Experiments are frozen.")
            sentences.append("Restart the server with its adapters; I tell you when they are back.")
        if change.back:
            sentences.append(f":white_check_mark: *Back: {_listed(change.back)}* is proven again.")
            if route.frozen:
                sentences.append("Traffic stays frozen until `/understudy unfreeze`.")
        return " ".join(sentences)

    async def _tell(self, tx: Transaction, key: str, text: str) -> None:
        if self._channel:
            payload: dict[str, Any] = {"channel": self._channel, "text": text}
            await tx.outbox.add(key=key, kind="slack_message", payload=payload)


def merged(replicas: Sequence[Recheck]) -> Recheck:
    """Returns what every replica still answers with: one that lost an adapter is enough."""
    lost = {name: why for seen in replicas for name, why in seen.lost.items()}
    proofs = {name: proof for name, proof in replicas[0].proofs.items() if name not in lost}
    return Recheck(proofs=proofs, lost=lost)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
