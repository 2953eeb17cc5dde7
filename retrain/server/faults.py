"""Faults to plant in a server, so that proofs and clients can be tested against one that is wrong.

A server has them only when it is started with --fault and, besides, with --allow-faults; it then
says so in its log and in `/info`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from feedback.errors import ConfigurationError
from retrain.server.decoder import MIN_ROWS, KeyValueCache
from retrain.server.lora import LoadedAdapter, LoraBank, LoraShape, Pair
from retrain.server.prefixes import PrefixCache
from retrain.server.tokenizer import ChatTemplate

KINDS: Mapping[str, tuple[type, str]] = {
    "drop-adapter": (str, "the base answers under this name"),
    "swap-adapters": (str, "A+B: each answers with the other's weights"),
    "wrong-rank": (str, "this adapter is scaled for twice its rank"),
    "change-template": (bool, "prompts end with a line break that training never saw"),
    "leak": (bool, "under load every row is answered with its neighbour's adapter"),
    "share-prefixes": (bool, "adapters start from each other's kept prefixes"),
    "status": (int, "generation is answered with this HTTP status"),
    "fail-after": (int, "only after so many requests the above happens (500 without it)"),
    "slow-first-token": (float, "seconds before an answer begins"),
    "slow-tokens": (float, "seconds before each further event"),
    "cut-stream": (int, "after so many events the connection breaks"),
    "end-stream": (int, "after so many events the stream ends as if it were complete"),
    "error-event": (int, "after so many events comes an error, then the end"),
}
"""Name, type of its value, and what it does."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is planted; empty by default."""

    planted: Mapping[str, Any]

    def names(self) -> list[str]:
        """Returns what `/info` says of them."""
        return sorted(self.planted)

    def adapters(self, adapters: Mapping[str, Path]) -> dict[str, Path]:
        """Returns which folder each name is served from.

        Raises:
            ConfigurationError: A fault names an adapter that is not served.
        """
        served = dict(adapters)
        dropped, swapped = self.planted.get("drop-adapter"), self.planted.get("swap-adapters")
        names = [*filter(None, (dropped, self.planted.get("wrong-rank")))]
        names += swapped.split("+") if swapped else []
        for name in names:
            if name not in served:
                raise ConfigurationError(
                    f"a fault names adapter {name}, which is not served (served: "
                    f"{', '.join(served) or 'none'}); name one of --lora-adapters"
                )
        if dropped:
            del served[dropped]
        if swapped:
            one, other = names[-2:]
            served[one], served[other] = served[other], served[one]
        return served

    def adapter(self, loaded: LoadedAdapter) -> LoadedAdapter:
        """Returns an adapter as it is applied."""
        if loaded.name != self.planted.get("wrong-rank"):
            return loaded
        halved = tuple(tuple((a, b / 2) for a, b in layer) for layer in loaded.layers)
        return replace(loaded, layers=halved)

    def template(self, template: ChatTemplate | None) -> ChatTemplate | None:
        """Returns the template that prompts are rendered with."""
        if template is None or "change-template" not in self.planted:
            return template
        return _ChangedTemplate(template)

    def bank(self, adapters: Sequence[LoadedAdapter], shape: LoraShape) -> LoraBank:
        """Returns the bank that rows get their matrices from."""
        return (_LeakingBank if "leak" in self.planted else LoraBank)(adapters, shape)

    def prefixes(self, max_bytes: int) -> PrefixCache:
        """Returns what keeps the beginnings of prompts."""
        return (_SharedPrefixes if "share-prefixes" in self.planted else PrefixCache)(max_bytes)


NO_FAULTS = Faults(planted={})


def parse_faults(texts: Sequence[str], *, allowed: bool) -> Faults:
    """Reads `name` or `name=value`, one a text.

    Raises:
        ConfigurationError: Faults are not allowed, or one is not known.
    """
    if texts and not allowed:
        raise ConfigurationError(
            f"--fault {' '.join(texts)} makes this server answer wrongly on purpose; add "
            "--allow-faults if that is what a test needs"
        )
    planted: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        kind, _ = KINDS.get(name, (None, ""))
        try:
            if kind is None or (kind is bool) != (value == ""):
                raise ValueError
            planted[name] = kind(value or True)
        except ValueError as exc:
            known = ", ".join(key if of is bool else f"{key}=..." for key, (of, _) in KINDS.items())
            raise ConfigurationError(f"--fault {text} is not one of {known}") from exc
    if planted.get("swap-adapters", "+").count("+") != 1:
        raise ConfigurationError("--fault swap-adapters needs two names, as in swap-adapters=a+b")
    return Faults(planted=planted)


class _ChangedTemplate(ChatTemplate):
    def __init__(self, original: ChatTemplate) -> None:
        self._original = original

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Returns the prompt with one character more."""
        return self._original.render(messages) + "\n"


class _LeakingBank(LoraBank):
    def gather(self, indices: Sequence[int]) -> list[list[Pair]] | None:
        """Returns the neighbours' matrices once there are more rows than padding."""
        if len(indices) > MIN_ROWS:
            indices = [*indices[1:], indices[0]]
        return super().gather(indices)


class _SharedPrefixes(PrefixCache):
    def find(self, adapter: int, tokens: Sequence[int]) -> list[Tensor]:
        """Returns whatever adapter's blocks."""
        del adapter
        return super().find(0, tokens)

    def keep(self, adapter: int, tokens: Sequence[int], cache: KeyValueCache, slot: int) -> None:
        """Keeps blocks for whatever adapter asks."""
        del adapter
        super().keep(0, tokens, cache, slot)
