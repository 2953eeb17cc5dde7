"""Pods are rolled over one by one, each proven before it gets traffic; real client, real HTTP."""

import sys
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path

import pytest
from kubernetes import client

from feedback.domain.learning import DeploymentState
from feedback.errors import (
    AdapterNotServedError,
    ConfigurationError,
    UnauthorizedError,
    UnavailableError,
)
from feedback.store.unit_of_work import Store
from retrain.platforms.cluster import ClusterPlatform
from retrain.platforms.volume import AdapterVolume
from tests.integration.platforms.cluster_double import NAME, NAMESPACE, ClusterDouble
from tests.integration.platforms.rows import Publishing, registered
from tests.served import served

SERVICE = "http://understudy-tgi"


@pytest.fixture
async def cluster() -> AsyncIterator[ClusterDouble]:
    double = ClusterDouble.of_manifest()
    yield double
    await double.close()


@pytest.fixture
async def platform(cluster: ClusterDouble, tmp_path: Path) -> AsyncIterator[ClusterPlatform]:
    async with served(cluster.app()) as url:
        opened = ClusterPlatform(
            client.ApiClient(client.Configuration(host=url)),
            namespace=NAMESPACE,
            deployment=NAME,
            container="tgi",
            url=SERVICE,
            volume=AdapterVolume(tmp_path / "volume", "/adapters"),
        )
        yield opened
        await opened.close()


@pytest.fixture
def publishing(store: Store, platform: ClusterPlatform) -> Publishing:
    return Publishing.on(store, platform, name="kubernetes")


async def test_every_pod_is_proven_before_it_stands_behind_the_service(
    publishing: Publishing, cluster: ClusterDouble, tmp_path: Path
) -> None:
    base = await publishing.baseline()
    assert base.url == SERVICE
    assert len(cluster.behind_service) == len(base.replicas) == 2
    first = await registered(publishing.store, tmp_path, "first")
    active = await publishing.publish(first)
    proof = active.proof or {}
    assert set(proof["replicas"]) == {f"{pod.name}/0" for pod in cluster.behind_service}
    assert all(pod.server.served == ["first"] for pod in cluster.pods)
    env = cluster.deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    (adapters,) = [each["value"] for each in env if each["name"] == "LORA_ADAPTERS"]
    assert adapters == f"first=/adapters/served-first-{first.sha256[:12]}"
    # A merge patch would replace the lists: other containers and variables would be gone.
    assert set(cluster.patches) == {"application/strategic-merge-patch+json"}
    assert "PREFIX_CACHING" in {each["name"] for each in env}

    async def stopped() -> bool:
        return (await publishing.row(base.id)).state is DeploymentState.STOPPED

    await publishing.until(stopped)


async def test_a_pod_that_lacks_the_adapter_gets_no_traffic_and_is_rolled_back(
    publishing: Publishing, cluster: ClusterDouble, tmp_path: Path
) -> None:
    base = await publishing.baseline()
    serving = {pod.name for pod in cluster.behind_service}
    cluster.lost = ("spoilt",)
    adapter = await registered(publishing.store, tmp_path, "spoilt")
    with pytest.raises(AdapterNotServedError, match="with the base model"):
        await publishing.publish(adapter)
    assert {pod.name for pod in cluster.behind_service} == serving, "blue is left alone"

    async def rolled_back() -> bool:
        assert serving <= {pod.name for pod in cluster.behind_service}
        return {pod.label for pod in cluster.pods} == {str(base.id)}

    await publishing.until(rolled_back)
    assert {pod.name for pod in cluster.pods} == serving
    assert (await publishing.active()).id == base.id


async def test_a_second_pod_that_fails_takes_the_first_one_back_too(
    publishing: Publishing, cluster: ClusterDouble, tmp_path: Path
) -> None:
    base = await publishing.baseline()
    adapter = await registered(publishing.store, tmp_path, "half")
    number, _ = await publishing.publisher.publish(adapter.id, None)

    async def one_is_proven() -> bool:
        await publishing.fleet.look()
        assert not (await publishing.publisher.publish(adapter.id, number))[1]
        return len((await publishing.row(number)).replicas) == 1 and any(
            pod.open for pod in cluster.pods if pod.label == str(number)
        )

    await publishing.until(one_is_proven)
    cluster.lost = ("half",)
    with pytest.raises(AdapterNotServedError):
        await publishing.publish(adapter, number)

    async def rolled_back() -> bool:
        # Pods that were started again for the deployment in use are proven like all others.
        assert len(cluster.behind_service) >= 2
        row = await publishing.active()
        at_base = {pod.label for pod in cluster.pods} == {str(base.id)}
        return at_base and row.proven_everywhere and len(cluster.behind_service) == 2

    await publishing.until(rolled_back)


async def test_a_container_that_was_started_anew_is_held_back_until_it_is_proven(
    publishing: Publishing, cluster: ClusterDouble, tmp_path: Path
) -> None:
    await publishing.baseline()
    await publishing.publish(await registered(publishing.store, tmp_path, "kept"))
    pod = cluster.pods[0]
    pod.restarts, pod.server.served = 1, []
    await publishing.fleet.look()
    assert pod not in cluster.behind_service
    await publishing.look()
    assert pod not in cluster.behind_service, "it lost the adapter"
    pod.server.served = ["kept"]

    async def back() -> bool:
        return pod in cluster.behind_service

    await publishing.until(back)


async def test_a_rollout_that_stands_still_fails_the_publish(
    publishing: Publishing, cluster: ClusterDouble, tmp_path: Path
) -> None:
    base = await publishing.baseline()
    cluster.stuck = True
    adapter = await registered(publishing.store, tmp_path, "large")
    with pytest.raises(AdapterNotServedError, match="no node has a free GPU"):
        await publishing.publish(adapter)
    assert (await publishing.active()).id == base.id
    assert len(cluster.behind_service) == 2


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (403, UnauthorizedError, "Role of deploy/kubernetes"),
        (404, ConfigurationError, "there is no Deployment understudy/understudy-tgi"),
        (422, ConfigurationError, "refuses our patch"),
        (503, UnavailableError, "answers 503"),
    ],
)
async def test_what_the_cluster_answers_is_told_with_its_remedy(
    platform: ClusterPlatform,
    cluster: ClusterDouble,
    status: int,
    error: type[Exception],
    words: str,
) -> None:
    cluster.refused = status
    with pytest.raises(error, match=words):
        await platform.look([], [])


async def test_a_deployment_without_the_gate_is_refused(
    platform: ClusterPlatform, cluster: ClusterDouble
) -> None:
    cluster.deployment["spec"]["template"]["spec"]["readinessGates"] = []
    with pytest.raises(ConfigurationError, match=r"understudy\.dev/proven"):
        await platform.look([], [])


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.delitem(sys.modules, "retrain.platforms.cluster")
    with pytest.raises(ConfigurationError, match=r"pip install 'understudy\[kubernetes\]'"):
        import_module("retrain.platforms.cluster")
