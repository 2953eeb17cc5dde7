"""The port between what should be served (rows) and what runs (processes, pods, containers)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from feedback.domain.learning import Deployment, Replica, ServedAdapter
from feedback.domain.rollout import TGI_BASE_NAME


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a platform sees of one deployment at one look.

    Attributes:
        url: Where bots reach it; None before anything answers.
        replicas: The servers that answer, whether or not they get traffic yet.
        complete: As many servers answer as there should be, and nothing older stands beside them.
        gone: Nothing of it runs any more.
        failed: Why it cannot start; None while it may.
        base_name: What its servers call the base model.
        pid: Of the server, where it is a process of this machine.
    """

    url: str | None = None
    replicas: tuple[Replica, ...] = ()
    complete: bool = False
    gone: bool = False
    failed: str | None = None
    base_name: str = TGI_BASE_NAME
    pid: int | None = None


class Platform(Protocol):
    """Brings up the servers that deployment rows ask for, and takes away the others.

    A look starts from what runs and from the rows, never from what an earlier look remembers: the
    process that looks may be killed between any two steps.
    """

    async def look(
        self, keep: Sequence[Deployment], leave: Sequence[Deployment]
    ) -> Mapping[int, Observed]:
        """Takes one step towards what the rows ask for; returns what it sees, by row id.

        Args:
            keep: Deployments whose servers must run, oldest first. A replica gets traffic once
                the row says that it is proven, where the platform can hold it back.
            leave: Deployments that get no traffic any more: their servers finish what they have in
                hand and end. Whatever runs for neither is taken away at once.

        Raises:
            ConfigurationError: The platform refuses us, or lacks something we need.
            RetryableError: The platform cannot be reached now.
        """
        ...

    async def close(self) -> None:
        """Frees connections; servers go on."""
        ...


def lora_adapters(adapters: Sequence[ServedAdapter]) -> str:
    """Returns the value of LORA_ADAPTERS. Where it is empty the variable must not be set at all.

    TGI's launcher takes an empty value for an adapter without a name, and does not start.
    """
    return ",".join(f"{adapter.name}={adapter.path}" for adapter in adapters)
