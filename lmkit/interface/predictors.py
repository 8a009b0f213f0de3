"""Classifiers, regressors and taggers from Python, with the numbers of `lmkit predict`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lmkit.commands.records.sentences import Sentence, joined_words, split_text
from lmkit.commands.reports.tagged_sentences import spans_of
from lmkit.errors import UsageError
from lmkit.interface.arguments import bytes_of
from lmkit.interface.opened import Opened
from lmkit.interface.results import Label, Span, Tags
from lmkit.interface.session import session
from lmkit.protocols import F64

if TYPE_CHECKING:
    from lmkit import protocols

Item = str | tuple[str, str]
"""A text, or a pair of texts."""


class Classifier(Opened):
    """A model that gives a text, or a pair of texts, a label."""

    def __init__(self, name: str, kind: str, model: "protocols.Classifier") -> None:
        super().__init__(name, kind)
        self._model = model

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of `probabilities`."""
        return tuple(self._model.labels)

    def predict(self, items: Iterable[Item]) -> list[Label]:
        """Return the label of each item, of equally probable ones the first, and the probabilities of all labels.

        Raises UsageError for pairs where the model takes one text, and the other way round.
        """
        labels = self.labels
        return [
            Label(labels[int(row.argmax())], dict(zip(labels, row.tolist(), strict=True)))
            for row in self.probabilities(items)
        ]

    def probabilities(self, items: Iterable[Item]) -> F64:
        """Return the probabilities of the labels, (N, K). Raises UsageError as `predict` does."""
        import numpy as np

        found = texts_of(items, self._model.sides)
        with session():
            none: F64 = np.zeros((0, len(self.labels)))
            return self._model.label_probabilities(found) if found else none


class Regressor(Opened):
    """A model that gives a text, or a pair of texts, a number."""

    def __init__(self, name: str, kind: str, model: "protocols.Regressor") -> None:
        super().__init__(name, kind)
        self._model = model

    def predict(self, items: Iterable[Item]) -> list[float]:
        """Return a number for each item. Raises UsageError as `Classifier.predict` does."""
        found = texts_of(items, self._model.sides)
        with session():
            return [float(value) for value in self._model.predicted_values(found)] if found else []


class Tagger(Opened):
    """A model that gives each word of a sentence a label."""

    def __init__(self, name: str, kind: str, model: "protocols.Tagger") -> None:
        super().__init__(name, kind)
        self._model = model

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that words can have."""
        return tuple(self._model.labels)

    def predict(self, sentences: Iterable[str | Sequence[str]]) -> list[Tags]:
        """Return the labels of the words of sentences, and their spans; a text is split at white space."""
        found = [_sentence(one) for one in sentences]
        with session():
            labels = self._model.word_labels([one.words for one in found]) if found else []
        return [_tags(one, own) for one, own in zip(found, labels, strict=True)]


def _sentence(sentence: str | Sequence[str]) -> Sentence:
    words = [sentence] if isinstance(sentence, str) else list(sentence)
    for word in words:
        bytes_of(word)
    return split_text(sentence) if isinstance(sentence, str) else joined_words(words, None)


def _tags(sentence: Sentence, labels: Sequence[str]) -> Tags:
    spans = tuple(Span(one["type"], one["start"], one["end"], one["text"]) for one in spans_of(sentence, labels))
    return Tags(sentence.words, tuple(labels), spans)


def texts_of(items: Iterable[Item], sides: int) -> list[tuple[str, ...]]:
    """Return items as texts. Raises UsageError where they are not as many as the model takes; 0: one or two."""
    if isinstance(items, str):
        raise UsageError("expected a list of texts, got one text")
    found: list[tuple[str, ...]] = []
    for item in items:
        texts = tuple(item) if isinstance(item, tuple | list) else (item,)
        if len(texts) not in ((1, 2) if sides == 0 else (sides,)):
            raise UsageError(f"an item of {len(texts)} texts, the model takes {sides or '1 or 2'}")
        found.append(tuple(bytes_of(text).decode(errors="replace") for text in texts))
    return found
