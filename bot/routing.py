"""Who answers this turn: the champion, or the challenger of a running experiment."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from feedback.domain.assignment import assign, bucket
from feedback.domain.interaction import Arm
from feedback.domain.rollout import ActiveExperiment, AdapterRef, Assignment, Route
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
        error: Why `adapter` is not the one that should answer.
    """

    url: str
    served: frozenset[str] = frozenset()
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
    """

    def __init__(self, store: Store, *, url: str, base_model: str) -> None:
        self._store = store
        self._url = url
        self._base_model = base_model
        self._last: Route | None = None

    async def turn(self, thread: Thread, user: str, *, at: datetime) -> Turn:
        """Returns who answers the next turn of `thread`.

        When the database fails here the champion of the last known route answers, unassigned.

        Raises:
            UnavailableError: When no model server is deployed.
        """
        try:
            async with self._store.begin() as tx:
                route = await tx.routing.route()
                assignment = None
                if route.experiment is not None and takes_part(thread, route.experiment):
                    assignment = await tx.routing.assign(
                        new_assignment(route, route.experiment, thread, user, at)
                    )
        except UnavailableError:
            if self._last is None:
                raise
            _log.warning("routing failed; the champion answers unassigned")
            route, assignment = self._last, None
        self._last = route
        url = self._url or route.url
        if url is None:
            raise UnavailableError(
                "no model server is deployed; start `understudy up` or set TGI_URL"
            )
        return choose(route, assignment, url=url, base_model=self._base_model)


def takes_part(thread: Thread, experiment: ActiveExperiment) -> bool:
    """Whether a thread may join: those that began before the experiment stay out."""
    return thread.started_at >= experiment.started_at


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
    forced = None
    if route.frozen:
        arm, forced = Arm.CHAMPION, "frozen"
    adapter = experiment.challenger if arm is Arm.CHALLENGER else route.champion
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
    champion, error = route.champion, None
    if champion is not None and champion.id not in route.served:
        champion, error = None, "AdapterNotServedError"
    turn = Turn(
        url=url,
        served=route.served,
        base_model=route.base_model or base_model,
        template_sha256=route.template_sha256,
        adapter=champion,
        error=error,
    )
    experiment = route.experiment
    if assignment is None or experiment is None or assignment.forced_reason is not None:
        return turn
    adapter, fallback = champion, None
    if assignment.arm is Arm.CHALLENGER and not route.frozen:
        if experiment.challenger.id in route.served:
            adapter, fallback = experiment.challenger, champion
        else:
            error = "AdapterNotServedError"
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
