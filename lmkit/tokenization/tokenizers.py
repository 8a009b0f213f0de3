"""Words, characters and bytes as tokens, each with a learner that meets text first; knows no files.

Words spelled `<s>` or `</s>` in a text are dropped as lmplz's --skip_symbols does, since a
corpus may come already marked; `<unk>` counts as the unknown word. Characters and bytes have
no such names, so that those texts are ordinary there.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from lmkit.checkpoint import Array, Checkpoint, Streamed, canonical
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import I32, I64, Tokenizer
from lmkit.tokenization.line_tokenizer import LineTokenizer
from lmkit.tokenization.normalization import KEEP, UNCHANGED, Normalization
from lmkit.tokenization.vocabulary import BOS, EOS, NAMES, SPECIALS, UNK, Interner, Vocabulary
from lmkit.tokenization.words import Distinct, distinct, find, split

KINDS = ("word", "char", "byte")
OTHERS = {
    "bpe": ("lmkit.tokenization.bpe.tokenizer", "BPETokenizer"),
    "huggingface": ("lmkit.tokenization.huggingface_tokenizer", "HuggingFaceTokenizer"),
}
SEPARATORS = frozenset(b" \t\r\n\0")
_CODE_POINTS = 0x110000


class Learner(Protocol):
    """Encodes text and learns its vocabulary on the way, in two steps a block."""

    dropped: int
    """Words spelled like sentence marks that were left out so far."""

    @property
    def accepts_any_bytes(self) -> bool:
        """See `Tokenizer.accepts_any_bytes`."""

    def scan(self, block: bytes) -> Any:
        """What can be done for a block of whole lines without knowing those before; threads may share this."""

    def learn(self, block: bytes, scanned: Any) -> tuple[I32, I64]:
        """Ids of a scanned block and the end of each line in them; blocks come in order."""

    def tokenizer(self) -> Tokenizer:
        """A tokenizer over what has been learned."""


def _drop_markers(ids: I32, line_ends: I64) -> tuple[I32, I64]:
    """Without the ids of `<s>` and `</s>`."""
    marked = (ids == BOS) | (ids == EOS)
    if not marked.any():
        return ids, line_ends
    before = np.zeros(len(ids) + 1, dtype=np.int64)
    np.cumsum(marked, out=before[1:])
    return ids[~marked], line_ends - before[line_ends]


class Stored(LineTokenizer):
    """What tokenizers over a stored vocabulary share: text is normalised first, then cut into pieces."""

    specials: Mapping[str, int] = SPECIALS

    def __init__(self, vocabulary: Vocabulary, normalization: Normalization = UNCHANGED) -> None:
        self.vocabulary = vocabulary
        self.normalization = normalization

    def normalising(self, normalization: Normalization) -> "Stored":
        """Return a tokenizer that normalises text in another way."""
        return with_vocabulary(self.kind, self.vocabulary, normalization)

    def over(self, vocabulary: Vocabulary) -> "Stored":
        """Return a tokenizer that differs in its vocabulary only."""
        return with_vocabulary(self.kind, vocabulary, self.normalization)

    @property
    def size(self) -> int:
        """See `Tokenizer.size`."""
        return len(self.vocabulary)

    @property
    def digest(self) -> str:
        """The vocabulary's and that of the normalization; see `Tokenizer.digest`."""
        normal = f" {canonical(self.normalization.describe())}" if self.normalization else ""
        return sha256(f"{self.kind} {self.vocabulary.digest}{normal}".encode()).hexdigest()

    def piece(self, token: int) -> bytes:
        """See `Tokenizer.piece`."""
        return self.vocabulary.piece(token)

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`."""
        return self._ids(self.normalization.apply(block))

    @abstractmethod
    def _ids(self, block: bytes) -> tuple[I32, I64]:
        """Return the ids of whole lines in normal form, (N,), and the end of each line in them, (S,)."""

    def limited(self, counts: I64, most: int | None, minimum: int) -> tuple[Tokenizer, I32] | None:
        """See `Tokenizer.limited`."""
        vocabulary, mapping = limit(self.vocabulary, counts, most, minimum)
        return self.over(vocabulary), mapping

    def describe(self) -> dict[str, Any]:
        """See `Tokenizer.describe`."""
        return self.normalization.describe()

    def tensors(self) -> dict[str, Array | Streamed]:
        """The vocabulary."""
        return {
            "tokenizer.hashes": self.vocabulary.hashes,
            "tokenizer.offsets": self.vocabulary.offsets,
            "tokenizer.pieces": self.vocabulary.blob,
            "tokenizer.ranks": self.vocabulary.ranks,
        }


class WordTokenizer(Stored):
    """Words between separators; what the vocabulary lacks is `<unk>`."""

    kind = unit = "word"
    separator = b" "

    def fields(self) -> list[bytes]:
        """Words as they are, since they hold no white space."""
        return self.vocabulary.pieces()

    def _ids(self, block: bytes) -> tuple[I32, I64]:
        """See `Stored._ids`; `<s>` and `</s>` are dropped."""
        words = find(block)
        unique = distinct(block, words)
        return _drop_markers(self.vocabulary.find(unique.hashes)[unique.inverse], words.line_ends)


class WordLearner:
    """Learns every word it meets."""

    accepts_any_bytes = False

    def __init__(self) -> None:
        self._interner = Interner()
        self.dropped = 0

    def scan(self, block: bytes) -> tuple[Distinct, I64]:
        """The distinct words of a block, and the end of each line in words."""
        words = find(block)
        return distinct(block, words), words.line_ends

    def learn(self, block: bytes, scanned: tuple[Distinct, I64]) -> tuple[I32, I64]:
        """See `Learner.learn`."""
        unique, line_ends = scanned
        found = self._interner.ids(block, unique.starts, unique.ends, unique.hashes)[unique.inverse]
        ids, ends = _drop_markers(found, line_ends)
        self.dropped += len(found) - len(ids)
        return ids, ends

    def tokenizer(self) -> WordTokenizer:
        """See `Learner.tokenizer`."""
        return WordTokenizer(self._interner.vocabulary())


def _code_points(block: bytes) -> tuple[I32, I64]:
    """Code points of whole lines, and the end of each line in them."""
    points = np.frombuffer(block.decode().encode("utf-32-le"), dtype="<i4")
    feeds = points == 10
    return points[~feeds], np.flatnonzero(feeds) - np.arange(np.count_nonzero(feeds))


def _is_character(piece: bytes) -> bool:
    """Whether a piece is the UTF-8 of one character."""
    try:
        return len(piece.decode()) == 1
    except UnicodeDecodeError:
        return False


class CharTokenizer(Stored):
    """Unicode characters, white space included."""

    kind, unit = "char", "character"

    @cached_property
    def _table(self) -> I32:
        """Id of each code point, (0x110000,); 0 where there is none."""
        table = np.zeros(_CODE_POINTS, dtype=np.int32)
        for token, piece in enumerate(self.vocabulary.pieces()[len(NAMES) :], len(NAMES)):
            if not _is_character(piece):
                raise CheckpointError(f"damaged checkpoint: token {token} is not one character")
            table[ord(piece.decode())] = token
        return table

    def _ids(self, block: bytes) -> tuple[I32, I64]:
        """See `Stored._ids`."""
        points, line_ends = _code_points(block)
        return self._table[points], line_ends


class CharLearner:
    """Learns every character it meets."""

    dropped = 0
    accepts_any_bytes = False

    def __init__(self) -> None:
        self._table = np.full(_CODE_POINTS, -1, dtype=np.int32)
        self._pieces = list(NAMES)

    def scan(self, block: bytes) -> tuple[I32, I64]:
        """The code points of a block, and the end of each line in them."""
        return _code_points(block)

    def learn(self, block: bytes, scanned: tuple[I32, I64]) -> tuple[I32, I64]:
        """See `Learner.learn`."""
        points, line_ends = scanned
        ids = self._table[points]
        fresh = points[ids < 0]
        if len(fresh):
            values, first = np.unique(fresh, return_index=True)
            values = values[np.argsort(first)]
            self._table[values] = np.arange(len(self._pieces), len(self._pieces) + len(values))
            self._pieces += [chr(value).encode() for value in values.tolist()]
            ids = self._table[points]
        return ids, line_ends

    def tokenizer(self) -> CharTokenizer:
        """See `Learner.tokenizer`."""
        return CharTokenizer(Vocabulary.of(self._pieces))


class ByteTokenizer(Stored):
    """The 256 bytes, as ids 3 to 258; nothing is ever unknown."""

    kind = "byte"
    accepts_any_bytes = True

    def __init__(self, normalization: Normalization = UNCHANGED) -> None:
        super().__init__(Vocabulary.of([*NAMES, *(bytes([value]) for value in range(256))]), normalization)

    def fields(self) -> list[bytes]:
        """Bytes as hexadecimal numbers."""
        return [*NAMES, *(b"<0x%02X>" % value for value in range(256))]

    def limited(self, _counts: I64, _most: int | None, _minimum: int) -> None:
        """There are always 256 bytes."""

    def tensors(self) -> dict[str, Array | Streamed]:
        """None, as all bytes are known."""
        return {}

    def _ids(self, block: bytes) -> tuple[I32, I64]:
        """See `Stored._ids`."""
        data = np.frombuffer(block, dtype=np.uint8)
        feeds = data == 10
        line_ends = np.flatnonzero(feeds) - np.arange(np.count_nonzero(feeds))
        return data[~feeds].astype(np.int32) + len(NAMES), line_ends


class Fixed:
    """A learner that learns nothing: encodes with a tokenizer it is given."""

    dropped = 0

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.accepts_any_bytes = tokenizer.accepts_any_bytes

    def scan(self, block: bytes) -> tuple[I32, I64]:
        """The ids themselves: there is nothing to learn."""
        return self._tokenizer.encode_block(block)

    def learn(self, block: bytes, scanned: tuple[I32, I64]) -> tuple[I32, I64]:
        """What `scan` found."""
        return scanned

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that was given."""
        return self._tokenizer


def learner(kind: str) -> Learner:
    """A learner of the given kind of token."""
    if kind == "byte":
        return Fixed(ByteTokenizer())
    return CharLearner() if kind == "char" else WordLearner()


def with_vocabulary(kind: str, vocabulary: Vocabulary, normalization: Normalization = UNCHANGED) -> Stored:
    """A tokenizer of the given kind over a vocabulary; a byte tokenizer has its own."""
    if kind == "byte":
        return ByteTokenizer(normalization)
    return (CharTokenizer if kind == "char" else WordTokenizer)(vocabulary, normalization)


def from_list(kind: str, lines: Sequence[bytes], normalization: Normalization = UNCHANGED) -> Tokenizer:
    """A tokenizer over a listed vocabulary, special tokens in front whether listed or not; entries are normalised.

    Raises DataError for an entry that no text could contain.
    """
    listed = (_normal_entry(line, normalization) for line in lines if line not in NAMES)
    entries = dict.fromkeys(line for line in listed if line not in NAMES and line)
    for entry in entries:
        if (kind == "word" and SEPARATORS.intersection(entry)) or (kind == "char" and not _is_character(entry)):
            raise DataError(f"vocabulary entry {entry.decode(errors='replace')!r} is not one {kind}")
    return with_vocabulary(kind, Vocabulary.of([*NAMES, *entries]), normalization)


def _normal_entry(entry: bytes, normalization: Normalization) -> bytes:
    """Return an entry in normal form, without the spaces that separate punctuation at its ends."""
    if normalization.punctuation == KEEP:
        return normalization.apply(entry)
    return b" ".join(split(normalization.apply(entry)))


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    """The checkpoint's `tokenizer` object."""
    return {
        **tokenizer.describe(), "digest": tokenizer.digest, "size": tokenizer.size,
        "specials": dict(tokenizer.specials), "type": tokenizer.kind,
    }  # fmt: skip


def tensors(tokenizer: Tokenizer) -> dict[str, Array | Streamed]:
    """The arrays that go with `describe`."""
    return dict(tokenizer.tensors())


def load(checkpoint: Checkpoint) -> Tokenizer:
    """The tokenizer inside any checkpoint. Raises CheckpointError where it is not usable."""
    kind = checkpoint.tokenizer.get("type")
    if isinstance(kind, str) and kind in OTHERS:
        module, name = OTHERS[kind]
        loaded: Tokenizer = getattr(import_module(module), name).from_checkpoint(checkpoint)
        return loaded
    if kind not in KINDS:
        raise CheckpointError(f"unknown tokenizer {kind!r}", hint="update lmkit to read it")
    normalization = Normalization.from_description(checkpoint.tokenizer)
    if kind == "byte":
        return ByteTokenizer(normalization)
    vocabulary = Vocabulary(
        checkpoint.array("tokenizer.pieces", "U8", (None,)),
        checkpoint.array("tokenizer.offsets", "I64", (None,)),
        checkpoint.array("tokenizer.hashes", "U64", (None,)),
        checkpoint.array("tokenizer.ranks", "I32", (None,)),
    )
    vocabulary.check()
    if tuple(vocabulary.piece(token) for token in range(min(3, len(vocabulary)))) != NAMES:
        raise CheckpointError("damaged checkpoint: the vocabulary lacks its special tokens")
    return with_vocabulary(str(kind), vocabulary, normalization)


def limit(vocabulary: Vocabulary, counts: I64, most: int | None, minimum: int) -> tuple[Vocabulary, I32]:
    """A smaller vocabulary, and the new id of each old one; what is left out becomes `<unk>`.

    Keeps the `most` frequent tokens (ties: first seen) that were seen at least `minimum` times,
    in their old order; special tokens are kept and not counted among `most`.
    """
    keep = counts >= minimum
    keep[: len(NAMES)] = False
    if most is not None and np.count_nonzero(keep) > most:
        order = np.argsort(-np.where(keep, counts, -1), kind="stable")
        keep[order[most:]] = False
    keep[: len(NAMES)] = True
    kept = np.flatnonzero(keep)
    mapping = np.full(len(vocabulary), UNK, dtype=np.int32)
    mapping[kept] = np.arange(len(kept), dtype=np.int32)
    return Vocabulary.of([vocabulary.piece(token) for token in kept.tolist()]), mapping
