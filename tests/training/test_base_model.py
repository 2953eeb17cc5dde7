import hashlib
import json
from typing import Any

import minijinja
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from feedback.prompting import build_messages
from retrain.base_model import base_model_path, template_sha256
from retrain.base_model.probes import probe_scores
from retrain.base_model.recipe import BaseRecipe
from retrain.inference import BatchGenerator

FOLDER = base_model_path()
CONVERSATION = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Context: Tea is hot.\nQuestion: How hot is *tea*? \u00e9\u4e2d"},
    {"role": "assistant", "content": "  Very. "},
    {"role": "user", "content": "12 + 30?"},
]


def test_the_snapshot_is_the_one_of_the_manifest() -> None:
    manifest = json.loads((FOLDER / "MANIFEST.json").read_text())

    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == sha256, name
    recipe = BaseRecipe()
    assert manifest["shape"] == {key: getattr(recipe, key) for key in manifest["shape"]}
    assert (FOLDER / "model.safetensors").stat().st_size < 4_500_000


def test_the_base_knows_what_the_manifest_says() -> None:
    recorded = json.loads((FOLDER / "MANIFEST.json").read_text())["probes"]

    scores = probe_scores(BatchGenerator(FOLDER))

    assert scores == pytest.approx(recorded, abs=0.03)
    assert scores["arithmetic"] >= 0.75
    assert scores["facts"] >= 0.95
    assert scores["greetings"] >= 0.95
    assert scores["refusals"] >= 0.95
    assert scores["context"] >= 0.45
    assert scores["echo"] >= 0.7


def test_old_and_new_readers_see_the_same_files() -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    tokenizer = json.loads((FOLDER / "tokenizer_config.json").read_text())

    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert tokenizer["chat_template"]
    assert not (FOLDER / "chat_template.jinja").exists()
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    assert config["head_dim"] == 64
    assert len(template_sha256(FOLDER)) == 64


def test_the_template_renders_alike_in_the_server_and_in_training() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER)
    template = str(tokenizer.chat_template)
    # What TGI does before it hands the template to minijinja with default whitespace rules.
    served = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")

    rendered = minijinja.Environment().render_str(
        served,
        messages=CONVERSATION,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        add_generation_prompt=True,
    )

    ours = tokenizer.apply_chat_template(CONVERSATION, tokenize=False, add_generation_prompt=True)
    assert rendered == ours
    assert rendered.startswith(tokenizer.bos_token)


def test_the_template_marks_what_the_assistant_said() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER)

    encoded = tokenizer.apply_chat_template(
        CONVERSATION, return_dict=True, return_assistant_tokens_mask=True
    )

    ids = encoded["input_ids"]
    marked = [i for i, m in zip(ids, encoded["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(marked) == "  Very. <|end|>"


def test_digits_stand_alone_and_any_text_survives() -> None:
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    text = "Exports: 1,250 MB \u2014 caf\u00e9 \U0001f44d\n<PERSON_1>"

    ids = tokenizer.encode(text, add_special_tokens=False).ids

    assert tokenizer.decode(ids) == text
    assert not [t for t in tokenizer.get_vocab() if sum(c.isdigit() for c in t) > 1]


def test_answers_do_not_depend_on_the_batch() -> None:
    generator = BatchGenerator(FOLDER)
    prompts = [build_messages(f"What is {a} + 4?", ()) for a in range(6)]
    prompts.append(build_messages("Where is the red key?", ("The red key is in the hall.",)))

    together = generator.generate(prompts)

    assert together == [generator.generate([prompt])[0] for prompt in prompts]
