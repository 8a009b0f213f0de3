"""Words that stand together more often than chance has them, joined into one: word2phrase. Opens no file.

Mikolov et al. (2013), section 4, with the factor of N that their program has.
"""

from collections.abc import Iterator

import numpy as np

from lmkit.protocols import I32, I64, Bool
from lmkit.word_vectors.corpus import Encoded, Stream
from lmkit.word_vectors.training_plan import FIRST_WORD, LINE_END

AT_ONCE = 1 << 22
"""Distinct pairs that are gathered before they are added to those counted before."""


def scores(pairs: I64, first: I64, second: I64, words: int, minimum: int) -> np.ndarray:
    """(count(ab) - delta) / (count(a) count(b)) * N, delta being `minimum` and N the number of words."""
    return (pairs - minimum) / (first.astype(np.float64) * second) * words


def join(encoded: Encoded, *, threshold: float = 100.0, minimum: int = 5, passes: int = 1) -> Encoded:
    """Pairs that score above the threshold become one word, with `_` between, in the order in which they come.

    Words seen less than `minimum` times join nothing. A second pass finds phrases of up to four words. Uses up
    the stream.
    """
    for _ in range(passes):
        keys, phrases = _phrases(encoded, threshold, minimum)
        if not len(keys):
            break
        met = np.zeros(int(max(len(encoded.counts), phrases.max() + 1)), dtype=np.int64)

        def joined(ids: I32, keys: I64 = keys, phrases: I32 = phrases, met: I64 = met) -> I32:
            new = _joined(ids, keys, phrases)
            met[:] += np.bincount(new, minlength=len(met))
            return new

        with encoded.stream.changed(joined) as stream:
            met[LINE_END] = 0
        encoded = Encoded(stream, met, encoded.learner)
    return encoded


def _phrases(encoded: Encoded, threshold: float, minimum: int) -> tuple[I64, I32]:
    """Pairs that are phrases, as ascending keys, and the id of each phrase."""
    counts = encoded.counts
    often = counts >= minimum
    often[:FIRST_WORD] = False
    keys, found = _pair_counts(encoded.stream, often)
    first, second = keys >> 32, keys & 0xFFFFFFFF
    keys = keys[scores(found, counts[first], counts[second], encoded.words, minimum) > threshold]
    vocabulary = encoded.learner.tokenizer().vocabulary
    pairs = zip((keys >> 32).tolist(), (keys & 0xFFFFFFFF).tolist(), strict=True)
    block = b" ".join(vocabulary.piece(a) + b"_" + vocabulary.piece(b) for a, b in pairs) + b"\n"
    phrases, _ = encoded.learner.learn(block, encoded.learner.scan(block))
    return keys, phrases


def _pair_counts(stream: Stream, often: Bool) -> tuple[I64, I64]:
    """Pairs of neighbours that are both frequent, as ascending keys, and how often each was seen."""
    keys, found = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for new in _gathered(stream, often):
        keys, found = _added([(keys, found), *new])
    return keys, found


def _gathered(stream: Stream, often: Bool) -> Iterator[list[tuple[I64, I64]]]:
    """Counts of pieces, several pieces together."""
    waiting: list[tuple[I64, I64]] = []
    for ids in stream:
        both = often[ids[:-1]] & often[ids[1:]]
        waiting.append(np.unique(_keys(ids)[both], return_counts=True))
        if sum(len(keys) for keys, _ in waiting) > AT_ONCE:
            yield waiting
            waiting = []
    yield waiting


def _added(parts: list[tuple[I64, I64]]) -> tuple[I64, I64]:
    keys, inverse = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    found = np.zeros(len(keys), dtype=np.int64)
    np.add.at(found, inverse, np.concatenate([found for _, found in parts]))
    return keys, found


def _keys(ids: I32) -> I64:
    """Each id and the next in one number."""
    return (ids[:-1].astype(np.int64) << 32) | ids[1:]


def _joined(ids: I32, keys: I64, phrases: I32) -> I32:
    """Ids with phrases in place of their two words; of overlapping ones the first is taken."""
    pairs = _keys(ids)
    places = np.minimum(np.searchsorted(keys, pairs), len(keys) - 1)
    here = np.flatnonzero(keys[places] == pairs)
    runs = np.flatnonzero(np.diff(here, prepend=-2) != 1)
    lengths = np.diff(np.append(runs, len(here)))
    here = here[(np.arange(len(here)) - np.repeat(runs, lengths)) % 2 == 0]
    new = ids.copy()
    new[here] = phrases[places[here]]
    return np.delete(new, here + 1)
