"""Adapters are kept by content, complete or not at all, with a manifest that tells on them."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feedback.errors import ConfigurationError
from retrain.publishing.identity import WEIGHTS
from retrain.publishing.manifest import MANIFEST, BaseIdentity, lint_manifest, read_manifest
from retrain.publishing.registry import AdapterRegistry, Provenance


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> BaseIdentity:
    return BaseIdentity.of(tiny_base, "understudy/tiny")


@pytest.fixture
def known(base: BaseIdentity) -> Provenance:
    return Provenance(
        base=base,
        dataset_id="d1",
        training_run_id="r1",
        gates={"passed": True},
        signature={"prompts": []},
        created_at=datetime(2026, 1, 5, tzinfo=UTC),
    )


@pytest.fixture
def registry(tmp_path: Path) -> AdapterRegistry:
    return AdapterRegistry(tmp_path / "adapters")


def test_an_adapter_is_kept_once_with_everything_known(
    registry: AdapterRegistry, tiny_adapters: dict[str, Path], known: Provenance, base: BaseIdentity
) -> None:
    manifest, folder = registry.put(tiny_adapters["cobalt"], known)
    assert folder.name == manifest.content_id
    assert read_manifest(folder) == manifest
    assert (manifest.dataset_id, manifest.training_run_id) == ("d1", "r1")
    assert (folder / WEIGHTS).read_bytes() == (tiny_adapters["cobalt"] / WEIGHTS).read_bytes()
    assert not (folder / WEIGHTS).stat().st_mode & 0o222
    assert lint_manifest(folder, base) == []
    again, same = registry.put(tiny_adapters["cobalt"], replace(known, dataset_id="d2"))
    assert same == folder
    assert again.id == manifest.id
    assert read_manifest(folder).dataset_id == "d1", "what is kept is never changed"
    _, other = registry.put(tiny_adapters["amber"], known)
    assert other != folder
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, other.name}


def test_the_config_is_part_of_the_content(
    registry: AdapterRegistry, tiny_adapters: dict[str, Path], known: Provenance, tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in tiny_adapters["cobalt"].iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    config = json.loads((changed / "adapter_config.json").read_text())
    (changed / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 3}))
    (one, _), (two, _) = registry.put(tiny_adapters["cobalt"], known), registry.put(changed, known)
    assert one.weights_sha256 == two.weights_sha256
    assert one.content_id != two.content_id


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json"])
def test_a_swapped_file_is_named(
    registry: AdapterRegistry, tiny_adapters: dict[str, Path], known: Provenance,
    base: BaseIdentity, name: str,
) -> None:  # fmt: skip
    _, folder = registry.put(tiny_adapters["cobalt"], known)
    (folder / name).chmod(0o644)
    (folder / name).write_bytes((tiny_adapters["amber"] / name).read_bytes())
    (problem,) = lint_manifest(folder, base)
    assert f"{name} is not the file that was registered" in problem


@pytest.mark.parametrize("field", ["id", "snapshot", "tokenizer", "template"])
def test_another_base_is_named(
    registry: AdapterRegistry, tiny_adapters: dict[str, Path], known: Provenance,
    base: BaseIdentity, field: str,
) -> None:  # fmt: skip
    _, folder = registry.put(tiny_adapters["cobalt"], known)
    (problem,) = lint_manifest(folder, replace(base, **{field: "f" * 64}))
    assert f"trained on base {field}" in problem


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}'])
def test_what_is_no_manifest(tmp_path: Path, base: BaseIdentity, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    (problem,) = lint_manifest(tmp_path, base)
    assert "is no manifest of an adapter" in problem


def test_a_missing_file_and_a_full_disk_leave_nothing(
    registry: AdapterRegistry, tiny_adapters: dict[str, Path], known: Provenance, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with pytest.raises(ConfigurationError, match="cannot keep the adapter"):
        registry.put(tmp_path / "nowhere", known)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        registry.put(tiny_adapters["cobalt"], known)
    assert list((tmp_path / "adapters").iterdir()) == []


def test_half_made_folders_are_found_when_they_are_old(
    registry: AdapterRegistry, tiny_adapters: dict[str, Path], known: Provenance, tmp_path: Path
) -> None:
    assert registry.leftovers() == []
    registry.put(tiny_adapters["cobalt"], known)
    half = tmp_path / "adapters" / ".staging-x"
    half.mkdir()
    assert registry.leftovers() == [], "somebody may be at it"
    os.utime(half, (0, 0))
    assert registry.leftovers() == [half]
