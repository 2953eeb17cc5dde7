"""Who answers: the champion, an experiment's challenger, and where they are served."""

from dataclasses import dataclass
from datetime import datetime

from feedback.domain.interaction import Arm

TGI_BASE_NAME = "tgi"
"""What a request must name as `model` for TGI to answer with the base; every other string names an
adapter."""


@dataclass(frozen=True, kw_only=True)
class AdapterRef:
    """A named, content-addressed adapter."""

    id: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ActiveExperiment:
    """An experiment that new threads may join.

    Attributes:
        share: Challenger share of the stage in force, 0..1, among the threads that go to its
            challenger or to the champion.
        champion: The champion it plays against; None is the base model.
        holdback: The challenger was promoted and is watched: `champion` is the one before.
        joined_from: Threads that began earlier take no part.
        paused: New threads go to the champion and take no part.
    """

    id: str
    salt: str
    stage: str
    share: float
    challenger: AdapterRef
    champion: AdapterRef | None = None
    holdback: bool = False
    joined_from: datetime
    paused: bool = False


@dataclass(frozen=True, kw_only=True)
class Route:
    """Everything a bot needs to know to choose a model for the next turn.

    Attributes:
        url: Base URL of the model server; None while nothing is deployed.
        served: Names of the adapters that were proven on that server.
        base_name: What the server calls the base in requests.
        champion: None is the base model.
        experiments: By when they began. Several compare their challengers with one champion; one
            that watches a promoted champion is alone.
        frozen: Somebody pulled the brake: everybody gets the last known good model.
    """

    url: str | None
    base_model: str
    template_sha256: str
    served: frozenset[str]
    base_name: str = TGI_BASE_NAME
    champion: AdapterRef | None
    experiments: tuple[ActiveExperiment, ...] = ()
    frozen: bool

    @property
    def last_known_good(self) -> AdapterRef | None:
        """The champion, or the one before while the present one is still watched."""
        watched = next((each for each in self.experiments if each.holdback), None)
        return watched.champion if watched else self.champion


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The stored arm of one thread in one experiment; it stays while the experiment runs.

    Attributes:
        u: Where the thread fell in [0, 1): below `share` for the challenger.
        share: Challenger share among the threads of these two arms when the thread began.
        forced_reason: Why the arm was not drawn; such a thread tells nothing.
        salt: Of the draw, which is one for all experiments that the thread joined.
    """

    experiment_id: str
    thread_key: str
    user_id: str
    arm: Arm
    u: float
    share: float
    stage: str
    adapter_sha256: str | None
    forced_reason: str | None
    salt: str
    assigned_at: datetime
