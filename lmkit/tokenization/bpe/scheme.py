"""How a BPE tokenizer treats text before any merge: what its symbols, pre-tokens and normal form are."""

from dataclasses import asdict, dataclass
from typing import Any

from lmkit.errors import CheckpointError, DataError
from lmkit.isolation import LimitError
from lmkit.tokenization.bpe.expressions import splitter
from lmkit.tokenization.normalization import FORMS

LEVELS = ("byte", "char")
PATTERNS = ("gpt2", "gpt4", "whitespace", "none")
BEFORE_WORD, GOES_ON, UNFINISHED, END_OF_WORD = ("Ġ", "▁"), ("##", "#"), "@@", "</w>"
MARKERS = (*BEFORE_WORD, *GOES_ON, UNFINISHED, END_OF_WORD)
"""Marks that pieces are shown with; see `lmkit.tokenization.bpe.piece_markers`."""


def is_pattern(pattern: str) -> bool:
    """Whether it is one of PATTERNS, or a regular expression. Raises LimitError."""
    if pattern in PATTERNS:
        return True
    try:
        splitter(pattern)
    except LimitError:
        raise
    except DataError:
        return False
    return True


@dataclass(frozen=True)
class Scheme:
    """Settings that the merges were learned under and that encoding must share.

    `level`: symbols start as bytes, or as characters of words that spaces part.
    `pattern`: how text falls into pre-tokens, one of PATTERNS or a regular expression.
    `normalize`: normal forms applied in order, of normalization.FORMS.
    `end_of_word`: the mark at the end of each word, at level `char`; empty: none.
    `fused`: the mark is part of the last character's symbol and not a symbol of its own.
    `digits`: the longest run of digits in a pre-token under `gpt4`.
    `whole_first`: a pre-token that is a piece is that piece, whatever the merges say.
    """

    level: str = "byte"
    pattern: str = "gpt2"
    normalize: tuple[str, ...] = ()
    end_of_word: str = ""
    fused: bool = False
    digits: int = 3
    whole_first: bool = False

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "normalize": list(self.normalize)}

    @classmethod
    def from_description(cls, description: Any) -> "Scheme":
        """The inverse of `describe`. Raises CheckpointError for what this version does not know."""
        try:
            scheme = cls(**{**description, "normalize": tuple(description["normalize"])})
        except (TypeError, KeyError, ValueError):
            raise CheckpointError("damaged checkpoint: the tokenizer's scheme is not one") from None
        typed = all(type(getattr(scheme, name)) is type(value) for name, value in asdict(cls()).items())
        known = scheme.level in LEVELS and all(form in FORMS for form in scheme.normalize)
        if not typed or not known or not 1 <= scheme.digits <= 64 or not is_pattern(scheme.pattern):
            raise CheckpointError("damaged checkpoint: the tokenizer's scheme is not one", hint="or update lmkit")
        return scheme
