"""Training's own rendering of conversations: what a server's must equal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from feedback.errors import ConfigurationError
from feedback.ports import Message
from feedback.serving.tgi import TokenizedChat


class TrainedRenderer:
    """Renders conversations with the tokenizer folder that training reads."""

    def __init__(self, base: Path) -> None:
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"cannot load the tokenizer in {base}: {exc}") from exc

    def __call__(self, messages: Sequence[Message]) -> TokenizedChat:
        """Returns the prompt text and its token ids; a last assistant message is continued."""
        payload = [{"role": message.role, "content": message.content} for message in messages]
        continued = messages[-1].role == "assistant"
        text: str = self._tokenizer.apply_chat_template(
            payload,
            tokenize=False,
            add_generation_prompt=not continued,
            continue_final_message=continued,
        )
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return TokenizedChat(text=text, token_ids=tuple(ids))

    def encode(self, text: str) -> list[int]:
        """Returns ids as `/generate` makes them: with the tokenizer's special tokens."""
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids
