"""Words of a block of text, found and distinguished by numpy; knows no vocabulary.

A word is a run of bytes without space, tab, carriage return or NUL (lmplz's set, the same
in training and scoring); a line feed ends a line, and nothing else does. Vertical tab, form
feed, no-break space and every other Unicode space belong to words.
"""

import hashlib
import re
from typing import NamedTuple

import numpy as np

from lmkit.protocols import I32, I64, U8, U64, Bool

LONG = 64  # bytes; longer words are rare and hashed one by one
_MIX = np.uint64(0x9E3779B97F4A7C15)
_LENGTH = np.uint64(0xD6E8FEB86659FD93)
_SEPARATORS = re.compile(rb"[ \t\r\n\0]+")
_SHIFT = np.uint64(32)
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)


class Words(NamedTuple):
    """Words of a block: where each lies, (N,), and how many precede the end of each line, (S,)."""

    starts: I64
    ends: I64
    line_ends: I64


class Distinct(NamedTuple):
    """Distinct words in order of first appearance: where one of each lies, and which each word is.

    `inverse` (N,) indexes `starts`, `ends` and `hashes` (U,).
    """

    starts: I64
    ends: I64
    hashes: U64
    inverse: I32


def split(line: bytes) -> list[bytes]:
    """The words of one line, as `find` would part them."""
    return [word for word in _SEPARATORS.split(line) if word]


def is_separator(text: U8) -> Bool:
    """Which bytes part words."""
    blank: Bool = text == 32
    for byte in (10, 9, 13, 0):
        blank |= text == byte
    return blank


def find(block: bytes) -> Words:
    """Where the words of `block` lie; the block ends with a line feed."""
    text = np.frombuffer(block, dtype=np.uint8)
    separators = np.flatnonzero(is_separator(text))
    starts = np.empty_like(separators)
    starts[:1] = 0
    np.add(separators[:-1], 1, out=starts[1:])
    words = starts < separators
    if not words.all():
        starts, separators = starts[words], separators[words]
    line_ends = np.searchsorted(starts, np.flatnonzero(text == 10))
    return Words(starts, separators, line_ends)


def hash_words(block: bytes, starts: I64, ends: I64) -> U64:
    """A 64-bit hash of each word, the same in every run and on every machine.

    Words of up to 8 bytes never collide with each other; longer ones do with the odds of a
    random 64-bit function. h = mix(first 8 bytes), then h = mix(h ^ next 8 bytes) and so on,
    mix(x) = y ^ (y >> 32), y = x * 0x9E3779B97F4A7C15; beyond 64 bytes BLAKE2b's first 8.
    """
    padded = block + bytes(8)
    windows: U64 = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    lengths = ends - starts
    hashes = _mix(windows[starts] & _MASKS[np.minimum(lengths, 8)])
    rest = np.flatnonzero(lengths > 8)
    for offset in range(8, LONG, 8):
        if not len(rest):
            break
        left = lengths[rest] - offset
        chunk = windows[starts[rest] + offset] & _MASKS[np.minimum(left, 8)]
        hashes[rest] = _mix(hashes[rest] ^ chunk)
        rest = rest[left > 8]
    for index in rest.tolist():
        hashes[index] = hash_long(block[starts[index] : ends[index]])
    return hashes


def hash_stretches(block: bytes, starts: I64, ends: I64) -> U64:
    """A 64-bit hash of stretches of any bytes, (N,).

    That of `hash_words`, with the length in it where the last byte is NUL: words have none, and
    one at the end looks like padding there.
    """
    hashes = hash_words(block, starts, ends)
    if b"\0" in block:
        full = np.flatnonzero(ends > starts)
        full = full[np.frombuffer(block, dtype=np.uint8)[ends[full] - 1] == 0]
        hashes[full] ^= (ends[full] - starts[full]).astype(np.uint64) * _LENGTH
    return hashes


def _mix(values: U64) -> U64:
    values = values * _MIX
    values ^= values >> _SHIFT
    return values


def hash_long(word: bytes) -> int:
    """The hash of a word of more than 64 bytes."""
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")


def distinct(block: bytes, words: Words) -> Distinct:
    """The distinct words of a block, by one sort of hash and position packed into 64 bits.

    Words whose hashes agree in the bits kept may show up twice; who maps words to ids by
    their bytes is not disturbed by that.
    """
    count = len(words.starts)
    if not count:
        return Distinct(words.starts, words.ends, np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int32))
    hashes = hash_words(block, words.starts, words.ends)
    low = np.uint64((1 << max(1, (count - 1).bit_length())) - 1)
    keys = (hashes & ~low) | np.arange(count, dtype=np.uint64)
    keys.sort()
    index = (keys & low).astype(np.int64)
    ordered = hashes[index]
    first = np.ones(count, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    groups = np.flatnonzero(first)
    leaders = index[groups]
    order = np.argsort(leaders)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    inverse = np.empty(count, dtype=np.int32)
    inverse[index] = np.repeat(rank, np.diff(np.append(groups, count)))
    leaders = leaders[order]
    return Distinct(words.starts[leaders], words.ends[leaders], hashes[leaders], inverse)
