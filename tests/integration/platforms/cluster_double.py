"""The few routes of a Kubernetes API that publishing uses, with a controller that rolls pods over.

Pods are real HTTP servers on addresses of the loopback network, all on one port. The controller
does what Kubernetes documents for maxSurge 1 and maxUnavailable 0: one pod more than wanted is
started from a changed template, and an old one ends only once that one is Ready, gates included.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from retrain.platforms.cluster import GATE, LABEL
from tests.integration.platforms.pods import Changing, PodServer, nothing

ROOT = Path(__file__).parents[3]
NAMESPACE, NAME = "understudy", "understudy-tgi"
_addresses = count(2)
"""127.8.x.y: every pod of a test run has another one."""


@dataclass(kw_only=True)
class Pod:
    """One pod and its server."""

    name: str
    template: dict[str, Any]
    address: str
    server: PodServer
    restarts: int = 0
    open: bool = False

    @property
    def ready(self) -> bool:
        """Behind the Service: containers are up and the gate is open."""
        return self.open

    @property
    def label(self) -> str:
        return str(self.template["metadata"]["labels"].get(LABEL))

    def to_json(self) -> dict[str, Any]:
        conditions = [{"type": "ContainersReady", "status": "True"}]
        if self.open:
            conditions.append({"type": GATE, "status": "True"})
        started = {
            "name": "tgi", "image": "i", "imageID": "i", "ready": True,
            "restartCount": self.restarts,
        }  # fmt: skip
        return {
            "metadata": {"name": self.name, "labels": self.template["metadata"]["labels"]},
            "spec": self.template["spec"],
            "status": {
                "phase": "Running",
                "podIP": self.address,
                "conditions": conditions,
                "containerStatuses": [started],
            },
        }


@dataclass(kw_only=True)
class ClusterDouble:
    """A cluster with one Deployment, as deploy/kubernetes declares it.

    Attributes:
        lost: Adapters that pods started from now on silently lack.
        stuck: The controller starts no pod, and says after a while that it cannot.
        refused: Status of every answer, while the Role is missing.
        patches: Content types of the patches that came.
        changing: Called just before and just after a pod enters or leaves the Service.
    """

    deployment: dict[str, Any]
    pods: list[Pod] = field(default_factory=list)
    lost: tuple[str, ...] = ()
    stuck: bool = False
    refused: int | None = None
    patches: list[str] = field(default_factory=list)
    changing: Changing = nothing
    port: int = 0
    names: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    def of_manifest(cls) -> "ClusterDouble":
        """Returns a cluster to which our own manifest was applied."""
        text = (ROOT / "deploy/kubernetes/tgi.yaml").read_text(encoding="utf-8")
        found = next(doc for doc in yaml.safe_load_all(text) if doc["kind"] == "Deployment")
        found["metadata"]["generation"] = 1
        found["spec"].setdefault("replicas", 1)
        return cls(deployment=found)

    @property
    def behind_service(self) -> list[Pod]:
        """The pods that people reach."""
        return [pod for pod in self.pods if pod.ready]

    def app(self) -> web.Application:
        app = web.Application()
        one = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        app.add_routes(
            [
                web.get(one, self._read),
                web.patch(one, self._patch),
                web.get(pods, self._list),
                web.patch(pods + "/{name}/status", self._patch_status),
            ]
        )
        return app

    async def settle(self) -> None:
        """Lets the controller take one step."""
        wanted, template = self.deployment["spec"]["replicas"], self.deployment["spec"]["template"]
        new = [pod for pod in self.pods if pod.template == template]
        if len(new) < wanted and len(self.pods) <= wanted and not self.stuck:
            await self._start(template)
        elif len(self.pods) > wanted:
            # The newest template wins; a pod that is not Ready goes before one that is.
            old = sorted(self.pods, key=lambda pod: (pod in new, pod.ready))
            ready = len(self.behind_service)
            if ready > wanted or not old[0].ready:
                await self.end(old[0])

    async def end(self, pod: Pod) -> None:
        await self.changing()
        self.pods.remove(pod)
        await self.changing()
        await pod.server.stop()

    async def close(self) -> None:
        self.changing = nothing
        for pod in list(self.pods):
            await self.end(pod)

    async def _start(self, template: dict[str, Any]) -> None:
        number = next(_addresses)
        container = next(c for c in template["spec"]["containers"] if c["name"] == "tgi")
        env = {each["name"]: each.get("value", "") for each in container.get("env", ())}
        names = [entry.split("=")[0] for entry in env.get("LORA_ADAPTERS", "").split(",") if entry]
        pod = Pod(
            name=f"{NAME}-{next(self.names)}",
            template=copy.deepcopy(template),
            address=f"127.8.{number // 256}.{number % 256}",
            server=PodServer(names, lost=self.lost),
        )
        self.port = await pod.server.start(pod.address, self.port)
        container["ports"][0]["containerPort"] = self.port
        pod.template = copy.deepcopy(template)
        self.pods.append(pod)

    def _state(self) -> dict[str, Any]:
        wanted, template = self.deployment["spec"]["replicas"], self.deployment["spec"]["template"]
        found = copy.deepcopy(self.deployment)
        conditions = []
        if self.stuck:
            conditions = [
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": "no node has a free GPU",
                }
            ]
        found["status"] = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": len(self.pods),
            "updatedReplicas": sum(pod.template == template for pod in self.pods),
            "availableReplicas": min(len(self.behind_service), wanted),
            "conditions": conditions,
        }
        return found

    async def _read(self, _: web.Request) -> web.Response:
        await self.settle()
        return self._answer(self._state())

    async def _patch(self, request: web.Request) -> web.Response:
        self.patches.append(request.content_type)
        change = json.loads(await request.text())["spec"]["template"]
        template = self.deployment["spec"]["template"]
        template["metadata"]["labels"] |= change["metadata"]["labels"]
        (part,) = change["spec"]["containers"]
        container = next(
            each for each in template["spec"]["containers"] if each["name"] == part["name"]
        )
        for entry in part["env"]:
            kept = [each for each in container.get("env", ()) if each["name"] != entry["name"]]
            container["env"] = kept if entry.get("$patch") == "delete" else [*kept, entry]
        self.deployment["metadata"]["generation"] += 1
        return self._answer(self._state())

    async def _list(self, request: web.Request) -> web.Response:
        selector = dict(pair.split("=") for pair in request.query["labelSelector"].split(","))
        labels = self.deployment["spec"]["selector"]["matchLabels"]
        found = [pod.to_json() for pod in self.pods] if selector == labels else []
        return self._answer({"kind": "PodList", "items": found})

    async def _patch_status(self, request: web.Request) -> web.Response:
        self.patches.append(request.content_type)
        found = [pod for pod in self.pods if pod.name == request.match_info["name"]]
        if not found:
            return web.json_response({"reason": "NotFound"}, status=404)
        for condition in json.loads(await request.text())["status"]["conditions"]:
            if condition["type"] == GATE:
                await self.changing()
                found[0].open = condition["status"] == "True"
                await self.changing()
        return self._answer(found[0].to_json())

    def _answer(self, body: dict[str, Any]) -> web.Response:
        if self.refused is not None:
            return web.json_response({"reason": "Forbidden"}, status=self.refused)
        return web.json_response(body)
