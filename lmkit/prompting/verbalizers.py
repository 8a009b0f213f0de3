"""Verbalizers: the label of each answer, and label scores from those of answers. Knows no models and no files."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmkit.errors import DataError
from lmkit.prompting.score_normalization import total

WAYS = ("sum", "max")


@dataclass(frozen=True)
class Verbalizer:
    """Words, each with its label; many words may have one."""

    labels: Mapping[str, str]
    """The label of each word, in the file's order."""

    @property
    def words(self) -> tuple[str, ...]:
        """All words."""
        return tuple(self.labels)

    def strangers(self, candidates: Sequence[str]) -> tuple[list[str], list[str]]:
        """Candidates that have no label, and words that are no candidates."""
        unmapped = [one for one in candidates if one not in self.labels]
        return unmapped, [word for word in self.labels if word not in candidates]

    def scores(self, candidates: Sequence[str], scores: Sequence[float], way: str) -> dict[str, float]:
        """The score of each label that has candidates: log of their summed probabilities (`sum`), or the `max`.

        In the file's order of labels. Raises DataError where no candidate has a label.
        """
        found: dict[str, list[float]] = {label: [] for label in self.labels.values()}
        for one, value in zip(candidates, scores, strict=True):
            if one in self.labels:
                found[self.labels[one]].append(value)
        made = {label: total(some) if way == "sum" else max(some) for label, some in found.items() if some}
        if not made:
            raise DataError("no candidate has a label in the verbalizer")
        return made


@dataclass
class LabelMapper:
    """Gives scored candidates their labels, and says once what the verbalizer and the candidates do not share.

    `name` is what the verbalizer is called in messages, which `notice` takes; `strict`: they are errors.
    """

    name: str
    verbalizer: Verbalizer
    way: str
    strict: bool
    notice: Callable[[str], None]
    noticed: bool = False

    def check(self, candidates: Sequence[str], place: str = "") -> None:
        """Warns of words and candidates that do not match. Raises DataError if `strict`, or if nothing matches."""
        unmapped, absent = self.verbalizer.strangers(candidates)
        parts = [f"{_listed(unmapped)} without a label"] if unmapped else []
        parts += [f"{_listed(absent)} not among the candidates"] if absent else []
        message = f"{place + ': ' if place else ''}{self.name}: {', '.join(parts)}"
        if len(unmapped) == len(candidates):
            raise DataError(f"{message}; no candidate has a label")
        if parts and self.strict:
            raise DataError(message)
        if parts and not self.noticed:
            self.notice(message)
            self.noticed = True

    def label(
        self, candidates: Sequence[str], by_norm: Mapping[str, Sequence[float]], norm: str
    ) -> tuple[str, dict[str, dict[str, float]]]:
        """The label of the highest score by a norm, and all labels' scores by each norm."""
        several = {one: self.verbalizer.scores(candidates, some, self.way) for one, some in by_norm.items()}
        chosen = max(several[norm], key=lambda label: several[norm][label])
        return chosen, {label: {one: several[one][label] for one in several} for label in several[norm]}


def is_unknown_label(gold: object, *known: Container[str]) -> bool:
    """Whether what a record has for right is there, and none of the answers known."""
    if isinstance(gold, bool) or not isinstance(gold, str | int | float):
        return False
    return all(str(gold) not in some for some in known)


def verbalizer_of(pairs: Sequence[tuple[str, Any]]) -> Verbalizer:
    """What an object of JSON says, as its pairs: a label and its words, or a word and its label.

    Raises DataError where it is neither, or a word has two labels.
    """
    labels: dict[str, str] = {}
    lists = [isinstance(value, list) for _, value in pairs]
    if not pairs or any(lists) != all(lists):
        raise DataError("expected an object of labels with lists of words, or of words with labels")
    for key, value in pairs:
        for word, label in [(word, key) for word in value] if isinstance(value, list) else [(key, value)]:
            _add(labels, _text(word), _text(label))
    if not labels:
        raise DataError("the verbalizer has no words")
    return Verbalizer(labels)


def _add(labels: dict[str, str], word: str, label: str) -> None:
    if word in labels:
        where = f"twice under {label!r}" if labels[word] == label else f"under {labels[word]!r} and under {label!r}"
        raise DataError(f"the word {word!r} occurs {where}")
    labels[word] = label


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{value!r} is neither a word nor a label")
    return str(value)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))
