"""The manifests are what Kubernetes takes, and say what the code that patches them expects."""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from retrain.platforms.cluster import GATE
from tests.docs import settings_page
from tests.docs.generate import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.30", "1.34")


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def named(kind: str, name: str) -> dict[str, Any]:
    return next(
        doc for doc in documents() if doc["kind"] == kind and doc["metadata"]["name"] == name
    )


def containers() -> Iterator[dict[str, Any]]:
    for doc in documents():
        if doc["kind"] == "Deployment":
            pod = doc["spec"]["template"]["spec"]
            yield from pod["containers"]
            yield from pod.get("initContainers", ())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(version: str) -> None:
    found = list(documents())
    assert len(found) > 12
    for doc in found:
        kubernetes_validate.validate(doc, version, strict=True)


def test_the_kustomization_lists_every_file() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == files


def test_no_pod_gets_traffic_before_it_is_proven() -> None:
    spec = named("Deployment", "understudy-tgi")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pod = spec["template"]["spec"]
    assert [gate["conditionType"] for gate in pod["readinessGates"]] == [GATE]
    stop = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > stop + 90, "TGI itself takes 90 s to end"
    # An empty LORA_ADAPTERS would stop TGI: it stands there only once there is something in it.
    assert "LORA_ADAPTERS" not in {each["name"] for each in pod["containers"][0]["env"]}


def test_settings_exist_and_name_what_is_declared() -> None:
    data = named("ConfigMap", "understudy-settings")["data"]
    known = {
        name
        for setting in settings_page.settings()
        for name in (setting.variable, setting.alias)
        if name
    }
    assert sorted(set(data) - known) == []
    tgi = named("Deployment", data["UNDERSTUDY_PUBLISH__DEPLOYMENT"])["spec"]["template"]["spec"]
    names = [each["name"] for each in tgi["containers"]]
    assert data["UNDERSTUDY_PUBLISH__CONTAINER"] in names
    namespaces = [doc["metadata"]["name"] for doc in documents() if doc["kind"] == "Namespace"]
    assert namespaces == [data["UNDERSTUDY_PUBLISH__NAMESPACE"]]
    mounts = {mount["name"]: mount["mountPath"] for mount in tgi["containers"][0]["volumeMounts"]}
    assert mounts["adapters"] == data["UNDERSTUDY_PUBLISH__VOLUME"]
    for url in (data["TGI_URL"], data["EMBED_URL"]):
        assert named("Service", url.removeprefix("http://"))


def test_the_scheduler_may_do_what_publishing_does_and_no_more() -> None:
    rules = named("Role", "understudy-publisher")["rules"]
    allowed = {(rule["resources"][0], verb) for rule in rules for verb in rule["verbs"]}
    assert allowed == {
        ("deployments", "get"),
        ("deployments", "patch"),
        ("pods", "list"),
        ("pods/status", "patch"),
    }


def test_every_image_is_pinned_and_every_reference_is_there() -> None:
    claims = {d["metadata"]["name"] for d in documents() if d["kind"] == "PersistentVolumeClaim"}
    for container in containers():
        tag = container["image"].rpartition(":")[2]
        assert tag
        assert tag[0].isdigit(), container["image"]
    for doc in documents():
        if doc["kind"] == "Deployment":
            pod = doc["spec"]["template"]["spec"]
            used = {
                volume["persistentVolumeClaim"]["claimName"]
                for volume in pod.get("volumes", ())
                if "persistentVolumeClaim" in volume
            }
            assert used <= claims
            mounted = {m["name"] for c in pod["containers"] for m in c.get("volumeMounts", ())}
            assert mounted == {volume["name"] for volume in pod.get("volumes", ())}
