"""What lmkit.ngram computes, a second time and slowly: dictionaries of tuples of words, no arrays, no lmkit.

A corpus is a list of sentences, a sentence a list of words (str). The conventions are the
documented ones: `<s>` and `</s>` inside a sentence are dropped, `<unk>` is the unknown word,
a sentence has one `<s>` in front and one `</s>` behind.
"""

import math
from collections import Counter, defaultdict
from functools import cache

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
NAMES = (UNK, BOS, EOS)
FALLBACK = (0.5, 1.0, 1.5)


# Counting.


def split_text(text):
    """Sentences of a text (bytes): lines end in line feeds only; space, tab, carriage return and NUL part words."""
    sentences = []
    for line in text.split(b"\n")[:-1]:
        for separator in (b"\t", b"\r", b"\0"):
            line = line.replace(separator, b" ")
        sentences.append([word.decode() for word in line.split(b" ") if word])
    return sentences


def without_marks(sentences):
    return [[word for word in sentence if word not in (BOS, EOS)] for sentence in sentences]


def vocabulary(sentences):
    """Words in the order of their ids: the special ones, then the others as they come."""
    return list(dict.fromkeys([*NAMES, *(word for sentence in without_marks(sentences) for word in sentence)]))


def marked(sentences):
    return [(BOS, *sentence, EOS) for sentence in without_marks(sentences)]


def count(sentences, order):
    """How often each n-gram occurs, a Counter for every order from 1 up."""
    levels = [Counter() for _ in range(order)]
    for sentence in marked(sentences):
        for k in range(1, order + 1):
            for start in range(len(sentence) - k + 1):
                levels[k - 1][sentence[start : start + k]] += 1
    return levels


def limited(sentences, most=None, minimum=1):
    """The sentences with words outside a limited vocabulary written as <unk>."""
    sentences = without_marks(sentences)
    seen = Counter(word for sentence in sentences for word in sentence if word != UNK)
    kept = [word for word in seen if seen[word] >= minimum]  # in the order of first appearance
    if most is not None:
        kept = sorted(kept, key=lambda word: -seen[word])[:most]  # stable: of equals the first seen
    return [[word if word in kept else UNK for word in sentence] for sentence in sentences]


# Smoothing.


class Model:
    """p(w | h) of a smoothed n-gram model, straight from the definitions.

    `words`: the vocabulary in the order of ids, if it is not that of the text. `fallen` lists
    the orders whose discounts fell back.
    """

    def __init__(
        self, sentences, order, method, *, open_vocabulary=True, prune=(), k=1.0, alpha=0.4, discount=None,
        weights=None, words=None,
    ):  # fmt: skip
        self.order, self.method, self.k, self.alpha, self.weights = order, method, k, alpha, weights
        self.words = words or vocabulary(sentences)
        self.raw = count(sentences, order)
        self.has_unknown = open_vocabulary or self.raw[0][(UNK,)] > 0
        self.size = len(self.words) - 1 - (not self.has_unknown)
        thresholds = list(prune) or [0]
        self.thresholds = (thresholds + [thresholds[-1]] * order)[:order]
        self.fallen = []
        self.used = [self._used(place) for place in range(order)]
        self.after = []
        for grams in self.used:
            table = defaultdict(dict)
            for gram, number in grams.items():
                if gram != (BOS,) and number:
                    table[gram[:-1]][gram[-1]] = number
            self.after.append(dict(table))
        self.discounts = [self._discounts(place, discount) for place in range(order)]
        self.p = cache(self._p)
        self._context = cache(self._context)

    def _used(self, place):
        """The counts that an order is estimated from: for Kneser-Ney below the highest how many words come before."""
        raw = self.raw[place]
        if "kneser-ney" not in self.method or place == self.order - 1:
            return dict(raw)
        before = Counter(gram[1:] for gram in self.raw[place + 1])
        return {gram: number if gram[0] == BOS else before[gram] for gram, number in raw.items()}

    def _counts_of_counts(self, place):
        used = {gram: number for gram, number in self.used[place].items() if gram != (BOS,)}
        if self.method == "modified-kneser-ney" and place < self.order - 1:
            # What lmplz does: the last n-gram in suffix order, and the last of those that end in it, and so
            # on, are still open when the input ends, and enter the statistics by their raw counts.
            # Unigrams are all words of the vocabulary, seen or not.
            number = {word: place for place, word in enumerate(self.words)}
            last = (self.words[-1],)
            for grams in self.raw[1 : place + 1]:
                ending = [gram for gram in grams if gram[1:] == last]
                last = max(ending, key=lambda gram: number[gram[0]], default=None)
                if last is None:
                    break
            if last is not None and last in used:
                used[last] = self.raw[place][last]
        return Counter(used.values())

    def _fallen(self, place, *values):
        self.fallen.append(place + 1)
        return values

    def _discounts(self, place, given):
        n = self._counts_of_counts(place)
        if self.method == "modified-kneser-ney":
            if not (n[1] and n[2] and n[3]):
                return self._fallen(place, *FALLBACK)
            y = n[1] / (n[1] + 2 * n[2])
            found = (1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
            good = all(0 <= value <= most for value, most in zip(found, (1, 2, 3), strict=True))
            return found if good else self._fallen(place, *FALLBACK)
        if self.method in ("kneser-ney", "absolute"):
            if given is not None:
                return (given,)
            return (n[1] / (n[1] + 2 * n[2]),) if n[1] and n[2] else self._fallen(place, FALLBACK[0])
        if self.method == "katz":
            return self._good_turing(n, place)
        return ()

    def _good_turing(self, n, place):
        """Discount ratios d_1 to d_k, for the largest k up to 5 that gives sensible ones."""
        for most in (5, 4, 3, 2, 1):
            if any(n[r] == 0 for r in range(1, most + 2)):
                continue
            common = (most + 1) * n[most + 1] / n[1]
            if common >= 1:
                continue
            ratios = tuple(((r + 1) * n[r + 1] / n[r] / r - common) / (1 - common) for r in range(1, most + 1))
            if all(0 < ratio < 1 for ratio in ratios):
                return ratios
        return self._fallen(place, FALLBACK[0])

    def uniform(self, word):
        return 0.0 if word == BOS or (word == UNK and not self.has_unknown) else 1.0 / self.size

    def predicted(self):
        """Words that can follow."""
        return [word for word in self.words if word != BOS]

    def _p(self, word, history=()):
        history = tuple(history)[-(self.order - 1) :] if self.order > 1 else ()
        if word == BOS:
            return 0.0
        shorter = self.p(word, history[1:]) if history else self.uniform(word)
        seen, listed, weight = self._context(history)
        if seen is None:  # the context never occurred, or was pruned
            return shorter * (self.alpha if history and self.method == "stupid-backoff" else 1.0)
        return listed(word, shorter) if word in seen else weight * shorter

    def _context(self, history):
        """Words listed after a history, their probability given that of the shorter history, and the backoff weight."""
        place = len(history)
        counts = self.after[place].get(history) if place < self.order else None
        if not counts:
            return None, None, None
        if place and self.raw[place - 1][history] <= self.thresholds[place - 1]:
            return None, None, None
        kept = {word for word in counts if self.raw[place][(*history, word)] > self.thresholds[place] or not place}
        total, types = sum(counts.values()), len(counts)
        method = self.method
        if method in ("modified-kneser-ney", "kneser-ney", "absolute"):
            table = self.discounts[place]

            def share(word):
                return (counts[word] - table[min(counts[word], len(table)) - 1]) / total
        elif method == "witten-bell":

            def share(word):
                return counts[word] / (total + types)
        elif method == "mle":

            def share(word):
                return counts[word] / total
        elif method == "jelinek-mercer":
            own = self.weights[place][min(total.bit_length() - 1, 23)]

            def share(word):
                return own * counts[word] / total
        elif method == "add-k":
            if place < self.order - 1 and history[:1] != (BOS,):
                return None, None, None  # only full contexts are smoothed, and those that begin a sentence

            def share(word):
                return counts[word] / (total + self.k * self.size)
        elif method == "stupid-backoff":
            return counts, lambda word, _: counts[word] / total, self.alpha
        else:
            return self._katz(history, counts, total)
        weight = 1.0 - math.fsum(share(word) for word in kept)
        return kept, lambda word, shorter: share(word) + weight * shorter, weight

    def _katz(self, history, counts, total):
        ratios = self.discounts[len(history)]
        discounted = {c: c * ratios[c - 1] if c <= len(ratios) else float(c) for c in set(counts.values())}
        if math.fsum(discounted[c] for c in counts.values()) >= total * (1 - 1e-12):
            total += 1
        shares = {word: discounted[c] / total for word, c in counts.items()}
        left = 1.0 - math.fsum(shares.values())
        shorter = {word: self.p(word, history[1:]) if history else self.uniform(word) for word in self.predicted()}
        reached = math.fsum(value for word, value in shorter.items() if word not in shares)
        if reached > 1e-12:
            return counts, lambda word, _: shares[word], left / reached
        whole = math.fsum(shares.values())
        return counts, lambda word, _: shares[word] / whole, 0.0


# Backoff models as ARPA files have them.


class Backoff:
    """An ARPA file (text) as dictionaries; p(w | h) by the longest listed n-gram."""

    def __init__(self, text):
        self.log10, self.backoff = {}, {}
        order = 0
        for line in text[text.index("\\data\\") :].splitlines():
            if line.startswith("\\") and line.rstrip().endswith("-grams:"):
                order = int(line[1 : line.index("-")])
            elif line.startswith("\\end\\"):
                break
            elif order and line.strip() and not line.startswith("\\"):
                fields = line.split()
                gram = tuple(UNK if word == "<UNK>" else word for word in fields[1 : order + 1])
                self.log10[gram] = self._log(fields[0])
                self.backoff[gram] = self._log(fields[order + 1]) if len(fields) > order + 1 else 0.0
        self.order = order

    @staticmethod
    def _log(field):
        return -math.inf if float(field) <= -99 else float(field)

    def score(self, word, history):
        """log10 p(w | h)."""
        history = tuple(history)[-(self.order - 1) :] if self.order > 1 else ()
        gram = (*history, word)
        if gram in self.log10:
            return self.log10[gram]
        if not history:
            return -math.inf
        return self.backoff.get(history, 0.0) + self.score(word, history[1:])
