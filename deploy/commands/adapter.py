"""`understudy adapter`: what was trained, where it comes from, and room for the next ones."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import typer

from deploy.wiring import make_clock, open_store
from feedback.domain.learning import Adapter
from feedback.errors import NotFoundError
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store
from retrain.publishing.registry import AdapterRegistry, Collection, collect

app = typer.Typer(help="Trained adapters and their files.", no_args_is_help=True)
T = TypeVar("T")
_ALL = 100_000


@app.command("list")
def list_() -> None:
    """Print every adapter as a line of JSON, newest first."""

    async def work(store: Store, settings: Settings) -> list[dict[str, Any]]:
        async with store.begin() as tx:
            adapters = await tx.adapters.latest(_ALL)
            held = await tx.collecting.held()
        registry = _registry(settings)
        return [_row(adapter, held, registry) for adapter in adapters]

    for row in _with_store(work):
        print(json.dumps(row))


@app.command("show")
def show(adapter_id: Annotated[str, typer.Argument(help="As `list` prints it.")]) -> None:
    """Print an adapter as JSON: its data set, run, gates, signature, and where it is served."""

    async def work(store: Store, settings: Settings) -> dict[str, Any]:
        async with store.begin() as tx:
            adapter = await tx.adapters.get(adapter_id)
            if adapter is None:
                raise NotFoundError(f"there is no adapter {adapter_id}; `understudy adapter list`")
            held = await tx.collecting.held()
            active = await tx.deployments.active()
            evaluations = await tx.training.evaluations(adapter.training_run_id)
        measured = evaluations.get("candidate")
        return {
            **_row(adapter, held, _registry(settings)),
            "sha256": adapter.sha256,
            "path": str(adapter.path),
            "base_model": adapter.base_model,
            "template_sha256": adapter.template_sha256,
            "served": active is not None and adapter.id in active.proven,
            "gates": measured["gates"] if measured else None,
            "report": measured["report_path"] if measured else None,
            "signature": adapter.signature,
        }

    print(json.dumps(_with_store(work), indent=2))


@app.command("gc")
def gc(
    *,
    days: Annotated[
        float, typer.Option(min=0, help="Adapters younger than this many days stay.")
    ] = 30.0,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it nothing is.")] = False,
    by: Annotated[str, typer.Option(help="Who asks; goes into the audit trail.")] = "operator",
) -> None:
    """Remove the files of adapters that nobody can ask for any more; says which, first.

    The champion, the champion before, and whatever an open experiment, an open cycle or a server
    names always stays. Rows stay too: answers name them.
    """

    async def work(store: Store, settings: Settings) -> Collection:
        return await collect(
            store,
            _registry(settings),
            now=make_clock(settings).now(),
            unused_for=timedelta(days=days),
            by=by,
            dry_run=not yes,
        )

    found = _with_store(work)
    row = {
        "removed" if yes else "would_remove": [adapter.id for adapter in found.adapters],
        "bytes": found.freed,
        "held": dict(found.held),
        "leftovers": [path.name for path in found.leftovers],
    }
    print(json.dumps(row, indent=2))


def _row(adapter: Adapter, held: Mapping[str, str], registry: AdapterRegistry) -> dict[str, Any]:
    gone = adapter.collected_at
    return {
        "id": adapter.id,
        "state": adapter.state,
        "held": held.get(adapter.id),
        "created_at": adapter.created_at.isoformat(),
        "collected_at": gone.isoformat() if gone else None,
        "bytes": registry.size(adapter),
        "dataset": adapter.dataset_id,
        "training_run": adapter.training_run_id,
    }


def _registry(settings: Settings) -> AdapterRegistry:
    return AdapterRegistry(settings.state_dir / "adapters")


def _with_store(work: Callable[[Store, Settings], Awaitable[T]]) -> T:
    settings = load_settings()

    async def run_it() -> T:
        async with open_store(settings) as store:
            return await work(store, settings)

    return asyncio.run(run_it())
