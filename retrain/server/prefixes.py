"""Keys and values of prompts that were run before, so that a shared prefix is run once.

Kept in blocks of BLOCK tokens. What a block holds depends on every token before it and on the
adapter, so it is found only by the whole chain of blocks that leads to it from its adapter's root:
an answer never starts from another adapter's numbers (the trap of a cache that knows tokens alone).
The decoder attends block by block in the same shapes with and without reuse, so that answers are
bit-equal.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count

from torch import Tensor

from retrain.server.decoder import BLOCK, KeyValueCache

_Key = tuple[int, tuple[int, ...]]
"""(parent block, tokens); the parent of a first block is minus the adapter's index."""


class PrefixCache:
    """Blocks of at most `max_bytes` together; the longest unused go first. 0 bytes keep nothing."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._blocks: OrderedDict[_Key, tuple[int, Tensor]] = OrderedDict()
        self._numbers = count(1)
        self._bytes = 0
        self.reused_tokens = 0

    def find(self, adapter: int, tokens: Sequence[int]) -> list[Tensor]:
        """Returns the blocks of the longest known prefix; at least one token is left to run."""
        chain = self._chain(adapter, tokens, (len(tokens) - 1) // BLOCK)
        self.reused_tokens += len(chain) * BLOCK
        return [self._blocks[key][1] for key in chain]

    def keep(self, adapter: int, tokens: Sequence[int], cache: KeyValueCache, slot: int) -> None:
        """Keeps the whole blocks of a prompt that has just been run in a slot."""
        whole = len(tokens) // BLOCK
        chain = self._chain(adapter, tokens, whole)
        parent = self._blocks[chain[-1]][0] if chain else -adapter
        for start in range(len(chain) * BLOCK, whole * BLOCK, BLOCK):
            block = cache.read(slot, start, start + BLOCK)
            if not self._make_room(block.nbytes):
                return
            number = next(self._numbers)
            self._blocks[parent, tuple(tokens[start : start + BLOCK])] = (number, block)
            self._bytes += block.nbytes
            parent = number

    def _chain(self, adapter: int, tokens: Sequence[int], whole: int) -> list[_Key]:
        """Returns the keys of the known blocks among the first `whole`, now the last to go."""
        chain: list[_Key] = []
        parent = -adapter
        for start in range(0, whole * BLOCK, BLOCK):
            key = (parent, tuple(tokens[start : start + BLOCK]))
            if key not in self._blocks:
                break
            chain.append(key)
            parent = self._blocks[key][0]
        for key in reversed(chain):  # a parent must outlive its children, who are lost without it
            self._blocks.move_to_end(key)
        return chain

    def _make_room(self, size: int) -> bool:
        while self._blocks and self._bytes + size > self._max_bytes:
            _, (_, block) = self._blocks.popitem(last=False)
            self._bytes -= block.nbytes
        return self._bytes + size <= self._max_bytes
