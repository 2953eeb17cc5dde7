"""The tokenizer of the tiny base: byte-level BPE, every digit its own token, one chat template."""

import random
from collections.abc import Iterator
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from feedback.samples.generic import Dialogue
from feedback.samples.lexicon import pseudo_word, words

BOS, EOS, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")

# TGI renders with minijinja and default whitespace rules, transformers with trim_blocks. On one
# line with dashes both print the same. TGI drops exactly `{% generation %}` (no dashes); the
# markers sit where no literal whitespace could be trimmed.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "<|assistant|>{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{%- else -%}"
    "<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def train_tokenizer(
    dialogues: list[Dialogue], *, vocab_size: int, max_length: int, seed: int
) -> PreTrainedTokenizerFast:
    """Trains the tokenizer on the dialogues and on plain word lists.

    Args:
        dialogues: Texts whose words become tokens.
        vocab_size: Tokens in all, special ones included.
        max_length: Longest input in tokens that the model takes.
        seed: Orders the word lists.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # Each digit stands alone (sums need aligned digits); newlines never join words.
            pre_tokenizers.Split(Regex(r"\d|\n| ?[^\s\d\p{P}]+| ?\p{P}|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BOS, EOS, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(dialogues, seed), trainer)
    make_tokenizer: Any = PreTrainedTokenizerFast
    fast: PreTrainedTokenizerFast = make_tokenizer(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )
    return fast


def _texts(dialogues: list[Dialogue], seed: int) -> Iterator[str]:
    for dialogue in dialogues:
        yield dialogue.messages[-1].content
        yield dialogue.completion
    rng = random.Random(seed)
    for round_ in range(400):
        # Common words become one token each; capitals (sentence starts) weigh a quarter.
        shuffled = list(words())
        rng.shuffle(shuffled)
        yield " " + " ".join(shuffled)
        if round_ % 4 == 0:
            yield "\n".join(word.capitalize() for word in shuffled)
    for _ in range(1000):
        yield pseudo_word(rng)
