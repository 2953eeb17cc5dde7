"""What a wrong start says, before anything listens."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from feedback.errors import ConfigurationError
from retrain.server.run import ServerOptions, bind, build_service, parse_adapters


def test_adapters_are_parsed_as_tgi_does() -> None:
    assert parse_adapters("a=/x, b=/y/z") == {"a": Path("/x"), "b": Path("/y/z")}
    assert parse_adapters("") == {}


@pytest.mark.parametrize("text", ["a", "a=", "=x", "a=b=c", "a=x@main", "a=/x,a=/y"])
def test_entries_that_no_launcher_takes(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_adapters(text)


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}.*--port"):
            bind("127.0.0.1", port)


def test_a_missing_model_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere does not exist"):
        build_service(ServerOptions(model=tmp_path / "nowhere"), None)


@pytest.mark.parametrize(
    ("missing", "words"), [("tokenizer.json", "tokenizer.json"), ("config.json", "config.json")]
)
def test_an_incomplete_model_folder_is_named(
    tiny_base: Path, tmp_path: Path, missing: str, words: str
) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=words):
        build_service(ServerOptions(model=folder), None)


def test_a_family_that_is_not_supported_is_named(tiny_base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    config = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 1, "vocab_size": 8}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="model_type 'gpt2'"):
        build_service(ServerOptions(model=folder), None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sliding_window": 64}, "sliding window"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope type 'yarn'"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"num_hidden_layers": 9}, "do not fit together"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    tiny_base: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ConfigurationError, match=words):
        build_service(ServerOptions(model=folder), None)


def test_a_missing_adapter_is_named(tiny_base: Path, tmp_path: Path) -> None:
    options = ServerOptions(model=tiny_base, adapters={"cobalt": tmp_path / "gone"})
    with pytest.raises(ConfigurationError, match=r"adapter cobalt: cannot read .*gone"):
        build_service(options, None)


def test_weights_that_are_not_numbers_never_serve(
    tiny_base: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_adapters["cobalt"], tmp_path / "cobalt"))
    tensors = load_file(folder / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, folder / "adapter_model.safetensors")
    options = ServerOptions(model=tiny_base, adapters={"cobalt": folder})
    with pytest.raises(ConfigurationError, match="cobalt gives answers that are not finite"):
        build_service(options, None)


def test_an_adapter_of_another_base_is_named(
    tiny_base: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    options = ServerOptions(model=folder, adapters={"cobalt": tiny_adapters["cobalt"]})
    with pytest.raises(ConfigurationError, match="cannot be applied"):
        build_service(options, None)
