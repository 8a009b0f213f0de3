"""What tokenizers answer alike that cut lines into pieces; a tokenizer overrides where it differs. Knows no files."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from lmkit.checkpoint import Array, Streamed
from lmkit.protocols import I32, I64, Bool, Tokenizer
from lmkit.tokenization.line_ends import with_line_ends

Spellings = Sequence[bytes | None]
"""A token's bytes, (V,); None for one that no text has."""
_FEED = b"\n"
_VISIBLE = {
    b" ": "\u2581".encode(), "\u2581".encode(): b"<U+2581>", b"\t": b"<tab>", b"\r": b"<cr>", b"\0": b"<nul>",
}  # fmt: skip


class LineTokenizer(ABC):
    """A `Tokenizer` whose own part is `kind`, `size`, `specials`, `digest`, `piece` and `encode_block`."""

    kind = ""
    specials: Mapping[str, int]

    @property
    @abstractmethod
    def size(self) -> int:
        """See `Tokenizer.size`."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """See `Tokenizer.digest`."""

    @abstractmethod
    def piece(self, token: int) -> bytes:
        """See `Tokenizer.piece`."""

    @abstractmethod
    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`."""

    @property
    def separator(self) -> bytes | None:
        """See `Tokenizer.separator`."""
        return b""

    @property
    def accepts_any_bytes(self) -> bool:
        """See `Tokenizer.accepts_any_bytes`."""
        return False

    @property
    def unit(self) -> str | None:
        """See `Tokenizer.unit`."""
        return None

    @property
    def is_subword(self) -> bool:
        """See `Tokenizer.is_subword`."""
        return False

    @property
    def has_merges(self) -> bool:
        """See `Tokenizer.has_merges`."""
        return False

    @property
    def ends_words(self) -> bool:
        """See `Tokenizer.ends_words`."""
        return False

    @property
    def spells_whitespace(self) -> bool:
        """See `Tokenizer.spells_whitespace`."""
        return False

    @property
    def names(self) -> Mapping[bytes, int]:
        """See `Tokenizer.names`."""
        return MappingProxyType({})

    @property
    def local(self) -> bool:
        """See `Tokenizer.local`."""
        return self.separator is not None

    @property
    def json(self) -> bytes | None:
        """See `Tokenizer.json`."""
        return None

    parses_specials = False
    """See `Tokenizer.parses_specials`."""

    def encode(self, text: bytes) -> I32:
        """See `Tokenizer.encode`."""
        return self.encode_block(text + _FEED)[0]

    def encode_stream(self, blocks: Iterable[bytes]) -> Iterator[I32]:
        """See `Tokenizer.encode_stream`; each line is encoded alone, with the token of a line end behind it."""
        rest: list[bytes] = []
        for block in blocks:
            cut = block.rfind(_FEED) + 1
            if cut:
                ids, ends = self.encode_block(b"".join([*rest, block[:cut]]))
                yield ids if self._feed is None else with_line_ends(ids, ends, self._feed)[0]
                rest = []
            if cut < len(block):
                rest.append(block[cut:])
        if rest:
            yield self.encode(b"".join(rest))

    @cached_property
    def _feed(self) -> int | None:
        """The token of a line end, the unknown one where there is none; None to words: it is white space."""
        if self.separator:
            return None
        pieces = np.flatnonzero([self.piece(token) == _FEED for token in range(self.size)])
        return int(pieces[-1]) if len(pieces) else self.specials["unk"]

    def decode(self, ids: Sequence[int]) -> bytes:
        """See `Tokenizer.decode`."""
        return (self.separator or b"").join(map(self.piece, ids))

    def with_specials(self) -> Tokenizer:
        """See `Tokenizer.with_specials`; here names of special tokens are text as any other."""
        return self

    def is_byte(self, _token: int) -> bool:
        """See `Tokenizer.is_byte`."""
        return False

    def written(self, token: int) -> bytes:
        """See `Tokenizer.written`."""
        return self.piece(token)

    def fields(self) -> list[bytes]:
        """See `Tokenizer.fields`."""
        return [_VISIBLE.get(piece, piece) for piece in map(self.piece, range(self.size))]

    def spellings(self, hidden: set[int]) -> tuple[Spellings, Spellings, Bool]:
        """See `Tokenizer.spellings`."""
        pieces = [None if token in hidden else self.piece(token) for token in range(self.size)]
        if self.ends_words:
            return spelled_without(b" ", pieces)
        return pieces, pieces, np.full(len(pieces), bool(self.separator), dtype=np.bool_)

    def limited(self, _counts: I64, _most: int | None, _minimum: int) -> tuple[Tokenizer, I32] | None:
        """See `Tokenizer.limited`."""
        return None

    def describe(self) -> dict[str, Any]:
        """See `Tokenizer.describe`."""
        return {}

    def tensors(self) -> dict[str, Array | Streamed]:
        """See `Tokenizer.tensors`."""
        return {}


def spelled_without(mark: bytes, pieces: Spellings) -> tuple[Spellings, Spellings, Bool]:
    """Pieces with a mark at the end of words, which becomes a space where more follows."""
    adds_space = np.array([piece is not None and piece.endswith(mark) for piece in pieces], dtype=np.bool_)
    bodies = [None if piece is None else piece.removesuffix(mark) for piece in pieces]
    return bodies, bodies, adds_space
