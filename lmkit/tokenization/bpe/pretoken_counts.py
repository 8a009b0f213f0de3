"""Distinct pre-tokens of a text and how often each occurs: what merges are learned from."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lmkit.checkpoint import Array, Checkpoint, Streamed
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import I64, U8, U64
from lmkit.tokenization.bpe.hash_table import MISSING, Table
from lmkit.tokenization.bpe.pretokenization import INSIDE, find
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.normalization import normalize
from lmkit.tokenization.words import find as find_words
from lmkit.tokenization.words import hash_stretches, split


class PretokenCounts:
    """Pre-tokens laid end to end in order of first appearance, each with its count.

    `blob`, `offsets` (U+1): word i is blob[offsets[i]:offsets[i+1]]; `counts` (U).
    """

    kind = "pretoken-counts"

    def __init__(self, scheme: Scheme, blob: U8, offsets: I64, counts: I64) -> None:
        self.scheme, self.blob, self.offsets, self.counts = scheme, blob, offsets, counts

    def __len__(self) -> int:
        return len(self.counts)

    def to_checkpoint(self, origin: Mapping[str, Any]) -> Checkpoint:
        """As a checkpoint."""
        config = {"pretokens": int(self.counts.sum()), "scheme": self.scheme.describe(), "types": len(self)}
        tensors: dict[str, Array | Streamed] = {"counts": self.counts, "offsets": self.offsets, "pretokens": self.blob}
        return Checkpoint(self.kind, config, tensors, {}, origin)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "PretokenCounts":
        """The inverse. Raises CheckpointError where the arrays do not fit each other."""
        blob = checkpoint.array("pretokens", "U8", (None,))
        offsets = checkpoint.array("offsets", "I64", (None,))
        counts = checkpoint.array("counts", "I64", (None,))
        fits = len(offsets) == len(counts) + 1 and offsets[0] == 0 and offsets[-1] == len(blob)
        if not fits or (np.diff(offsets) < 1).any():
            raise CheckpointError("damaged checkpoint: the offsets do not fit the pre-tokens")
        if len(counts) and counts.min() < 1:
            raise CheckpointError("damaged checkpoint: a pre-token's count is below 1")
        scheme = Scheme.from_description(checkpoint.config.get("scheme"))
        if scheme.level == "char" and not (_is_text(blob.tobytes()) and ((blob[offsets[:-1]] & 0xC0) != 0x80).all()):
            raise CheckpointError("damaged checkpoint: a word is not UTF-8")
        return cls(scheme, blob, offsets, counts)


class Counter:
    """Counts the pre-tokens of blocks, which `scan` finds and `add` takes in order."""

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._known = Table(mixed=True)
        self._blobs: list[U8] = []
        self._lengths: list[I64] = []
        self._counts = np.zeros(0, dtype=np.int64)

    def scan(self, block: bytes) -> tuple[bytes, I64, I64, U64]:
        """A block of whole lines, in normal form, with its pre-tokens and their hashes."""
        block = normalize(block, self._scheme.normalize)
        if self._scheme.level == "char":
            words = find_words(block)
            starts, ends = words.starts, words.ends
        else:
            starts, ends = find(block, self._scheme.pattern, self._scheme.digits, INSIDE)
        return block, starts, ends, hash_stretches(block, starts, ends)

    def add(self, scanned: tuple[bytes, I64, I64, U64], counts: I64 | None = None) -> None:
        """Counts a scanned block; `counts`: how often each of its pre-tokens counts, instead of once."""
        block, starts, ends, keys = scanned
        words = self._known.find(keys)
        new = np.flatnonzero(words == MISSING)
        if len(new):
            _, first = np.unique(keys[new], return_index=True)
            self._learn(block, starts, ends, keys, new[np.sort(first)])
            words[new] = self._known.find(keys[new])
        self._counts += np.bincount(words, counts, minlength=len(self._counts)).astype(np.int64)

    def _learn(self, block: bytes, starts: I64, ends: I64, keys: U64, fresh: I64) -> None:
        lengths = ends[fresh] - starts[fresh]
        places = np.repeat(starts[fresh] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        self._blobs.append(np.frombuffer(block, dtype=np.uint8)[places])
        self._lengths.append(lengths)
        self._known.add(keys[fresh], np.arange(len(self._known), len(self._known) + len(fresh)))
        self._counts = np.append(self._counts, np.zeros(len(fresh), dtype=np.int64))

    def merge(self, other: PretokenCounts) -> None:
        """Adds what was counted elsewhere. Raises DataError where it was counted otherwise."""
        if other.scheme != self._scheme:
            raise DataError("the counts were made with other pre-tokens or another normal form")
        block = other.blob.tobytes()
        starts, ends = other.offsets[:-1], other.offsets[1:]
        self.add((block, starts, ends, hash_stretches(block, starts, ends)), other.counts)

    def total(self) -> PretokenCounts:
        """All that was counted."""
        lengths = np.concatenate(self._lengths) if self._lengths else np.zeros(0, dtype=np.int64)
        blob = np.concatenate(self._blobs) if self._blobs else np.zeros(0, dtype=np.uint8)
        return PretokenCounts(self._scheme, blob, np.append(0, np.cumsum(lengths)), self._counts)


def _is_text(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def from_table(lines: Iterable[bytes], scheme: Scheme) -> PretokenCounts:
    """Counts given as lines of a word, white space and its count.

    Raises DataError, with the line's number, where a line is otherwise.
    """
    words: list[bytes] = []
    counts: list[int] = []
    for number, line in enumerate(lines, 1):
        word, _, count = line.rstrip().replace(b"\t", b" ").rpartition(b" ")
        word = word.strip()
        if not word or not count.isdigit() or len(count) > 16 or not 1 <= int(count) < 1 << 53:
            raise DataError(f"line {number} is not a word and its count: {line[:60].decode(errors='replace')!r}")
        if scheme.level == "char" and (not _is_text(word) or split(word) != [word]):
            raise DataError(f"line {number}: {word[:60].decode(errors='replace')!r} is not one word of UTF-8")
        words.append(word)
        counts.append(int(count))
    offsets = np.append(0, np.cumsum([len(word) for word in words])).astype(np.int64)
    counter = Counter(scheme)
    blob = np.frombuffer(b"".join(words), dtype=np.uint8)
    counter.merge(PretokenCounts(scheme, blob, offsets, np.array(counts, dtype=np.int64)))
    return counter.total()
