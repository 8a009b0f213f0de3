"""Text to ids: each distinct pre-token is merged once and remembered, then text is looked up.

What is known grows with the text up to a bound; beyond it everything is forgotten and learned
again, so that endless input costs bounded memory and the ids do not depend on it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, I64, U64, Bool
from lmkit.tokenization.bpe.hash_table import MISSING, Table
from lmkit.tokenization.bpe.merge_ranks import Merges
from lmkit.tokenization.bpe.pretokenization import JOINED, WALLS, find
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.normalization import normalize
from lmkit.tokenization.vocabulary import Vocabulary
from lmkit.tokenization.words import find as find_words
from lmkit.tokenization.words import hash_stretches

REMEMBERED = 1 << 21  # distinct pre-tokens kept, and four times as many ids
_LENGTH_BITS = 20  # more than a pre-token's bytes need
_LENGTH = (1 << _LENGTH_BITS) - 1
_CODE_POINTS = 0x110000
_FEED = 10


class Scanned(NamedTuple):
    """Pre-tokens of a block: where each lies and its hash, (N,), and how many precede each line's end, (S,)."""

    block: bytes
    starts: I64
    ends: I64
    hashes: U64
    line_ends: I64


@dataclass(frozen=True)
class Options:
    """How one text is to be encoded.

    `lines`: each line on its own, line feeds belong to none; else the text as it is.
    `parse`: names of special tokens in the text mean these tokens, with their ids.
    `dropout`: chance that a merge is left out each time it could be made.
    `allowed`: (V,) pieces that may appear; others fall apart again as they were merged.
    """

    lines: bool = True
    parse: Mapping[bytes, int] | None = None
    dropout: float = 0.0
    seed: int = 0
    allowed: Bool | None = None


class Encoder:
    """Encodes blocks of one text with a BPE tokenizer.

    Threads may share it; only with dropout must `encode` see the blocks in order.
    """

    def __init__(
        self, vocabulary: Vocabulary, merges: Merges, scheme: Scheme, names: Mapping[bytes, int],
        unknown: int | None, options: Options,
    ) -> None:  # fmt: skip
        self._scheme, self._merges, self._options = scheme, merges, options
        self._alphabet = Alphabet(vocabulary, scheme, set(names.values()), unknown)
        self._names = _any_of(options.parse) if options.parse else None
        self._whole = _whole_pieces(vocabulary, set(names.values())) if scheme.whole_first else None
        self._parts = merges.parts(len(vocabulary)) if options.allowed is not None else None
        self._lines_seen = self._seen_of_line = 0
        self._learning = Lock()
        self._forget()

    def _forget(self) -> None:
        self._known = Table(mixed=True)
        self._ids = np.zeros(1 << 12, dtype=np.int32)
        self._used = 0

    def scan(self, block: bytes) -> Scanned:
        """The pre-tokens of a block of whole lines."""
        walls = None
        if self._names is not None:
            block, walls = _normal_around(block, self._scheme.normalize, self._names)
        elif self._scheme.normalize:
            block = normalize(block, self._scheme.normalize)
        if self._scheme.level == "char":
            starts, ends, line_ends = _words_around(block, walls)
        else:
            feeds = WALLS if self._options.lines else JOINED
            starts, ends = find(block, self._scheme.pattern, self._scheme.digits, feeds, walls)
            line_ends = _line_ends(block, starts) if self._options.lines else np.zeros(0, dtype=np.int64)
        return Scanned(block, starts, ends, hash_stretches(block, starts, ends), line_ends)

    def encode(self, scanned: Scanned) -> tuple[I32, I64]:
        """Ids of a scanned block, (T,), and the end of each line in them, (S,)."""
        if self._options.dropout:
            return self._encode_at_random(scanned)
        with self._learning:
            known, ids = self._look_up(scanned), self._ids  # what is learned later goes behind, or into another array
        lengths = known & _LENGTH
        before = np.zeros(len(known) + 1, dtype=np.int64)
        np.cumsum(lengths, out=before[1:])
        places = np.repeat((known >> _LENGTH_BITS) - before[:-1], lengths)
        places += np.arange(before[-1])
        return ids[places], before[scanned.line_ends]

    def _look_up(self, scanned: Scanned) -> I64:
        """Where the ids of each pre-token begin, and in the low bits how many they are, (N,); new ones are learned."""
        if len(self._known) > REMEMBERED or self._used > 4 * REMEMBERED:
            self._forget()
        known = self._known.find(scanned.hashes)
        new = np.flatnonzero(known == MISSING)
        if len(new):
            _, first = np.unique(scanned.hashes[new], return_index=True)
            self._learn(scanned, new[first])
            known[new] = self._known.find(scanned.hashes[new])
        return known

    def _learn(self, scanned: Scanned, fresh: I64) -> None:
        """Merges the distinct pre-tokens `fresh` and remembers what they became."""
        ids, lengths = self._merged(scanned, fresh)
        used = self._used
        self._ids = _room(self._ids, used + len(ids))
        self._ids[used : used + len(ids)] = ids
        starts = used + np.cumsum(lengths) - lengths
        self._known.add(scanned.hashes[fresh], starts << _LENGTH_BITS | lengths)
        self._used += len(ids)

    def _merged(self, scanned: Scanned, places: I64, streams: U64 | None = None) -> tuple[I32, I64]:
        """Ids of the pre-tokens at `places` laid end to end, and how many each has."""
        starts, ends = scanned.starts[places], scanned.ends[places]
        special = self._special(scanned.block, starts, ends)
        given = special
        if self._whole is not None:
            given = np.where(special != MISSING, special, self._whole.find(scanned.hashes[places])).astype(np.int32)
        left_out = np.zeros(len(places), dtype=np.bool_)
        if self._options.lines and self._scheme.level == "byte":
            left_out = (ends - starts == 1) & (np.frombuffer(scanned.block, dtype=np.uint8)[starts] == _FEED)
            given[left_out] = MISSING
        symbols, lengths = self._alphabet.symbols(scanned.block, starts, ends, skip=left_out | (given != MISSING))
        merged, lengths = self._merges.apply(symbols, lengths, self._options.dropout, streams)
        if self._parts is not None and self._options.allowed is not None:
            merged, lengths = _fall_apart(merged, lengths, self._parts, self._options.allowed)
        if (given == MISSING).all():
            return merged, lengths
        return _inserted(merged, lengths, given)

    def _special(self, block: bytes, starts: I64, ends: I64) -> I32:
        """The id of each pre-token that is the name of a special token, where those are parsed."""
        found = np.full(len(starts), MISSING, dtype=np.int32)
        for name, token in (self._options.parse or {}).items():
            for index in np.flatnonzero(ends - starts == len(name)).tolist():
                if block[starts[index] : ends[index]] == name:
                    found[index] = token
        return found

    def _encode_at_random(self, scanned: Scanned) -> tuple[I32, I64]:
        """With dropout every pre-token is merged anew; chance depends on seed, line and place in the line."""
        count, ends = len(scanned.starts), scanned.line_ends
        places = np.arange(count)
        line = np.searchsorted(ends, places, side="right")
        begin = np.append(-self._seen_of_line, ends)
        streams = hash_streams(self._options.seed, line + self._lines_seen, places - begin[line])
        self._lines_seen += len(ends)
        self._seen_of_line = count - int(begin[-1])
        merged, lengths = self._merged(scanned, places, streams)
        before = np.append(0, np.cumsum(lengths))
        return merged, before[scanned.line_ends]


class Alphabet:
    """The symbols that pre-tokens are made of before any merge."""

    def __init__(self, vocabulary: Vocabulary, scheme: Scheme, specials: set[int], unknown: int | None) -> None:
        self._bytes = scheme.level == "byte"
        self._scheme = scheme
        missing = MISSING if unknown is None else unknown
        self._table = np.full(256 if self._bytes else _CODE_POINTS, missing, dtype=np.int32)
        self._final = self._table.copy() if scheme.fused else self._table
        self._mark = missing
        for token, piece in enumerate(vocabulary.pieces()):
            if token not in specials:
                self._enter(piece, token)

    def _enter(self, piece: bytes, token: int) -> None:
        """Keeps a piece that is a single symbol."""
        if self._bytes:
            if len(piece) == 1:
                self._table[piece[0]] = token
            return
        if piece == b" ":
            self._mark = token
        elif len(piece) <= 5:
            text = piece.decode(errors="replace")
            if len(text) == 1:
                self._table[ord(text)] = token
            elif len(text) == 2 and text[1] == " " and self._scheme.fused:
                self._final[ord(text[0])] = token

    def symbols(self, block: bytes, starts: I64, ends: I64, *, skip: Bool) -> tuple[I32, I64]:
        """Symbols of the given stretches laid end to end, and how many each has; none for those to skip."""
        lengths = np.where(skip, 0, ends - starts)
        places = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        places += np.arange(len(places))
        data = np.frombuffer(block, dtype=np.uint8)[places]
        if self._bytes:
            return self._known(self._table[data]), lengths
        counts = np.append(0, np.cumsum((data & 0xC0) != 0x80))
        ends_at = np.cumsum(lengths)
        lengths = counts[ends_at] - counts[ends_at - lengths]
        points = np.frombuffer(data.tobytes().decode().encode("utf-32-le"), dtype="<i4")
        symbols = self._table[points]
        last = np.cumsum(lengths)[lengths > 0] - 1
        if self._scheme.fused:
            symbols[last] = self._final[points[last]]
        elif self._scheme.end_of_word:
            symbols = np.insert(symbols, last + 1, self._mark)
            lengths = lengths + (lengths > 0)
        return self._known(symbols), lengths

    def _known(self, symbols: I32) -> I32:
        if len(symbols) and symbols.min() == MISSING:
            raise DataError("the text has a character that the vocabulary lacks, and there is no unknown token")
        return symbols


def hash_streams(seed: int, line: I64, place: I64) -> U64:
    """A number for each pre-token that its random choices depend on."""
    mixed: U64 = (line.astype(np.uint64) << np.uint64(32)) + place.astype(np.uint64) + np.uint64(1)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    return mixed + np.uint64((seed * 0xD1342543DE82EF95) & (2**64 - 1))


def _room(array: I32, size: int) -> I32:
    """The array, or a copy at least twice as large where it is too small."""
    if size <= len(array):
        return array
    larger = np.zeros(max(size, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def _whole_pieces(vocabulary: Vocabulary, specials: set[int]) -> Table:
    """Piece to id, special tokens left out."""
    tokens = np.array([token for token in range(len(vocabulary)) if token not in specials], dtype=np.int32)
    keys = hash_stretches(vocabulary.blob.tobytes(), vocabulary.offsets[tokens], vocabulary.offsets[tokens + 1])
    keys, first = np.unique(keys, return_index=True)
    table = Table(mixed=True)
    table.add(keys, tokens[first].astype(np.int64))
    return table


def _any_of(names: Mapping[bytes, int]) -> re.Pattern[bytes]:
    """Matches any of the names, the longest first."""
    return re.compile(b"|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))


def _normal_around(block: bytes, forms: tuple[str, ...], names: re.Pattern[bytes]) -> tuple[bytes, tuple[I64, I64]]:
    """The block with all but the names in normal form, and where the names then lie."""
    pieces: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    place = last = 0
    for match in names.finditer(block):
        between = normalize(block[last : match.start()], forms)
        starts.append(place + len(between))
        ends.append(starts[-1] + len(match.group()))
        pieces += [between, match.group()]
        place, last = ends[-1], match.end()
    pieces.append(normalize(block[last:], forms))
    return b"".join(pieces), (np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64))


def _words_around(block: bytes, walls: tuple[I64, I64] | None) -> tuple[I64, I64, I64]:
    """Words between white space, and between walls, each of which is a word."""
    if walls is None or not len(walls[0]):
        words = find_words(block)
        return words.starts, words.ends, words.line_ends
    data = np.frombuffer(block, dtype=np.uint8).copy()
    for start, end in zip(*(edge.tolist() for edge in walls), strict=True):
        data[start:end] = 32
    words = find_words(data.tobytes())
    order = np.argsort(np.concatenate([words.starts, walls[0]]), kind="stable")
    starts = np.concatenate([words.starts, walls[0]])[order]
    ends = np.concatenate([words.ends, walls[1]])[order]
    return starts, ends, np.searchsorted(starts, np.flatnonzero(data == _FEED))


def _line_ends(block: bytes, starts: I64) -> I64:
    """How many pre-tokens precede each line feed; it is one itself."""
    return np.searchsorted(starts, np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _FEED))


def _fall_apart(ids: I32, lengths: I64, parts: I32, allowed: Bool) -> tuple[I32, I64]:
    """Takes back the merges of pieces that are not allowed (Sennrich et al. 2017, vocabulary threshold)."""
    while True:
        split = ~allowed[ids] & (parts[ids, 0] != MISSING)
        if not split.any():
            return ids, lengths
        owners = np.repeat(np.arange(len(lengths)), lengths)
        lengths = lengths + np.bincount(owners[split], minlength=len(lengths))
        places = np.flatnonzero(split)
        halves = parts[ids[places]]
        ids = ids.copy()
        ids[places] = halves[:, 0]
        ids = np.insert(ids, places + 1, halves[:, 1])


def _inserted(merged: I32, lengths: I64, given: I32) -> tuple[I32, I64]:
    """With one id for each pre-token that has a given one."""
    has = given != MISSING
    total = lengths + has
    result = np.empty(len(merged) + np.count_nonzero(has), dtype=np.int32)
    at = (np.cumsum(total) - total)[has]
    free = np.ones(len(result), dtype=np.bool_)
    free[at] = False
    result[at], result[free] = given[has], merged
    return result, total
