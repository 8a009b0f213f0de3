"""Ids of a text as it is, line ends and all. Knows no files."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from lmkit.protocols import I32, Tokenizer
from lmkit.tokenization.bpe import chunks
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.bpe.scheme import PATTERNS, Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.line_ends import with_line_ends

_FEED = b"\n"


def ids_of(tokenizer: Tokenizer, blocks: Iterable[bytes]) -> Iterator[I32]:
    """Ids of one text, as if it were encoded at once; blocks may be cut anywhere, and none ends the last line.

    Memory is bounded by the longest line where the tokenizer parts text at line ends: words,
    characters, bytes, merges under a named pattern, and tokenizer.json files that split as
    GPT-2 does. Others need the text as a whole. Line ends are tokens where there is one for
    them; to words they are white space, to characters unknown unless the vocabulary has them.
    """
    if isinstance(tokenizer, BPETokenizer):
        return _of_merges(tokenizer, blocks)
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return _of_library(tokenizer, blocks)
    return _of_lines(tokenizer, blocks)


def _of_merges(tokenizer: BPETokenizer, blocks: Iterable[bytes]) -> Iterator[I32]:
    scheme = tokenizer.scheme
    if scheme.level == "byte" and (scheme.pattern not in PATTERNS or scheme.pattern == "none"):
        library = _as_library(tokenizer)
        yield from _of_library(library.parsing() if tokenizer.parses else library, blocks)
        return
    encoder = _encoder(tokenizer)
    for part in chunks.blocks(blocks, scheme, lines=False):
        yield encoder.encode(encoder.scan(part))[0]


@lru_cache(maxsize=4)
def _as_library(tokenizer: BPETokenizer) -> HuggingFaceTokenizer:
    from lmkit.tokenization.formats.tokenizer_json_writer import write

    return HuggingFaceTokenizer.from_json(write(tokenizer), {})


@lru_cache(maxsize=4)
def _encoder(tokenizer: BPETokenizer | HuggingFaceTokenizer) -> Any:
    """Made once for many prompts."""
    return tokenizer.encoder(Options(lines=False))


def _of_library(tokenizer: HuggingFaceTokenizer, blocks: Iterable[bytes]) -> Iterator[I32]:
    encoder = _encoder(tokenizer)
    if _splits_as_gpt2(tokenizer.document):
        blocks = chunks.blocks(blocks, Scheme(pattern="gpt2"), lines=False)
    else:
        blocks = [b"".join(blocks)]
    for part in blocks:
        if part:
            yield encoder.encode(encoder.scan(part))[0]


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


def _of_lines(tokenizer: Tokenizer, blocks: Iterable[bytes]) -> Iterator[I32]:
    """Of a tokenizer that knows no more than lines: what stands between line ends, and these."""
    feed = _line_end(tokenizer)
    rest: list[bytes] = []
    for block in blocks:
        cut = block.rfind(_FEED) + 1
        if cut:
            ids, ends = tokenizer.encode_block(b"".join([*rest, block[:cut]]))
            yield ids if feed is None else with_line_ends(ids, ends, feed)[0]
            rest = []
        if cut < len(block):
            rest.append(block[cut:])
    if rest:
        yield tokenizer.encode(b"".join(rest))


def _line_end(tokenizer: Tokenizer) -> int | None:
    """The token of a line end; None to words, for which it is white space."""
    if tokenizer.kind == "word":
        return None
    pieces = np.flatnonzero([tokenizer.piece(token) == _FEED for token in range(tokenizer.size)])
    return int(pieces[-1]) if len(pieces) else tokenizer.specials["unk"]
