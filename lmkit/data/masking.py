"""Masking of tokens for masked language modelling. Knows no model.

Devlin et al. (2019): each token but special ones is selected with probability `rate`, independently; of the selected
80 % become the mask token, 10 % another token drawn evenly, 10 % stay; all selected ones are predicted.

N tokens, V vocabulary.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import I32, Bool, Ints, Tokenizer

RATE = 0.15
IGNORED = -100
"""The label where nothing is predicted, as in transformers."""
_CONTINUES = b"##"
_BLANKS = (b" ", b"\n", b"\t")


class Masked(NamedTuple):
    """What a model reads, and the tokens to predict, IGNORED where none is; both (N,)."""

    inputs: I32
    labels: I32


@dataclass(frozen=True)
class Masking:
    """How tokens are selected and replaced.

    mask        the mask token
    ordinary    which tokens are no special ones, (V,): these are selected, and drawn
    rate        the probability that a token, or a word, is selected
    word_begins, word_ends  tokens that begin and end words, (V,) each, where whole words are selected
    masked, kept            shares of the selected tokens; the others are replaced by random ones
    """

    mask: int
    ordinary: Bool
    rate: float = RATE
    word_begins: Bool | None = None
    word_ends: Bool | None = None
    masked: float = 0.8
    kept: float = 0.1

    @classmethod
    def of(cls, tokenizer: Tokenizer, form: EncoderFormat, rate: float = RATE, *, whole_words: bool) -> "Masking":
        """Return the masking of a tokenizer's ids.

        Raises CheckpointError where it has no mask token or no ordinary tokens.
        """
        ordinary = np.ones(tokenizer.size, dtype=np.bool_)
        special = [*tokenizer.names.values(), *tokenizer.specials.values(), *form.special]
        ordinary[special] = False
        ordinary[[token for token in range(tokenizer.size) if not tokenizer.written(token)]] = False
        if not ordinary.any():
            raise CheckpointError("its tokenizer has special tokens only, so that none can be masked")
        begins, ends = _word_borders(tokenizer) if whole_words else (None, None)
        if begins is not None and ends is not None:
            begins, ends = begins | ~ordinary, ends | ~ordinary
        return cls(form.mask_token, ordinary, rate, begins, ends)

    def apply(self, ids: Ints, generator: np.random.Generator) -> Masked:
        """Select tokens of a text, (N,), and replace them; a special token ends a word, and so does the text."""
        inputs = ids.astype(np.int32)
        if self.word_begins is None or self.word_ends is None:
            drawn = generator.random(len(ids))
        else:
            begins = self.word_begins[ids]
            begins[1:] |= self.word_ends[ids[:-1]]
            words = np.cumsum(begins)
            drawn = generator.random(int(words[-1]) + 1 if len(words) else 0)[words]
        selected = np.flatnonzero((drawn < self.rate) & self.ordinary[ids])
        labels = np.full(len(ids), IGNORED, dtype=np.int32)
        labels[selected] = inputs[selected]
        share = generator.random(len(selected))
        inputs[selected[share < self.masked]] = self.mask
        replaced = selected[share >= self.masked + self.kept]
        tokens = np.flatnonzero(self.ordinary)
        inputs[replaced] = tokens[generator.integers(0, len(tokens), len(replaced))]
        return Masked(inputs, labels)


def _word_borders(tokenizer: Tokenizer) -> tuple[Bool, Bool]:
    """Return which tokens begin a word, (V,), and which end one, by `##` or by white space at the edges of pieces."""
    pieces = [tokenizer.piece(token) for token in range(tokenizer.size)]
    listed = tokenizer.describe().get("model") == "WordPiece"
    if tokenizer.separator or listed or any(piece.startswith(_CONTINUES) for piece in pieces):
        begins = [bool(tokenizer.separator) or not piece.startswith(_CONTINUES) for piece in pieces]
        return np.array(begins), np.zeros(len(pieces), dtype=np.bool_)
    if not any(piece.startswith(_BLANKS) or piece.endswith(_BLANKS) for piece in pieces):
        raise DataError("its tokens say nowhere where words begin, which --whole-word needs")
    return (
        np.array([piece.startswith(_BLANKS) for piece in pieces]),
        np.array([piece.endswith(_BLANKS) for piece in pieces]),
    )
