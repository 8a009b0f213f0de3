"""Self-BLEU (Zhu et al. 2018): how well each of some texts is made of n-grams of the others.

    BLEU(i) = min(1, e^(1 - r/c)) * (product over n of p_n)^(1/N)              Papineni et al. 2002

with p_n = matches / n-grams of text i, where an n-gram matches as often as text i has it, but no more often
than that one of the others that has it most; c tokens of text i; r tokens of the other whose length is closest,
of two equally close the shorter. An order without a match counts as FLOOR matches (Chen and Cherry 2014,
method 1), a text without any match has 0, and a text shorter than N is measured up to its own length. This is
sacrebleu's sentence_bleu(..., smooth_method="floor", use_effective_order=True) over 100, and NLTK's
sentence_bleu(..., smoothing_function=SmoothingFunction().method1) for texts of N tokens and more.

Among T texts each has T - 1 references, but all that is needed of these is the greatest count of an n-gram, and the
second greatest for the text that has the greatest: time is linear in the tokens.

Shapes: T texts, P pairs of a text and an n-gram that it has, G n-grams.
"""

import numpy as np

from lmkit.protocols import F64, I64

FLOOR = 0.1


class SelfBleu:
    """The BLEU of each of some texts against all others; it is given their n-grams order by order, from 1 on."""

    def __init__(self, lengths: I64) -> None:
        """`lengths`: tokens of each text, (T,), each at least 1."""
        self._lengths = lengths
        self._order = 0
        self._used = np.minimum(lengths, 0)
        self._logs = np.zeros(len(lengths))
        self._none = np.zeros(len(lengths), dtype=np.bool_)

    def add(self, text: I64, gram: I64, count: I64) -> None:
        """Takes in the next order: how often each text has each n-gram, (P,) each."""
        totals = np.maximum(self._lengths - self._order, 0)
        self._order += 1
        matches = np.bincount(text, weights=matched(gram, count), minlength=len(totals))
        if self._order == 1:
            self._none = matches == 0
        some = totals > 0
        self._logs[some] += np.log(np.where(matches > 0, matches, FLOOR)[some] / totals[some])
        self._used += some

    def scores(self) -> F64:
        """The BLEU of each text, (T,), from 0 to 1. For two texts at least, and after one order at least."""
        short = np.minimum(0.0, 1 - closest(self._lengths) / self._lengths)
        return np.where(self._none, 0.0, np.exp(short + self._logs / self._used))

    def mean(self) -> float | None:
        """The mean of all; None for fewer than two texts."""
        return float(self.scores().mean()) if len(self._lengths) > 1 else None


def matched(gram: I64, count: I64) -> I64:
    """Of each text's count of an n-gram, (P,), what the greatest count in another text allows, (P,)."""
    size = int(gram.max()) + 1 if len(gram) else 0
    greatest, second = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    np.maximum.at(greatest, gram, count)
    leads = count == greatest[gram]
    np.maximum.at(second, gram[~leads], count[~leads])
    shared = np.bincount(gram[leads], minlength=size) > 1
    second[shared] = greatest[shared]
    return np.where(leads, second[gram], count)


def closest(lengths: I64) -> I64:
    """For each of two lengths or more the closest among the others; of two equally close the shorter."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    far = 2 * int(ordered[-1]) + 2  # further than any
    below = np.concatenate([[-far], ordered[:-1]])
    above = np.concatenate([ordered[1:], [2 * far]])
    found = np.empty_like(lengths)
    found[order] = np.where(ordered - below <= above - ordered, below, above)
    return found
