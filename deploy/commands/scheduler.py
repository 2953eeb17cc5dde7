"""`understudy scheduler`: cycles, experiments and publishing, one leader at a time."""

import asyncio
import logging
import sys
from datetime import datetime

from deploy.platforms import fleet_of, remote_platform
from deploy.wiring import make_clock, open_store, style_dir
from feedback.brake import Brake
from feedback.domain.operating import Act
from feedback.operations import set_brake
from feedback.serving.deployed import DeployedEmbedder, DeployedModel
from feedback.settings import Settings, child_environment, load_settings
from feedback.store.cycles import NEXT_CYCLE_AT, SCHEDULER_LOOKED_AT
from feedback.store.leadership import Leadership
from feedback.store.unit_of_work import Store


def scheduler() -> None:
    """Run the scheduler: mining, training cycles, experiments, publishing."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # These tell every request at INFO, and there are many.
    for name in ("httpx", "httpx2", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # A tick that is still at work when the next one is due is as it should be.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    asyncio.run(_run(load_settings()))


async def _run(settings: Settings) -> None:
    # torch and transformers take seconds to import: `understudy --help` must not wait for them.
    from retrain.cycle.assembly import assemble  # noqa: PLC0415
    from retrain.scheduling.service import SchedulerService  # noqa: PLC0415

    async with open_store(settings) as store:
        embedder = DeployedEmbedder(lambda: _embed_url(settings, store))
        leadership = Leadership(store.engine)
        clock = make_clock(settings)
        retraining = assemble(
            settings,
            store,
            clock,
            embedder,
            style_dir=style_dir(settings),
            environment=child_environment(settings),
            term=lambda: leadership.term,
            namer=_namer(settings, store),
        )
        brake = Brake.of(settings)

        platform = remote_platform(settings)
        fleet = fleet_of(settings, store, clock, platform) if platform else None

        async def work() -> bool:
            if fleet is not None:
                await fleet.look()
            if not await retraining.publisher.ensure_baseline():
                return False
            await retraining.watch.look()
            await embedder.connect()
            now = clock.now()
            before = await _open_states(store)
            await _copy_brake(settings, store, brake, now)
            await retraining.holdback.look()
            await retraining.overrides.look()
            await retraining.digest.tick()
            # Last, because one cycle that has to wait for something may keep it from its end.
            await retraining.runner.tick()
            async with store.begin() as tx:
                upcoming = await retraining.runner.next_scheduled(tx)
                for name, moment in (
                    (SCHEDULER_LOOKED_AT, now),
                    (NEXT_CYCLE_AT, upcoming),
                ):
                    await tx.switches.set(name, moment.isoformat(), by="scheduler", at=now)
            return await _open_states(store) != before

        service = SchedulerService(
            database_url=store.engine.url.render_as_string(hide_password=False),
            tick_s=settings.retrain.tick_s,
            lead=leadership.hold,
            work=work,
        )
        try:
            await service.run()
        finally:
            if leadership.leading:
                await asyncio.to_thread(retraining.stop_jobs)
            if platform is not None:
                await platform.close()
            await embedder.aclose()
            await leadership.release()


async def _copy_brake(settings: Settings, store: Store, brake: Brake, now: datetime) -> None:
    """Takes the brake outside the database into the record, where everybody sees it."""
    if not brake.pulled():
        return
    act = Act(
        by="scheduler",
        reason=brake.reason(),
        at=now,
        channel=settings.slack.operators_channel,
    )
    async with store.begin() as tx:
        await set_brake(tx, on=True, act=act)


async def _open_states(store: Store) -> dict[str, str]:
    """The open cycles and their states: when a tick changed them there is more to do at once."""
    async with store.begin() as tx:
        return {cycle.id: cycle.state for cycle in await tx.cycles.open_cycles()}


def _namer(settings: Settings, store: Store) -> DeployedModel | None:
    """Returns the served base model, when it is set to name patterns."""
    if settings.mining.labels != "model":
        return None

    async def locate() -> tuple[str, str] | None:
        async with store.begin() as tx:
            active = await tx.deployments.active()
        return (active.url, active.base_name) if active is not None and active.url else None

    return DeployedModel(locate, token=settings.model.api_key.get_secret_value())


async def _embed_url(settings: Settings, store: Store) -> str | None:
    if settings.model.embed_url:
        return settings.model.embed_url
    async with store.begin() as tx:
        active = await tx.deployments.active()
    return active.url if active else None
