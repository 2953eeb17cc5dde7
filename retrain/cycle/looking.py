"""What a look at an experiment rests on, and whether an earlier one would find the same again."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from feedback.domain.learning import Adapter
from feedback.domain.trial import Look, Trial
from feedback.store.unit_of_work import Transaction
from retrain.cycle.trials import TrialMover, look_of
from retrain.experiments.decision import SILENCE, Decision, decide, watch
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog
from retrain.experiments.machine import State
from retrain.experiments.policy import ExperimentPolicy
from retrain.publishing.identity import WEIGHTS, file_sha256

Row = Mapping[str, Any]

REST = 10.0
"""A look is fresh for this many times what it took."""
KEPT_EVERY_S = 3600.0
"""Looks that change no word are kept this far apart: each one is an event of the log."""
TOLERANCE = 1e-9
"""Logs of evidence that differ by more are not the same."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A log at a moment, and how it is judged there.

    Attributes:
        rows: Events in order.
        now: Seconds at which it is looked at.
        promote_from: Looks before this second promote nobody.
        stops_only: A promotion waits for a person: only what would stop it is looked for.
    """

    rows: Sequence[Row]
    now: float
    promote_from: float = 0.0
    stops_only: bool = False

    @classmethod
    def of(cls, trial: Trial, rows: Sequence[Row], now: float, *, held: bool) -> "Seen":
        """Returns an experiment's log as it stands now.

        While it is `held` (paused, or all is frozen) nobody is promoted: what shows meanwhile
        would otherwise come too late to stop what was proven before.
        """
        since = float((trial.evidence or {}).get("promote_from", 0.0))
        return cls(
            rows=rows,
            now=now,
            promote_from=max(since, now + 1.0) if held else since,
            stops_only=trial.state == State.READY,
        )

    def decision(self) -> Decision:
        """Decides the log."""
        log = ExperimentLog.of(map(parse_event, self.rows))
        if self.stops_only:
            return watch(log, self.now)
        return decide(log, self.now, promote_from=self.promote_from)

    def note(self) -> dict[str, Any]:
        """Returns what is kept of a look, to be compared with at the next one."""
        return {
            "events": len(self.rows),
            "now": self.now,
            "promote_from": self.promote_from,
            "stops_only": self.stops_only,
            "digest": self.digest(),
        }

    def digest(self) -> str:
        """Returns the sha256 of the log."""
        text = json.dumps(self.rows, sort_keys=True, default=str, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Last:
    """The last look of this process: at what, when (on the record's clock), and what it cost."""

    version: int
    at: float
    seconds: float
    decision: Decision

    def fresh(self, trial: Trial, now: float) -> bool:
        return self.version == trial.version and now - self.at < REST * self.seconds


class Looker:
    """Recomputes the evidence at every look, and stores it where it is news.

    Args:
        mover: Its clock, its brake.
    """

    def __init__(self, mover: TrialMover) -> None:
        self._mover = mover
        self._last: dict[str, _Last] = {}

    async def noted(self, tx: Transaction, trial: Trial) -> tuple[Trial, Decision]:
        """Takes a look, or returns the last one while that is fresh for what it cost.

        A large log takes seconds to read: looking at it again at once would leave the scheduler
        no time for anything else.

        Returns:
            The experiment with what was found, as stored, and the decision.

        Raises:
            ConflictError: When somebody moved the experiment meanwhile.
        """
        now, started = self._mover.clock.now().timestamp(), time.perf_counter()
        last = self._last.get(trial.id)
        if last is not None and last.fresh(trial, now):
            return trial, last.decision
        trial, decision = await self._looked(tx, trial, now)
        if decision.final:
            self._last.pop(trial.id, None)
            return trial, decision  # never from memory: what is acted on was stored with it
        self._last[trial.id] = _Last(
            version=trial.version,
            at=now,
            seconds=time.perf_counter() - started,
            decision=decision,
        )
        return trial, decision

    async def _looked(self, tx: Transaction, trial: Trial, now: float) -> tuple[Trial, Decision]:
        files = await asyncio.to_thread(changed_files, await _arms(tx, trial))
        held = (await self._mover.standing(tx, trial)).held
        seen = Seen.of(trial, await tx.experiments.event_rows(trial), now, held=held)
        if files and not any(row["type"] == "adapter_sha" for row in seen.rows):
            look = replace(self._look(trial, seen.decision()), shas=files)
            await tx.experiments.note(trial, look, trial.evidence or {})
            seen = Seen.of(trial, await tx.experiments.event_rows(trial), now, held=held)
        decision = seen.decision()
        known = trial.evidence or {}
        if not same_as_before(known, seen):
            await self._mover.freeze(
                tx, f"the same log of {trial.id} gave other evidence than at the last look"
            )
        row = {**decision.to_row(), "plan": ExperimentPolicy.of(trial.policy).plan}
        row |= {key: known[key] for key in _KEPT[trial.state == State.READY] if key in known}
        look = self._look(trial, decision)
        if _news(trial.decision, known) != _news(look.decision, row):
            # While it is paused nobody wonders that no thread joins it.
            silent = SILENCE in _gates(row) and SILENCE not in _gates(known)
            if silent and trial.paused_at is None:
                text = f":zzz: {trial.challenger_id}: {decision.waiting_for[-1].reason}."
                await self._mover.tell(tx, trial, SILENCE, text)
            keep = (
                decision.final
                or trial.decision != look.decision
                or now - float(known.get("kept", 0.0)) >= KEPT_EVERY_S
            )
            row |= {"seen": seen.note(), "kept": now if keep else known.get("kept", 0.0)}
            trial = await tx.experiments.note(trial, look, row, keep=keep)
        return trial, decision

    def _look(self, trial: Trial, decision: Decision) -> Look:
        """Returns the look; while a promotion waits its word is that it was proven."""
        look = look_of(decision, trial, self._mover.clock)
        if trial.state == State.READY and not decision.final:
            return replace(look, decision=trial.decision or look.decision)
        return look


_KEPT = {False: ("promote_from",), True: ("promote_from", "reason")}
"""What a look leaves of the evidence before, by whether a promotion waits."""


def _gates(row: Row) -> list[str]:
    return [item["gate"] for item in row.get("waiting_for", ())]


def _news(word: str | None, row: Row) -> tuple[object, ...]:
    """Returns what makes a look worth storing."""
    return word, row.get("counts"), _gates(row)


async def _arms(tx: Transaction, trial: Trial) -> dict[str, Adapter]:
    names = {"champion": trial.champion_id, "challenger": trial.challenger_id}
    found = {arm: await tx.adapters.get(name) for arm, name in names.items() if name}
    return {arm: adapter for arm, adapter in found.items() if adapter is not None}


def same_as_before(known: Row, seen: Seen) -> bool:
    """Whether the log as it was at the last look still gives the evidence that was stored then.

    Where the log itself changed since (a late commit, a person who was forgotten) nothing can be
    compared, and nothing is wrong.

    Args:
        known: The stored evidence, with the note of its look.
        seen: The log now.
    """
    last = known.get("seen")
    if not last or last["now"] >= seen.now:
        return True
    earlier = Seen(
        rows=seen.rows[: last["events"]],
        now=last["now"],
        promote_from=last["promote_from"],
        stops_only=last["stops_only"],
    )
    if earlier.digest() != last["digest"]:
        return True
    found = earlier.decision().evidence.to_row()["log"]
    return _alike(known["evidence"]["log"], found)


def changed_files(adapters: Mapping[str, Adapter]) -> dict[str, str]:
    """Returns the sha256 of every adapter file that is not the registered one, by arm.

    A file that is not here (another machine serves it) tells nothing.
    """
    found = {}
    for arm, adapter in adapters.items():
        path = adapter.path / WEIGHTS
        try:
            stat = path.stat()
        except OSError:
            continue
        sha = _sha256(path, stat.st_mtime_ns, stat.st_size)
        if sha != adapter.sha256:
            found[arm] = sha
    return found


@lru_cache(maxsize=64)
def _sha256(path: Path, _changed_ns: int, _size: int) -> str:
    return file_sha256(path)


def _alike(one: Any, other: Any) -> bool:  # noqa: ANN401  (JSON)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return bool(abs(one - other) <= TOLERANCE)
