"""Features of words in sentences, as hashes: spelling, affixes and shape of a word and of its neighbours.

The usual features of linear taggers of names (Ratinov and Roth 2009), without lists or parts of speech. A shape has X
for capital letters, x for others, d for digits, and other characters as they are; `short` has runs as one. A feature
is hashed by the first 8 bytes of BLAKE2b of its name and text, mixed with the place of the word. N words of all
sentences, F features of a word.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from lmkit.protocols import I64, U32, U64

AFFIXES = 4
"""Prefixes and suffixes have up to so many characters."""
NEIGHBOURS = 2
_NEAR, _FAR = ("lower", "shape", "suffix3"), ("lower", "shape")
_EDGE = "\n"
"""What is beyond the ends of a sentence, as a word."""


class FeatureGroup(NamedTuple):
    """Features that words of one kind share: the keys of each kind, (V, F'), and the kind of each word, (N,)."""

    keys: U32
    kinds: I64


def features(sentences: Sequence[Sequence[str]]) -> U32:
    """The keys of the features of each word, (N, F), sentences one behind another."""
    return np.concatenate([group.keys[group.kinds] for group in feature_groups(sentences)], axis=1)


def feature_groups(sentences: Sequence[Sequence[str]]) -> list[FeatureGroup]:
    """The same by what they depend on: the word, each of its neighbours, and the shapes around it."""
    known: dict[str, int] = {_EDGE: 0}
    numbers: list[int] = []
    for sentence in sentences:  # with edges around each, so that neighbours are two places away at most
        numbers += [0] * NEIGHBOURS
        numbers += [known.setdefault(word, len(known)) for word in sentence]
    numbers += [0] * NEIGHBOURS
    table = np.array([_word(word) for word in known], dtype=np.uint64)
    flat = np.array(numbers, dtype=np.int64)
    places = _places([len(sentence) for sentence in sentences])
    groups = [_group(table, flat[places])]
    shapes = table[:, _NAMES.index("shape")]
    for offset in range(-NEIGHBOURS, NEIGHBOURS + 1):
        if offset:
            chosen = [_NAMES.index(name) for name in (_NEAR if abs(offset) == 1 else _FAR)]
            mixed = _mixed(table[:, chosen] + np.uint64(offset + NEIGHBOURS + 1))
            groups.append(_group(mixed, flat[places + offset]))
    around = shapes[flat[places - 1]] * np.uint64(3) + shapes[flat[places]] * np.uint64(5) + shapes[flat[places + 1]]
    around, kinds = np.unique(around, return_inverse=True)
    return [*groups, _group(_mixed(around[:, None]), kinds)]


def _group(table: U64, kinds: I64) -> FeatureGroup:
    return FeatureGroup((table >> np.uint64(32)).astype(np.uint32), kinds)


def _places(lengths: Sequence[int]) -> I64:
    """Where the words of sentences are, between edges, (N,)."""
    sizes = np.array(lengths, dtype=np.int64)
    begins = np.cumsum(sizes + NEIGHBOURS) - sizes
    return np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))


_NAMES = (
    "lower", "word", "shape", "short",
    *(f"{kind}{size}" for kind in ("prefix", "suffix") for size in range(1, AFFIXES + 1)),
)  # fmt: skip


@lru_cache(maxsize=1 << 16)
def _word(word: str) -> tuple[int, ...]:
    """The hash of each of _NAMES of a word."""
    lower, shape = word.lower(), _shape(word)
    short = re.sub(r"(.)\1+", r"\1", shape)
    affixes = [lower[:size] for size in range(1, AFFIXES + 1)] + [lower[-size:] for size in range(1, AFFIXES + 1)]
    texts = (lower, word, shape[:32], short[:32], *affixes)
    return tuple(_hashed(f"{name}={text}") for name, text in zip(_NAMES, texts, strict=True))


def _shape(word: str) -> str:
    return "".join("d" if one.isdigit() else "X" if one.isupper() else "x" if one.isalpha() else one for one in word)


def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _mixed(values: U64) -> U64:
    """The finaliser of splitmix64. Steele et al. (2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
