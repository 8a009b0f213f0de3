"""Perplexity and its relatives, for any language model.

Total nats are summed over tokens; perplexity = exp(nats / tokens); bits are nats / ln 2.
Knows no files: blocks of whole lines come in, totals come out. What bits are divided by is the
whole text, so that models compare whatever their tokens are and whatever of a text these leave
out (white space between words, blank lines between documents).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from lmkit.data.parallel_map import in_order
from lmkit.data.sequences import reaches_over_lines
from lmkit.evaluation.parallel_readers import in_step
from lmkit.protocols import F64, I32, I64, LanguageModel, TokenScore, explains, order_of
from lmkit.tokenization.line_ends import with_line_ends
from lmkit.tokenization.words import is_separator

LN2 = math.log(2.0)
SHOWN = 10  # tokens of probability zero that are named


class Measure(NamedTuple):
    """Sizes of a text in the units that bits are divided by."""

    lines: int
    words: int
    characters: int
    size: int


def measure(block: bytes) -> Measure:
    """Lines, words between white space, characters and bytes, line ends included; begins outside a word."""
    text = np.frombuffer(block, dtype=np.uint8)
    blank = is_separator(text)
    words = np.count_nonzero(blank[:-1] & ~blank[1:]) + np.count_nonzero(~blank[:1])
    continuation = 0 if block.isascii() else int(np.count_nonzero((text & 0xC0) == 0x80))
    return Measure(block.count(b"\n"), int(words), len(block) - continuation, len(block))


@dataclass
class Totals:
    """What a text cost under a model. Sums; the rest is derived."""

    tokens: int = 0
    unknown_tokens: int = 0
    nats: float = 0.0
    nats_known: float = 0.0
    words: int = 0
    characters: int = 0
    bytes: int = 0
    impossible: list[tuple[int, ...]] = field(default_factory=list)
    """The first few n-grams of probability zero, as ids."""

    def add(self, other: "Totals") -> None:
        """Adds another text's totals."""
        self.tokens += other.tokens
        self.unknown_tokens += other.unknown_tokens
        self.nats += other.nats
        self.nats_known += other.nats_known
        self.words += other.words
        self.characters += other.characters
        self.bytes += other.bytes
        self.impossible = (self.impossible + other.impossible)[:SHOWN]

    @property
    def perplexity(self) -> float:
        """exp of mean nats over all tokens, unknown ones at the model's unknown probability."""
        return perplexity(-self.nats, self.tokens)

    @property
    def perplexity_known(self) -> float:
        """exp of mean nats over the tokens that the vocabulary has."""
        return perplexity(-self.nats_known, self.tokens - self.unknown_tokens)

    def bits_per(self, count: int) -> float:
        """Total bits over a number of units; infinite where there are none but bits."""
        if not count:
            return 0.0 if not self.nats else math.inf
        return (0.0 - self.nats) / LN2 / count  # certainty is 0, not -0


def perplexity(nats: float, count: int) -> float:
    """exp(nats / count) of a surprisal in nats over some tokens; 1 for none, infinite beyond what floats hold."""
    if not count:
        return 1.0
    try:
        return math.exp(nats / count)
    except OverflowError:
        return math.inf


def probability(nats: float) -> float:
    """exp(nats); infinite beyond what floats hold, as scores of imported files may be."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def perplexity_of(scores: F64, *, logarithms: bool = True) -> float:
    """exp of minus the mean log-probability of tokens, (N,), given in nats or else as probabilities."""
    with np.errstate(divide="ignore"):
        nats = scores if logarithms else np.log(scores)
    try:
        return perplexity(-math.fsum(nats.tolist()), len(nats))
    except OverflowError:  # none is above 0, so that only minus infinity is that far
        return math.inf


def score_block(model: LanguageModel, block: bytes, *, eos: bool = True) -> tuple[I32, I64, F64]:
    """Ids of whole lines, where each line ends, and the nats of each token (log-probabilities, at most 0).

    Each line is scored alone. Its end is scored with it if `eos`, and if it is a token to the model.
    """
    ids, ends = model.tokenizer.encode_block(block)
    if eos and model.form.newline_id is not None:
        ids, ends = with_line_ends(ids, ends, model.form.newline_id)
    return ids, ends, model.score_many(ids, ends)


def evaluate(model: LanguageModel, blocks: Iterable[bytes], *, eos: bool = True, threads: int = 1) -> Iterator[Totals]:
    """The totals of the parts of one text given in blocks of whole lines, as they get known; their sum is the text's.

    Models of lines may leave out the ends (`eos`) and use several threads. Others read the text
    from its beginning, each token once, with what they know of all before it.
    """
    if not reaches_over_lines(model.form):
        yield from in_order(partial(evaluate_block, model, eos=eos), blocks, threads)
        return
    sizes = Totals()
    for ids, nats in model.read(measured(blocks, sizes)):
        yield totals_of(model, ids, nats)
    yield sizes


def evaluate_all(
    models: Sequence[LanguageModel], blocks: Iterable[bytes], *, eos: bool = True, threads: int = 1
) -> list[Totals]:
    """The totals of one text under each of several models, read once; see `evaluate`.

    Where line ends are text to one of the models, the blocks are the text as it is.
    """
    as_it_is = any(model.form.newline_id is None for model in models)

    def reader(model: LanguageModel) -> Callable[[Iterable[bytes]], Iterator[Totals]]:
        def read(copy: Iterable[bytes]) -> Iterator[Totals]:
            lines = whole_lines(copy) if as_it_is and model.form.newline_id is not None else copy
            return evaluate(model, lines, eos=eos, threads=threads)

        return read

    totals = [Totals() for _ in models]
    for number, part in in_step([reader(model) for model in models], blocks):
        totals[number].add(part)
    return totals


def evaluate_block(model: LanguageModel, block: bytes, *, eos: bool = True) -> Totals:
    """The totals of whole lines, each on its own."""
    ids, ends, nats = score_block(model, block, eos=eos)
    totals = totals_of(model, ids, nats, ends)
    sizes = measure(block)
    left_out = 0 if eos else sizes.lines
    totals.words = sizes.words
    totals.characters = sizes.characters - left_out
    totals.bytes = sizes.size - left_out
    return totals


def measured(blocks: Iterable[bytes], sizes: Totals) -> Iterator[bytes]:
    """The same blocks; their words, characters and bytes are added to `sizes` on the way."""
    for block in blocks:
        found = measure(block)
        sizes.add(Totals(words=found.words, characters=found.characters, bytes=found.size))
        yield block


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    r"""A text as it is, in pieces that each but the last end a line, as lines that all end with `\n` alone."""
    for piece in pieces:
        lines = piece.replace(b"\r\n", b"\n")
        yield lines if lines.endswith(b"\n") else lines + b"\n"


def totals_of(model: LanguageModel, ids: I32, nats: F64, ends: I64 | None = None) -> Totals:
    """The totals of scored tokens without the text's sizes; `ends` of lines on their own, if not at `newline_id`."""
    unknown = ids == model.tokenizer.specials.get("unk", -1)
    if ends is None:
        alone = not reaches_over_lines(model.form)
        ends = np.flatnonzero(ids == model.form.newline_id) + 1 if alone else np.array([len(ids)])
    return Totals(
        tokens=len(ids),
        unknown_tokens=int(np.count_nonzero(unknown)),
        nats=float(nats.sum()),
        nats_known=float(nats[~unknown].sum()),
        impossible=_impossible(model, ids, ends, nats),
    )


def _impossible(model: LanguageModel, ids: I32, ends: I64, nats: F64) -> list[tuple[int, ...]]:
    """The first few tokens of probability zero, each with the context that the model saw."""
    places = np.flatnonzero(np.isneginf(nats))[:SHOWN].tolist()
    width = order_of(model) or 1
    shown = []
    for place in places:
        line = int(np.searchsorted(ends, place, side="right"))
        begin = max(int(ends[line - 1]) if line else 0, place + 1 - width)
        shown.append(tuple(ids[begin : place + 1].tolist()))
    return shown


@dataclass(frozen=True)
class Line:
    """One line's tokens and their nats."""

    text: bytes
    ids: I32
    nats: F64

    @property
    def total(self) -> float:
        """Log-probability of the line in nats."""
        return float(self.nats.sum())

    @property
    def perplexity(self) -> float:
        """exp of the line's mean nats."""
        return perplexity(-self.total, len(self.nats))


def lines_of(model: LanguageModel, blocks: Iterable[bytes], *, eos: bool = True) -> Iterator[Line]:
    """Each line of a text with its tokens' nats, as the blocks come."""
    for block in blocks:
        ids, ends, nats = score_block(model, block, eos=eos)
        begin = 0
        for text, end in zip(block[:-1].split(b"\n"), ends.tolist(), strict=True):
            yield Line(text, ids[begin:end], nats[begin:end])
            begin = end


def factors_of(model: LanguageModel, line: Line) -> Sequence[TokenScore]:
    """The factors of a line's probability: as the model explains them, if it does, else with the whole line before."""
    ids = line.ids.tolist()
    if explains(model):
        return model.explain(ids)
    return [TokenScore(token, tuple(ids[:at]), at + 1, line.nats[at].item()) for at, token in enumerate(ids)]


def three_perplexities(model: LanguageModel, lines: Iterable[Line]) -> dict[str, float]:
    """The perplexity of a text by three formulas that must agree.

    M-th root of 1 / p(W); 2 to the mean surprisal H in bits; 2 to the cross-entropy
    -sum over distinct (context, token) of relative frequency times log2 p.
    """
    lines = list(lines)
    counts: dict[tuple[int, ...], int] = {}
    surprisal: dict[tuple[int, ...], float] = {}
    order = order_of(model)  # without one, a token's probability depends on all before it
    for line in lines:
        ids = line.ids.tolist()
        for place, nats in enumerate(line.nats.tolist()):
            begin = -1 if order is None else place + 1 - max(1, order)
            gram = (min(begin, 0) if order is not None else place, *ids[max(0, begin) : place + 1])
            counts[gram] = counts.get(gram, 0) + 1
            surprisal[gram] = -nats / LN2
    tokens = sum(counts.values())
    total = math.fsum(line.total for line in lines)
    bits = math.fsum(float(-line.nats.sum()) for line in lines) / LN2 / tokens if tokens else 0.0
    cross = math.fsum(count / tokens * surprisal[gram] for gram, count in counts.items())
    return {
        "tokens": tokens,
        "nats": total,
        "probability": probability(total),
        "bits_per_token": bits,
        "perplexity": perplexity(-total, tokens),
        "perplexity_from_entropy": _power(bits),
        "perplexity_from_cross_entropy": _power(cross),
    }


def _power(bits: float) -> float:
    return perplexity(bits * LN2, 1)
