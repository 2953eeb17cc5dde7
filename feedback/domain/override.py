"""May a person promote a challenger whose experiment ended undecided? With numbers and remedies.

Pure: facts in, what stands against it out. Nothing ships by itself without evidence; a person may
go over a missing answer, but not over harm that cannot be ruled out, nor over the gates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedback.domain.operating import model_name
from feedback.domain.trial import Trial, stage_words

LARGEST_LOSS = 0.03
"""A lift that may be lower than minus this is no missing answer any more, but a risk."""


@dataclass(frozen=True, kw_only=True)
class OverrideFacts:
    """What an override depends on.

    Attributes:
        trial: An experiment that ended undecided.
        champion_id: Who is the champion now; None is the base model.
        frozen: The brake is on.
        rivals: Experiments that have the stage, or are about to.
        blocked_by: The adapter that was taken back and forbids this one.
        gates: The offline gates of the challenger, as stored; empty when it has none.
        compared: The offline suite compared it with the champion of now.
        served: It is proven on every replica of the servers in use.
        coming: Servers that will replace them hold it, too.
    """

    trial: Trial
    champion_id: str | None
    frozen: bool
    rivals: Sequence[Trial]
    blocked_by: str | None
    gates: Mapping[str, Any]
    compared: bool
    served: bool
    coming: bool

    @property
    def lowest_lift(self) -> float:
        """The lift is surely above this (one-sided, 95 %); -1 while nothing is ruled out."""
        lift = (self.trial.evidence or {}).get("evidence", {}).get("lift", {})
        low = float(lift.get("low_one_sided", -1.0))
        return low if math.isfinite(low) else -1.0

    @property
    def gains(self) -> tuple[str, ...]:
        """What the offline suite found better: improvements that a gate had asked for."""
        return tuple(
            f"{row['gate']} rose from {row['champion']:.2f} to {row['challenger']:.2f} "
            f"(n={row['n']})"
            for row in self.gates.get("results", ())
            # A gate with a margin asked for no more than not to fall.
            if row["margin"] is None and (row["challenger"] or 0.0) > (row["champion"] or 0.0)
        )

    @property
    def grounds(self) -> str:
        """What speaks for it, for the audit trail."""
        return f"the lift is surely above {self.lowest_lift:+.3f}; offline {', '.join(self.gains)}"


def objections(facts: OverrideFacts) -> tuple[str, ...]:
    """Returns what stands against an override, each with what to do; empty when nothing does."""
    name = facts.trial.challenger_id
    again = f"`understudy experiment start {name}`"
    found: list[str] = []
    if facts.frozen:
        found.append("traffic is frozen: unfreeze it first")
    if facts.rivals:
        running = " and ".join(f"{each.id} is {stage_words(each)}" for each in facts.rivals)
        found.append(f"{running}: wait for the end, a new champion would spoil what is compared")
    if facts.champion_id != facts.trial.champion_id:
        found.append(
            f"people compared it with {model_name(facts.trial.champion_id)}, and the champion is "
            f"{model_name(facts.champion_id)} by now: {again} compares it with that one"
        )
    if facts.blocked_by is not None:
        found.append(f"{facts.blocked_by} was taken back: train a new one")
    if facts.lowest_lift <= -LARGEST_LOSS:
        found.append(
            f"its lift may be as low as {facts.lowest_lift:+.3f} and must surely be above "
            f"{-LARGEST_LOSS:+.3f}: more rated threads can tell, {again} collects them"
        )
    found += _offline(facts, again)
    if not facts.served:
        found.append(
            f"it is not proven on every server in use: {again} serves it again, and from its last "
            "stage on a promotion by hand is carried out"
        )
    elif not facts.coming:
        found.append("servers without it are being started: ask again once they are in use")
    return tuple(found)


def _offline(facts: OverrideFacts, again: str) -> list[str]:
    if not facts.gates.get("passed"):
        headline = facts.gates.get("headline", "there is no evaluation of it")
        return [f"the offline suite does not favour it ({headline}): train a new one"]
    if not facts.compared:
        return [f"the offline suite compared it with an earlier champion: {again} asks people"]
    if not facts.gains:
        return ["the offline suite shows no gain over the champion: train a new one"]
    return []


def override_words(against: tuple[str, ...]) -> str:
    """Returns, for people, whether an admin may promote by hand after all."""
    if not against:
        return (
            "an admin may still promote it by hand: `understudy experiment promote --reason ...` "
            "or `/understudy promote ...`"
        )
    return f"it cannot be promoted by hand: {'; '.join(against)}"
