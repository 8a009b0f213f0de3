"""From texts to the encoded corpus that a neural model is trained or validated on. Knows no files.

Shapes: N tokens, D documents, L lines.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from lmkit.data.sequences import Documents, TextFormat, sequences, sequences_of
from lmkit.errors import DataError
from lmkit.protocols import I32, I64, Ints, Tokenizer
from lmkit.tokenization.line_ends import Part
from lmkit.tokenization.tokenizers import Learner
from lmkit.tokenization.vocabulary import SPECIALS


@dataclass(frozen=True)
class Corpus:
    """An encoded text: all its ids, where documents end, and how many bytes it had."""

    ids: Ints
    ends: I64
    bytes: int

    @property
    def tokens(self) -> int:
        """How many tokens there are to predict."""
        return len(self.ids)

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token, on average."""
        return self.bytes / max(1, len(self.ids))


class LearningTokenizer:
    """A learner as a tokenizer: it meets each block as it encodes it."""

    specials = SPECIALS

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`."""
        return self._learner.learn(block, self._learner.scan(block))


@dataclass(frozen=True)
class EncodedText:
    """Ids, (N,), where documents end in them, (D,), the bytes of every line, (L,), and the record of the input."""

    ids: I32
    ends: I64
    lines: I64
    record: dict[str, Any]

    @classmethod
    def of(cls, tokenizer: Tokenizer, form: TextFormat, texts: Iterable[Iterable[bytes] | Documents]) -> "EncodedText":
        """Encode texts, each given in blocks of whole lines, or several that are whole, one behind another."""
        ids, ends, lines = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        digest, size = sha256(), 0

        def measured(blocks: Iterable[bytes]) -> Iterator[bytes]:
            for block in blocks:
                digest.update(block)
                lines.append(np.diff(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 10), prepend=-1))
                yield block

        def encoded(text: Iterable[bytes] | Documents) -> Iterator[Part]:
            if not isinstance(text, Documents):
                return sequences(tokenizer, form, measured(text))
            for _ in measured([b"".join(text.texts)]):
                pass
            return sequences_of(tokenizer, form, text)

        for text in texts:
            for part, places in encoded(text):
                ids.append(part)
                ends.append(places + size)
                size += len(part)
        sizes = np.concatenate(lines)
        record = {"bytes": int(sizes.sum()), "sha256": digest.hexdigest()}
        return cls(np.concatenate(ids), np.concatenate(ends), sizes, record)

    def limited(self, tokenizer: Tokenizer, most: int | None, minimum: int) -> tuple[Tokenizer, "EncodedText"]:
        """Return a tokenizer of the `most` frequent tokens, seen `minimum` times, and the text in its ids.

        Both stay as they are where the tokenizer always has all of its tokens, as that of bytes does.
        """
        found = tokenizer.limited(np.bincount(self.ids, minlength=tokenizer.size), most, minimum)
        if found is None:
            return tokenizer, self
        smaller, mapping = found
        return smaller, replace(self, ids=mapping[self.ids])

    def split(self, form: TextFormat, fraction: float) -> tuple["EncodedText", "EncodedText"]:
        """Return the text without its last part, and that part: it begins where a line does, or a document.

        Raises DataError where there is no such place.
        """
        wanted = round((1 - fraction) * len(self.ids))
        borders = self.ends if form.by != "stream" else np.flatnonzero(self.ids == form.newline_id) + 1
        borders = borders[borders < len(self.ids)]
        if not len(borders) or wanted <= 0:
            raise DataError("the text is too short to hold some of it out", hint="--valid FILE")
        border = int(borders[np.abs(borders - wanted).argmin()])
        size = self._bytes_before(form, border)
        before, after = self.ends[self.ends <= border], self.ends[self.ends > border] - border
        return (
            EncodedText(self.ids[:border], before, np.array([size]), self.record),
            EncodedText(self.ids[border:], after, np.array([int(self.lines.sum()) - size]), self.record),
        )

    def _bytes_before(self, form: TextFormat, border: int) -> int:
        """Bytes of the lines before a border between lines; blank lines between documents count by their share."""
        line_ends = np.flatnonzero(self.ids == form.newline_id)
        if len(line_ends) == len(self.lines):
            return int(self.lines[: int(np.searchsorted(line_ends, border))].sum())
        return round(int(self.lines.sum()) * border / len(self.ids))

    def corpus(self) -> Corpus:
        """Return the corpus, its ids in 16 bits where they fit."""
        small = len(self.ids) == 0 or int(self.ids.max()) < 1 << 16
        return Corpus(self.ids.astype(np.uint16) if small else self.ids, self.ends, int(self.lines.sum()))
