"""Answers in running text: what a pattern finds, the number that it is, and what most samples say."""

import json
import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lmkit import isolation
from lmkit.data.normal_form import normal_form
from lmkit.errors import DataError

_NUMBER = re.compile(r"(?:(?<![\w)%])[-+\u2212])?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\d)\.\d+)")


@dataclass(frozen=True)
class Extractor:
    """Finds an answer in a text: what the first group, or without one the whole, of a match holds."""

    pattern: re.Pattern[str] | None = None
    """None: the whole text is the answer."""
    last: bool = False
    """The last match, rather than the first."""

    def find(self, text: str) -> str | None:
        """The answer, without white space around it; None where there is no match."""
        if self.pattern is None:
            return text.strip()
        found = None
        for match in self.pattern.finditer(text):
            found = match
            if not self.last:
                break
        if found is None:
            return None
        groups = [group for group in found.groups() if group is not None]
        return (groups[0] if groups else found[0]).strip()

    def find_each(self, texts: Sequence[str]) -> Iterator[str | None]:
        """The answer in each of several texts."""
        return map(self.find, texts)


def serve(settings: isolation.Settings) -> isolation.Handler:
    """Return what finds the answer in a text, as JSON, by the `pattern`; `last`: of the last match."""
    try:
        pattern = re.compile(settings["pattern"])
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        where = "" if place is None else f" at character {place + 1}"
        raise DataError(f"{getattr(error, 'msg', None) or error}{where}") from None
    extractor = Extractor(pattern, settings["last"])
    return lambda text: json.dumps(extractor.find(json.loads(text))).encode()


class LimitedExtractor(Extractor):
    """An extractor that searches where `lmkit.isolation` says: Python's expressions may take any time.

    Raises DataError for what is no regular expression, with the place, and LimitError.
    """

    def __init__(self, pattern: str, *, last: bool) -> None:
        super().__init__(last=last)
        settings = {"pattern": pattern, "last": last}
        object.__setattr__(self, "_worker", isolation.worker(serve, settings))

    def find(self, text: str) -> str | None:
        """See `Extractor.find`. Raises LimitError."""
        return next(self.find_each([text]))

    def find_each(self, texts: Sequence[str]) -> Iterator[str | None]:
        """See `Extractor.find_each`. Raises LimitError for the text whose turn it is."""
        worker: isolation.Worker = self._worker  # type: ignore[attr-defined]
        try:
            for answer in worker.ask_each([json.dumps(text).encode() for text in texts]):
                yield json.loads(answer)
        except isolation.LimitError as error:
            raise isolation.LimitError(f"--extract: {error}") from None


def number(text: str) -> str | None:
    """The last number in a text, in normal form; None where there is none.

    `$`, `%` and commas between thousands say nothing, nor do zeros that could be left out:
    1,000, $1000 and 1000.0 are 1000.
    """
    last = None
    for found in _NUMBER.finditer(text):
        last = found
    return None if last is None else normal_number(last[0])


def normal_number(text: str) -> str:
    """A decimal number without `$`, commas, and zeros that could be left out."""
    negative = text.startswith(("-", "\u2212"))
    digits = re.sub(r"[-+\u2212$,]", "", text)
    whole, _, fraction = digits.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    plain = f"{whole}.{fraction}" if fraction else whole
    return f"-{plain}" if negative and plain != "0" else plain


def vote(answers: Sequence[Hashable | None]) -> int | None:
    """Which of several answers is the first of those that most agree on; None is no answer and has no vote.

    Self-consistency (Wang et al. 2023). Of answers that have as many votes, the one that came first.
    """
    votes: dict[Hashable, int] = {}
    for answer in answers:
        if answer is not None:
            votes[answer] = votes.get(answer, 0) + 1
    if not votes:
        return None
    return answers.index(max(votes, key=lambda answer: votes[answer]))  # the first of the most, as dicts keep order


class Answer(NamedTuple):
    """An answer as it was found, and the form in which it is compared."""

    text: str
    form: str


@dataclass(frozen=True)
class Rules:
    """How answers are found and compared."""

    extractor: Extractor
    numbers: bool = False
    """By the last number of each; else by `normal_form`."""

    def answer(self, text: str) -> Answer | None:
        """The answer in a text; None where there is none."""
        return next(self.answers([text]))

    def answers(self, texts: Sequence[str]) -> Iterator[Answer | None]:
        """The answer in each of several texts."""
        for found in self.extractor.find_each(texts):
            form = None if found is None else self._form(found)
            yield None if found is None or form is None else Answer(found, form)

    def _form(self, text: str) -> str | None:
        return number(text) if self.numbers else normal_form(text)

    def right(self, texts: Sequence[str]) -> set[str]:
        """The forms of right answers. Raises ValueError where one should be a number and is not."""
        forms = {text: self._form(text) for text in texts}
        for text, form in forms.items():
            if form is None:
                raise ValueError(f"no number in {text[:40]!r}")
        return {form for form in forms.values() if form is not None}


class Judged(NamedTuple):
    """The outcome of an item's texts: the answer, whether it is right, and how many of the texts have it."""

    answer: str | None
    form: str | None
    """In which it was compared."""
    correct: bool
    votes: int
    texts: int


def judge(rules: Rules, found: Sequence[Answer | None], right: Sequence[str]) -> Judged:
    """The answer in an item's text, or the one that most of its texts have. Raises ValueError as `Rules.right` does."""
    forms = rules.right(right)
    chosen = vote([None if one is None else one.form for one in found])
    answer = None if chosen is None else found[chosen]
    if answer is None:
        return Judged(None, None, False, 0, len(found))
    votes = sum(one is not None and one.form == answer.form for one in found)
    return Judged(answer.text, answer.form, answer.form in forms, votes, len(found))
