"""Quality rules for documents, with their published thresholds: Gopher's, C4's, FineWeb's. Knows no files.

A rule is a measure of a document and the range in which it must be. Sources: Rae et al. 2021 (Gopher), appendix A.1 and
table A1; Raffel et al. 2020 (C4), section 2.2; Penedo et al. 2024 (FineWeb), section 3.6.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np

from lmkit.data.languages import language_of_words
from lmkit.protocols import I64, U64

STOP_WORDS: Mapping[str, frozenset[str]] = {
    "en": frozenset(("the", "be", "to", "of", "and", "that", "have", "with")),
    "es": frozenset(("de", "la", "que", "el", "en", "y", "los", "con")),
}
"""Gopher's for English; for Spanish eight of its most frequent words. Other documents are judged as English."""
TERMINAL = (".", "!", "?", '"', "”", "…", "»")
"""What ends a sentence."""
_BULLETS = ("•", "‣", "▪", "◦", "●", "-", "*", "\u2013")
_LETTERS = re.compile(r"[^\W\d_]+")
_ONLY_LETTERS = {code: " " for code in range(128) if not chr(code).isalpha()}
_SENTENCE_END = re.compile(r"[.!?]+[\"”»')]*(?:\s|$)")
_MIX = np.uint64(0x9E3779B97F4A7C15)
SHORT_LINE = 30
LONG = 20_000
"""Words of a document above which its n-grams are counted in arrays."""


class Document:
    """A text, and what rules measure of it, each computed when it is first asked for."""

    def __init__(self, text: str, stop_words: frozenset[str] | None = None) -> None:
        self.text = text
        self._stop_words = stop_words

    @cached_property
    def words(self) -> list[str]:
        """Stretches without white space."""
        return self.text.split()

    @cached_property
    def sizes(self) -> I64:
        """The characters of each word."""
        return np.fromiter(map(len, self.words), np.int64, len(self.words))

    @cached_property
    def characters(self) -> int:
        """The characters of all words."""
        return sum(map(len, self.words))

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank, without white space around them."""
        return [line.strip() for line in self.text.split("\n") if line.strip()]

    @cached_property
    def paragraphs(self) -> list[str]:
        """What blank lines separate."""
        return [part.strip() for part in re.split(r"\n[ \t]*\n", self.text) if part.strip()]

    @cached_property
    def language(self) -> str:
        """`es`, `en` or `other`; see `lmkit.data.languages`."""
        return language_of_words(self.plain_words)

    @cached_property
    def plain_words(self) -> list[str]:
        """Runs of letters, in lower case."""
        text = self.text.lower()
        return text.translate(_ONLY_LETTERS).split() if text.isascii() else _LETTERS.findall(text)

    @cached_property
    def _grams(self) -> dict[int, U64]:
        """A key of each n-gram of words, by n from 2 to the most for which any occurs twice, 10 at most."""
        numbers = {word: number for number, word in enumerate(dict.fromkeys(self.words), 1)}
        ids = np.array([numbers[word] for word in self.words], dtype=np.uint64)
        keys, found = ids, dict[int, U64]()
        for n in range(2, 11):
            keys = keys[:-1] * _MIX + ids[n - 1 :]
            keys = (keys ^ (keys >> np.uint64(29))) * _MIX
            ordered = np.sort(keys)
            if len(keys) < 2 or not (ordered[1:] == ordered[:-1]).any():
                break
            found[n] = keys
        return found

    def share(self, count: float) -> float:
        """Return a number over that of words, 0 without words."""
        return count / len(self.words) if self.words else 0.0

    def share_of_lines(self, chosen: Callable[[str], bool]) -> float:
        """Return the share of lines that are chosen, 0 without lines."""
        return sum(map(chosen, self.lines)) / len(self.lines) if self.lines else 0.0

    def stop_words(self) -> int:
        """Return how many different stop words of its language the document has."""
        stops = self._stop_words or STOP_WORDS.get(self.language, STOP_WORDS["en"])
        return len(stops.intersection(self.plain_words))

    @cached_property
    def _counts(self) -> dict[int, Counter[tuple[str, ...]]]:
        """The same for documents that are not long, where tuples are faster: the counts of n-grams."""
        found = dict[int, Counter[tuple[str, ...]]]()
        for n in range(2, 11):
            counts = Counter(zip(*(self.words[at:] for at in range(n)), strict=False))
            if len(counts) >= len(self.words) - n + 1:
                break
            found[n] = counts
        return found

    def top_gram(self, n: int) -> float:
        """Return the share of characters of words in occurrences of the n-gram that has most of them."""
        if len(self.words) <= LONG:
            repeated = [(gram, count) for gram, count in self._counts.get(n, {}).items() if count > 1]
            top = max([count * len("".join(gram)) for gram, count in repeated], default=0)
            return min(1.0, top / self.characters) if top else 0.0
        keys = self._grams.get(n)
        if keys is None:
            return 0.0
        sums = np.cumsum(self.sizes)
        sizes = sums[n - 1 :] - sums[: len(keys)] + self.sizes[: len(keys)]
        _, first, counts = np.unique(keys, return_index=True, return_counts=True)
        most = (counts * sizes[first])[counts > 1]
        return float(min(1.0, most.max() / sums[-1])) if len(most) else 0.0

    def repeated_grams(self, n: int) -> float:
        """Return the share of characters of words in n-grams that occurred before, each counted once."""
        if len(self.words) <= LONG and n not in self._counts:
            return 0.0
        keys = self._grams.get(n)
        if keys is None:
            return 0.0
        _, first = np.unique(keys, return_index=True)
        repeated = np.ones(len(keys), dtype=np.int64)
        repeated[first] = 0
        borders = np.zeros(len(self.words) + 1, dtype=np.int64)
        borders[: len(keys)] += repeated
        borders[n : n + len(keys)] -= repeated
        return float(self.sizes[np.cumsum(borders[:-1]) > 0].sum() / self.sizes.sum())


def _repeated(parts: Sequence[str]) -> list[str]:
    """Return the parts that came before."""
    seen: set[str] = set()
    return [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]


def _repeated_share(parts: Sequence[str]) -> float:
    return len(_repeated(parts)) / len(parts) if parts else 0.0


def _repeated_characters(parts: Sequence[str]) -> float:
    total = sum(map(len, parts))
    return sum(map(len, _repeated(parts))) / total if total else 0.0


class Rule(NamedTuple):
    """A measure and the range, ends included, in which a document is kept."""

    low: float
    high: float
    measure: Callable[[Document], float]
    what: str


def _top(n: int) -> Callable[[Document], float]:
    return lambda document: document.top_gram(n)


def _again(n: int) -> Callable[[Document], float]:
    return lambda document: document.repeated_grams(n)


def _lines(chosen: Callable[[str], bool]) -> Callable[[Document], float]:
    return lambda document: document.share_of_lines(chosen)


def _ellipses(document: Document) -> float:
    return document.share(document.text.count("...") + document.text.count("…"))


def _alphabetic(document: Document) -> float:
    others = [word for word in document.words if not word[0].isalpha()]
    without = sum(not any(map(str.isalpha, word)) for word in others)
    return document.share(len(document.words) - without)


_LINES, _CHARACTERS = "share of lines", "share of characters"
RULES: Mapping[str, Rule] = {
    "gopher-words": Rule(50, 100_000, lambda d: len(d.words), "words"),
    "gopher-word-length": Rule(3, 10, lambda d: d.share(d.characters), "mean characters of a word"),
    "gopher-hashes": Rule(0, 0.1, lambda d: d.share(d.text.count("#")), "`#` per word"),
    "gopher-ellipses": Rule(0, 0.1, _ellipses, "ellipses per word"),
    "gopher-bullets": Rule(0, 0.9, _lines(lambda line: line.startswith(_BULLETS)), f"{_LINES} with a bullet"),
    "gopher-ellipsis-lines": Rule(
        0, 0.3, _lines(lambda line: line.endswith(("...", "…"))), f"{_LINES} that end with an ellipsis"
    ),
    "gopher-alphabetic": Rule(0.8, 1, _alphabetic, "share of words with a letter"),
    "gopher-stop-words": Rule(2, inf, lambda d: d.stop_words(), "different stop words of the language"),
    "gopher-repeated-lines": Rule(0, 0.3, lambda d: _repeated_share(d.lines), f"{_LINES} that occurred before"),
    "gopher-repeated-paragraphs": Rule(
        0, 0.3, lambda d: _repeated_share(d.paragraphs), "share of paragraphs that occurred before"
    ),
    "gopher-repeated-line-characters": Rule(
        0, 0.2, lambda d: _repeated_characters(d.lines), f"{_CHARACTERS} in repeated lines"
    ),
    "gopher-repeated-paragraph-characters": Rule(
        0, 0.2, lambda d: _repeated_characters(d.paragraphs), f"{_CHARACTERS} in repeated paragraphs"
    ),
    **{
        f"gopher-top-{n}-gram": Rule(0, high, _top(n), f"{_CHARACTERS} in the top {n}-gram")
        for n, high in ((2, 0.2), (3, 0.18), (4, 0.16))
    },
    **{
        f"gopher-repeated-{n}-grams": Rule(0, high, _again(n), f"{_CHARACTERS} in repeated {n}-grams")
        for n, high in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1))
    },
    "c4-sentences": Rule(3, inf, lambda d: len(_SENTENCE_END.findall(d.text)), "sentences"),
    "c4-lorem-ipsum": Rule(0, 0, lambda d: d.text.lower().count("lorem ipsum"), "`lorem ipsum`"),
    "c4-curly-brackets": Rule(0, 0, lambda d: d.text.count("{"), "curly brackets"),
    "fineweb-line-ends": Rule(0.12, 1, _lines(lambda line: line.endswith(TERMINAL)), f"{_LINES} that end a sentence"),
    "fineweb-short-lines": Rule(
        0, 0.67, _lines(lambda line: len(line) < SHORT_LINE), f"{_LINES} shorter than 30 characters"
    ),
    "fineweb-repeated-lines": Rule(0, 0.1, lambda d: _repeated_characters(d.lines), f"{_CHARACTERS} in repeated lines"),
}
"""In the order in which they are tried."""
SETS = ("gopher", "c4", "fineweb")


@dataclass(frozen=True)
class Failure:
    """The rule by which a document is dropped, and the value outside its range."""

    rule: str
    value: float


def first_failure(document: Document, rules: Mapping[str, Rule]) -> Failure | None:
    """Return the first rule that a document fails; None where it is kept."""
    for name, rule in rules.items():
        value = rule.measure(document)
        if not rule.low <= value <= rule.high:
            return Failure(name, float(value))
    return None


def chosen(names: Sequence[str]) -> dict[str, Rule]:
    """Return the rules of a list of sets and names, without those behind a `-`. Raises ValueError for another one."""
    found: dict[str, Rule] = {}
    for name in names:
        plain = name.removeprefix("-")
        own = {
            key: rule for key, rule in RULES.items() if key == plain or (plain in SETS and key.startswith(f"{plain}-"))
        }
        if not own:
            raise ValueError(name)
        if name.startswith("-"):
            found = {key: rule for key, rule in found.items() if key not in own}
        else:
            found |= own
    return found
