"""Which label an answer stands for, and the scores of labels from those of answers. Knows no models and no files."""

from collections.abc import Mapping, Sequence
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
            raise DataError("none of the candidates has a label in the verbalizer")
        return made


def verbalizer_of(pairs: Sequence[tuple[str, Any]]) -> Verbalizer:
    """What an object of JSON says, as its pairs: a label and its words, or a word and its label.

    Raises DataError where it is neither, or a word has two labels.
    """
    labels: dict[str, str] = {}
    lists = [isinstance(value, list) for _, value in pairs]
    if not pairs or any(lists) != all(lists):
        raise DataError("a verbalizer is an object of labels with lists of words, or of words with labels")
    for key, value in pairs:
        for word, label in [(word, key) for word in value] if isinstance(value, list) else [(key, value)]:
            _add(labels, _text(word), _text(label))
    if not labels:
        raise DataError("no words")
    return Verbalizer(labels)


def _add(labels: dict[str, str], word: str, label: str) -> None:
    if word in labels:
        where = f"twice under {label!r}" if labels[word] == label else f"under {labels[word]!r} and under {label!r}"
        raise DataError(f"the word {word!r} stands {where}")
    labels[word] = label


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{value!r} is neither a word nor a label")
    return str(value)
