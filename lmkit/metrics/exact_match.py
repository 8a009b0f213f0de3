"""Whether an answer is one of the right ones, by its words: exact match and token F1 as SQuAD has them.

Rajpurkar et al. 2016. Of several right answers the best counts.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ARTICLES = ("a", "an", "the")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Normal:
    """Makes texts alike that differ in what does not matter: SQuAD's normal form, with the articles of any language.

    In this order: lower case; ASCII punctuation taken out; articles, as words, taken out; white space made one blank.
    """

    articles: tuple[str, ...] = ARTICLES

    def tokens(self, text: str) -> list[str]:
        """The words that are left."""
        plain = text.lower().translate(_PUNCTUATION)
        if self.articles:
            plain = re.sub(rf"\b(?:{'|'.join(map(re.escape, self.articles))})\b", " ", plain)
        return plain.split()

    def form(self, text: str) -> str:
        """The normal form."""
        return " ".join(self.tokens(text))


def scores(answers: Sequence[str], right: Sequence[Sequence[str]], normal: Normal) -> dict[str, list[float]]:
    """Return `exact_match` and `f1` of each of N answers, of which each has its right ones."""
    pairs = list(zip(answers, right, strict=True))
    return {
        "exact_match": [float(exact_match(one, ones, normal)) for one, ones in pairs],
        "f1": [token_f1(one, ones, normal) for one, ones in pairs],
    }


def exact_match(answer: str, right: Sequence[str], normal: Normal | None = None) -> bool:
    """Whether an answer has the normal form of a right one."""
    normal = normal or Normal()
    return normal.form(answer) in {normal.form(one) for one in right}


def token_f1(answer: str, right: Sequence[str], normal: Normal | None = None) -> float:
    """The best F1 of the answer's words and a right one's, each as often as it occurs; 0.0 without a right one.

    Of two that have no words left it is 1, of one 0.
    """
    normal = normal or Normal()
    return max((_f1(normal.tokens(answer), normal.tokens(one)) for one in right), default=0.0)


def _f1(answer: list[str], right: list[str]) -> float:
    if not answer or not right:
        return float(answer == right)
    shared = sum((Counter(answer) & Counter(right)).values())
    return 2 * shared / (len(answer) + len(right))
