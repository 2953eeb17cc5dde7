"""A support team under an experiment: events of simulated threads, with knobs for each trouble."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrain.experiments.events import Event, parse_event
from retrain.experiments.log import ExperimentLog

DAY = 86400.0
MINUTE = 60.0
Row = dict[str, Any]


@dataclass(kw_only=True)
class Company:
    """What people and models do. Rates by arm: (champion, challenger).

    Attributes:
        rate: Chance that a rated answer is liked, by arm and day.
        rated: Chance that a thread is rated, by arm and whether people are happy.
        bad: Chance of each bad score, by metric.
        undelivered: Chance that the answer is lost (an event says so), by arm.
        vanish: Chance that the answer is lost without a trace, by arm.
        corrected: Chance that a liked answer is corrected two days later, by arm.
        stages: (day, stage, share).
    """

    days: float = 14.0
    per_day: int = 100
    seed: int = 0
    policy: object = None
    rate: Callable[[int, float], float] = lambda arm, day: 0.7
    rated: Callable[[int, bool], float] = lambda arm, happy: 0.3
    bad: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: dict.fromkeys(("tone", "ground", "error", "slow"), (0.02, 0.02))
    )
    undelivered: tuple[float, float] = (0.0, 0.0)
    vanish: tuple[float, float] = (0.0, 0.0)
    corrected: tuple[float, float] = (0.0, 0.0)
    users: int = 30
    rater: Callable[[random.Random], int] | None = None
    scorer_down_from: float = 1e9
    stages: Sequence[tuple[float, str, float]] = (
        (0.0, "CANARY", 0.05),
        (1.0, "RAMP", 0.25),
        (3.0, "TEST", 0.50),
    )
    tick_hours: float = 6.0
    end: bool = False
    swap: bool = False

    def rows(self) -> list[Row]:
        """Returns event rows in true order."""
        rng = random.Random(self.seed)
        happened: list[tuple[float, Row]] = [
            (day * DAY, {"type": "stage", "stage": stage, "share": self._share(share)})
            for day, stage, share in self.stages
        ]
        ticks = int(self.days * 24 / self.tick_hours)
        happened += [
            (tick * self.tick_hours * 3600.0, {"type": "tick"}) for tick in range(1, ticks + 1)
        ]
        for number in range(int(self.days * self.per_day)):
            happened += self._thread(rng, number, rng.random() * self.days * DAY)
        happened = [item for item in happened if item[0] <= self.days * DAY]
        happened.sort(key=lambda item: item[0])
        opening: Row = {"type": "experiment", "arms": ["champion", "challenger"], "metrics": None}
        happened.insert(0, (0.0, opening | {"policy": self.policy}))
        if self.end:
            happened.append((self.days * DAY, {"type": "end"}))
        return [
            {"id": f"e{seq}", "seq": seq, "ts": 1e9 + at, **row}
            for seq, (at, row) in enumerate(happened)
        ]

    def events(self) -> list[Event]:
        """Returns the rows parsed."""
        return [parse_event(row) for row in self.rows()]

    def log(self) -> ExperimentLog:
        """Returns the ordered log."""
        return ExperimentLog.of(self.events())

    def _share(self, share: float) -> float:
        return round(1 - share, 12) if self.swap else share

    def _thread(self, rng: random.Random, number: int, at: float) -> list[tuple[float, Row]]:
        thread, user = f"t{number}", f"u{rng.randrange(self.users)}"
        _, stage, share = [item for item in self.stages if item[0] * DAY <= at][-1]
        arm = int(rng.random() < share)
        draws = [rng.random() for _ in range(12)]
        delays = [rng.expovariate(1 / (5 * 3600.0)) for _ in range(2)]
        rater = f"u{self.rater(rng)}" if self.rater else user
        named = 1 - arm if self.swap else arm
        base: Row = {"thread": thread}
        rows: list[tuple[float, Row]] = [
            (
                at,
                {"type": "assigned", "user": user, "arm": named, "share": self._share(share)}
                | base
                | {"stage": stage},
            )
        ]
        if draws[0] < self.vanish[arm]:
            return rows
        answer = base | {"answer": f"a{number}"}
        if draws[1] < self.undelivered[arm]:
            return [*rows, (at + 60, answer | {"type": "undelivered"})]
        rows.append((at + 20, answer | {"type": "delivered"}))
        if at < self.scorer_down_from * DAY:
            flags = {
                metric: draw < self.bad[metric][arm]
                for metric, draw in zip(self.bad, draws[2:6], strict=True)
            }
            rows.append((at + 30, base | {"type": "scored", "flags": flags}))
        happy = draws[6] < self.rate(arm, at / DAY)
        if draws[7] < self.rated(arm, happy):
            value = "up" if happy else "down"
            rows.append(
                (at + 60 + delays[0], answer | {"type": "feedback", "user": rater, "value": value})
            )
            if happy and draws[8] < self.corrected[arm]:
                rows.append((at + 2 * DAY, answer | {"type": "correction", "user": rater}))
        return rows
