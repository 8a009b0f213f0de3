"""What each token adds to a text, as `decode_text` spells it: it hangs on what stands before. Knows no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from lmkit.protocols import Bool, SequenceFormat, Tokenizer
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

Spellings = Sequence[bytes | None]
"""A token's bytes, (V,); None for one that no text has."""


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
    line_end  the token that is a line feed, if there is one
    """

    first: Spellings
    inside: Spellings
    parting: Bool
    line_end: int | None = None

    def at(self, joint: Context) -> list[bytes]:
        """What each token adds at a joint, (V,); nothing for one that no text has."""
        return [self.at_one(token, joint) for token in range(len(self.first))]

    def at_one(self, token: int, joint: Context) -> bytes:
        """What one token adds at a joint."""
        if token == self.line_end:
            return b"\n"
        spelling = self.first[token] if joint == Context.START else self.inside[token]
        return b"" if spelling is None else (b" " if joint == Context.PARTED else b"") + spelling

    def after(self, token: int) -> Context:
        """What stands before the next token."""
        if token == self.line_end:
            return Context.START
        return Context.PARTED if self.parting[token] else Context.INSIDE

    @property
    def joints(self) -> list[Context]:
        """The joints that texts have; where tokens spell the same at all, the first alone."""
        behind = {Context.PARTED if parts else Context.INSIDE for parts in np.unique(self.parting).tolist()}
        return [Context.START, *(joint for joint in sorted(behind) if self.at(joint) != self.at(Context.START))]


def token_bytes_of(tokenizer: Tokenizer, form: SequenceFormat) -> TokenBytes:
    """What a tokenizer's tokens add to texts of a form; special tokens nothing, as texts have none."""
    names = set(tokenizer.specials.values()) | set(getattr(tokenizer, "names", {}).values())
    first, inside, parting = _spelled(tokenizer, names)
    line_end = form.line_end if form.continuous else None
    return TokenBytes(first, inside, parting, line_end)


def _spelled(tokenizer: Tokenizer, names: set[int]) -> tuple[Spellings, Spellings, Bool]:
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return _foreign(tokenizer, names)
    pieces = [None if token in names else tokenizer.piece(token) for token in range(tokenizer.size)]
    if tokenizer.kind == "word":
        return pieces, pieces, np.ones(len(pieces), dtype=np.bool_)
    if isinstance(tokenizer, BPETokenizer) and tokenizer.ends_words:
        return _without(b" ", pieces)
    return pieces, pieces, np.zeros(len(pieces), dtype=np.bool_)


def _without(mark: bytes, pieces: Spellings) -> tuple[Spellings, Spellings, Bool]:
    """Pieces with a mark at the end of words, which becomes a space where more follows."""
    parting = np.array([piece is not None and piece.endswith(mark) for piece in pieces], dtype=np.bool_)
    bodies = [None if piece is None else piece.removesuffix(mark) for piece in pieces]
    return bodies, bodies, parting


def _foreign(tokenizer: HuggingFaceTokenizer, names: set[int]) -> tuple[Spellings, Spellings, Bool]:
    """As the file's decoder says, which is asked what tokens become, alone and behind another."""
    ordinary = [token for token in range(tokenizer.size) if token not in names and tokenizer.written(token)]
    decoder: dict[str, Any] = tokenizer.document.get("decoder") or {}
    pieces: list[bytes | None] = [None] * tokenizer.size
    for token in ordinary:
        pieces[token] = tokenizer.piece(token)
    none = np.zeros(tokenizer.size, dtype=np.bool_)
    if decoder.get("type") == "ByteLevel":
        return pieces, pieces, none
    if decoder.get("type") == "BPEDecoder":
        return _without(str(decoder.get("suffix", "</w>")).encode(), pieces)
    anchor = next((token for token in ordinary if _is_word(tokenizer.decode([token]))), None)
    before = b"" if anchor is None else tokenizer.decode([anchor])
    first, inside = list(pieces), list(pieces)
    for token in ordinary:
        if _is_part(pieces[token] or b""):
            continue
        first[token] = tokenizer.decode([token])
        behind = tokenizer.decode([token] if anchor is None else [anchor, token])
        inside[token] = behind.removeprefix(before) if behind.startswith(before) else None
    return first, inside, none


def _is_word(text: bytes) -> bool:
    return text.isascii() and text.isalnum()


def _is_part(piece: bytes) -> bool:
    """Whether a piece is a part of a character, which a decoder can't show alone."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return True
    return False
