"""Words as lattices of pieces: sums over all segmentations, and the best one, of many words at once.

A word is any sequence of pieces, p(pieces) = prod p(piece). Words lie end to end, and a step does for all of them
what ends, or begins, so many characters into a word.

U words, N characters of all words, E edges: places where a piece spells part of a word; V pieces.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64, I64, Bool


class Text(NamedTuple):
    """Words as code points, (N,), their lengths, and how often each occurs, (U,) both."""

    points: I64
    lengths: I64
    counts: I64

    @property
    def begins(self) -> I64:
        """Where each word begins, (U,)."""
        begins: I64 = np.cumsum(self.lengths) - self.lengths
        return begins


@dataclass(frozen=True)
class Lattice:
    """Edges of some words, in the order of where they end in their word.

    begins, ends  places before and behind an edge's characters, (E,), of N + U: a word has one more than characters
    pieces        (E,)
    first, last   places where words begin and end, (U,)
    groups        where the edges that end 1, 2, ... characters into a word begin, and the end of all
    """

    begins: I64
    ends: I64
    pieces: I64
    first: I64
    last: I64
    groups: I64

    @classmethod
    def of(cls, text: Text, begins: I64, sizes: I64, pieces: I64) -> "Lattice":
        """Return the lattice of edges that begin at characters, (E,), of sizes in characters."""
        words = np.repeat(np.arange(len(text.lengths)), text.lengths)[begins]
        first = text.begins + np.arange(len(text.lengths))
        starts = begins + words
        ends = starts + sizes
        depth = ends - first[words]
        order = np.lexsort((ends, depth))
        groups = np.searchsorted(depth[order], np.arange(1, int(text.lengths.max()) + 2))
        return cls(starts[order], ends[order], pieces[order], first, first + text.lengths, groups)

    def only(self, kept: Bool, renumbered: I64) -> "Lattice":
        """Return the lattice of the pieces that are kept, (V,), in new numbers, (V,)."""
        there = kept[self.pieces]
        before = np.append(0, np.cumsum(there))
        return replace(
            self, begins=self.begins[there], ends=self.ends[there], pieces=renumbered[self.pieces[there]],
            groups=before[self.groups],
        )  # fmt: skip

    def _levels(self) -> Iterable[slice]:
        return (
            slice(begin, end) for begin, end in zip(self.groups[:-1].tolist(), self.groups[1:].tolist(), strict=True)
        )

    def expected(self, scores: F64, counts: I64) -> tuple[F64, float]:
        """Return how often each piece is expected, (V,), by its scores in nats, and the likelihood of all words.

        Forward and backward sums (Baum and Welch): p(edge) = alpha(begin) p(piece) beta(end) / p(word).
        """
        alpha = np.full(int(self.last[-1]) + 1, -np.inf)
        beta = alpha.copy()
        alpha[self.first] = beta[self.last] = 0.0
        own = scores[self.pieces]
        for level in self._levels():
            _add(alpha, self.ends[level], alpha[self.begins[level]] + own[level])
        word, order, cuts = self._from_the_ends
        begins, ends, values = self.begins[order], self.ends[order], own[order]
        for begin, end in pairwise([*cuts.tolist(), len(order)]):
            _add(beta, begins[begin:end], beta[ends[begin:end]] + values[begin:end])
        total = alpha[self.last]
        share = np.exp(alpha[self.begins] + own + beta[self.ends] - total[word]) * counts[word]
        return _sums(self.pieces, share, len(scores)), float((total * counts).sum())

    @cached_property
    def _from_the_ends(self) -> tuple[I64, I64, I64]:
        """The word of each edge, (E,); an order of edges, from the ends of words on; where its groups begin."""
        word: I64 = np.searchsorted(self.first, self.begins, side="right") - 1
        left = self.last[word] - self.begins
        order = np.lexsort((self.begins, left))
        return word, order, np.flatnonzero(np.diff(left[order], prepend=-1))

    def best(self, scores: F64) -> tuple[I64, F64]:
        """Return the last edge of the best segmentation up to each place, -1: there is none, and its nats (Viterbi)."""
        nats = np.full(int(self.last[-1]) + 1, -np.inf)
        nats[self.first] = 0.0
        back = np.full(len(nats), -1, dtype=np.int64)
        own = scores[self.pieces]
        for level in self._levels():
            values = nats[self.begins[level]] + own[level]
            order = np.lexsort((values, self.ends[level]))
            ends = self.ends[level][order]
            last = np.flatnonzero(np.append(np.diff(ends) != 0, True)) if len(ends) else np.zeros(0, np.int64)
            nats[ends[last]] = values[order[last]]
            back[ends[last]] = level.start + order[last]
        return back, nats

    def paths(self, back: I64) -> Iterable[tuple[I64, I64]]:
        """Yield the words that have another piece on their best segmentation, and that piece's edge, from the ends."""
        words, places = np.arange(len(self.last)), self.last
        while len(words):
            edges = back[places]
            words, edges = words[edges >= 0], edges[edges >= 0]
            yield words, edges
            places = self.begins[edges]


def _add(sums: F64, places: I64, values: F64) -> None:
    """Set sums at places, which come in runs of equal ones, to the log of the sum of exp(values)."""
    if not len(places):
        return
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    most = np.maximum.reduceat(values, starts)
    safe = np.where(np.isfinite(most), most, 0.0)
    runs = np.diff(np.append(starts, len(values)))
    with np.errstate(divide="ignore"):
        sums[places[starts]] = safe + np.log(np.add.reduceat(np.exp(values - np.repeat(safe, runs)), starts))


def _sums(pieces: I64, values: F64, size: int) -> F64:
    """Values summed up by piece, (V,)."""
    sums: F64 = np.bincount(pieces, values, minlength=size).astype(np.float64)
    return sums
