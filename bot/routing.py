"""Who answers this turn: the champion, or a challenger of the running experiments."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from feedback.brake import Brake
from feedback.domain.assignment import bucket, draw
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

OTHER_CHALLENGER = "another challenger"
"""Why a thread tells nothing about an experiment: the draw gave it to another one's challenger."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The model of one answer.

    Attributes:
        adapter: What to ask for; None is the base model.
        fallback: What to ask for when `adapter` fails.
        arm: The thread's arm; None outside of experiments. It stays even when the champion has to
            answer for a challenger.
        experiment_id: Whose challenger answers; with the champion's arm the first experiment that
            the thread tells something about.
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
                assignments: Sequence[Assignment] = ()
                if joined := joinable(thread, route):
                    wanted = new_assignments(route, joined, thread, user, at)
                    assignments = await tx.routing.assign(wanted)
        except UnavailableError:
            if self._last is None:
                raise
            _log.warning("routing failed; the champion answers unassigned")
            route, assignments = self._braked(self._last), ()
        else:
            self._last = route
        url = self._url or route.url
        if url is None:
            raise UnavailableError(
                "no model server is deployed; start `understudy up` or set TGI_URL"
            )
        return choose(route, assignments, url=url, base_model=self._base_model)

    def _braked(self, route: Route) -> Route:
        return replace(route, frozen=route.frozen or self._brake.pulled())


def joinable(thread: Thread, route: Route) -> list[ActiveExperiment]:
    """Returns the experiments a thread may join: it stays out of those it began before."""
    return [each for each in route.experiments if thread.started_at >= each.joined_from]


def new_assignments(
    route: Route,
    joined: Sequence[ActiveExperiment],
    thread: Thread,
    user: str,
    at: datetime,
) -> list[Assignment]:
    """Returns the arms that a thread gets, one in each experiment, from one draw for all.

    The draw is made with the salt of the experiment that began first. A thread that another
    challenger gets is stored as such, so that it never joins later.
    """
    drawn = [each for each in joined if not (route.frozen or each.paused)]
    place = (thread.team, thread.channel, thread.thread_ts)
    u = bucket(joined[0].salt, *place)
    result = draw(u, [each.share for each in drawn])
    winner = None if result.winner is None else drawn[result.winner]
    us = {each.id: position for each, position in zip(drawn, result.us, strict=True)}

    def row(each: ActiveExperiment) -> Assignment:
        position, forced = us.get(each.id), None
        if each.id not in us:
            forced = "frozen" if route.frozen else "paused"
        elif position is None:
            forced = OTHER_CHALLENGER
        adapter = each.challenger if each is winner else each.champion
        return Assignment(
            experiment_id=each.id,
            thread_key=thread.key,
            user_id=user,
            arm=Arm.CHALLENGER if each is winner else Arm.CHAMPION,
            u=u if position is None else position,
            share=each.share,
            stage=each.stage,
            adapter_sha256=adapter.sha256 if adapter else None,
            forced_reason=forced,
            salt=joined[0].salt,
            assigned_at=at,
        )

    return [row(each) for each in joined]


def choose(route: Route, assignments: Sequence[Assignment], *, url: str, base_model: str) -> Turn:
    """Returns the turn for a route and the thread's stored arms."""
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
    counted = _counted(route, assignments)
    if counted is None:
        return turn
    experiment, assignment = counted
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
        salt=assignment.salt,
        error=error,
    )


def _counted(
    route: Route, assignments: Sequence[Assignment]
) -> tuple[ActiveExperiment, Assignment] | None:
    """Returns the arm that decides who answers, None when the thread takes part in nothing."""
    arms = {row.experiment_id: row for row in assignments if row.forced_reason is None}
    pairs = [(each, arms[each.id]) for each in route.experiments if each.id in arms]
    challenged = (pair for pair in pairs if pair[1].arm is Arm.CHALLENGER)
    return next(challenged, pairs[0] if pairs else None)


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
