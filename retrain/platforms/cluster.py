"""Kubernetes: one Deployment of TGI, rolled over pod by pod, each proven before it gets traffic.

The pod template names a readiness gate. A new pod answers /health, but is not Ready, and so neither
behind the Service nor counted by the rollout, until we have set the gate's condition; we set it
once the row says that this start of the pod is proven. With maxSurge 1 and maxUnavailable 0 a pod
in use is taken away only when a proven one stands beside it, and a proof that fails leaves all of
them where they are.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedback.domain.learning import Deployment, Replica
from feedback.errors import (
    AdapterNotServedError,
    ConfigurationError,
    UnauthorizedError,
    UnavailableError,
)
from retrain.platforms.port import Observed, lora_adapters
from retrain.platforms.volume import AdapterVolume

try:
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config.config_exception import ConfigException
    from urllib3.exceptions import HTTPError
except ImportError as exc:
    raise ConfigurationError(
        "publishing to Kubernetes needs the official client; pip install 'understudy[kubernetes]'"
    ) from exc

LABEL = "understudy.dev/deployment"
"""On pods: the id of the row whose adapters they were started with."""
GATE = "understudy.dev/proven"
"""The readiness gate: set by us, and by nobody else."""
_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True)
class _Pod:
    """What we need of a pod.

    Attributes:
        deployment_id: The row whose adapters it was started with.
        replica: This start of it; None before it has an address, and once it is ending.
        up: Its containers are ready, whatever the gate says.
        open: The gate lets traffic in.
    """

    name: str
    deployment_id: int | None
    replica: Replica | None
    up: bool
    open: bool

    @classmethod
    def of(cls, pod: Any, rollout: "_Rollout") -> "_Pod":  # noqa: ANN401  (a V1Pod)
        name = str(pod.metadata.name)
        statuses = pod.status.container_statuses or ()
        starts = [each.restart_count for each in statuses if each.name == rollout.container]
        replica = None
        if pod.status.pod_ip and pod.metadata.deletion_timestamp is None:
            replica = Replica(
                name=f"{name}/{starts[0] if starts else 0}",
                url=f"http://{pod.status.pod_ip}:{rollout.port}",
            )
        conditions = {each.type: each.status for each in pod.status.conditions or ()}
        return cls(
            name=name,
            deployment_id=_whose(pod.metadata.labels),
            replica=replica,
            up=conditions.get("ContainersReady") == "True",
            open=conditions.get(GATE) == "True",
        )


@dataclass(frozen=True, kw_only=True)
class _Rollout:
    """What we need of the Deployment.

    Attributes:
        deployment_id: The row that its pod template was last patched to.
        gates: Readiness gates of the pod template.
        careful: No pod in use is taken away before another one is ready.
        done: As `kubectl rollout status` has it: the newest template everywhere, nothing older.
        failure: Why it stands still.
    """

    deployment_id: int | None
    container: str
    port: int | None
    selector: str
    pods: int
    gates: frozenset[str]
    careful: bool
    done: bool
    failure: str | None

    @classmethod
    def of(cls, found: Any, container: str) -> "_Rollout":  # noqa: ANN401  (a V1Deployment)
        spec, status = found.spec, found.status
        template = spec.template
        ports = [each.ports[0].container_port for each in template.spec.containers
                 if each.name == container and each.ports]  # fmt: skip
        rolling = spec.strategy.rolling_update if spec.strategy else None
        counts = (status.updated_replicas, status.replicas, status.available_replicas)
        current = (status.observed_generation or 0) >= found.metadata.generation
        conditions = status.conditions or ()
        stuck = [each.message for each in conditions if each.reason == "ProgressDeadlineExceeded"]
        return cls(
            deployment_id=_whose(template.metadata.labels),
            container=container,
            port=ports[0] if ports else None,
            selector=",".join(f"{k}={v}" for k, v in spec.selector.match_labels.items()),
            pods=spec.replicas,
            gates=frozenset(gate.condition_type for gate in template.spec.readiness_gates or ()),
            careful=rolling is not None and str(rolling.max_unavailable) in {"0", "0%"},
            done=current and all(count == spec.replicas for count in counts),
            failure=stuck[0] if stuck and current else None,
        )


def _whose(labels: Mapping[str, str] | None) -> int | None:
    value = (labels or {}).get(LABEL, "")
    return int(value) if value.isdecimal() else None


def connect(
    *, namespace: str, deployment: str, container: str, url: str, volume: AdapterVolume
) -> "ClusterPlatform":
    """Returns the platform of the cluster we run in, or of the operator's kubeconfig.

    Raises:
        ConfigurationError: There is neither.
    """
    try:
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except ConfigException:
            config.load_kube_config()  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as exc:
        raise ConfigurationError(
            f"no cluster to publish to ({exc}); run the scheduler in the cluster with the "
            "ServiceAccount of deploy/kubernetes, or set KUBECONFIG"
        ) from exc
    return ClusterPlatform(
        client.ApiClient(),
        namespace=namespace,
        deployment=deployment,
        container=container,
        url=url,
        volume=volume,
    )


class ClusterPlatform:
    """Implements retrain.platforms.port.Platform with one Deployment.

    Args:
        api: A connection to the cluster's API.
        namespace: Of the Deployment.
        deployment: Its name; its pod template has the readiness gate.
        container: The container that serves.
        url: The Service in front of the pods, where bots go.
        volume: Where the pods read adapters.
    """

    def __init__(
        self,
        api: client.ApiClient,
        *,
        namespace: str,
        deployment: str,
        container: str,
        url: str,
        volume: AdapterVolume,
    ) -> None:
        self._api = api
        self._apps = client.AppsV1Api(api)
        self._core = client.CoreV1Api(api)
        self._namespace = namespace
        self._deployment = deployment
        self._container = container
        self._url = url
        self._volume = volume

    async def close(self) -> None:
        """Frees connections; pods go on."""
        await asyncio.to_thread(self._api.close)

    async def look(
        self, keep: Sequence[Deployment], leave: Sequence[Deployment]
    ) -> Mapping[int, Observed]:
        """Patches the Deployment to the newest row, and the gates to what is proven."""
        try:
            return await asyncio.to_thread(self._look, keep, leave)
        except ApiException as exc:
            raise self._mapped(exc) from exc
        except HTTPError as exc:
            raise UnavailableError(f"the cluster's API cannot be reached: {exc}") from exc

    def _look(
        self, keep: Sequence[Deployment], leave: Sequence[Deployment]
    ) -> Mapping[int, Observed]:
        rollout = self._read()
        seen: dict[int, Observed] = {}
        held = []
        for row in keep:
            try:
                held.append(self._volume.hold(row))
            except AdapterNotServedError as exc:
                seen[row.id] = Observed(failed=str(exc))
        if held and rollout.deployment_id != held[-1].id:
            self._roll(held[-1])
            rollout = self._read()
        pods = self._pods(rollout)
        self._volume.drop_others([*keep, *leave])
        for row in held:
            own = [pod for pod in pods if pod.deployment_id == row.id]
            for pod in own:
                self._gate(pod, proven=pod.replica is not None and row.is_proven(pod.replica))
            seen[row.id] = self._observe(own, rollout, newest=row is held[-1])
        for row in leave:
            seen[row.id] = Observed(gone=all(pod.deployment_id != row.id for pod in pods))
        return seen

    def _read(self) -> _Rollout:
        """Returns the Deployment as it is.

        Raises:
            ConfigurationError: It would send people to pods before they are proven.
        """
        found = self._apps.read_namespaced_deployment(
            self._deployment, self._namespace, _request_timeout=_TIMEOUT_S
        )
        rollout = _Rollout.of(found, self._container)
        where = f"Deployment {self._namespace}/{self._deployment}"
        if GATE not in rollout.gates or not rollout.careful:
            raise ConfigurationError(
                f"{where} needs readinessGates with conditionType {GATE}, and a rolling update "
                "with maxUnavailable 0; apply deploy/kubernetes/tgi.yaml"
            )
        if rollout.port is None:
            raise ConfigurationError(
                f"{where} has no container {self._container} with a containerPort; set "
                "UNDERSTUDY_PUBLISH__CONTAINER"
            )
        return rollout

    def _pods(self, rollout: _Rollout) -> list[_Pod]:
        listed = self._core.list_namespaced_pod(
            self._namespace, label_selector=rollout.selector, _request_timeout=_TIMEOUT_S
        )
        return [_Pod.of(pod, rollout) for pod in listed.items]

    def _roll(self, row: Deployment) -> None:
        """Starts a rollout to the adapters of a row, in one patch."""
        adapters = {"name": "LORA_ADAPTERS", "value": lora_adapters(row.adapters)}
        if not row.adapters:
            adapters = {"name": "LORA_ADAPTERS", "$patch": "delete"}
        template = {
            "metadata": {"labels": {LABEL: str(row.id)}},
            "spec": {"containers": [{"name": self._container, "env": [adapters]}]},
        }
        self._apps.patch_namespaced_deployment(
            self._deployment,
            self._namespace,
            {"spec": {"template": template}},
            _request_timeout=_TIMEOUT_S,
        )

    def _gate(self, pod: _Pod, *, proven: bool) -> None:
        """Opens the gate of a proven start, and closes it for one that was started anew."""
        if proven == pod.open or pod.replica is None:
            return
        condition = {
            "type": GATE,
            "status": "True" if proven else "False",
            "reason": "Proven" if proven else "NotProven",
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        try:
            self._core.patch_namespaced_pod_status(
                pod.name,
                self._namespace,
                {"status": {"conditions": [condition]}},
                _request_timeout=_TIMEOUT_S,
            )
        except ApiException as exc:
            if exc.status != 404:  # it went away meanwhile
                raise

    def _observe(self, pods: Sequence[_Pod], rollout: _Rollout, *, newest: bool) -> Observed:
        replicas = tuple(pod.replica for pod in pods if pod.up and pod.replica is not None)
        stuck = rollout.failure if newest else None
        return Observed(
            url=self._url if replicas else None,
            replicas=replicas,
            complete=newest and rollout.done and len(replicas) == rollout.pods,
            failed=f"the rollout stands still: {stuck}; see `kubectl describe pods`"
            if stuck
            else None,
        )

    def _mapped(self, exc: ApiException) -> Exception:
        where = f"{self._namespace}/{self._deployment}"
        if exc.status in {401, 403}:
            return UnauthorizedError(
                f"the cluster refuses us at {where} ({exc.status} {exc.reason}); apply the Role of "
                "deploy/kubernetes/scheduler.yaml"
            )
        if exc.status == 404:
            return ConfigurationError(
                f"there is no Deployment {where}; apply deploy/kubernetes, or set "
                "UNDERSTUDY_PUBLISH__NAMESPACE and UNDERSTUDY_PUBLISH__DEPLOYMENT"
            )
        if exc.status in {400, 422}:
            return ConfigurationError(f"the cluster refuses our patch of {where}: {exc.body}")
        return UnavailableError(f"the cluster answers {exc.status} {exc.reason} at {where}")
