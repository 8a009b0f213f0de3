"""Tokenizers from Python: text to ids and pieces, and back."""

import os
from collections.abc import Iterable
from typing import Self

import numpy as np

from lmkit.commands.loading import models as opening
from lmkit.errors import DataError, UsageError
from lmkit.interface.arguments import Name, Text, prompt_of
from lmkit.interface.opened import Opened
from lmkit.interface.session import session
from lmkit.protocols import Tokenizer as Protocol


class Tokenizer(Opened):
    """The tokenizer of any checkpoint; it encodes and decodes as `lmkit bpe encode` and `decode` do."""

    def __init__(self, name: str, tokenizer: Protocol) -> None:
        super().__init__(name, tokenizer.kind)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, name: Name) -> Self:
        """Return the tokenizer of a checkpoint, folder or ARPA file. Raises LmkitError where there is none."""
        path = os.fspath(name)
        with session():
            return cls(path, opening.open_tokenizer(path))

    def __len__(self) -> int:
        """Number of ids, special tokens included."""
        return self._tokenizer.size

    @property
    def specials(self) -> dict[str, int]:
        """Ids of `unk`, `bos` and `eos`, those that exist."""
        return dict(self._tokenizer.specials)

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over kind and pieces: equal digests encode alike."""
        return self._tokenizer.digest

    def encode(self, text: Text, *, parse_special: bool = False) -> list[int]:
        """Return the ids of a text, without start or end tokens; a line end is a token where there is one for it.

        `parse_special`: names of special tokens mean these tokens. Raises UsageError for what is not UTF-8, unless
        tokens are bytes.
        """
        tokenizer = self._tokenizer
        with session():
            if parse_special and not tokenizer.is_subword:
                raise UsageError(f"parse_special is for merges, not for a {tokenizer.kind} tokenizer")
            data = prompt_of(text, raw=tokenizer.accepts_any_bytes)
            parts = (tokenizer.with_specials() if parse_special else tokenizer).encode_stream([data] if data else [])
            return [token for part in parts for token in part.tolist()]

    def pieces(self, text: Text, *, parse_special: bool = False) -> list[str]:
        """Return the pieces of a text, as the vocabulary has them; what is not UTF-8 is escaped."""
        return [self.piece(token) for token in self.encode(text, parse_special=parse_special)]

    def piece(self, token: int) -> str:
        """Return the piece of an id. Raises DataError for one beyond the vocabulary."""
        self._check([token])
        return self._tokenizer.piece(token).decode(errors="backslashreplace")

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that ids spell, U+FFFD for what is not UTF-8. Raises DataError for one that is no id."""
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes that ids spell. Raises DataError for one that is no id."""
        with session():
            return self._tokenizer.decode(self._check(ids))

    def _check(self, ids: Iterable[int]) -> list[int]:
        found = [*ids]
        for token in found:
            if isinstance(token, bool) or not isinstance(token, int | np.integer) or not 0 <= token < len(self):
                raise DataError(f"{token!r} is not an id of a vocabulary of {len(self)}")
        return [int(token) for token in found]
