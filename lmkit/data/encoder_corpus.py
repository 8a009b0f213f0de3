"""From texts to the encoded corpus that an encoder is trained or validated on. Knows no files and no special tokens.

N tokens, L lines that have tokens, D documents.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from lmkit.data.sequences import Documents
from lmkit.errors import DataError
from lmkit.protocols import I32, I64, U64, Ints, Tokenizer

_SEED = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class EncoderCorpus:
    """The ids of all lines, (N,), where lines end in them, (L,), the document of each, (L,), and the bytes of text."""

    ids: Ints
    ends: I64
    documents: I64
    bytes: int

    @property
    def tokens(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token, on average."""
        return self.bytes / max(1, len(self.ids))

    def units(self, by: str) -> I64:
        """Return where sequences of their own end: at the end of the `stream`, of every `line`, or of documents."""
        if by == "stream":
            return np.array([len(self.ids)], dtype=np.int64)
        if by == "line":
            return self.ends
        ends: I64 = self.ends[np.append(np.diff(self.documents) != 0, True)]
        return ends

    def keys(self) -> U64:
        """Return a hash of each line's ids, (L,): equal lines have equal keys."""
        if not len(self.ends):
            return np.zeros(0, dtype=np.uint64)
        begins = np.append(0, self.ends[:-1])
        places = np.arange(len(self.ids), dtype=np.uint64) - np.repeat(begins, self.ends - begins).astype(np.uint64)
        mixed = (self.ids.astype(np.uint64) + np.uint64(1)) * (_SEED + places * np.uint64(2))
        mixed ^= mixed >> np.uint64(29)
        return np.add.reduceat(mixed * _SEED, begins)

    def split(self, by: str, fraction: float) -> tuple["EncoderCorpus", "EncoderCorpus"]:
        """Return the text without its last part, and that part: it begins where a line does, or a document.

        Raises DataError where there is no such place.
        """
        wanted = round((1 - fraction) * len(self.ids))
        borders = self.units("line" if by == "stream" else by)[:-1]
        if not len(borders) or wanted <= 0:
            raise DataError("the text is too short to hold some of it out", hint="--valid FILE")
        border = int(borders[np.abs(borders - wanted).argmin()])
        line = int(np.searchsorted(self.ends, border)) + 1
        size = round(self.bytes * border / len(self.ids))
        return (
            EncoderCorpus(self.ids[:border], self.ends[:line], self.documents[:line], size),
            EncoderCorpus(self.ids[border:], self.ends[line:] - border, self.documents[line:], self.bytes - size),
        )


def encode(tokenizer: Tokenizer, texts: Iterable[Iterable[bytes] | Documents]) -> tuple[EncoderCorpus, dict[str, Any]]:
    """Encode texts given in blocks of whole lines; return the corpus and the record of the input.

    Each text is a document, or several where blank lines are between them. Lines without tokens are left out.
    """
    ids: list[I32] = [np.zeros(0, np.int32)]
    ends, documents = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    digest, size, tokens, document = sha256(), 0, 0, 0
    for text in texts:
        whole = isinstance(text, Documents)
        for block in text.texts if isinstance(text, Documents) else text:
            digest.update(block)
            size += len(block)
            own, line_ends = tokenizer.encode_block(block)
            lengths = np.diff(line_ends, prepend=0)
            number = document + np.cumsum(lengths == 0)
            kept = lengths > 0
            ids.append(own)
            ends.append(line_ends[kept] + tokens)
            documents.append(number[kept])
            tokens += len(own)
            document = (int(number[-1]) if len(number) else document) + whole
        document += 1
    return (
        EncoderCorpus(_small(np.concatenate(ids)), np.concatenate(ends), np.concatenate(documents), size),
        {"bytes": size, "sha256": digest.hexdigest()},
    )


def _small(ids: I32) -> Ints:
    """Return ids in 16 bits where they fit."""
    return ids.astype(np.uint16) if len(ids) == 0 or int(ids.max()) < 1 << 16 else ids
