"""Neural models with random weights."""

import pytest
from random_weights import random_weights

from lmkit import kinds
from lmkit.checkpoint import parse, serialize
from lmkit.text.tokenizers import CharTokenizer
from lmkit.text.vocabulary import Vocabulary

VOCABULARY = 137


@pytest.fixture(scope="session")
def tokenizer():
    letters = [chr(0x100 + number).encode() for number in range(VOCABULARY - 3)]
    return CharTokenizer(Vocabulary.of([b"<unk>", b"<s>", b"</s>", *letters]))


@pytest.fixture(scope="session")
def build(tokenizer):
    """A model with random weights, read from the bytes of a file; parameters of the model's class may follow."""
    from importlib import import_module

    def build(kind, own, seed=0, **parameters):
        weights = random_weights(kind, tokenizer, by=own.get("by", "stream"), seed=seed, **own)
        data = b"".join(serialize(weights.to_checkpoint({})))
        module, name = kinds.KINDS[kind]
        found = type(weights).from_checkpoint(parse(data))
        return getattr(import_module(module), name)(found, **parameters)

    return build
