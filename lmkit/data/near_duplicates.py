"""Near duplicates: texts whose sets of word n-grams (shingles) have a Jaccard similarity of at least a threshold.

MinHash (Broder 1997) in bands (locality-sensitive hashing) proposes pairs, and each is verified by the similarity of
the sets themselves. So no pair below the threshold is found; one of similarity J is missed with a probability of
(1 - J^r)^b, for b bands of r rows, which `bands_for` keeps below MISS at the threshold. Knows no files.

Shapes: D texts, S shingles, B bands, R rows of a band.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lmkit.array_storage import Storage
from lmkit.data.keyed_random import mixed, stream_of
from lmkit.data.word_hashes import grams, hash_words
from lmkit.protocols import I64, U64

HASHES = 128
MISS = 2e-4
"""The largest probability of missing a pair at the threshold."""
TEXTS = 1 << 12
"""Texts whose shingles are sorted together: their numbers take 12 bits of a key, which leaves 52 for the shingle's."""
_SHINGLE_BITS = np.uint64(52)
_SHINGLE = np.uint64((1 << 52) - 1)
MOST_REMEMBERED = 1 << 20
"""Pairs below the threshold that are remembered, so that other bands need not compare them again."""
_FOLD = np.uint64(0xD1342543DE82EF95)


def bands_for(threshold: float) -> tuple[int, int]:
    """Return the number of bands and of rows in each: the most rows for which pairs are not missed."""
    fitting = [
        rows for rows in range(1, HASHES + 1) if (1 - min(threshold, 0.9999) ** rows) ** (HASHES // rows) <= MISS
    ]
    rows = max(fitting, default=1)
    return HASHES // rows, rows


class ShingleSets:
    """The set of shingles of each text, ascending, and the keys of its bands."""

    def __init__(self, threshold: float, n: int, storage: Storage) -> None:
        self.threshold, self._n = threshold, n
        self._bands, self._rows = bands_for(threshold)
        numbers = np.arange(2 * HASHES, dtype=np.uint64) + np.uint64(stream_of(0, "minhash", 0))
        self._xors, self._factors = mixed(numbers).reshape(2, HASHES)
        self._factors |= np.uint64(1)
        self._shingle_writer = storage.writer(np.uint64)
        self._band_writer = storage.writer(np.uint64)
        self._sizes = [np.zeros(0, np.int64)]
        self._storage = storage
        self.added = 0
        """The number of texts so far."""

    def add(self, texts: Sequence[str]) -> None:
        """Take more texts. One without words has no shingles and is like no other."""
        for begin in range(0, len(texts), TEXTS):
            self._add(texts[begin : begin + TEXTS])

    def extend(self, sizes: I64, shingles: U64, keys: U64) -> None:
        """Take texts from other sets with the same settings, as `parts` gives them."""
        self.added += len(sizes)
        self._sizes.append(sizes)
        self._shingle_writer.append(shingles)
        self._band_writer.append(keys.ravel())

    def parts(self) -> tuple[I64, U64, U64]:
        """Return the number of shingles of each text, all shingles, and the keys of bands; after `finish`."""
        return self.sizes, self._shingles, self._keys

    def _add(self, texts: Sequence[str]) -> None:
        self.added += len(texts)
        found = grams(hash_words(texts), self._n, short=True)
        keys = found.owners.astype(np.uint64) << _SHINGLE_BITS
        keys |= found.keys >> (np.uint64(64) - _SHINGLE_BITS)
        keys.sort()
        distinct = keys[np.concatenate(([True], keys[1:] != keys[:-1]))[: len(keys)]]
        sizes = np.bincount((distinct >> _SHINGLE_BITS).astype(np.int64), minlength=len(texts))
        shingles = distinct & _SHINGLE
        self._sizes.append(sizes)
        self._shingle_writer.append(shingles)
        self._band_writer.append(self._band_keys(shingles, sizes).ravel())

    def _band_keys(self, shingles: U64, sizes: I64) -> U64:
        """Return the key of each band of each text, (D, B); of texts without shingles keys that none has."""
        full = np.flatnonzero(sizes)
        begins = (np.cumsum(sizes) - sizes)[full]
        keys = np.zeros((len(sizes), self._bands), dtype=np.uint64)
        if len(full):
            spread = mixed(shingles.copy())
            hashes, smallest = np.empty_like(spread), np.empty(len(full), dtype=np.uint64)
            for band in range(self._bands):
                own = np.zeros(len(full), dtype=np.uint64)
                for number in range(band * self._rows, (band + 1) * self._rows):
                    np.bitwise_xor(spread, self._xors[number], out=hashes)
                    hashes *= self._factors[number]
                    np.minimum.reduceat(hashes, begins, out=smallest)
                    own ^= smallest
                    own *= _FOLD
                keys[full, band] = own
        return mixed(keys)

    def finish(self) -> None:
        """Make what was added ready to be compared."""
        self.sizes = np.concatenate(self._sizes)
        self._begins = np.cumsum(self.sizes) - self.sizes
        self._shingles: U64 = self._shingle_writer.finish()
        self._keys: U64 = self._band_writer.finish().reshape(-1, self._bands)

    def __len__(self) -> int:
        return len(self.sizes)

    def set_of(self, text: int) -> U64:
        """Return the shingles of a text, ascending, (S,)."""
        begin = int(self._begins[text])
        return self._shingles[begin : begin + int(self.sizes[text])]

    def similarity(self, one: int, other: int) -> float:
        """Return the Jaccard similarity of two texts: shared shingles over all; 0 where one has none."""
        a, b = int(self.sizes[one]), int(self.sizes[other])
        if not a or not b:
            return 0.0
        both = np.concatenate((self.set_of(one), self.set_of(other)))
        both.sort()
        shared = int(np.count_nonzero(both[1:] == both[:-1]))
        return shared / (a + b - shared)

    def copies(self) -> I64:
        """Return for each text the first one with the same set, (D,)."""
        first = np.arange(len(self.sizes))
        full = np.flatnonzero(self.sizes)
        for text, *others in _runs(self._digests()[full], full):
            own = self.set_of(text)
            first[[other for other in others if np.array_equal(own, self.set_of(other))]] = text
        self._storage.release()
        return first

    def buckets(self, texts: I64) -> Iterator[Sequence[int]]:
        """Yield those of some texts that share the key of a band, ascending, band by band."""
        for band in range(self._bands):
            yield from _runs(np.ascontiguousarray(self._keys[texts, band]), texts)
            self._storage.release()

    def _digests(self) -> U64:
        """Return a key of each whole set, (D,)."""
        digests = np.zeros(len(self.sizes), dtype=np.uint64)
        step = 1 << 14
        for first in range(0, len(self.sizes), step):
            sizes = self.sizes[first : first + step]
            full = np.flatnonzero(sizes)
            if len(full):
                begin = int(self._begins[first])
                own = mixed(self._shingles[begin : begin + int(sizes.sum())].copy())
                digests[first + full] = np.add.reduceat(own, (np.cumsum(sizes) - sizes)[full])
        return digests


def _runs(keys: U64, numbers: I64) -> Iterator[Sequence[int]]:
    """Yield the numbers, ascending, of each key that several have."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))[: len(keys)])
    sizes = np.diff(begins, append=len(keys))
    for run in np.flatnonzero(sizes > 1).tolist():
        yield numbers[order[begins[run] : begins[run] + sizes[run]]].tolist()


class Components:
    """Connected components: a union-find whose roots are the lowest members."""

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size)

    def root(self, one: int) -> int:
        """Return the lowest member of a component."""
        parents = self._parents
        while (parent := int(parents[one])) != one:
            parents[one] = parents[parent]
            one = parent
        return one

    def join(self, one: int, other: int) -> None:
        """Make the components of two members one."""
        a, b = self.root(one), self.root(other)
        self._parents[max(a, b)] = min(a, b)

    def roots(self) -> I64:
        """Return the root of every member."""
        roots = self._parents.copy()
        while (further := roots[roots] != roots).any():
            roots[further] = roots[roots[further]]
        return roots


def components(sets: ShingleSets) -> I64:
    """Return for each text the first of those that it is connected to by verified pairs, (D,).

    Pairs that are connected already are not compared, which changes no component.
    """
    first = sets.copies()
    found = Components(len(sets))
    distinct = np.flatnonzero((first == np.arange(len(first))) & (sets.sizes > 0))
    below: set[tuple[int, int]] = set()
    for bucket in sets.buckets(distinct):
        _compare(bucket, sets, found, below)
    return found.roots()[first]


def _compare(bucket: Sequence[int], sets: ShingleSets, found: Components, below: set[tuple[int, int]]) -> None:
    """Join those of a bucket that are similar: each is compared with members of other components until one is."""
    groups: dict[int, list[int]] = {}
    for text in bucket:
        groups.setdefault(found.root(text), []).append(text)
    while len(groups) > 1:
        root, members = groups.popitem()
        near = next((at for at, others in groups.items() if _any_similar(members, others, sets, below)), None)
        if near is not None:
            found.join(root, near)
            groups[found.root(root)] = members + groups.pop(near)


def _any_similar(members: Sequence[int], others: Sequence[int], sets: ShingleSets, below: set[tuple[int, int]]) -> bool:
    for one in members:
        for other in others:
            pair = (min(one, other), max(one, other))
            if pair in below:
                continue
            a, b = int(sets.sizes[one]), int(sets.sizes[other])
            if min(a, b) >= sets.threshold * max(a, b) and sets.similarity(one, other) >= sets.threshold:
                return True
            if len(below) < MOST_REMEMBERED:
                below.add(pair)
    return False
