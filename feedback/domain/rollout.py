"""Who answers: the champion, an experiment's challenger, and where they are served."""

from dataclasses import dataclass
from datetime import datetime

from feedback.domain.interaction import Arm


@dataclass(frozen=True, kw_only=True)
class AdapterRef:
    """A named, content-addressed adapter."""

    id: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ActiveExperiment:
    """The experiment new threads may join.

    Attributes:
        share: Challenger share of the stage in force, 0..1.
    """

    id: str
    salt: str
    stage: str
    share: float
    challenger: AdapterRef
    started_at: datetime


@dataclass(frozen=True, kw_only=True)
class Route:
    """Everything a bot needs to know to choose a model for the next turn.

    Attributes:
        url: Base URL of the model server; None while nothing is deployed.
        served: Names of the adapters that were proven on that server.
        champion: None is the base model.
        frozen: An operator pulled the brake: everybody gets the champion.
    """

    url: str | None
    base_model: str
    template_sha256: str
    served: frozenset[str]
    champion: AdapterRef | None
    experiment: ActiveExperiment | None
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The stored arm of one thread; it stays while the experiment runs."""

    experiment_id: str
    thread_key: str
    user_id: str
    arm: Arm
    u: float
    share: float
    stage: str
    adapter_sha256: str | None
    forced_reason: str | None
    assigned_at: datetime
