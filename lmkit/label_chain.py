"""The linear chain over labels that a conditional random field puts on emissions. Lafferty et al. (2001).

    s(y) = b_y1 + sum_t x_t,yt + sum_t A_yt-1,yt + e_yT        p(y) = exp(s(y) - ln Z),  Z = sum_y' exp(s(y'))

N tokens, T tokens of a sentence, S sentences, K labels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmkit.protocols import F64, I64


@dataclass(frozen=True)
class LabelChain:
    """Scores: A of a label after another, (K, K), of the first label, b, and of the last one, e, (K,)."""

    transitions: F64
    starts: F64
    ends: F64

    def score(self, emissions: F64, labels: I64) -> float:
        """s(y) of labels, (T,), under emissions x, (T, K); T at least 1."""
        inner = emissions[np.arange(len(labels)), labels].sum() + self.transitions[labels[:-1], labels[1:]].sum()
        return float(self.starts[labels[0]] + inner + self.ends[labels[-1]])

    def best(self, emissions: F64) -> I64:
        """The labels of the highest score, (T,), of equal ones the first: Viterbi (1967)."""
        if not len(emissions):
            return np.zeros(0, dtype=np.int64)
        reached = self.starts + emissions[0]
        back = np.empty(emissions.shape, dtype=np.int64)
        for place, emission in enumerate(emissions[1:], 1):
            ways = reached[:, None] + self.transitions
            back[place] = ways.argmax(axis=0)
            reached = ways.max(axis=0) + emission
        label = int((reached + self.ends).argmax())
        found = np.empty(len(emissions), dtype=np.int64)
        for place in range(len(emissions) - 1, 0, -1):
            found[place] = label
            label = int(back[place, label])
        found[0] = label
        return found


class Packing(NamedTuple):
    """Sentences end to end as steps: all first tokens, then all second ones, and so on, the longest sentence first.

    order  the token at each place of the steps, (N,)
    sizes  how many sentences have a token at each step
    ends   the place of the last token of each sentence, (S,), the longest sentence first
    """

    order: I64
    sizes: tuple[int, ...]
    ends: I64

    @classmethod
    def of(cls, lengths: I64) -> "Packing":
        """The packing of sentences of S lengths, 1 or more, that lie end to end."""
        by_length = np.argsort(-lengths, kind="stable")
        begins = (np.cumsum(lengths) - lengths)[by_length]
        sorted_lengths = lengths[by_length]
        sizes = tuple(int((sorted_lengths > step).sum()) for step in range(int(sorted_lengths.max(initial=0))))
        order = [begins[:size] + step for step, size in enumerate(sizes)]
        places = np.concatenate(([0], np.cumsum(sizes)))
        ends = places[sorted_lengths - 1] + np.arange(len(lengths))
        return cls(np.concatenate(order) if order else np.zeros(0, np.int64), sizes, ends)


class Expectations(NamedTuple):
    """The sum of ln Z over sentences, probabilities of each token's label, (N, K), and expected counts.

    pairs   of label j after label i, (K, K)
    starts  of first labels, (K,)
    ends    of last labels, (K,)
    """

    log_partition: float
    labels: F64
    pairs: F64
    starts: F64
    ends: F64


def expectations(chain: LabelChain, emissions: F64, packing: Packing) -> Expectations:
    """Return what a chain expects of sentences end to end: forward and backward probabilities, scaled at each token.

    `emissions` are (N, K), by tokens. Rabiner (1989), section V.A.
    """
    packed = emissions[packing.order]
    highest = packed.max(axis=1, keepdims=True, initial=0.0)
    local, ways = np.exp(packed - highest), np.exp(chain.transitions)
    forward, scales = np.empty_like(local), np.empty((len(local), 1))
    begin = before = 0
    for size in packing.sizes:
        here = slice(begin, begin + size)
        came = forward[before : before + size] @ ways if begin else np.exp(chain.starts)
        step = local[here] * came
        scales[here] = step.sum(axis=1, keepdims=True)
        forward[here] = step / scales[here]
        before, begin = begin, begin + size
    last = np.exp(chain.ends)
    whole = forward[packing.ends] @ last
    backward = np.empty_like(local)
    backward[packing.ends] = last / whole[:, None]
    pairs = np.zeros_like(ways)
    for number in range(len(packing.sizes) - 1, 0, -1):
        size = packing.sizes[number]
        begin -= size
        before = begin - packing.sizes[number - 1]
        here, there = slice(begin, begin + size), slice(before, before + size)
        coming = local[here] * backward[here] / scales[here]
        backward[there] = coming @ ways.T
        pairs += forward[there].T @ coming
    chances = forward * backward
    labels = np.empty_like(chances)
    labels[packing.order] = chances
    total = float(np.log(scales).sum() + highest.sum() + np.log(whole).sum())
    first = packing.sizes[0] if packing.sizes else 0
    return Expectations(total, labels, pairs * ways, chances[:first].sum(axis=0), chances[packing.ends].sum(axis=0))
