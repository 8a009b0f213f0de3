"""Tokenizers that lmkit does not run itself: a tokenizer.json as it came, served by the tokenizers library.

Text never becomes a special token unless asked: neither those that the file calls special nor
other added ones that are spelled like one, in brackets, nor those that the vocabulary lists under a
usual name. It is encoded as if they were not in the vocabulary (see `reserved`). Added tokens such
as runs of spaces are ordinary words of the file's vocabulary and always found.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from lmkit.checkpoint import Array, Checkpoint, Streamed
from lmkit.errors import CheckpointError, DataError
from lmkit.protocols import I32, I64, Bool
from lmkit.tokenization.bpe import chunks
from lmkit.tokenization.bpe.byte_characters import CHARACTER_TO_BYTE, from_visible
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.formats.vocab_and_merges import check_ids, parse_json, roles
from lmkit.tokenization.huggingface_encoder import ForeignEncoder, Served
from lmkit.tokenization.huggingface_library import build, failures
from lmkit.tokenization.line_tokenizer import LineTokenizer, Spellings, spelled_without
from lmkit.tokenization.normalizers import META
from lmkit.tokenization.reserved_tokens import Vocabulary, vocabulary

_LOCAL = {"ByteLevel", "ByteFallback", "BPEDecoder", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece"}
"""Decoders that spell each token independently, but for the first and the last, and for bytes."""


_BLANK = re.compile(rb"[\t\n\v\f\r\0]")


def _check_shape(document: Mapping[str, Any]) -> None:
    """Raises CheckpointError where parts that lmkit looks into are not the objects that they should be."""
    added, decoder = document.get("added_tokens") or [], document.get("decoder") or {}
    members = decoder.get("decoders", []) if isinstance(decoder, dict) else None
    if not isinstance(document.get("model"), dict):
        raise CheckpointError("not a tokenizer.json: it has no model")
    if not isinstance(members, list) or not all(isinstance(part, dict) for part in members):
        raise CheckpointError("not a tokenizer.json: its decoder is no object")
    if not isinstance(added, list) or not all(
        isinstance(token, dict) and isinstance(token.get("content"), str) for token in added
    ):
        raise CheckpointError("not a tokenizer.json: its added tokens are no list of tokens")


def _splits_as_gpt2(document: Mapping[str, Any]) -> bool:
    """Whether text falls apart wherever GPT-2's pattern parts it, before anything else is done to it."""
    part = document.get("pre_tokenizer") or {}
    members = part.get("pretokenizers") if part.get("type") == "Sequence" else [part]
    if document.get("normalizer") is not None or not isinstance(members, list) or not members:
        return False
    *first, last = members
    added = document.get("added_tokens") or []
    return (
        all(member.get("type") == "Digits" for member in first)
        and (last.get("type"), last.get("add_prefix_space", True), last.get("use_regex", True))
        == ("ByteLevel", False, True)
        and not any(token.get("lstrip") or not str(token.get("content")).isascii() for token in added)
        and not any(set(str(token.get("content"))) & set(" \t\r\n") for token in added)
        and all(token.get("special") for token in added)
    )


def _is_word(text: bytes) -> bool:
    return text.isascii() and text.isalnum()


def _is_part(piece: bytes) -> bool:
    """Whether a piece is a part of a character, which a decoder can't show alone."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return True
    return False


class HuggingFaceTokenizer(LineTokenizer):
    """A tokenizer.json, whatever is in it."""

    kind = "huggingface"
    is_subword = True
    separator = None
    size = 0
    json = b""

    def __init__(self, data: bytes, specials: Mapping[str, int], library: Any) -> None:
        self.json = data
        self.specials: Mapping[str, int] = dict(specials)
        self._library = library
        ids = library.get_vocab(with_added_tokens=True)
        self.size = max(ids.values(), default=-1) + 1

    @classmethod
    def from_json(cls, data: bytes, said: Mapping[str, str | None]) -> "HuggingFaceTokenizer":
        """From a file; `said`: names of special tokens by role. Raises CheckpointError where it can't be used."""
        document = parse_json(data, "a tokenizer.json")
        _check_shape(document)
        library = build(document)
        ids = library.get_vocab(with_added_tokens=True)
        check_ids(ids)
        if not ids:
            raise CheckpointError("its vocabulary is empty")
        return cls(data, roles(ids, said), library)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "HuggingFaceTokenizer":
        """The tokenizer inside a checkpoint. Raises CheckpointError where it can't be used."""
        data = checkpoint.array("tokenizer.json", "U8", (None,)).tobytes()
        tokenizer = cls.from_json(data, {})
        specials = checkpoint.tokenizer.get("specials")
        if not isinstance(specials, dict) or not all(
            type(token) is int and 0 <= token < tokenizer.size for token in specials.values()
        ):
            raise CheckpointError("damaged checkpoint: the tokenizer's special tokens are not ids of its vocabulary")
        tokenizer.specials = specials
        return tokenizer

    def describe(self) -> dict[str, Any]:
        """What the checkpoint's `tokenizer` object says besides kind, size, digest and specials."""
        return {"model": self.document["model"].get("type", "BPE")}

    def tensors(self) -> dict[str, Array | Streamed]:
        """The file, as bytes."""
        return {"tokenizer.json": np.frombuffer(self.json, dtype=np.uint8)}

    @cached_property
    def digest(self) -> str:
        """See `Tokenizer.digest`."""
        return sha256(
            f"{self.kind} {json.dumps(dict(self.specials), sort_keys=True)} ".encode() + self.json
        ).hexdigest()

    @cached_property
    def document(self) -> dict[str, Any]:
        """The file as JSON."""
        return parse_json(self.json, "a tokenizer.json")

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        added = self._library.get_added_tokens_decoder()
        return vocabulary(self.document, {token.content: (number, token.special) for number, token in added.items()})

    @cached_property
    def names(self) -> dict[bytes, int]:
        """Special tokens, and those that are spelled like one."""
        return {name.encode(errors="replace"): number for name, number in self._vocabulary.names.items()}

    @cached_property
    def _served(self) -> Served:
        return Served(self.document, self._vocabulary)

    def encoder(self, options: Options) -> ForeignEncoder:
        """An encoder of blocks of one text; see `Options`."""
        return ForeignEncoder(self._served, options, parse=bool(options.parse) or self.parses_specials)

    def with_specials(self) -> "HuggingFaceTokenizer":
        """The same tokenizer, to which names of special tokens in a text mean these tokens."""
        made = copy(self)
        for made_before in ("_lines", "_stream"):
            made.__dict__.pop(made_before, None)
        made.parses_specials = True
        return made

    @cached_property
    def _lines(self) -> "ForeignEncoder":
        return self.encoder(Options())

    def encode_block(self, block: bytes) -> tuple[I32, I64]:
        """See `Tokenizer.encode_block`."""
        return self._lines.encode(self._lines.scan(block))

    @cached_property
    def _stream(self) -> "ForeignEncoder":
        return self.encoder(Options(lines=False))

    def encode_stream(self, blocks: Iterable[bytes]) -> Iterator[I32]:
        """See `Tokenizer.encode_stream`."""
        if _splits_as_gpt2(self.document):
            blocks = chunks.blocks(blocks, Scheme(pattern="gpt2"), lines=False)
        else:
            blocks = [b"".join(blocks)]
        for part in blocks:
            if part:
                yield self._stream.encode(self._stream.scan(part))[0]

    def decode(self, ids: Sequence[int]) -> bytes:
        """The text that the ids spell, special tokens as their names. Raises DataError for an id beyond them."""
        ids = [int(token) for token in ids]
        if ids and not 0 <= min(ids) <= max(ids) < self.size:
            raise DataError(f"no token has the id {max(ids) if max(ids) >= self.size else min(ids)}")
        with failures("can't decode with this file"):
            text: str = self._library.decode(ids, skip_special_tokens=False)
        return text.encode()

    def piece(self, token: int) -> bytes:
        """See `Tokenizer.piece`: the bytes where the file says which they are, else the token as it is written."""
        text = self._library.id_to_token(int(token))
        if text is None or text.encode() in self.names:
            return b"" if text is None else bytes(text.encode())
        if "ByteLevel" in self._decoders and CHARACTER_TO_BYTE.keys() >= set(text):
            return from_visible(text)
        if "ByteFallback" in self._decoders and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            return bytes([int(text[3:5], 16)])
        return bytes((text.replace(META, " ") if self._has_meta else text).encode())

    @cached_property
    def local(self) -> bool:
        """See `Tokenizer.local`."""
        decoder = self.document.get("decoder")
        parts = [] if not decoder else decoder["decoders"] if decoder.get("type") == "Sequence" else [decoder]
        kinds = [part.get("type") for part in parts]
        after = kinds[kinds.index("Fuse") + 1 :] if "Fuse" in kinds else []
        return set(kinds) <= _LOCAL and set(after) <= {"Strip"} and not any(part.get("stop") for part in parts)

    def spellings(self, hidden: set[int]) -> tuple[Spellings, Spellings, Bool]:
        """See `Tokenizer.spellings`: the file's decoder is asked what tokens become, alone and behind another."""
        ordinary = [token for token in range(self.size) if token not in hidden and self.written(token)]
        decoder: dict[str, Any] = self.document.get("decoder") or {}
        pieces: list[bytes | None] = [None] * self.size
        for token in ordinary:
            pieces[token] = self.piece(token)
        none = np.zeros(self.size, dtype=np.bool_)
        if decoder.get("type") == "ByteLevel":
            return pieces, pieces, none
        if decoder.get("type") == "BPEDecoder":
            return spelled_without(str(decoder.get("suffix", "</w>")).encode(), pieces)
        anchor = next((token for token in ordinary if _is_word(self.decode([token]))), None)
        before = b"" if anchor is None else self.decode([anchor])
        first, inside = list(pieces), list(pieces)
        for token in ordinary:
            if _is_part(pieces[token] or b""):
                continue
            first[token] = self.decode([token])
            behind = self.decode([token] if anchor is None else [anchor, token])
            inside[token] = behind.removeprefix(before) if behind.startswith(before) else None
        return first, inside, none

    def is_byte(self, token: int) -> bool:
        """See `Tokenizer.is_byte`."""
        return "ByteFallback" in self._decoders and self.written(token).startswith(b"<0x")

    def written(self, token: int) -> bytes:
        """A token as the file writes it, spaces in it as U+2581; empty for an unused id."""
        text = self._library.id_to_token(int(token)) or ""
        return bytes(text.replace(" ", META).encode())

    def fields(self) -> list[bytes]:
        """See `Tokenizer.fields`: tokens as the file writes them, white space but spaces as hexadecimal numbers."""
        return [
            _BLANK.sub(lambda found: b"<0x%02X>" % ord(found[0]), self.written(token)) for token in range(self.size)
        ]

    @cached_property
    def _decoders(self) -> frozenset[str]:
        decoder = self.document.get("decoder") or {}
        return frozenset(str(part.get("type")) for part in (decoder, *decoder.get("decoders", ())) if part)

    @cached_property
    def _has_meta(self) -> bool:
        """Whether U+2581 represents a space."""
        return "Metaspace" in self._decoders or META in json.dumps(self.document.get("decoder"), ensure_ascii=False)
