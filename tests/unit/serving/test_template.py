"""Templates are rendered as TGI renders them, not as transformers does."""

import pytest

from feedback.errors import ConfigurationError
from retrain.server.replies import Refusal
from retrain.server.tokenizer import ChatTemplate, _compile

USER = [{"role": "user", "content": "hi"}]


def render(source: str, messages: list[dict[str, str]] = USER) -> str:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(messages)


def test_a_tag_on_its_own_line_leaves_its_newline() -> None:
    loop = "{{ bos_token }}{% for m in messages %}\n{{ m.content }}{% endfor %}"
    assert render(loop) == "<s>\nhi"
    dashed = "{{ bos_token }}{%- for m in messages -%}\n{{ m.content }}{% endfor %}"
    assert render(dashed) == "<s>hi"


def test_tgis_edits_are_made() -> None:
    assert render("{{ messages[0]['content'][::-1] }}") == "ih"
    source = "{% generation %}{{ messages[0].content }}{% endgeneration %}"
    assert render(source) == "hi"


def test_a_dashed_generation_tag_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="minijinja"):
        _compile("{%- generation -%}x{%- endgeneration -%}", {})


def test_python_string_methods_work() -> None:
    assert render("{{ messages[0].content.upper().strip() }}") == "HI"


def test_exceptions_of_the_template_are_template_errors() -> None:
    with pytest.raises(Refusal) as caught:
        render("{{ raise_exception('roles must alternate') }}")
    assert caught.value.error_type == "template_error"
    assert "roles must alternate" in caught.value.message


def test_a_name_that_is_missing_prints_nothing_and_its_attribute_is_an_error() -> None:
    assert render("[{{ nothing }}]") == "[]"
    with pytest.raises(Refusal):
        render("{{ nothing.at.all }}")


def test_a_trailing_assistant_message_is_continued() -> None:
    source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
    messages = [*USER, {"role": "assistant", "content": "Well, "}]
    assert render(source, messages) == "<user>hi</><assistant>Well,"


def test_markup_is_not_escaped() -> None:
    assert render("{{ messages[0].content }}", [{"role": "user", "content": "<b>&"}]) == "<b>&"
