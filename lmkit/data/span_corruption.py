r"""Span corruption: runs of tokens are replaced by sentinels, and the target has what was removed. Knows no files.

Raffel et al. (2020), section 3.1.4 and figure 2:

    text    Thank you for inviting me to your party last week
    input   Thank you <extra_id_0> me to your party <extra_id_1> week
    target  <extra_id_0> for inviting <extra_id_1> last <extra_id_2>

Sentinels are in order, and the target ends with the next one. `SpanCorruption` works on the ids of a tokenizer that has
the sentinels. In texts a sentinel is its name, and what spells such a name already gets a backslash behind its `<`, so
that `restored` gives every text back: `<extra_id_7>` becomes `<\extra_id_7>`, and that `<\\extra_id_7>`.

N tokens, S sentinels, K spans.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import I32, I64, Ints, Tokenizer

RATE = 0.15
MEAN_LENGTH = 3.0
_SENTINEL = re.compile(r"<extra_id_([0-9]+)>")
_PLAIN, _ESCAPED = re.compile(r"<(\\*extra_id_[0-9]+>)"), re.compile(r"<\\(\\*extra_id_[0-9]+>)")


def sentinel(number: int) -> str:
    """Return the name of a sentinel, counted from 0."""
    return f"<extra_id_{number}>"


class Corrupted(NamedTuple):
    """What a model reads and what it is to write, ids without start and end tokens."""

    inputs: I32
    targets: I32


class Spans(NamedTuple):
    """Where spans begin and end in order, (K,) each; between two of them at least one token stays."""

    begins: I64
    ends: I64

    @property
    def tokens(self) -> int:
        """The number of tokens in all spans."""
        return int((self.ends - self.begins).sum())


def random_spans(
    size: int, generator: np.random.Generator, rate: float = RATE, mean_length: float = MEAN_LENGTH, most: int = 1 << 62
) -> Spans:
    """Draw spans of a text of N tokens: `rate` x N tokens to within one, in at most `most` spans of any lengths.

    At least one token is removed of two or more, and one stays, but for rates of 0 and 1. All ways to divide the
    tokens into so many spans are equally likely, and so are all ways to place these.
    """
    removed, count = _amounts(size, rate, mean_length, most)
    return placed(_composition(removed, count, generator), size, generator) if count else Spans(*np.zeros((2, 0), int))


def _amounts(size: int, rate: float, mean_length: float, most: int) -> tuple[int, int]:
    """How many tokens are removed of a text, and in how many spans."""
    removed = round(size * rate)
    if 0 < rate < 1 and size > 1:
        removed = min(max(removed, 1), size - 1)
    return removed, min(max(1, round(removed / mean_length)), size - removed + 1, most, removed)


def placed(lengths: I64, size: int, generator: np.random.Generator) -> Spans:
    """Place spans of the given lengths, (K,), in this order in a text of N tokens; N - their sum + 1 >= K."""
    gaps = _composition(size - int(lengths.sum()) + 2, len(lengths) + 1, generator)  # both outer ones may be empty
    gaps[0] -= 1
    begins = np.cumsum(gaps[:-1]) + np.append(0, np.cumsum(lengths)[:-1])
    return Spans(begins, begins + lengths)


def _composition(total: int, parts: int, generator: np.random.Generator) -> I64:
    """Divide a number into positive parts, (parts,), all ways being equally likely."""
    if parts == 1:
        return np.array([total])
    cuts = np.sort(generator.choice(max(1, total - 1), parts - 1, replace=False, shuffle=False)) + 1
    return np.diff(np.concatenate(([0], cuts, [total]))).astype(np.int64)


@dataclass(frozen=True)
class SpanCorruption:
    """Span corruption of ids.

    sentinels    their ids in order, (S,); a text gets at most S - 1 spans, so that longer ones have longer spans
    rate         share of the tokens that is removed
    mean_length  of the spans
    """

    sentinels: I32
    rate: float = RATE
    mean_length: float = MEAN_LENGTH

    @classmethod
    def of(cls, tokenizer: Tokenizer, rate: float = RATE, mean_length: float = MEAN_LENGTH) -> "SpanCorruption":
        """Return the corruption with a tokenizer's own sentinels. Raises CheckpointError where it has not two."""
        found: list[int] = []
        while (name := sentinel(len(found)).encode()) in tokenizer.names:
            found.append(tokenizer.names[name])
        if len(found) < 2:
            raise CheckpointError(
                f"its tokenizer has no sentinels, {sentinel(0)} and others",
                hint="`lmkit bpe train --sentinels 100` makes one that has them",
            )
        return cls(np.array(found, dtype=np.int32), rate, mean_length)

    def lengths(self, sizes: I64) -> tuple[I64, I64]:
        """How many tokens inputs and targets have of texts of so many tokens, (B,) of each."""
        most = len(self.sentinels) - 1
        found = [_amounts(size, self.rate, self.mean_length, most) for size in sizes.tolist()]
        removed, spans = np.array(found, dtype=np.int64).reshape(-1, 2).T
        return sizes - removed + spans, removed + spans + 1

    def apply(self, ids: Ints, generator: np.random.Generator) -> Corrupted:
        """Corrupt the ids of a text, (N,)."""
        spans = random_spans(len(ids), generator, self.rate, self.mean_length, len(self.sentinels) - 1)
        inputs, targets = [], []
        before = 0
        for number, (begin, end) in enumerate(zip(*spans, strict=True)):
            own = self.sentinels[number : number + 1]
            inputs += [ids[before:begin], own]
            targets += [own, ids[begin:end]]
            before = end
        targets.append(self.sentinels[len(spans.begins) : len(spans.begins) + 1])
        return Corrupted(_joined([*inputs, ids[before:]]), _joined(targets))


def _joined(parts: Sequence[Ints]) -> I32:
    return np.concatenate(parts).astype(np.int32)


# Texts.


def corrupted(text: str, starts: Sequence[int], ends: Sequence[int], spans: Spans) -> tuple[str, str]:
    """Return input and target of a text whose N tokens lie from `starts` to `ends`, in characters.

    What is between two tokens goes with them where both are in one span, else it stays in the input.
    """
    inputs, targets = [], []
    before = 0
    for number, (first, end) in enumerate(zip(spans.begins.tolist(), spans.ends.tolist(), strict=True)):
        begin, behind = starts[first], ends[end - 1]
        inputs += [_PLAIN.sub(r"<\\\1", text[before:begin]), sentinel(number)]
        targets += [sentinel(number), _PLAIN.sub(r"<\\\1", text[begin:behind])]
        before = behind
    inputs.append(_PLAIN.sub(r"<\\\1", text[before:]))
    return "".join(inputs), " ".join([*targets, sentinel(len(spans.begins))])


def restored(source: str, target: str) -> str:
    """Return the text of an input and its target. Raises DataError where their sentinels are not the same in order."""
    kept, removed = _SENTINEL.split(source), _SENTINEL.split(target)
    numbers = [str(number) for number in range(len(removed) // 2)]
    if removed[0] or removed[-1] or not numbers or removed[1::2] != numbers:
        raise DataError(f"the target does not have the sentinels {sentinel(0)}, ... in order, the last at its end")
    if kept[1::2] != numbers[:-1]:
        raise DataError(
            f"the input does not have the sentinels of its target in order, up to {sentinel(len(numbers) - 2)}"
            if len(numbers) > 1
            else "the input has sentinels, and its target has no spans"
        )
    parts = [kept[0]]
    for span, behind in zip(removed[2:-1:2], kept[2::2], strict=True):
        if len(span) < 2 or span[0] != " " or span[-1] != " ":
            raise DataError("the target has no spaces around its sentinels")
        parts += [span[1:-1], behind]
    return "".join(_ESCAPED.sub(r"<\1", part) for part in parts)
