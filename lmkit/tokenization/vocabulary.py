"""A vocabulary: pieces of text as bytes, their ids, and a way from text to ids without a dictionary in memory.

Ids 0, 1 and 2 are `<unk>`, `<s>` and `</s>`; the rest follow in order of first appearance.
Knows arrays, so that it can be mapped from a file and searched without being loaded.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from lmkit.errors import CheckpointError
from lmkit.protocols import I32, I64, U8, U64
from lmkit.tokenization.words import hash_words

UNK, BOS, EOS = 0, 1, 2
SPECIALS: Mapping[str, int] = {"unk": UNK, "bos": BOS, "eos": EOS}
NAMES = (b"<unk>", b"<s>", b"</s>")


@dataclass(frozen=True)
class Vocabulary:
    """Pieces laid end to end, and their hashes in order.

    `blob` (bytes), `offsets` (V+1): piece i is blob[offsets[i]:offsets[i+1]].
    `hashes` (V) ascending, `ranks` (V): the id of each hash.
    """

    blob: U8
    offsets: I64
    hashes: U64
    ranks: I32

    @classmethod
    def build(cls, blob: U8, offsets: I64) -> "Vocabulary":
        """From pieces alone; the hashes are computed and sorted."""
        hashes = hash_words(blob.tobytes(), offsets[:-1], offsets[1:])
        ranks = np.argsort(hashes, kind="stable").astype(np.int32)
        return cls(blob, offsets, hashes[ranks], ranks)

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> "Vocabulary":
        """From a sequence of pieces."""
        pieces = list(pieces)
        offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
        np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
        return cls.build(np.frombuffer(b"".join(pieces), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def piece(self, token: int) -> bytes:
        """The bytes of one id."""
        return self.blob[self.offsets[token] : self.offsets[token + 1]].tobytes()

    def pieces(self) -> list[bytes]:
        """All pieces, in the order of ids."""
        data, ends = self.blob.tobytes(), self.offsets.tolist()
        return [data[a:b] for a, b in pairwise(ends)]

    def find(self, hashes: U64) -> I32:
        """Ids of words by their hashes; 0 where the vocabulary has none."""
        if not len(self):
            return np.zeros(len(hashes), dtype=np.int32)
        index = np.searchsorted(self.hashes, hashes)
        index[index == len(self.hashes)] = 0
        return np.where(self.hashes[index] == hashes, self.ranks[index], UNK).astype(np.int32)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the pieces and their lengths."""
        data = hashlib.sha256(np.ascontiguousarray(self.offsets).data)
        data.update(np.ascontiguousarray(self.blob).data)
        return data.hexdigest()

    def check(self) -> None:
        """Raises CheckpointError where offsets run backwards or beyond the pieces."""
        ends = self.offsets
        if not len(ends) or ends[0] != 0 or ends[-1] != len(self.blob) or (ends[1:] < ends[:-1]).any():
            raise CheckpointError("damaged checkpoint: the vocabulary's offsets do not fit its pieces")
        if len(self.hashes) != len(self) or len(self.ranks) != len(self):
            raise CheckpointError("damaged checkpoint: the vocabulary's index has another size")
        if len(self) and (self.ranks.min() < 0 or self.ranks.max() >= len(self)):
            raise CheckpointError("damaged checkpoint: the vocabulary's index points outside it")


class Interner:
    """A vocabulary that grows as words come; ids in order of first appearance.

    Words are distinguished by a 64-bit hash, as lmplz does: among a million types, two share one
    with odds of 3 in 100 million.
    """

    def __init__(self, names: Iterable[bytes] = NAMES) -> None:
        start = Vocabulary.of(names)
        self._blobs = [start.blob]
        self._lengths = [np.diff(start.offsets)]
        self._hashes, self._ranks = start.hashes, start.ranks
        self._size = len(start)

    def __len__(self) -> int:
        return self._size

    def ids(self, block: bytes, starts: I64, ends: I64, hashes: U64) -> I32:
        """Ids of the given words, new ones learned."""
        ids = self._find(hashes)
        unknown = np.flatnonzero(ids < 0)
        if len(unknown):
            _, first = np.unique(hashes[unknown], return_index=True)
            fresh = unknown[np.sort(first)]
            self._learn(block, starts[fresh], ends[fresh], hashes[fresh])
            ids[unknown] = self._find(hashes[unknown])
        return ids

    def _find(self, hashes: U64) -> I32:
        index = np.searchsorted(self._hashes, hashes)
        index[index == len(self._hashes)] = 0
        return np.where(self._hashes[index] == hashes, self._ranks[index], -1).astype(np.int32)

    def _learn(self, block: bytes, starts: I64, ends: I64, hashes: U64) -> None:
        lengths = ends - starts
        shifts = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        source = np.frombuffer(block, dtype=np.uint8)
        self._blobs.append(source[shifts + np.arange(len(shifts))])
        self._lengths.append(lengths)
        ranks = np.arange(self._size, self._size + len(hashes), dtype=np.int32)
        self._size += len(hashes)
        order = np.argsort(hashes)
        places = np.searchsorted(self._hashes, hashes[order])
        self._hashes = np.insert(self._hashes, places, hashes[order])
        self._ranks = np.insert(self._ranks, places, ranks[order])

    def vocabulary(self) -> Vocabulary:
        """What has been learned so far."""
        offsets = np.zeros(self._size + 1, dtype=np.int64)
        np.cumsum(np.concatenate(self._lengths), out=offsets[1:])
        self._blobs, self._lengths = [np.concatenate(self._blobs)], [np.diff(offsets)]
        return Vocabulary(self._blobs[0], offsets, self._hashes, self._ranks)
