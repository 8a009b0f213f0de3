"""Endings of texts that begin alike, under a transformer: what they share is run once. Knows no weights.

A prefix is run in blocks, each on its own after those before it, and what remains of it together with its endings.
Block boundaries depend on the prefix alone: after line ends, where examples in prompts begin and end. So what a
block gives depends on its text, to the last bit, and can be kept for the next prefix; whatever is kept or not, and in
whatever order prefixes come, answers are the same.

Shapes: C endings, T tokens run at once, D width.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import takewhile

import numpy as np

from lmkit.errors import DataError
from lmkit.inference.transformer_layers import Decoder
from lmkit.protocols import F32, F64, I32, I64

LEAST = 24
"""Tokens of a block, at least, and of what remains: SmolLM2-135M takes 9 ms for each of 16 tokens that are run
together, 6 of 32, 5 of 64 and more."""
MOST = 64
"""Tokens of a block where no line ends."""
PACKED = 256
"""Tokens of endings that are run together, at most, but for longer ones."""


class TransformerTrunk:
    """See `protocols.Trunk`. Of a text beyond the context the last tokens are seen, as by `TransformerModel.after`."""

    def __init__(
        self, decoder: Decoder, begun: Callable[[I32], I32], context: int, ends_line: Callable[[int], bool]
    ) -> None:
        self._decoder, self._begun, self._context, self._ends_line = decoder, begun, context, cache(ends_line)
        self._cache = decoder.cache()
        self._ends: list[int] = []  # where the blocks in the cache end

    def endings(self, prefix: I32, endings: Sequence[I32]) -> list[F64]:
        """See `PrefixCache.endings`. Raises DataError for an ending that no context holds."""
        if not endings:
            return []
        longest = max(map(len, endings))
        if longest > self._context:
            raise DataError(f"an answer of {longest} tokens exceeds the model's context of {self._context}")
        inputs = self._begun(prefix)[-(self._context + 1 - max(1, longest)) :]
        self._grow(inputs)
        whole = self._cache.filled
        tail = inputs[whole:]
        parts = list(_parts(endings, PACKED))
        if len(parts) == 1:
            return self._branch(tail, endings)
        last = self._decoder.extend(self._cache, tail)[-1:]
        found = [nats for part in parts for nats in self._branch(tail[:0], part, last)]
        self._cache.filled = whole
        return found

    def _grow(self, inputs: I32) -> None:
        """Runs what the cache does not hold of the blocks of a prefix, and drops what it holds of other texts."""
        keys, ends = self._cache, self._blocks(inputs.tolist())
        held = keys.tokens[: min(keys.filled, len(inputs))]
        differ = np.flatnonzero(held != inputs[: len(held)])
        alike = int(differ[0]) if len(differ) else len(held)
        pairs = zip(self._ends, ends, strict=False)
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] <= alike, pairs))
        begin = keys.filled = ends[kept - 1] if kept else 0
        for end in ends[kept:]:
            self._decoder.extend(keys, inputs[begin:end])
            begin = end
        self._ends = ends

    def _blocks(self, inputs: list[int]) -> list[int]:
        """Where the blocks of a prefix end: after a line's end, or else after MOST tokens."""
        size, begin = len(inputs), 0
        ends: list[int] = []
        while True:
            until = min(begin + MOST, size - LEAST)
            lines = (end for end in range(begin + LEAST, until + 1) if self._ends_line(inputs[end - 1]))
            end = next(lines, begin + MOST if size - begin > MOST + LEAST else None)
            if end is None:
                return ends
            ends.append(end)
            begin = end

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
        """What is run of a tail and of endings, (T, D), and which row of it scores each token of each ending.

        Without a tail, row 0 is what its last token gives, which precedes what is run.
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
