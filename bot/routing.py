"""Who answers this turn: the champion, or the challenger of a running experiment."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from feedback.brake import Brake
from feedback.domain.assignment import assign, bucket
from feedback.domain.interaction import Arm
from feedback.domain.rollout import (
    TGI_BASE_NAME,
    ActiveExperiment,
    AdapterRef,
    Assignment,
    Route,
)
from feedback.errors import UnavailableError
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The model of one answer.

    Attributes:
        adapter: What to ask for; None is the base model.
        fallback: What to ask for when `adapter` fails.
        arm: The thread's arm; None outside an experiment. It stays even when the champion has to
            answer for the challenger.
        served: Adapters that were proven on that server.
        base_name: What that server calls the base in requests.
        error: Why `adapter` is not the one that should answer.
    """

    url: str
    served: frozenset[str] = frozenset()
    base_name: str = TGI_BASE_NAME
    base_model: str
    template_sha256: str
    adapter: AdapterRef | None
    fallback: AdapterRef | None = None
    arm: Arm | None = None
    experiment_id: str | None = None
    share: float | None = None
    salt: str | None = None
    error: str | None = None


class TurnRouter:
    """Chooses the model, and stores the arm of every new thread once.

    Args:
        store: The deployment, the champion and the experiment live here.
        url: Overrides the deployed server's URL when it is not empty.
        base_model: Named when no deployment row names one.
        brake: The one outside the database; every turn looks at it.
    """

    def __init__(
        self, store: Store, *, url: str, base_model: str, brake: Brake | None = None
    ) -> None:
        self._store = store
        self._url = url
        self._base_model = base_model
        self._brake = brake or Brake()
        self._last: Route | None = None

    async def turn(self, thread: Thread, user: str, *, at: datetime) -> Turn:
        """Returns who answers the next turn of `thread`.

        When the database fails here the champion of the last known route answers, unassigned. The
        brake outside the database holds with it and without it.

        Raises:
            UnavailableError: When no model server is deployed.
        """
        try:
            # Assigning is idempotent, and reads what it wrote.
            async with self._store.single() as tx:
                route = self._braked(await tx.routing.route())
                assignment = None
                if route.experiment is not None and takes_part(thread, route.experiment):
                    assignment = await tx.routing.assign(
                        new_assignment(route, route.experiment, thread, user, at)
                    )
        except UnavailableError:
            if self._last is None:
                raise
            _log.warning("routing failed; the champion answers unassigned")
            route, assignment = self._braked(self._last), None
        else:
            self._last = route
        url = self._url or route.url
        if url is None:
            raise UnavailableError(
                "no model server is deployed; start `understudy up` or set TGI_URL"
            )
        return choose(route, assignment, url=url, base_model=self._base_model)

    def _braked(self, route: Route) -> Route:
        return replace(route, frozen=route.frozen or self._brake.pulled())


def takes_part(thread: Thread, experiment: ActiveExperiment) -> bool:
    """Whether a thread may join: those that began before the experiment stay out."""
    return thread.started_at >= experiment.joined_from


def new_assignment(
    route: Route, experiment: ActiveExperiment, thread: Thread, user: str, at: datetime
) -> Assignment:
    """Returns the arm that a thread gets when it has none yet."""
    arm = assign(
        salt=experiment.salt,
        team=thread.team,
        channel=thread.channel,
        thread_ts=thread.thread_ts,
        share=experiment.share,
    )
    forced = "frozen" if route.frozen else "paused" if experiment.paused else None
    if forced is not None:
        arm = Arm.CHAMPION
    adapter = experiment.challenger if arm is Arm.CHALLENGER else experiment.champion
    return Assignment(
        experiment_id=experiment.id,
        thread_key=thread.key,
        user_id=user,
        arm=arm,
        u=bucket(experiment.salt, thread.team, thread.channel, thread.thread_ts),
        share=experiment.share,
        stage=experiment.stage,
        adapter_sha256=adapter.sha256 if adapter else None,
        forced_reason=forced,
        assigned_at=at,
    )


def choose(route: Route, assignment: Assignment | None, *, url: str, base_model: str) -> Turn:
    """Returns the turn for a route and the thread's stored arm."""
    wanted = route.last_known_good if route.frozen else route.champion
    champion, error = _served(route, wanted)
    turn = Turn(
        url=url,
        served=route.served,
        base_name=route.base_name,
        base_model=route.base_model or base_model,
        template_sha256=route.template_sha256,
        adapter=champion,
        error=error,
    )
    experiment = route.experiment
    if assignment is None or experiment is None or assignment.forced_reason is not None:
        return turn
    adapter, fallback = champion, champion
    if not route.frozen:
        ours, cover = _arms(route, experiment, assignment.arm)
        fallback, _ = _served(route, cover)
        adapter, error = _served(route, ours)
        if error is not None:
            adapter = fallback
    return replace(
        turn,
        adapter=adapter,
        fallback=fallback,
        arm=assignment.arm,
        experiment_id=assignment.experiment_id,
        share=assignment.share,
        salt=experiment.salt,
        error=error,
    )


def _arms(
    route: Route, experiment: ActiveExperiment, arm: Arm
) -> tuple[AdapterRef | None, AdapterRef | None]:
    """Returns what an arm is answered by, and who covers for it.

    After a promotion the pointer names the challenger's arm: where somebody goes back by hand,
    that holds from the next turn on.
    """
    if not experiment.holdback:
        challenged = arm is Arm.CHALLENGER
        return (experiment.challenger if challenged else route.champion), route.champion
    if arm is Arm.CHALLENGER:
        return route.champion, experiment.champion
    return experiment.champion, route.champion


def _served(route: Route, adapter: AdapterRef | None) -> tuple[AdapterRef | None, str | None]:
    """Returns an adapter if it is proven to be served, else the base and what is wrong."""
    if adapter is not None and adapter.id not in route.served:
        return None, "AdapterNotServedError"
    return adapter, None
