"""Learning a unigram vocabulary (Kudo 2018) as sentencepiece does: expectation-maximisation, and pruning by likelihood.

A word's probability is the sum over all segmentations of the product of its pieces' probabilities. From many
frequent substrings the pieces are reduced, a quarter at a time, to those whose loss would cost most likelihood.
Words begin with U+2581, characters are always pieces. What is learned is a tokenizer.json as of a SentencePiece model.

U words, N characters of all words, V pieces.
"""

import json
from collections.abc import Callable, Sequence

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import F64, I64, U64, Bool
from lmkit.tokenization.bpe.pretoken_counts import Counter, PretokenCounts
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.formats import sentencepiece
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.normalizers import META
from lmkit.tokenization.word_lattice import Lattice, Text

NAMES = (b"<unk>", b"<s>", b"</s>")
COVERAGE = 0.9995
"""Share of all characters that the alphabet has; the rarest others are unknown."""
LONGEST_PIECE, LONGEST_WORD = 16, 100
SEEDS = 16
"""How many times the vocabulary the substrings are that learning begins with."""
KEPT, SURPLUS, LEAST = 0.75, 1.1, 0.5
"""Share of the pieces that a pruning keeps; what it stops at, by the vocabulary; expected counts that are kept."""
_ROUNDS = 2
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Unreachable(Exception):
    """A vocabulary cannot have so many pieces, or so few; `pieces` is how many it can have."""

    def __init__(self, pieces: int) -> None:
        super().__init__(pieces)
        self.pieces = pieces


class WordCounter:
    """Counts the words, between white space, of blocks of whole lines."""

    def __init__(self) -> None:
        self._counter = Counter(Scheme(level="char", pattern="whitespace"))

    def add(self, block: bytes) -> None:
        """Count a block's words."""
        self._counter.add(self._counter.scan(block))

    def total(self) -> PretokenCounts:
        """Return all that was counted."""
        return self._counter.total()


def fit(
    counts: PretokenCounts, size: int, *, special: Sequence[str] = (), progress: Callable[[int], None] = lambda _: None
) -> HuggingFaceTokenizer:
    """Return a tokenizer of `size` pieces: special tokens, characters, and the pieces that are learned.

    Raises DataError, with what can be reached, where the size can't be.
    """
    text = _words(counts)
    names = [*(name.decode() for name in NAMES), *special]
    try:
        pieces, scores = learn(text, size - len(names), progress)
    except Unreachable as found:
        possible = found.pieces + len(names)
        if possible > size:
            raise DataError(
                f"a vocabulary of {size} can't hold {len(names)} special tokens and {found.pieces} characters",
                hint=f"--vocab-size {possible} or more",
            ) from None
        raise DataError(
            f"a vocabulary of {size} can't be reached: this text has pieces for {possible}",
            hint=f"--vocab-size {possible}, or more text",
        ) from None
    scored = [(piece, float(score), sentencepiece.NORMAL) for piece, score in zip(pieces, scores, strict=True)]
    kinds = [sentencepiece.UNKNOWN, *[sentencepiece.CONTROL] * (len(names) - 1)]
    model = sentencepiece.Model([*((name, 0.0, kind) for name, kind in zip(names, kinds, strict=True)), *scored])
    document = json.dumps(sentencepiece.checked_document(model), ensure_ascii=False, indent=1) + "\n"
    return HuggingFaceTokenizer.from_json(document.encode(), dict(model.names))


def _words(counts: PretokenCounts) -> Text:
    """The words that the alphabet spells, U+2581 in front. Raises DataError where none is left."""
    points = np.frombuffer(counts.blob.tobytes().decode().encode("utf-32-le"), dtype="<i4").astype(np.int64)
    ends = np.append(0, np.cumsum((counts.blob & 0xC0) != 0x80))[counts.offsets]
    lengths: I64 = np.diff(ends)
    seen, inverse = np.unique(points, return_inverse=True)
    frequency = np.bincount(inverse, np.repeat(counts.counts, lengths), minlength=len(seen))
    order = np.lexsort((seen, -frequency))
    before = np.cumsum(frequency[order]) - frequency[order]
    kept = np.zeros(len(seen), dtype=np.bool_)
    kept[order[before < COVERAGE * frequency.sum()]] = True
    usable: Bool = (lengths < LONGEST_WORD) & np.logical_and.reduceat(kept[inverse], ends[:-1])
    if not usable.any():
        raise DataError(f"no words to learn from: all are longer than {LONGEST_WORD - 1} characters")
    spelled = np.insert(points, ends[:-1], ord(META))[np.repeat(usable, lengths + 1)]
    return Text(spelled, lengths[usable] + 1, counts.counts[usable])


def learn(text: Text, size: int, progress: Callable[[int], None]) -> tuple[list[str], F64]:
    """Return `size` pieces, most probable first, and their scores in nats. Raises Unreachable."""
    spellings, seeds, lattice = _seeds(text, SEEDS * size)
    characters = np.array([len(piece) == 1 for piece in spellings])
    if size < int(characters.sum()):
        raise Unreachable(int(characters.sum()))
    scores = np.log(seeds / seeds.sum())
    while True:
        for _ in range(_ROUNDS):
            expected, _ = lattice.expected(scores, text.counts)
            kept = (expected >= LEAST) | characters
            spellings, characters, lattice = _keep(kept, spellings, characters, lattice)
            scores = _digamma_scores(np.maximum(expected[kept], 1e-3))
        wanted = max(int(SURPLUS * size), int(KEPT * len(spellings)))
        progress(min(size, int(size * size * SURPLUS / max(1, len(spellings)))))
        if len(spellings) <= int(SURPLUS * size):
            break
        kept = characters | _most_costly(text, lattice, scores, spellings, wanted)
        if kept.all():
            break
        spellings, characters, lattice = _keep(kept, spellings, characters, lattice)
        scores = scores[kept]
    if len(spellings) < size:
        raise Unreachable(len(spellings))
    order = np.lexsort((np.arange(len(scores)), -scores, ~characters))[:size]
    order = order[np.argsort(-scores[order], kind="stable")]
    return [spellings[place] for place in order.tolist()], scores[order]


def _keep(kept: Bool, spellings: list[str], characters: Bool, lattice: Lattice) -> tuple[list[str], Bool, Lattice]:
    """Return the pieces that are kept, which of them are characters, and their lattice."""
    own = [piece for piece, there in zip(spellings, kept.tolist(), strict=True) if there]
    return own, characters[kept], lattice.only(kept, np.cumsum(kept) - 1)


def _digamma_scores(counts: F64) -> F64:
    """E[log p] under a Dirichlet posterior, which favours few pieces: digamma(count) - digamma(all)."""
    scores: F64 = _digamma(counts) - _digamma(np.array([counts.sum()]))
    return scores


def _digamma(x: F64) -> F64:
    """d/dx log gamma(x): its recurrence up to 7, and the asymptotic series beyond."""
    found = np.zeros_like(x)
    x = x.copy()
    for _ in range(7):
        small = x < 7
        found[small] -= 1 / x[small]
        x[small] += 1
    square = 1 / (x * x)
    series: F64 = found + np.log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square / 252))
    return series


def _seeds(text: Text, most: int) -> tuple[list[str], F64, Lattice]:
    """All characters and the substrings of two or more that occur often and are long: spellings, weights, lattice."""
    total = len(text.points)
    left = np.repeat(text.begins + text.lengths, text.lengths) - np.arange(total)  # characters up to the word's end
    weight = np.repeat(text.counts, text.lengths)
    keys = np.zeros(total, dtype=np.uint64)
    found: list[tuple[I64, I64, F64]] = []  # a place of each substring, its size, its weight
    owners: list[tuple[I64, I64]] = []
    for length in range(1, LONGEST_PIECE + 1):
        places = np.flatnonzero(left >= length)
        if not len(places):
            break
        keys[places] = _mixed(keys[places], text.points[places + length - 1])
        _, first, inverse = np.unique(keys[places], return_index=True, return_inverse=True)
        frequency: F64 = np.bincount(inverse, weight[places]).astype(np.float64)
        good = (frequency >= 2) | (length == 1)
        number = np.where(good, np.cumsum(good) - 1, -1)[inverse]
        found.append((places[first[good]], np.full(int(good.sum()), length), frequency[good] * length))
        owners.append((number[number >= 0], places[number >= 0]))
        alive = np.zeros(total, dtype=np.bool_)
        alive[places[number >= 0]] = True
        left = np.where(alive, left, 0)  # a substring is no more frequent than its beginning
    weights = np.concatenate([part[2] for part in found])
    sizes = np.concatenate([part[1] for part in found])
    order = np.lexsort((np.arange(len(weights)), -weights, sizes > 1))
    kept = np.zeros(len(weights), dtype=np.bool_)
    kept[order[: max(most, len(found[0][0]))]] = True
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    offsets = np.cumsum([0, *(len(part[0]) for part in found)])
    edges = [
        (places[there], np.full(int(there.sum()), length), number[offset + own[there]])
        for (own, places), length, offset in zip(owners, range(1, LONGEST_PIECE + 1), offsets.tolist(), strict=False)
        for there in [number[offset + own] >= 0]
    ]
    begins, lengths, pieces = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    starts = np.concatenate([part[0] for part in found])[kept]
    characters = text.points.astype("<u4").tobytes().decode("utf-32-le")
    spellings = [characters[a : a + n] for a, n in zip(starts.tolist(), sizes[kept].tolist(), strict=True)]
    return spellings, weights[kept], Lattice.of(text, begins, lengths, pieces)


def _mixed(keys: U64, points: I64) -> U64:
    """A hash of texts that are one character longer."""
    mixed = (keys ^ points.astype(np.uint64)) * _MULTIPLIER
    spread: U64 = mixed ^ (mixed >> np.uint64(31))
    return spread


def _most_costly(text: Text, lattice: Lattice, scores: F64, spellings: list[str], most: int) -> Bool:
    """Which pieces to keep, (V,): the `most` whose removal would cost most likelihood, as sentencepiece estimates it.

    A piece is replaced by its second best segmentation; one that is not its own best is removed.
    """
    back, _ = lattice.best(scores)
    frequency = np.zeros(len(scores))
    for words, edges in lattice.paths(back):
        frequency += np.bincount(lattice.pieces[edges], text.counts[words], minlength=len(scores))
    within = _inner_lattice(spellings)
    back, nats = within.best(scores)
    alternative = nats[within.last]
    whole = frequency.sum()
    added, longer = np.zeros(len(scores)), np.full(len(scores), -1.0)
    safe = np.maximum(frequency, 1e-9)
    for words, edges in within.paths(back):
        added[words] += np.log(safe[within.pieces[edges]] + safe[words])
        longer[words] += 1
    spelled = np.isfinite(alternative)
    steps = np.maximum(longer, 0.0)
    other = added - (steps + 1) * np.log(whole + safe * steps)
    cost = frequency / whole * (np.log(safe) - np.log(whole) - other)
    cost = np.where(spelled, np.where(scores < alternative, -np.inf, cost), np.inf)
    cost[frequency == 0] = -np.inf
    order = np.argsort(-cost, kind="stable")
    kept = np.zeros(len(scores), dtype=np.bool_)
    kept[order[:most]] = True
    return kept & (cost > -np.inf)


def _inner_lattice(spellings: list[str]) -> Lattice:
    """The pieces as words, with the edges of all pieces but themselves."""
    ids = {piece: number for number, piece in enumerate(spellings)}
    begins, sizes, pieces, start = list[int](), list[int](), list[int](), 0
    for piece in spellings:
        for begin in range(len(piece)):
            for end in range(begin + 1, len(piece) + 1):
                number = ids.get(piece[begin:end], -1)
                if number >= 0 and end - begin < len(piece):
                    begins.append(start + begin)
                    sizes.append(end - begin)
                    pieces.append(number)
        start += len(piece)
    lengths = np.array([len(piece) for piece in spellings], dtype=np.int64)
    text = Text(np.zeros(start, dtype=np.int64), lengths, np.ones(len(lengths), dtype=np.int64))
    return Lattice.of(text, np.array(begins, np.int64), np.array(sizes, np.int64), np.array(pieces, np.int64))
