"""BART's noises: what a text looks like to a model that is to write it as it was. Knows no files.

Lewis et al. (2020), section 2.2:

    mask     tokens become the mask token
    delete   tokens are left out
    infill   runs of tokens, of lengths drawn from a Poisson distribution, become one mask token each; a run of length
             0 is a mask token between two others
    permute  sentences are shuffled
    rotate   the text begins at a token drawn evenly, and what was before it follows at the end

A noise is a change of places: of N tokens the places that are kept, in their new order, and HOLE for a mask token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.data.span_corruption import MEAN_LENGTH, Corrupted, placed
from lmkit.errors import CheckpointError
from lmkit.protocols import I64, Ints, Tokenizer

KINDS = ("mask", "delete", "infill", "permute", "rotate")
WITH_MASK = frozenset({"mask", "infill"})
"""Kinds that need a mask token."""
RATE = 0.3
HOLE = -1
_ENDS = (b".", b"!", b"?", "…".encode())
_CLOSING = (b'"', b"'", b")", b"]", "»".encode(), "”".encode(), b"\xe2\x80\x99")


class Ending(IntEnum):
    """What a token says of the end of a sentence: nothing, that a word ends it, or that it is a mark alone."""

    NONE = 0
    WORD = 1
    MARK = 2


def ending(piece: bytes) -> Ending:
    """Return whether a word or piece ends a sentence: with `.`, `!`, `?` or an ellipsis, quotes and brackets behind."""
    word = piece.rstrip()
    while word.endswith(_CLOSING):
        word = next(word.removesuffix(mark) for mark in _CLOSING if word.endswith(mark))
    if not word.endswith(_ENDS):
        return Ending.NONE
    return Ending.WORD if any(map(str.isalnum, word.decode(errors="ignore"))) else Ending.MARK


def noised(
    kinds: Sequence[str], endings: Ints, generator: np.random.Generator, rate: float = RATE,
    mean_length: float = MEAN_LENGTH,
) -> I64:  # fmt: skip
    """Apply noises one after another to a text of N tokens, given the Ending of each, (N,); return places.

    mask, delete and infill change `rate` x N tokens to within one, with this mean.
    """
    places = np.arange(len(endings))
    for kind in kinds:
        if kind == "permute":
            places = _permuted(places, endings, generator)
        elif kind == "rotate":
            places = np.roll(places, -int(generator.integers(0, len(places)))) if len(places) else places
        elif kind == "infill":
            places = _infilled(places, _wanted(len(places), rate, generator), mean_length, generator)
        else:
            chosen = generator.choice(len(places), _wanted(len(places), rate, generator), replace=False, shuffle=False)
            if kind == "mask":
                places[chosen] = HOLE
            else:
                places = np.delete(places, chosen)
    return places


def _wanted(size: int, rate: float, generator: np.random.Generator) -> int:
    """Round a share of a number to a whole one at random, so that its mean is exact."""
    return int(size * rate + generator.random())


def _permuted(places: I64, endings: Ints, generator: np.random.Generator) -> I64:
    found = np.append(np.where(places == HOLE, Ending.NONE, endings[places]), Ending.NONE)
    last = np.flatnonzero((found[:-1] != Ending.NONE) & (found[1:] != Ending.MARK))  # of several marks the last one
    sentences = np.split(places, last + 1)
    sentences = sentences if len(sentences[-1]) else sentences[:-1]
    order = generator.permutation(len(sentences)).tolist()
    return np.concatenate([places[:0], *(sentences[one] for one in order)])


def _infilled(places: I64, wanted: int, mean_length: float, generator: np.random.Generator) -> I64:
    """Replace runs of `wanted` tokens together by holes."""
    lengths: list[int] = []
    covered = 0
    while covered < wanted:
        length = min(int(generator.poisson(mean_length)), wanted - covered)
        lengths.append(length)
        covered += length
    drawn = np.array(lengths, dtype=np.int64)
    runs = drawn[drawn > 0]
    while len(runs) > len(places) - covered + 1:  # too many to lie apart
        runs = np.append(runs[:-2], runs[-2:].sum())
    if len(runs):
        begins, ends = placed(runs, len(places), generator)
        places[begins] = HOLE
        inside = np.concatenate([np.arange(begin + 1, end) for begin, end in zip(begins, ends, strict=True)])
        places = np.delete(places, inside.astype(np.int64))
    return np.insert(places, generator.integers(0, len(places) + 1, int((drawn == 0).sum())), HOLE)


@dataclass(frozen=True)
class Denoising:
    """Noises of ids.

    kinds          of KINDS, applied in order
    mask           the mask token; None where no kind needs one
    endings        the Ending of each token, (V,)
    """

    kinds: tuple[str, ...]
    mask: int | None
    endings: Ints
    rate: float = RATE
    mean_length: float = MEAN_LENGTH

    @classmethod
    def of(
        cls, tokenizer: Tokenizer, kinds: Sequence[str], rate: float = RATE, mean_length: float = MEAN_LENGTH
    ) -> "Denoising":
        """Return the noises of a tokenizer's ids. Raises CheckpointError where they need a mask token it has not."""
        mask = EncoderFormat.of(tokenizer).mask
        if mask is None and WITH_MASK & set(kinds):
            raise CheckpointError(
                "its tokenizer has no mask token, neither [MASK] nor <mask>",
                hint="`lmkit bpe train --special '<mask>'` makes one that has it",
            )
        endings = np.array([ending(tokenizer.piece(token)) for token in range(tokenizer.size)], dtype=np.int8)
        return cls(tuple(kinds), mask, endings, rate, mean_length)

    def lengths(self, sizes: I64) -> tuple[I64, I64]:
        """How many tokens inputs and targets have of texts of so many tokens, (B,) of each; inputs about."""
        return sizes, sizes

    def apply(self, ids: Ints, generator: np.random.Generator) -> Corrupted:
        """Return the noised ids of a text, (N,), as inputs, and the text as targets."""
        places = noised(self.kinds, self.endings[ids], generator, self.rate, self.mean_length)
        kept = ids.astype(np.int32)
        holes = places == HOLE
        inputs = np.append(kept, np.int32(0))[places]
        if holes.any():
            assert self.mask is not None
            inputs[holes] = self.mask
        return Corrupted(inputs, kept)


# Texts.


def rendered(text: str, starts: Sequence[int], ends: Sequence[int], places: Sequence[int], mask: str) -> str:
    """Return the noised text of one whose tokens lie from `starts` to `ends`, in characters, given their new places.

    What was between two tokens stays where these are still together. Elsewhere a space is between two, if the tokens
    of the text have anything between them, else nothing.
    """
    joint = " " if any(start > end for start, end in zip(starts[1:], ends, strict=False)) else ""
    parts = []
    for at, place in enumerate(places):
        if at:
            before = places[at - 1]
            together = before >= 0 and place == before + 1
            parts.append(text[ends[before] : starts[place]] if together else joint)
        parts.append(mask if place == HOLE else text[starts[place] : ends[place]])
    return "".join(parts)
