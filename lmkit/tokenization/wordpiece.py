"""A vocabulary given as a list: words are looked up whole, or spelled with the longest pieces it has.

From left to right the longest listed piece is taken each time; a word that can't be spelled so
is unknown (the WordPiece of Wu et al. 2016 and BERT). A marker says how pieces inside words are
listed: `##an`, `jug@@`, `▁jug` and so on.
"""

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256

import numpy as np

from lmkit.errors import DataError
from lmkit.protocols import I32, I64
from lmkit.tokenization.bpe.scheme import BEFORE_WORD, END_OF_WORD, GOES_ON, UNFINISHED
from lmkit.tokenization.line_tokenizer import LineTokenizer
from lmkit.tokenization.words import distinct, find

UNKNOWN_NAMES = (b"<unk>", b"[UNK]", b"<UNK>")
REMEMBERED = 1 << 20  # words


class ListedTokenizer(LineTokenizer):
    """Greedy longest match over listed pieces; see `Tokenizer`. It is not kept in checkpoints."""

    kind = "vocabulary"
    separator = b" "

    def __init__(self, entries: Mapping[bytes, int], marker: str, unknown: bytes | None) -> None:
        self._entries = dict(entries)
        self._marker = marker
        self._names = {token: entry for entry, token in self._entries.items()}
        name = unknown if unknown is not None else next((n for n in UNKNOWN_NAMES if n in self._entries), None)
        if name is not None and name not in self._entries:
            raise DataError(f"the unknown token {name.decode(errors='replace')!r} is not listed")
        self.specials: Mapping[str, int] = {} if name is None else {"unk": self._entries[name]}
        self._longest = max(map(len, self._entries), default=0)
        self._known: dict[bytes, list[int]] = {}

    @property
    def size(self) -> int:
        """One more than the highest id."""
        return max(self._names, default=-1) + 1

    @cached_property
    def digest(self) -> str:
        """See `Tokenizer.digest`."""
        listed = b"\n".join(b"%s\t%d" % item for item in sorted(self._entries.items()))
        return sha256(f"{self.kind} {self._marker}\n".encode() + listed).hexdigest()

    def piece(self, token: int) -> bytes:
        """The entry of an id; empty where none has it."""
        return self._names.get(token, b"")

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`. Raises DataError for a word that can't be spelled where nothing is unknown."""
        words = find(block)
        unique = distinct(block, words)
        spelled = [self._ids(block[a:b]) for a, b in zip(unique.starts.tolist(), unique.ends.tolist(), strict=True)]
        lengths = np.array([len(ids) for ids in spelled], dtype=np.int64)
        flat = np.array([token for ids in spelled for token in ids], dtype=np.int32)
        counts = lengths[unique.inverse]
        before = np.append(0, np.cumsum(counts))
        starts = (np.cumsum(lengths) - lengths)[unique.inverse]
        places = np.repeat(starts - before[:-1], counts) + np.arange(before[-1])
        return flat[places], before[words.line_ends]

    def _ids(self, word: bytes) -> list[int]:
        if word not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[word] = self._spell(word)
        return self._known[word]

    def _spell(self, word: bytes) -> list[int]:
        ids = []
        begin = 0
        while begin < len(word):
            for end in range(min(len(word), begin + self._longest), begin, -1):
                token = self._entries.get(self._listed(word[begin:end], first=begin == 0, last=end == len(word)))
                if token is not None:
                    break
            else:
                if "unk" not in self.specials:
                    raise DataError(
                        f"the list can't spell {word.decode(errors='replace')!r}, and has no unknown token",
                        hint="--unknown NAME says which entry represents such words",
                    )
                return [self.specials["unk"]]
            ids.append(token)
            begin = end
        return ids

    def _listed(self, piece: bytes, *, first: bool, last: bool) -> bytes:
        """How a piece at a place in its word is listed."""
        mark = self._marker.encode()
        if self._marker in GOES_ON:
            return piece if first else mark + piece
        if self._marker in BEFORE_WORD:
            return mark + piece if first else piece
        if self._marker == UNFINISHED:
            return piece if last else piece + mark
        assert self._marker == END_OF_WORD
        return piece + mark if last else piece
