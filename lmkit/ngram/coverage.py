"""How many n-grams of one text another text has. Knows counts, no files.

Shapes: V vocabulary.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lmkit.ngram.corpus import Counted
from lmkit.ngram.ngram_lookup import find_grams
from lmkit.ngram.tables import words_of
from lmkit.protocols import I32, Bool, Tokenizer
from lmkit.tokenization.tokenizers import Stored


class Coverage(NamedTuple):
    """N-grams of one order: tokens count each time, types once; and how many of them the other text has."""

    order: int
    tokens: int
    tokens_seen: int
    types: int
    types_seen: int

    def record(self) -> dict[str, float]:
        """Return the numbers, with the shares."""
        return {
            "order": self.order, "tokens": self.tokens, "tokens_seen": self.tokens_seen,
            "coverage": self.tokens_seen / max(1, self.tokens), "types": self.types, "types_seen": self.types_seen,
            "types_coverage": float(self.types_seen) / max(1, self.types),
        }  # fmt: skip


def coverage(seen: Counted, wanted: Counted) -> Iterator[Coverage]:
    """Yield, for each order, how many n-grams of a text were seen in another; start tokens are not predicted."""
    known = ids_in(wanted.tokenizer, seen.tokenizer)
    seen_keys, keys = ([level.key for level in counted.counts.levels] for counted in (seen, wanted))
    for order, level in enumerate(wanted.counts.levels, 1):
        ids = np.flatnonzero(level.count)
        words = words_of(keys, order, ids)
        if order == 1:
            predicted = words[:, 0] != wanted.tokenizer.specials["bos"]
            ids, words = ids[predicted], words[predicted]
        there: I32 = known[words]
        hit: Bool = np.all(there >= 0, axis=1)
        hit[hit] = find_grams(seen_keys, there[hit]) >= 0
        if order == 1:
            hit[hit] = seen.counts.levels[0].count[there[hit, 0]] > 0
        count = level.count[ids].astype(np.int64)
        yield Coverage(order, int(count.sum()), int(count[hit].sum()), len(ids), int(hit.sum()))


def ids_in(tokenizer: Tokenizer, other: Tokenizer) -> I32:
    """Another tokenizer's id of each of this one's tokens, (V,); -1 where it has none."""
    if tokenizer.digest == other.digest:
        return np.arange(tokenizer.size, dtype=np.int32)
    assert isinstance(tokenizer, Stored)  # other kinds are given, so that both texts have the same
    assert isinstance(other, Stored)
    vocabulary = tokenizer.vocabulary
    ids = np.empty(len(vocabulary), dtype=np.int32)
    ids[vocabulary.ranks] = other.vocabulary.find(vocabulary.hashes)
    ids[1:][ids[1:] == 0] = -1  # only <unk> itself is id 0
    return ids
