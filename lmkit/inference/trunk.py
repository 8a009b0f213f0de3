"""Endings of texts that begin alike, under a transformer: what they share is run once. Knows no weights.

A prefix is run in blocks of a fixed number of tokens, each on its own, after those before it, and the rest of it
together with its endings. So what a block gives hangs on the text up to its end alone, to the last bit, and can
be kept for the next prefix; whatever is kept or not, and in whatever order prefixes come, answers are the same.

Shapes: C endings, T tokens run at once, D width.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lmkit.errors import DataError
from lmkit.inference.decoder import Decoder
from lmkit.protocols import F32, F64, I32, I64

BLOCK = 32
"""Tokens of a prefix that are run together. More of them are faster, fewer leave less of what is shared to run again:
SmolLM2-135M takes 6.1 ms for a token of 32, 5.1 of 64, 4.8 of 128; on average half a block is run again."""
PACKED = 256
"""Tokens of endings that are run together, at most, but for longer ones."""


class TransformerTrunk:
    """See `protocols.Trunk`. Of a text beyond the context the last tokens are seen, as by `TransformerModel.after`."""

    def __init__(self, decoder: Decoder, start: int, context: int) -> None:
        self._decoder, self._context = decoder, context
        self._start = np.array([start], dtype=np.int32)
        self._cache = decoder.cache()

    def endings(self, prefix: I32, endings: Sequence[I32]) -> list[F64]:
        """See `Trunk.endings`. Raises DataError for an ending that no context holds."""
        if not endings:
            return []
        longest = max(map(len, endings))
        if longest > self._context:
            raise DataError(f"an answer of {longest} tokens exceeds the model's context of {self._context}")
        inputs = np.concatenate((self._start, prefix))[-(self._context + 1 - max(1, longest)) :]
        whole = (len(inputs) - 1) // BLOCK * BLOCK
        self._grow(inputs[:whole])
        tail = inputs[whole:]
        parts = list(_parts(endings, PACKED))
        if len(parts) == 1:
            return self._branch(tail, endings)
        last = self._decoder.extend(self._cache, tail)[-1:]
        found = [nats for part in parts for nats in self._branch(tail[:0], part, last)]
        self._cache.filled = whole
        return found

    def _grow(self, inputs: I32) -> None:
        """Runs what the cache does not hold of whole blocks, and drops what it holds of other texts."""
        cache = self._cache
        held = cache.tokens[: min(cache.filled, len(inputs))]
        differ = np.flatnonzero(held != inputs[: len(held)])
        kept = (int(differ[0]) if len(differ) else len(held)) // BLOCK * BLOCK
        cache.filled = kept
        for begin in range(kept, len(inputs), BLOCK):
            self._decoder.extend(cache, inputs[begin : begin + BLOCK])

    def _branch(self, tail: I32, endings: Sequence[I32], last: F32 | None = None) -> list[F64]:
        """Nats of endings after the cache and a tail; `last` is what the tail's last token gives if it is in there."""
        outputs, rows = self._branch_rows(tail, endings)
        if last is not None:
            outputs = np.concatenate((last, outputs))
        targets = np.concatenate(endings)
        used, places = np.unique(np.concatenate(rows), return_inverse=True)
        nats = self._decoder.head.pick(outputs[used], places.astype(np.int32), targets)
        return np.split(nats, np.cumsum([len(ending) for ending in endings])[:-1])

    def _branch_rows(self, tail: I32, endings: Sequence[I32]) -> tuple[F32, list[I64]]:
        """What is run of a tail and of endings, (T, D), and which row of it tells of each token of each ending.

        Without a tail, row 0 is what its last token gives, which stands before what is run.
        """
        begin = max(1, len(tail))
        inner = [ending[:-1] for ending in endings]
        sizes = np.array([len(tail), *map(len, inner)])
        ends = begin + np.cumsum(sizes[1:])
        rows = [
            np.concatenate(([begin - 1], np.arange(end - size, end)))[: len(ending)]
            for ending, size, end in zip(endings, sizes[1:].tolist(), ends.tolist(), strict=True)
        ]
        ids = np.concatenate([tail, *inner]).astype(np.int32)
        if not len(ids):
            return np.zeros((0, self._decoder.width), dtype=np.float32), rows
        branch = np.repeat(np.arange(len(sizes)), sizes)  # 0 is the tail
        order = np.arange(len(ids))
        seen = ((branch[:, None] == branch) | (branch == 0)) & (order <= order[:, None])
        firsts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        within = order - firsts[branch]
        places = self._cache.filled + np.where(branch == 0, within, len(tail) + within)
        return self._decoder.branch(self._cache, ids, places, seen), rows


def _parts(endings: Sequence[I32], most: int) -> Iterator[Sequence[I32]]:
    """The endings in order, as many at once as have so many tokens; one part at least."""
    part: list[I32] = []
    size = 0
    for ending in endings:
        if part and size + len(ending) > most:
            yield part
            part, size = [], 0
        part.append(ending)
        size += len(ending)
    yield part
