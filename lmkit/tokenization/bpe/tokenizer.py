"""The BPE tokenizer: pieces, merges and special tokens, and how they meet text."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import numpy as np

from lmkit.checkpoint import Array, Checkpoint, Streamed
from lmkit.errors import CheckpointError
from lmkit.protocols import I32, I64, U8
from lmkit.tokenization.bpe import chunks
from lmkit.tokenization.bpe.byte_characters import visible
from lmkit.tokenization.bpe.encoding import Encoder, Options
from lmkit.tokenization.bpe.merge_ranks import Merges
from lmkit.tokenization.bpe.scheme import PATTERNS, Scheme
from lmkit.tokenization.line_tokenizer import LineTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

ROLES = ("unk", "bos", "eos")


class BPETokenizer(LineTokenizer):
    """Byte-pair encoding (Sennrich et al. 2016), of bytes or of characters.

    `vocabulary`: the piece of each id as the bytes that it spells; at level `char` with an end
    of word, the mark is a space, which no word has. `pairs` (M, 3): the merges in order of
    priority, ids of left, right and merged piece. `names`: special tokens, which text never
    becomes unless asked. `specials`: which ids are `unk`, `bos` and `eos`.
    """

    kind = "bpe"
    is_subword = has_merges = True
    names: Mapping[bytes, int] = MappingProxyType({})

    def __init__(
        self, vocabulary: Vocabulary, pairs: I32, scheme: Scheme, names: Mapping[bytes, int],
        specials: Mapping[str, int],
    ) -> None:  # fmt: skip
        self.vocabulary = vocabulary
        self.merges = Merges(pairs)
        self.scheme = scheme
        self.names = dict(names)
        self.specials: Mapping[str, int] = dict(specials)

    @property
    def size(self) -> int:
        """See `Tokenizer.size`."""
        return len(self.vocabulary)

    @cached_property
    def digest(self) -> str:
        """See `Tokenizer.digest`."""
        data = sha256(f"{self.kind} {self.vocabulary.digest} {json.dumps(self.describe(), sort_keys=True)}".encode())
        data.update(np.ascontiguousarray(self.merges.pairs, dtype="<i4").data)
        return data.hexdigest()

    def describe(self) -> dict[str, Any]:
        """What the checkpoint's `tokenizer` object says besides kind, size and digest; names as latin-1."""
        names = {name.decode("latin-1"): token for name, token in self.names.items()}
        return {"scheme": self.scheme.describe(), "names": names, "specials": dict(self.specials)}

    def with_specials(self) -> "BPETokenizer":
        """The same tokenizer, to which names of special tokens in a text mean these tokens."""
        made = copy(self)
        for made_before in ("_lines", "_stream", "_library"):
            made.__dict__.pop(made_before, None)
        made.parses_specials = True
        return made

    def encoder(self, options: Options) -> Encoder:
        """An encoder of blocks of one text."""
        if self.parses_specials:
            options = replace(options, parse=self.names)
        return Encoder(self.vocabulary, self.merges, self.scheme, self.names, self.specials.get("unk"), options)

    @cached_property
    def _lines(self) -> Encoder:
        return self.encoder(Options())

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`."""
        return self._lines.encode(self._lines.scan(block))

    def encode_stream(self, blocks: Iterable[bytes]) -> Iterator[I32]:
        """See `Tokenizer.encode_stream`."""
        if self.accepts_any_bytes and (self.scheme.pattern not in PATTERNS or self.scheme.pattern == "none"):
            yield from self._library.encode_stream(blocks)
            return
        for part in chunks.blocks(blocks, self.scheme, lines=False):
            yield self._stream.encode(self._stream.scan(part))[0]

    @cached_property
    def _stream(self) -> Encoder:
        return self.encoder(Options(lines=False))

    @cached_property
    def _library(self) -> Any:
        """The same, served by the tokenizers library, which knows any pattern."""
        from lmkit.tokenization.formats.tokenizer_json_writer import write
        from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

        served = HuggingFaceTokenizer.from_json(write(self), {})
        return served.with_specials() if self.parses_specials else served

    def piece(self, token: int) -> bytes:
        """See `Tokenizer.piece`."""
        return self.vocabulary.piece(token)

    @property
    def ends_words(self) -> bool:
        """See `Tokenizer.ends_words`."""
        return self.scheme.level == "char"

    @property
    def accepts_any_bytes(self) -> bool:
        """See `Tokenizer.accepts_any_bytes`."""
        return self.scheme.level == "byte"

    @property
    def spells_whitespace(self) -> bool:
        """See `Tokenizer.spells_whitespace`."""
        return not self.ends_words

    def fields(self) -> list[bytes]:
        """Bytes as visible characters; special tokens as their names."""
        special = set(self.names.values())
        pieces = enumerate(self.vocabulary.pieces())
        return [piece if token in special else visible(piece).encode() for token, piece in pieces]

    def decode(self, ids: Sequence[int]) -> bytes:
        """The text that the ids spell, special tokens as their names; without a space behind the last word."""
        text = b"".join(map(self.piece, ids))
        return text.removesuffix(b" ") if self.ends_words else text

    def tensors(self) -> dict[str, Array | Streamed]:
        """The arrays of a checkpoint that go with `describe`."""
        return {
            "tokenizer.merges": np.ascontiguousarray(self.merges.pairs),
            "tokenizer.offsets": self.vocabulary.offsets,
            "tokenizer.pieces": self.vocabulary.blob,
        }

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "BPETokenizer":
        """The tokenizer inside a checkpoint. Raises CheckpointError where it does not hold together."""
        about = checkpoint.tokenizer
        scheme = Scheme.from_description(about.get("scheme"))
        blob = checkpoint.array("tokenizer.pieces", "U8", (None,))
        offsets = checkpoint.array("tokenizer.offsets", "I64", (None,))
        pairs = checkpoint.array("tokenizer.merges", "I32", (None, 3))
        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(blob) or (offsets[1:] < offsets[:-1]).any():
            raise CheckpointError("damaged checkpoint: the vocabulary's offsets do not fit its pieces")
        size = len(offsets) - 1
        if len(pairs) and (pairs.min() < 0 or pairs.max() >= size):
            raise CheckpointError("damaged checkpoint: a merge points outside the vocabulary")
        named = _ids(about.get("names"), size)
        if not all(name and max(name) < "\u0100" for name in named):
            raise CheckpointError("damaged checkpoint: the name of a special token is not bytes")
        names = {name.encode("latin-1"): token for name, token in named.items()}
        specials = _ids(about.get("specials"), size)
        vocabulary = Vocabulary.build(blob, offsets)
        _check_merges(vocabulary, pairs)
        return cls(vocabulary, pairs, scheme, names, specials)


def _ids(value: Any, size: int) -> dict[str, int]:
    """A JSON object of ids. Raises CheckpointError for anything else, or where an id is outside the vocabulary."""
    if not isinstance(value, dict) or not all(type(token) is int and 0 <= token < size for token in value.values()):
        raise CheckpointError("damaged checkpoint: the tokenizer's special tokens are not ids of its vocabulary")
    return value


def _check_merges(vocabulary: Vocabulary, pairs: I32) -> None:
    """Raises CheckpointError where a merged piece is not its parts end to end."""
    lengths = np.diff(vocabulary.offsets)
    parts, merged = pairs[:, :2], pairs[:, 2]
    fits = (lengths[parts].sum(axis=1) == lengths[merged]).all()
    if not fits or (_bytes_of(vocabulary, parts.reshape(-1)) != _bytes_of(vocabulary, merged)).any():
        raise CheckpointError("damaged checkpoint: a merge does not spell its piece")


def _bytes_of(vocabulary: Vocabulary, tokens: I32) -> U8:
    """The pieces of the tokens end to end."""
    lengths = np.diff(vocabulary.offsets)[tokens]
    places = np.repeat(vocabulary.offsets[tokens] - np.cumsum(lengths) + lengths, lengths)
    return vocabulary.blob[places + np.arange(len(places))]
