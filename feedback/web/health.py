"""Liveness, readiness and Prometheus metrics, all read from the record."""

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import func, select

from feedback.errors import RetryableError
from feedback.store.tables.conversations import interactions
from feedback.store.tables.inbox import inbox, outbox
from feedback.store.unit_of_work import Store, Transaction

router = APIRouter()


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
async def readyz(request: Request) -> PlainTextResponse:
    """The database answers and a model server is proven."""
    store: Store = request.app.state.store
    try:
        async with store.begin() as tx:
            active = await tx.deployments.active()
    except RetryableError:
        return PlainTextResponse("the database cannot be reached", status_code=503)
    if active is None:
        return PlainTextResponse("no model server is proven yet", status_code=503)
    return PlainTextResponse("ready")


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> str:
    """Counts of the record in Prometheus' text format."""
    store: Store = request.app.state.store
    async with store.begin() as tx:
        values = await _counts(tx)
    lines = []
    for name, (help_text, value) in values.items():
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", f"{name} {value}"]
    return "\n".join(lines) + "\n"


async def _counts(tx: Transaction) -> dict[str, tuple[str, float]]:
    connection = tx.connection

    async def count(statement: object) -> float:
        return float(await connection.scalar(statement) or 0)  # type: ignore[call-overload]

    waiting = inbox.c.state.in_(("ready", "leased"))
    return {
        "understudy_inbox_waiting": (
            "Events stored and not finished.",
            await count(select(func.count()).select_from(inbox).where(waiting)),
        ),
        "understudy_outbox_waiting": (
            "Side effects owed to Slack.",
            await count(select(func.count()).select_from(outbox).where(outbox.c.done_at.is_(None))),
        ),
        "understudy_answers": (
            "Answers given.",
            await count(
                select(func.count())
                .select_from(interactions)
                .where(interactions.c.answer_ts.is_not(None))
            ),
        ),
        "understudy_labels": (
            "Approved corrections.",
            float(await tx.records.label_progress()),
        ),
    }
