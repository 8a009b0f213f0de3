"""The bytes each token appends to a text, as `decode_text` spells it, which depend on what precedes. Knows no files."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from lmkit.protocols import Bool, SequenceFormat, Tokenizer
from lmkit.tokenization.line_tokenizer import Spellings


class Context(IntEnum):
    """The context of a token: nothing on its line, text, or text followed by a space."""

    START = 0
    INSIDE = 1
    AFTER_SPACE = 2


@dataclass(frozen=True)
class TokenBytes:
    """What V tokens add.

    first     at the start of a text or line, (V,)
    inside    behind other tokens, (V,)
    adds_space whether a space follows once more text of the line does, (V,); such a space ends no line
    newline_id  the token that is a line feed, if there is one
    """

    first: Spellings
    inside: Spellings
    adds_space: Bool
    newline_id: int | None = None

    def at(self, joint: Context) -> list[bytes]:
        """What each token adds at a joint, (V,); nothing for one that no text has."""
        return [self.at_one(token, joint) for token in range(len(self.first))]

    def at_one(self, token: int, joint: Context) -> bytes:
        """What one token adds at a joint."""
        if token == self.newline_id:
            return b"\n"
        spelling = self.first[token] if joint == Context.START else self.inside[token]
        return b"" if spelling is None else (b" " if joint == Context.AFTER_SPACE else b"") + spelling

    def after(self, token: int) -> Context:
        """The context of the next token."""
        if token == self.newline_id:
            return Context.START
        return Context.AFTER_SPACE if self.adds_space[token] else Context.INSIDE

    @property
    def joints(self) -> list[Context]:
        """The joints that texts have; where tokens spell the same at all, the first alone."""
        behind = {Context.AFTER_SPACE if space else Context.INSIDE for space in np.unique(self.adds_space).tolist()}
        return [Context.START, *(joint for joint in sorted(behind) if self.at(joint) != self.at(Context.START))]


def token_bytes_of(tokenizer: Tokenizer, form: SequenceFormat) -> TokenBytes:
    """What a tokenizer's tokens add to texts of a form; special tokens nothing, as texts have none."""
    hidden = set(tokenizer.specials.values()) | set(tokenizer.names.values())
    first, inside, adds_space = tokenizer.spellings(hidden)
    return TokenBytes(first, inside, adds_space, form.newline_id if form.multiline else None)
