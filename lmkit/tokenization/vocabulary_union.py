"""Vocabularies of several models as one. Knows no models."""

from collections.abc import Sequence

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import I32, Tokenizer
from lmkit.tokenization.tokenizers import Stored
from lmkit.tokenization.vocabulary import Interner, Vocabulary


def union(vocabularies: Sequence[Vocabulary]) -> tuple[Vocabulary, list[I32]]:
    """One vocabulary for all, in order of first appearance, and the new ids of each one's words."""
    interner = Interner()
    maps = []
    for vocabulary in vocabularies:
        inverse = np.empty(len(vocabulary), dtype=np.uint64)
        inverse[vocabulary.ranks] = vocabulary.hashes
        maps.append(interner.ids(vocabulary.blob.tobytes(), vocabulary.offsets[:-1], vocabulary.offsets[1:], inverse))
    return interner.vocabulary(), maps


def unite_tokenizers(tokenizers: Sequence[Tokenizer]) -> tuple[Tokenizer, list[I32]]:
    """One tokenizer for all, and the new ids of each one's tokens; those that are the same stay as they are.

    Raises CheckpointError where their tokens are not of one kind, or have no list that grows.
    """
    first = tokenizers[0]
    if all(tokenizer.digest == first.digest for tokenizer in tokenizers):
        return first, [np.arange(first.size, dtype=np.int32)] * len(tokenizers)
    if len({tokenizer.kind for tokenizer in tokenizers}) != 1:
        raise CheckpointError("models of different kinds of tokens don't go together")
    stored = [tokenizer for tokenizer in tokenizers if isinstance(tokenizer, Stored)]
    if len(stored) != len(tokenizers):
        raise CheckpointError(f"models over different {first.kind} tokenizers don't go together")
    vocabulary, maps = union([tokenizer.vocabulary for tokenizer in stored])
    return stored[0].over(vocabulary), maps
