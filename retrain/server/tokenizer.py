"""The served tokenizer and chat template, read the way TGI's router reads them.

Only tokenizer.json and tokenizer_config.json (or chat_template.json) are opened: a
chat_template.jinja is ignored, as TGI 3.3.7 ignores it, so that such a folder fails here too.
The template is rendered by minijinja in its default environment with TGI's text edits
(router/src/infer/chat_template.rs): no trim_blocks and no lstrip_blocks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import minijinja
from tokenizers import Tokenizer

from feedback.errors import ConfigurationError
from retrain.server.replies import Refusal, template_refusal

CONTEXT_TOKENS = 5
"""Tokens of the prompt decoded along with an answer, so that a leading space survives."""


@dataclass(frozen=True, kw_only=True)
class TokenSpan:
    """One token of a text: its id and the characters [start, stop) it covers."""

    id: int
    text: str
    start: int
    stop: int


class ChatTemplate:
    """A compiled chat template."""

    def __init__(self, source: str, *, bos_token: str | None, eos_token: str | None) -> None:
        edited = source.replace("[::-1]", "|reverse")
        edited = edited.replace("{% generation %}", "").replace("{% endgeneration %}", "")
        self._environment = minijinja.Environment(pycompat=True)
        self._environment.add_global("raise_exception", _raise_exception)
        self._environment.add_global("strftime_now", _strftime_now)
        self._environment.add_template("chat", edited)
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Returns the prompt; a last assistant message is continued instead of closed.

        Raises:
            Refusal: As TGI's `template_error`.
        """
        try:
            text: str = self._environment.render_template(
                "chat",
                messages=[{"role": m["role"], "content": m["content"]} for m in messages],
                add_generation_prompt=True,
                tools=None,
                **self._tokens,
            )
        except (minijinja.TemplateError, ValueError) as exc:
            raise template_refusal(str(exc)) from exc
        if messages and messages[-1]["role"] == "assistant":
            content = messages[-1]["content"]
            at = text.rfind(content)
            if at >= 0:
                text = text[: at + len(content)].rstrip()
        return text


class ServedTokenizer:
    """Tokenizer, template and end tokens of one model folder."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ConfigurationError(
                f"{folder} holds no tokenizer.json; save the tokenizer beside the model "
                "(tokenizer.save_pretrained) or give --model another folder"
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
            config = _read_json(folder / "tokenizer_config.json")
            source = config.get("chat_template") or _read_json(folder / "chat_template.json").get(
                "chat_template"
            )
            self.template = _compile(source, config)
        # tokenizers raises a bare Exception for a broken file.
        except Exception as exc:
            if isinstance(exc, ConfigurationError):
                raise
            raise ConfigurationError(f"cannot read the tokenizer in {folder}: {exc}") from exc
        self.ignores_jinja_file = (
            self.template is None and (folder / "chat_template.jinja").exists()
        )
        self.eos_id = self._tokenizer.token_to_id(_token(config, "eos_token") or "")
        self.special_ids = frozenset(
            index
            for index, token in self._tokenizer.get_added_tokens_decoder().items()
            if token.special
        )

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Returns token ids; `special` adds what the tokenizer's post-processor adds (BOS)."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return ids

    def spans(self, text: str, *, special: bool) -> list[TokenSpan]:
        """Returns tokens with the characters they cover."""
        encoding = self._tokenizer.encode(text, add_special_tokens=special)
        return [
            TokenSpan(id=index, text=text[start:stop], start=start, stop=stop)
            for index, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True)
        ]

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """Returns the text of token ids."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special)
        return text

    def answer(self, prompt: Sequence[int], generated: Sequence[int]) -> str:
        """Returns the generated text without special tokens."""
        context = list(prompt[-CONTEXT_TOKENS:])
        before = self.decode(context, skip_special=True)
        return self.decode([*context, *generated], skip_special=True)[len(before) :]

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Returns the prompt of a conversation.

        Raises:
            Refusal: When the template is missing or fails.
        """
        if self.template is None:
            raise template_refusal("template not found")
        return self.template.render(messages)


class IncrementalText:
    """Turns a growing list of tokens into text deltas; holds back half a UTF-8 character."""

    def __init__(self, tokenizer: ServedTokenizer, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ids = list(prompt[-CONTEXT_TOKENS:])
        self._prefix = 0
        self._read = len(self._ids)

    def push(self, token: int) -> str:
        """Returns the text that this token completes, possibly empty."""
        self._ids.append(token)
        before = self._tokenizer.decode(self._ids[self._prefix : self._read], skip_special=False)
        after = self._tokenizer.decode(self._ids[self._prefix :], skip_special=False)
        if len(after) <= len(before) or after.endswith("\ufffd"):
            return ""
        self._prefix, self._read = self._read, len(self._ids)
        return after[len(before) :]


def _compile(source: object, config: Mapping[str, Any]) -> ChatTemplate | None:
    if isinstance(source, list):
        source = next((entry["template"] for entry in source if entry["name"] == "default"), None)
    if not isinstance(source, str):
        return None
    try:
        return ChatTemplate(
            source, bos_token=_token(config, "bos_token"), eos_token=_token(config, "eos_token")
        )
    except minijinja.TemplateError as exc:
        raise ConfigurationError(
            f"the chat template does not compile in minijinja, which TGI uses: {exc}"
        ) from exc


def _token(config: Mapping[str, Any], key: str) -> str | None:
    value = config.get(key)
    return value["content"] if isinstance(value, dict) else value


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}


def _raise_exception(message: str) -> None:
    raise ValueError(message)


def _strftime_now(pattern: str) -> str:
    # The server's own clock, as in TGI: a prompt that uses it changes daily.
    return datetime.now(UTC).strftime(pattern)


__all__ = ["ChatTemplate", "IncrementalText", "Refusal", "ServedTokenizer", "TokenSpan"]
