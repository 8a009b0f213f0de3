"""What each token adds to a text, as `decode_text` spells it: it hangs on what stands before. Knows no files."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from lmkit.protocols import Bool, SequenceFormat, Tokenizer
from lmkit.tokenization.line_tokenizer import Spellings


class Context(IntEnum):
    """What stands before a token: nothing on its line, text, or text that a space parts from what follows."""

    START = 0
    INSIDE = 1
    PARTED = 2


@dataclass(frozen=True)
class TokenBytes:
    """What V tokens add.

    first     at the start of a text or line, (V,)
    inside    behind other tokens, (V,)
    parting   whether a space follows once more text of the line does, (V,); such a space ends no line
    newline_id  the token that is a line feed, if there is one
    """

    first: Spellings
    inside: Spellings
    parting: Bool
    newline_id: int | None = None

    def at(self, joint: Context) -> list[bytes]:
        """What each token adds at a joint, (V,); nothing for one that no text has."""
        return [self.at_one(token, joint) for token in range(len(self.first))]

    def at_one(self, token: int, joint: Context) -> bytes:
        """What one token adds at a joint."""
        if token == self.newline_id:
            return b"\n"
        spelling = self.first[token] if joint == Context.START else self.inside[token]
        return b"" if spelling is None else (b" " if joint == Context.PARTED else b"") + spelling

    def after(self, token: int) -> Context:
        """What stands before the next token."""
        if token == self.newline_id:
            return Context.START
        return Context.PARTED if self.parting[token] else Context.INSIDE

    @property
    def joints(self) -> list[Context]:
        """The joints that texts have; where tokens spell the same at all, the first alone."""
        behind = {Context.PARTED if parts else Context.INSIDE for parts in np.unique(self.parting).tolist()}
        return [Context.START, *(joint for joint in sorted(behind) if self.at(joint) != self.at(Context.START))]


def token_bytes_of(tokenizer: Tokenizer, form: SequenceFormat) -> TokenBytes:
    """What a tokenizer's tokens add to texts of a form; special tokens nothing, as texts have none."""
    hidden = set(tokenizer.specials.values()) | set(tokenizer.names.values())
    first, inside, parting = tokenizer.spellings(hidden)
    return TokenBytes(first, inside, parting, form.newline_id if form.multiline else None)
