"""Answers in running text: what a pattern finds, the number that it is, and what most samples say."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lmkit.text.normal_form import normal_form

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
        found = self.extractor.find(text)
        if found is None:
            return None
        form = self._form(found)
        return None if form is None else Answer(found, form)

    def _form(self, text: str) -> str | None:
        return number(text) if self.numbers else normal_form(text)

    def right(self, texts: Sequence[str]) -> set[str]:
        """The forms of right answers. Raises ValueError where one is to be a number and is none."""
        forms = {text: self._form(text) for text in texts}
        for text, form in forms.items():
            if form is None:
                raise ValueError(f"no number in {text[:40]!r}")
        return {form for form in forms.values() if form is not None}


class Judged(NamedTuple):
    """What comes of an item's texts: the answer, whether it is right, and how many of the texts have it."""

    answer: str | None
    form: str | None
    """In which it was compared."""
    correct: bool
    votes: int
    texts: int


def judge(rules: Rules, texts: Sequence[str], right: Sequence[str]) -> Judged:
    """The answer in an item's text, or the one that most of its texts have. Raises ValueError as `Rules.right` does."""
    forms = rules.right(right)
    found = [rules.answer(text) for text in texts]
    chosen = vote([None if one is None else one.form for one in found])
    answer = None if chosen is None else found[chosen]
    if answer is None:
        return Judged(None, None, False, 0, len(texts))
    votes = sum(one is not None and one.form == answer.form for one in found)
    return Judged(answer.text, answer.form, answer.form in forms, votes, len(texts))
