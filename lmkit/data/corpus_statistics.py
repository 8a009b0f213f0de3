"""What corpora hold: bytes, documents, lines, words and tokens by source, and lengths of pairs. Knows no files."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash

from lmkit.data.key_set import KeySet
from lmkit.data.languages import NAMED, OTHER, language_of
from lmkit.tokenization.words import is_separator

LANGUAGES = (*NAMED, OTHER)
RATIO_BINS = 4096
"""Of the histogram from which quantiles of length ratios are read: each is about 0.4 % wide."""


@dataclass
class Counts:
    """Sums over texts."""

    bytes: int = 0
    documents: int = 0
    lines: int = 0
    words: int = 0
    tokens: int = 0
    languages: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LANGUAGES, 0))
    """Bytes of the records in each language."""

    def add(self, other: "Counts") -> None:
        """Add the sums over other texts."""
        self.bytes += other.bytes
        self.documents += other.documents
        self.lines += other.lines
        self.words += other.words
        self.tokens += other.tokens
        for name, size in other.languages.items():
            self.languages[name] += size


def count(
    texts: Sequence[bytes],
    *,
    lines: bool,
    count_tokens: Callable[[bytes], int] | None = None,
    languages: bool = False,
) -> Counts:
    """Return the sums over some records, or over some `lines` of one document, which is not counted here."""
    block = b"\n".join(texts) + b"\n"
    own = np.frombuffer(block, dtype=np.uint8)
    separators = is_separator(own)
    words = int(np.count_nonzero(separators[1:] & ~separators[:-1]))  # each ends before a separator
    found = Counts(words=words)
    if lines:
        found.bytes, found.lines = len(block), len(texts)
    else:
        found.bytes, found.documents = len(block) - len(texts), len(texts)
        found.lines = sum(text.count(b"\n") + (text[-1:] != b"\n") if text else 0 for text in texts)
    if count_tokens is not None:
        found.tokens = count_tokens(block)
    if languages:
        for text in texts:
            found.languages[language_of(text.decode())] += len(text) + lines
    return found


class PairCounts:
    """Lengths of pairs: copies, duplicates, empty sides, and ratios of words of the target to those of the source."""

    def __init__(self) -> None:
        self.pairs = self.copies = self.empty = self.source_words = self.target_words = self.duplicates = 0
        self._seen = KeySet()
        self._bins = np.zeros(2 * RATIO_BINS + 1, dtype=np.int64)
        self._least, self._most = float("inf"), 0.0

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Count pairs of a source and a target; those that were there before are found by 64-bit hashes."""
        keys = []
        for source, target in pairs:
            self.pairs += 1
            keys.append(xxhash.xxh3_64_intdigest(f"{source}\0{target}".encode(errors="replace")))
            a, b = len(source.split()), len(target.split())
            self.source_words += a
            self.target_words += b
            if not a or not b:
                self.empty += 1
                continue
            self.copies += source.split() == target.split()
            self._least, self._most = min(self._least, b / a), max(self._most, b / a)
            place = round(np.log2(b / a) * RATIO_BINS / 16)
            self._bins[min(2 * RATIO_BINS, max(0, place + RATIO_BINS))] += 1
        self.duplicates += len(keys) - int(self._seen.add(np.array(keys, dtype=np.uint64)).sum())

    def quantile(self, share: float) -> float | None:
        """Return the ratio that a share of the pairs does not exceed, to 0.2 %; None where no pair has one.

        The lowest (share 0) and the highest (share 1) are exact.
        """
        total = int(self._bins.sum())
        if not total:
            return None
        if share in (0, 1):
            return self._most if share else self._least
        place = int(np.searchsorted(np.cumsum(self._bins), max(1, share * total)))
        return float(2.0 ** ((place - RATIO_BINS) * 16 / RATIO_BINS))
